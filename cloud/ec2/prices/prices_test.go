package prices

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestOwnPrices(t *testing.T) {
	table, err := Load("")
	if err != nil {
		t.Fatal(err)
	}
	if len(table.regions) < 4 || table.Currency != "USD" || time.Since(table.AsOf) < 0 {
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

// TestBill is reckoned by hand: 8 GiB at 0.08 a month of 730 hours are 876.7 millionths an hour.
func TestBill(t *testing.T) {
	table, err := Load("")
	if err != nil {
		t.Fatal(err)
	}
	b := table.Bill("us-east-1")
	b.Machine("t4g.small", true)
	b.Volume("gp3", 8, true)
	b.Address()
	want := []Line{{What: "t4g.small in us-east-1, at most: spot machines cost less", Hour: 16800},
		{What: "8 GiB of gp3 in us-east-1 for the state", Hour: 877, Stays: true}, {What: "a public IPv4 address", Hour: 5000}}
	if !slices.Equal(b.Lines, want) || b.Hour() != 22677 || b.Err() != nil {
		t.Errorf("it is %+v, %d an hour, %v", b.Lines, b.Hour(), b.Err())
	}
	b = table.Bill("eu-north-1")
	b.Machine("t4g.small", false)
	b.Volume("", 1, false)
	b.Address()
	if err := b.Err(); err == nil || !strings.Contains(err.Error(), "t4g.small in eu-north-1, 1 GiB of standard in eu-north-1") || !strings.Contains(err.Error(), "--prices") {
		t.Errorf("got %v", err)
	}
}

// TestBadTables: all that is wrong is told at once, by where it stands.
func TestBadTables(t *testing.T) {
	path := filepath.Join(t.TempDir(), "100%.yaml")
	for text, want := range map[string][]string{
		"as_of: 2026-13-02\ncurrency: euros\nregions:\n  Here:\n    address: -1\n    volumes: {gp3: cheap}\n    machines: {t3: 1, t3.small: 0.12345678}\n  there: {}\n": {
			"100%.yaml: as_of", `currency is "euros"`, `"Here" is no region`, "Here.address", `gp3 is "cheap"`, `machines.t3 is "1"`, `machines.t3.small is "0.12345678"`, "there has no machines"},
		"as_of: 2026-01-02\ncurrency: EUR\n": {"no regions"},
		"":                                   {"is empty"},
		"prices: {}\n":                       {"prices"},
		"as_of: [1]\n":                       {"as_of"},
		strings.Repeat("#", mostFile+1):      {"no table of prices", "--prices"},
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Load(path)
		for _, want := range want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%.40q does not say %q: %v", text, want, err)
			}
		}
	}
	if _, err := Load(path + ".gone"); err == nil || !strings.Contains(err.Error(), "--prices") {
		t.Errorf("got %v", err)
	}
}

// FuzzPrices: whatever is in a file, it is a table or an error, and a table's amounts are amounts.
func FuzzPrices(f *testing.F) {
	f.Add(own)
	for _, seed := range []string{"", "as_of: 2026-01-02\ncurrency: EUR\nregions: {a: {machines: {m1.small: 1e3}}}", "regions: {a: {address: .5, volumes: {gp3: 0x10}}}",
		"regions: {a: {machines: {t3.nano: 999999.999999}}}", "&a [*a]", "regions: {? [] : 1}", "as_of: !!binary x"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		table, err := parse("file", text)
		if err != nil {
			return
		}
		if table.Currency == "" || len(table.regions) == 0 {
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
