package console

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"
)

// A pricedCloud is a fakeCloud that costs money.
type pricedCloud struct {
	*fakeCloud
	mu    sync.Mutex
	price Price
	fails error
}

func (p *pricedCloud) Price(context.Context, Launch) (Price, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.price, p.fails
}

// costs has the next launches cost that much an hour, in millionths.
func (p *pricedCloud) costs(currency string, machine, volume int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.price = Price{Currency: currency, AsOf: aDay.AddDate(0, -1, 0), Lines: []PriceLine{{What: "a machine", Hour: machine}}}
	if volume > 0 {
		p.price.Lines = append(p.price.Lines, PriceLine{What: "a volume", Hour: volume, Stays: true})
	}
}

// newPriced is a console whose default cloud costs 0.10 USD an hour, beside one that is free.
func newPriced(t testing.TB, change ...func(*Options)) (*living, *pricedCloud) {
	t.Helper()
	paid := &pricedCloud{fakeCloud: newFakeCloud()}
	paid.costs("USD", 100_000, 0)
	l := newLiving(t, append(change, func(o *Options) {
		o.Clouds["paid"], o.Cloud, o.URL = paid, "paid", "https://console.example.org"
	})...)
	return l, paid
}

func (l *living) event(t testing.TB, id string) Event {
	t.Helper()
	return stored[Event](t, l.testConsole, id)
}

func checkMoney(t testing.TB, what string, is []Money, want ...Money) {
	t.Helper()
	if len(is) != len(want) {
		t.Errorf("%s: %v, want %v", what, is, want)
		return
	}
	for k := range is {
		checkState(t, what, is[k], want[k])
	}
}

func dollars(millionths int64) Money { return Money{"USD", millionths} }

func TestMoneyIsWritten(t *testing.T) {
	for _, m := range []struct {
		millionths     int64
		people, number string
	}{{0, "0.00 USD", "0.00"}, {1, "0.01 USD", "0.000001"}, {10_000, "0.01 USD", "0.01"}, {10_001, "0.02 USD", "0.010001"}, {19_200, "0.02 USD", "0.0192"},
		{999_999, "1.00 USD", "0.999999"}, {25_500_000, "25.50 USD", "25.50"}, {1_234_000_000, "1234.00 USD", "1234.00"}} {
		checkState(t, "to people", dollars(m.millionths).String(), m.people)
		checkState(t, "its number", dollars(m.millionths).Exact(), m.number)
	}
}

func FuzzParseAmount(f *testing.F) {
	for _, text := range []string{"25", "25.50", "0.000001", "999999999.999999", "", "-1", "1,50", "1e9", ".5", "1.", "25 USD", "1.0000001", "٣"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		n, err := parseAmount(text)
		if err != nil {
			if text != "" && strings.Trim(text, "0123456789") == "" && len(text) < 10 {
				t.Errorf("%q is refused: %v", text, err)
			}
			return
		}
		if again, err := parseAmount(dollars(n).Exact()); n < 0 || err != nil || again != n {
			t.Errorf("%q is %d, and written %q that is %d, %v", text, n, dollars(n).Exact(), again, err)
		}
	})
}

// TestQuote: a price is said before the launch, line by line, and what nobody knows is
// said and not added up as nothing.
func TestQuote(t *testing.T) {
	l, paid := newPriced(t)
	paid.costs("USD", 19_200, 1_234)
	r := fair(AppRequest{App: "notice", Count: 3}, AppRequest{App: "guestbook"})
	r.Event.End, r.Event.Zone = "2026-05-02T12:00", "UTC"
	v, err := l.Preview(t.Context(), anOwner, r)
	if err != nil {
		t.Fatal(err)
	}
	if q := v.Quote; len(q.Lines) != 4 || q.Lines[0].Total != dollars(3*24*19_200) || q.Lines[0].Hour != dollars(19_200) || q.Lines[0].Count != 3 || q.Lines[0].For != 24*time.Hour ||
		q.Lines[1].Count != 1 || q.Lines[3].Title != "Guestbook" || !q.AsOf.Equal(aDay.AddDate(0, -1, 0)) || len(q.Unknown) != 0 {
		t.Errorf("the quote is %+v", q)
	}
	checkMoney(t, "in all", v.Quote.Total, dollars(24*(4*19_200+2*1_234)))
	checkMoney(t, "the event, which is new", v.Quote.Whole)
	r.Event.Start = "2026-05-02T00:00"
	if v, err = l.Preview(t.Context(), anOwner, r); err != nil || v.Quote.Lines[0].For != 12*time.Hour || v.Quote.Total[0] != dollars(12*(4*19_200+2*1_234)) {
		t.Errorf("from its start on: %+v, %v", v.Quote, err)
	}
	paid.fails = errors.New("there is no price of t9.huge; give a table that has it")
	if v, err = l.Preview(t.Context(), anOwner, r); err != nil || len(v.Quote.Total) != 0 || len(v.Quote.Unknown) != 2 ||
		v.Quote.Unknown[1] != "What Guestbook costs is not known: there is no price of t9.huge; give a table that has it" {
		t.Errorf("of a price that is not known: %+v, %v", v.Quote, err)
	}
	paid.fails = nil
	for name, odd := range map[string]Price{"no currency": {Lines: paid.price.Lines}, "no lines": {Currency: "USD"}, "below nothing": {Currency: "USD", Lines: []PriceLine{{Hour: -1}}}} {
		paid.price = odd
		if v, err = l.Preview(t.Context(), anOwner, r); err != nil || len(v.Quote.Unknown) != 2 || len(v.Quote.Lines) != 0 {
			t.Errorf("%s: %+v, %v", name, v.Quote, err)
		}
	}
	r.Cloud = "local"
	if v, err = l.Preview(t.Context(), anOwner, r); err != nil || len(v.Quote.Lines)+len(v.Quote.Unknown)+len(v.Quote.Total) != 0 {
		t.Errorf("free of charge: %+v, %v", v.Quote, err)
	}
}
