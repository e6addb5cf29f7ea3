package apps

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
)

func TestParseDuration(t *testing.T) {
	const day = 24 * time.Hour
	for _, c := range []struct {
		text, printed string
		want          time.Duration
	}{
		{"90s", "1m30s", 90 * time.Second},
		{"0s", "0s", 0},
		{"5m", "5m", 5 * time.Minute},
		{"36h", "36h", 36 * time.Hour},
		{"1h30m", "1h30m", 90 * time.Minute},
		{"7d", "7d", 7 * day},
		{"2w", "14d", 14 * day},
		{"1w1d1h1m1s", "193h1m1s", 8*day + time.Hour + time.Minute + time.Second},
		{"1500ms", "1s500ms", 1500 * time.Millisecond},
		{"7us3ns", "7us3ns", 7003},
	} {
		got, err := ParseDuration(c.text)
		if err != nil || time.Duration(got) != c.want || got.String() != c.printed {
			t.Errorf("ParseDuration(%q) = %v, %v; want %s", c.text, got, err, c.printed)
		}
		if again, err := ParseDuration(got.String()); err != nil || again != got {
			t.Errorf("%v is read back as %v, %v", got, again, err)
		}
	}
}

func TestParseSize(t *testing.T) {
	for _, c := range []struct {
		text, printed string
		want          int64
	}{
		{"4097", "4097", 4097},
		{"12 B", "12", 12},
		{"0", "0", 0},
		{"500 MB", "500 MB", 500_000_000},
		{"500MB", "500 MB", 500_000_000},
		{"500 mb", "500 MB", 500_000_000},
		{"500 MiB", "500 MiB", 500 << 20},
		{"2 GiB", "2 GiB", 2 << 30},
		{"1.5 GiB", "1536 MiB", 3 << 29},
		{"0.1 GB", "100 MB", 100_000_000},
		{"1000 KiB", "1000 KiB", 1_024_000},
		{"1 kB", "1 kB", 1000},
		{"8388607 TiB", "8388607 TiB", 8388607 << 40},
	} {
		got, err := ParseSize(c.text)
		if err != nil || int64(got) != c.want || got.String() != c.printed {
			t.Errorf("ParseSize(%q) = %v, %v; want %s", c.text, got, err, c.printed)
		}
		if again, err := ParseSize(got.String()); err != nil || again != got {
			t.Errorf("%v is read back as %v, %v", got, again, err)
		}
	}
}

func TestValuesThatAreNone(t *testing.T) {
	parse := map[string]func(string) error{
		"duration": func(s string) error { _, err := ParseDuration(s); return err },
		"size":     func(s string) error { _, err := ParseSize(s); return err },
		"percent":  func(s string) error { _, err := ParsePercent(s); return err },
	}
	for _, c := range []struct{ kind, text, want string }{
		{"duration", "", `"" is not a duration; ` + durationHelp},
		{"duration", "90", `"90" is not a duration; ` + durationHelp},
		{"duration", "-5m", `"-5m" is not a duration; ` + durationHelp},
		{"duration", "1.5h", `"1.5h" is not a duration; ` + durationHelp},
		{"duration", "5 m", `"5 m" is not a duration; ` + durationHelp},
		{"duration", "5y", `"5y" has the unknown unit "y"; ` + durationHelp},
		{"duration", "5m1h", `"5m1h" has its units in the wrong order; ` + durationHelp},
		{"duration", "1h1h", `"1h1h" has its units in the wrong order; ` + durationHelp},
		{"duration", "106752d", `"106752d" is longer than 292 years`},
		{"duration", "106751d24h", `"106751d24h" is longer than 292 years`},
		{"duration", "99999999999999999999s", `"99999999999999999999s" is longer than 292 years`},
		{"size", "", `"" is not a size; ` + sizeHelp},
		{"size", "-1 MB", `"-1 MB" is not a size; ` + sizeHelp},
		{"size", "1e3 MB", `"1e3 MB" is not a size; ` + sizeHelp},
		{"size", "1 XB", `"1 XB" has the unknown unit "XB"; ` + sizeHelp},
		{"size", "1 M", `"1 M" does not say whether M is MB or MiB; ` + sizeHelp},
		{"size", "1.5", `"1.5" is not a whole number of bytes; ` + sizeHelp},
		{"size", "8388608 TiB", `"8388608 TiB" is more than 8,388,607 TiB`},
		{"percent", "40", `"40" is not a percentage; write one from 1% to 100%, like 40%`},
		{"percent", "-1%", `"-1%" is not a percentage; write one from 1% to 100%, like 40%`},
		{"percent", "101%", `"101%" is more than the whole; write one from 1% to 100%, like 40%`},
	} {
		err := parse[c.kind](c.text)
		if err == nil || err.Error() != c.want {
			t.Errorf("%s %q:\n got %v\nwant %s", c.kind, c.text, err, c.want)
		}
	}
}

// TestValuesRoundTrip holds that every value is read back from YAML and JSON, zero and the largest too.
func TestValuesRoundTrip(t *testing.T) {
	type values struct {
		D Duration `yaml:"d" json:"d"`
		S Size     `yaml:"s" json:"s"`
		P Percent  `yaml:"p" json:"p"`
	}
	for _, v := range []values{{}, {Duration(90 * time.Second), 4096, 40}, {math.MaxInt64, math.MaxInt64, 100}, {1, 1, 1}} {
		inYAML, err := yaml.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		var fromYAML, fromJSON values
		if err := yaml.Unmarshal(inYAML, &fromYAML); err != nil || fromYAML != v {
			t.Errorf("%+v is read back as %+v, %v from\n%s", v, fromYAML, err, inYAML)
		}
		inJSON, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(inJSON, &fromJSON); err != nil || fromJSON != v {
			t.Errorf("%+v is read back as %+v, %v from %s", v, fromJSON, err, inJSON)
		}
	}
}
