package console

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Money is an amount in a currency.
type Money struct {
	Currency   string // USD
	Millionths int64
}

// perUnit is how many millionths one of a currency is.
const perUnit = 1_000_000

// String writes an amount for people: in hundredths, and never less than it is.
func (m Money) String() string {
	const hundredth = perUnit / 100
	whole := m.Millionths / hundredth
	if m.Millionths%hundredth > 0 {
		whole++
	}
	return fmt.Sprintf("%d.%02d %s", whole/100, whole%100, m.Currency)
}

// Exact writes all of an amount, as its number alone: 0.0192.
func (m Money) Exact() string {
	text := fmt.Sprintf("%d.%06d", m.Millionths/perUnit, m.Millionths%perUnit)
	for range 4 { // hundredths stay
		text = strings.TrimSuffix(text, "0")
	}
	return text
}

var amountForm = regexp.MustCompile(`^([0-9]{1,9})(?:\.([0-9]{1,6}))?$`)

// parseAmount reads millionths as people write an amount: 25, or 25.50.
func parseAmount(text string) (int64, error) {
	m := amountForm.FindStringSubmatch(text)
	if m == nil {
		return 0, errors.New("that is not an amount; write it like 25 or 25.50")
	}
	n, err := strconv.ParseInt(m[1]+(m[2] + "000000")[:6], 10, 64)
	if err != nil {
		return 0, err
	}
	return n, nil
}

// A Rate is what one instance of a deployment costs, as it was said when that was launched.
type Rate struct {
	Price
	// Unknown is why it is not known: a sentence. Then there are no lines.
	Unknown string `json:"unknown,omitempty"`
}

// machine is what an instance costs an hour while its machine is there, in millionths.
func (r Rate) machine() int64 { return r.hour(false) }

// stays is what a deployment costs an hour besides, until its event is archived.
func (r Rate) stays() int64 { return r.hour(true) }

func (r Rate) hour(stays bool) (sum int64) {
	for _, l := range r.Lines {
		if l.Stays == stays {
			sum = added(sum, l.Hour)
		}
	}
	return sum
}

const (
	priceTimeout = 10 * time.Second    // of one Pricer.Price
	mostHour     = 1_000_000 * perUnit // what costs more an hour is a mistake in the table
)

// check says why a price cannot be reckoned with.
func (p Price) check() error {
	switch {
	case p.Currency == "":
		return errors.New("its price has no currency")
	case len(p.Lines) == 0:
		return errors.New("its price says nothing")
	case slices.ContainsFunc(p.Lines, func(l PriceLine) bool { return l.Hour < 0 || l.Hour > mostHour }):
		return errors.New("its price is not one")
	}
	return nil
}

// rate is what an instance of a deployment will cost; nil: its cloud is free of charge.
func (c *Console) rate(ctx context.Context, e Event, d Deployment) *Rate {
	pricer, costs := c.opts.Clouds[d.Cloud].(Pricer)
	if !costs {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, priceTimeout)
	defer cancel()
	price, err := pricer.Price(ctx, c.launchOf(e, d, Instance{ID: instanceID(e, d, 1), Number: 1}))
	if err = cmp.Or(err, price.check()); err != nil {
		return &Rate{Unknown: plain(err)}
	}
	return &Rate{Price: price}
}

// Charges says that a cloud of this console costs money.
func (c *Console) Charges() bool {
	for _, cloud := range c.opts.Clouds {
		if _, costs := cloud.(Pricer); costs {
			return true
		}
	}
	return false
}

// added adds, and stays at the most there is.
func added(a, b int64) int64 {
	switch {
	case b > 0 && a > math.MaxInt64-b:
		return math.MaxInt64
	case b < 0 && a < math.MinInt64-b:
		return math.MinInt64
	}
	return a + b
}

// times multiplies a, which is not negative, and stays at the most there is.
func times(a, b int64) int64 {
	switch {
	case a == 0:
		return 0
	case b > math.MaxInt64/a:
		return math.MaxInt64
	case b < math.MinInt64/a:
		return math.MinInt64
	}
	return a * b
}
