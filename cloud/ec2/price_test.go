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

func TestOwnPrices(t *testing.T) {
	table, err := Options{}.prices()
	if err != nil {
		t.Fatal(err)
	}
	if len(table.regions) < 4 || table.currency != "USD" || time.Since(table.asOf) < 0 {
		t.Fatalf("it is %+v", table)
	}
	for name, r := range table.regions {
		if r.machines["t4g.small"] == 0 || r.volumes["gp3"] == 0 || r.address == nil || *r.address != 5000 {
			t.Errorf("%s has no price of what is launched by default: %+v", name, r)
		}
		for kind, hour := range r.machines {
			if hour < 4000 || hour > 300_000 {
				t.Errorf("a %s in %s costs %d millionths an hour", kind, name, hour)
			}
		}
	}
}

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
	path := filepath.Join(t.TempDir(), "100%.yaml")
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
	write("as_of: 2026-13-02\ncurrency: euros\nregions:\n  Here:\n    address: -1\n    volumes: {gp3: cheap}\n    machines: {t3: 1, t3.small: 0.12345678}\n  there: {}\n")
	_, err = s.Price(t.Context(), s.ask("one"))
	for _, want := range []string{"100%.yaml: as_of", `currency is "euros"`, `"Here" is no region`, "Here.address", `gp3 is "cheap"`, `machines.t3 is "1"`, `machines.t3.small is "0.12345678"`, "there has no machines"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("it does not say %q: %v", want, err)
		}
	}
	if err := s.with.Validate(); err == nil || !strings.Contains(err.Error(), "as_of") {
		t.Errorf("a bad table is valid: %v", err)
	}
	for text, want := range map[string]string{"": "is empty", "prices: {}\n": "prices", "as_of: [1]\n": "as_of", strings.Repeat("#", mostPriceFile+1): "no table of prices"} {
		write(text)
		if err := s.with.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	s.with.Prices = path + ".gone"
	if err := s.with.Validate(); err == nil || !strings.Contains(err.Error(), "--prices") {
		t.Errorf("got %v", err)
	}
}

// FuzzPrices: whatever is in a file, it is a table or an error, and a table's amounts are amounts.
func FuzzPrices(f *testing.F) {
	f.Add(ownPrices)
	for _, seed := range []string{"", "as_of: 2026-01-02\ncurrency: EUR\nregions: {a: {machines: {m1.small: 1e3}}}", "regions: {a: {address: .5, volumes: {gp3: 0x10}}}",
		"regions: {a: {machines: {t3.nano: 999999.999999}}}", "&a [*a]", "regions: {? [] : 1}", "as_of: !!binary x"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		table, err := parsePrices("file", text)
		if err != nil {
			return
		}
		if table.currency == "" || len(table.regions) == 0 {
			t.Fatalf("%q is the table %+v", text, table)
		}
		for name, r := range table.regions {
			for kind, amount := range r.machines {
				if amount < 0 || amount > 1e12 {
					t.Fatalf("a %s in %s costs %d", kind, name, amount)
				}
			}
		}
	})
}
