package ec2

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"popup/console"
	"popup/internal/testutil/ec2fake"
)

var _ console.Pricer = (*Cloud)(nil)

// TestPrice is reckoned by hand: t4g.small 0.0168 an hour, 8 GiB at 0.08 a month of 730 hours, an address 0.005.
func TestPrice(t *testing.T) {
	s := newSite(t, AWS)
	price, err := s.Price(t.Context(), s.ask("one"))
	if err != nil {
		t.Fatal(err)
	}
	want := []console.PriceLine{{What: "t4g.small in us-east-1", Hour: 16800}, {What: "8 GiB of gp3 in us-east-1", Hour: 877}, {What: "a public IPv4 address", Hour: 5000}}
	sameLines(t, price, want)
	if price.Currency != "USD" || price.AsOf.Format(time.DateOnly) != "2026-07-20" {
		t.Errorf("it is of %v, in %q", price.AsOf, price.Currency)
	}
	v := s.makeVolume(s.volumeAsk("one"))
	l := s.ask("one")
	l.Volume, l.Disk, l.Architectures = v.ID, 20<<30, []string{"amd64"}
	if price, err = s.Price(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	sameLines(t, price, []console.PriceLine{{What: "t3.small in us-east-1", Hour: 20800}, {What: "20 GiB of gp3 in us-east-1", Hour: 2192},
		{What: "a public IPv4 address", Hour: 5000}, {What: "3 GiB of gp3 in us-east-1 for the state", Hour: 329, Stays: true}})
	l.Volume, l.VolumeSize = "", 3<<30-1
	if yetToBeMade, err := s.Price(t.Context(), l); err != nil {
		t.Error(err)
	} else {
		sameLines(t, yetToBeMade, price.Lines)
	}
	if n := s.called("RunInstances"); n != 0 {
		t.Errorf("a price launched %d machines", n)
	}
}

// TestPriceOfTheDearestRegion: the first machine is in one region, and the next in another.
func TestPriceOfTheDearestRegion(t *testing.T) {
	fake := ec2fake.New(t, ec2fake.Options{})
	s := newSiteOn(t, fake, func(o *Options) { o.Regions = fake.Regions() })
	price, err := s.Price(t.Context(), s.ask("one"))
	if err != nil {
		t.Fatal(err)
	}
	sameLines(t, price, []console.PriceLine{{What: "t4g.small in eu-central-1", Hour: 19200}, {What: "8 GiB of gp3 in eu-central-1", Hour: 1044}, {What: "a public IPv4 address", Hour: 5000}})
}

func sameLines(t *testing.T, got console.Price, want []console.PriceLine) {
	t.Helper()
	if len(got.Lines) != len(want) {
		t.Fatalf("it is %+v", got)
	}
	for i, line := range got.Lines {
		if line != want[i] {
			t.Errorf("line %d is %+v, want %+v", i, line, want[i])
		}
	}
}

// TestAnUnknownPriceIsASentence, and never nothing.
func TestAnUnknownPriceIsASentence(t *testing.T) {
	s := newSite(t, AWS, func(o *Options) { o.Types, o.VolumeType = []string{"t3a.small"}, "gp2" })
	_, err := s.Price(t.Context(), s.ask("one"))
	if err == nil || !strings.Contains(err.Error(), "t3a.small in us-east-1, 8 GiB of gp2 in us-east-1") || !strings.Contains(err.Error(), "--prices") {
		t.Errorf("got %v", err)
	}
	s = newSite(t, Compat)
	if _, err := s.Price(t.Context(), s.ask("one")); err == nil || !strings.Contains(err.Error(), "--prices") {
		t.Errorf("got %v", err)
	}
	s = newSite(t, AWS, func(o *Options) { o.Spot = true })
	if price, err := s.Price(t.Context(), s.ask("one")); err != nil || !strings.Contains(price.Lines[0].What, "at most") {
		t.Errorf("got %+v, %v", price, err)
	}
}

// TestPricesOfAFile replace the table, and are read anew for each price.
func TestPricesOfAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "prices.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("as_of: 2026-01-02\ncurrency: EUR\nregions:\n  eucalyptus:\n    volumes: {standard: 0}\n    machines: {m1.medium: 0.25}\n")
	s := newSite(t, Compat, func(o *Options) { o.Prices = path })
	price, err := s.Price(t.Context(), s.ask("one"))
	if err != nil {
		t.Fatal(err)
	}
	sameLines(t, price, []console.PriceLine{{What: "m1.medium in eucalyptus", Hour: 250_000}, {What: "8 GiB of standard in eucalyptus"}})
	if price.Currency != "EUR" || price.AsOf.Format(time.DateOnly) != "2026-01-02" {
		t.Errorf("it is of %v, in %q", price.AsOf, price.Currency)
	}
	write("as_of: today\n")
	if _, err = s.Price(t.Context(), s.ask("one")); err == nil || !strings.Contains(err.Error(), "as_of") {
		t.Errorf("got %v", err)
	}
	if err := s.with.Validate(); err == nil || !strings.Contains(err.Error(), "as_of") {
		t.Errorf("a bad table is valid: %v", err)
	}
}
