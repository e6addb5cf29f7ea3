package ec2

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"popup/console"
)

// hoursAMonth is how many hours what is paid by the month is spread over, as AWS does.
const hoursAMonth = 730

// Price implements console.Pricer. It knows machines, their disks and their addresses; what
// is sent to readers is not known beforehand. A spot machine costs less than is said, and
// where machines are spread over regions, all are said to cost what the dearest one does.
func (c *Cloud) Price(ctx context.Context, l console.Launch) (console.Price, error) {
	if c.opts.Profile == Compat && c.opts.Prices == "" {
		return console.Price{}, errors.New("what machines cost here is not known; give a table of prices with --prices, with 0 for what is free")
	}
	table, err := c.opts.prices()
	if err != nil {
		return console.Price{}, err
	}
	where, err := c.regionsFor(ctx, l)
	if err != nil {
		return console.Price{}, err
	}
	var dearest bill
	for _, r := range where {
		b, err := c.bill(ctx, table, r, l)
		if err != nil {
			return console.Price{}, err
		}
		if dearest.lines == nil || b.hour() > dearest.hour() {
			dearest = b
		}
	}
	return console.Price{Currency: table.currency, AsOf: table.asOf, Lines: dearest.lines}, nil
}

// regionsFor are those in which a machine may be.
func (c *Cloud) regionsFor(ctx context.Context, l console.Launch) (where []*region, err error) {
	if l.Volume != "" || l.Image != "" {
		p, err := c.placeFor(ctx, l)
		return []*region{p.region}, err
	}
	all, err := c.places(ctx)
	for _, p := range all {
		if !slices.Contains(where, p.region) {
			where = append(where, p.region)
		}
	}
	return where, err
}

// bill reckons what a machine costs in a region; what is not known is not free.
func (c *Cloud) bill(ctx context.Context, table priceTable, r *region, l console.Launch) (bill, error) {
	img, machine, err := c.imageFor(ctx, r, l)
	if err != nil {
		return bill{}, err
	}
	b := bill{table: table, region: r.name}
	b.machine(machine, c.opts.Spot && !l.Bake)
	for _, d := range c.disks(img, l) {
		b.volume(string(d.Ebs.VolumeType), aws.ToInt32(d.Ebs.VolumeSize), false)
	}
	b.address()
	if l.Volume != "" {
		v, err := c.findVolume(ctx, l.Volume)
		if err != nil {
			return bill{}, err
		}
		b.volume(string(v.VolumeType), aws.ToInt32(v.Size), true)
	}
	if len(b.unknown) > 0 {
		return bill{}, fmt.Errorf("%s, of %s, does not know what these cost: %s; give a table with them, with --prices",
			table.name, table.asOf.Format(time.DateOnly), strings.Join(b.unknown, ", "))
	}
	return b, nil
}

// A bill is a price that is being reckoned.
type bill struct {
	table   priceTable
	region  string
	lines   []console.PriceLine
	unknown []string
}

func (b *bill) machine(kind string, spot bool) {
	what := kind + " in " + b.region
	hour, ok := b.table.regions[b.region].machines[kind]
	if !ok {
		b.unknown = append(b.unknown, what)
	}
	if spot {
		what += ", at most: spot machines cost less"
	}
	b.lines = append(b.lines, console.PriceLine{What: what, Hour: hour})
}

// volume adds a disk. stays says that it outlives the machine.
func (b *bill) volume(kind string, gib int32, stays bool) {
	kind = cmp.Or(kind, "standard") // as EC2 has it where none is asked for
	what := fmt.Sprintf("%d GiB of %s in %s", gib, kind, b.region)
	month, ok := b.table.regions[b.region].volumes[kind]
	if !ok {
		b.unknown = append(b.unknown, what)
	}
	if stays {
		what += " for the state"
	}
	hour := (month*int64(gib) + hoursAMonth - 1) / hoursAMonth
	b.lines = append(b.lines, console.PriceLine{What: what, Hour: hour, Stays: stays})
}

func (b *bill) address() {
	if hour := b.table.regions[b.region].address; hour != nil {
		b.lines = append(b.lines, console.PriceLine{What: "a public IPv4 address", Hour: *hour})
	}
}

// hour is all of it.
func (b *bill) hour() (sum int64) {
	for _, line := range b.lines {
		sum += line.Hour
	}
	return sum
}
