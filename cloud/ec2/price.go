package ec2

import (
	"context"
	"errors"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"popup/cloud/ec2/prices"
	"popup/console"
)

// Price implements console.Pricer. It knows machines, their disks and their addresses; what
// is sent to readers is not known beforehand. A spot machine costs less than is said, and
// where machines are spread over regions, all are said to cost what the dearest one does.
func (c *Cloud) Price(ctx context.Context, l console.Launch) (console.Price, error) {
	if c.opts.Profile == Compat && c.opts.Prices == "" {
		return console.Price{}, errors.New("what machines cost here is not known; give a table of prices with --prices, with 0 for what is free")
	}
	table, err := prices.Load(c.opts.Prices)
	if err != nil {
		return console.Price{}, err
	}
	where, err := c.regionsFor(ctx, l)
	if err != nil {
		return console.Price{}, err
	}
	var dearest prices.Bill
	for _, r := range where {
		b, err := c.bill(ctx, table, r, l)
		if err != nil {
			return console.Price{}, err
		}
		if dearest.Lines == nil || b.Hour() > dearest.Hour() {
			dearest = *b
		}
	}
	price := console.Price{Currency: table.Currency, AsOf: table.AsOf}
	for _, line := range dearest.Lines {
		price.Lines = append(price.Lines, console.PriceLine(line))
	}
	return price, nil
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
func (c *Cloud) bill(ctx context.Context, table prices.Table, r *region, l console.Launch) (*prices.Bill, error) {
	img, machine, err := c.imageFor(ctx, r, l)
	if err != nil {
		return nil, err
	}
	b := table.Bill(r.name)
	b.Machine(machine, c.opts.Spot && !l.Bake)
	for _, d := range c.disks(img, l) {
		b.Volume(string(d.Ebs.VolumeType), aws.ToInt32(d.Ebs.VolumeSize), false)
	}
	b.Address()
	switch {
	case l.VolumeSize > 0:
		b.Volume(c.opts.VolumeType, int32((l.VolumeSize+gib-1)/gib), true)
	case l.Volume != "":
		v, err := c.findVolume(ctx, l.Volume)
		if err != nil {
			return nil, err
		}
		b.Volume(string(v.VolumeType), aws.ToInt32(v.Size), true)
	}
	return b, b.Err()
}
