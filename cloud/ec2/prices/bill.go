package prices

import (
	"cmp"
	"fmt"
	"strings"
	"time"
)

// hoursAMonth is how many hours what is paid by the month is spread over, as AWS does.
const hoursAMonth = 730

// A Bill is the price of one machine, while it is reckoned.
type Bill struct {
	Lines []Line

	table   Table
	region  string
	unknown []string
}

// A Line is one part of it.
type Line struct {
	What  string
	Hour  int64 // millionths an hour
	Stays bool  // it outlives the machine
}

// Bill begins the bill of a machine in a region.
func (t Table) Bill(region string) *Bill { return &Bill{table: t, region: region} }

// Machine adds a machine of a type.
func (b *Bill) Machine(kind string, spot bool) {
	what := kind + " in " + b.region
	hour, ok := b.table.regions[b.region].machines[kind]
	if !ok {
		b.unknown = append(b.unknown, what)
	}
	if spot {
		what += ", at most: spot machines cost less"
	}
	b.Lines = append(b.Lines, Line{What: what, Hour: hour})
}

// Volume adds a disk. stays says that it outlives the machine.
func (b *Bill) Volume(kind string, gib int32, stays bool) {
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
	b.Lines = append(b.Lines, Line{What: what, Hour: hour, Stays: stays})
}

// Address adds a public address, where these cost something.
func (b *Bill) Address() {
	if hour := b.table.regions[b.region].address; hour != nil {
		b.Lines = append(b.Lines, Line{What: "a public IPv4 address", Hour: *hour})
	}
}

// Err says what the table does not know; that is not free.
func (b *Bill) Err() error {
	if len(b.unknown) == 0 {
		return nil
	}
	return fmt.Errorf("%s, of %s, does not know what these cost: %s; give a table with them, with --prices",
		b.table.name, b.table.AsOf.Format(time.DateOnly), strings.Join(b.unknown, ", "))
}

// Hour is all of it, in millionths an hour.
func (b *Bill) Hour() (sum int64) {
	for _, line := range b.Lines {
		sum += line.Hour
	}
	return sum
}
