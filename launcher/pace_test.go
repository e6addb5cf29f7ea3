package launcher

import (
	"strings"
	"testing"
	"time"

	"popup/apps"
	"popup/datasync"
	"popup/internal/wire"
	"popup/launcher/ending"
)

// TestReaders: what two streams ask of one host counts twice.
func TestReaders(t *testing.T) {
	for name, c := range map[string]struct {
		service, data, update string
		fleet, want           int
	}{
		"one":                     {"https://a.example/s.git", "", "", 0, 1},
		"a fleet":                 {"https://a.example/s.git", "", "@hourly", 100, 100},
		"two hosts":               {"https://a.example/s.git", "https://b.example/d.git", "@hourly", 100, 100},
		"one host":                {"https://a.example/s.git", "https://me@a.example:443/d.git", "@hourly", 100, 200},
		"one host, two ways":      {"git@a.example:s.git", "https://a.example/d.git", "@hourly", 100, 200},
		"the service never looks": {"https://a.example/s.git", "https://a.example/d.git", "", 100, 100},
	} {
		plan := wire.Plan{Fleet: c.fleet, Service: wire.Source{URL: c.service}, Manifest: apps.Manifest{Service: apps.Service{Update: apps.ServiceUpdate{Schedule: c.update}}}}
		if c.data != "" {
			plan.Data = &wire.Source{URL: c.data}
		}
		if got := (&Appliance{opts: Options{Plan: plan}}).readers(); got != c.want {
			t.Errorf("%s: %d; want %d", name, got, c.want)
		}
	}
}

// TestDataReaders: polls of a relay cost the host of the data nothing, where it need
// not be asked what is new.
func TestDataReaders(t *testing.T) {
	signed := &wire.Verify{AllowedSigners: "anna"}
	for name, c := range map[string]struct {
		data wire.Source
		want int
	}{
		"alone":               {wire.Source{}, 1000},
		"signed":              {wire.Source{Verify: signed}, 1000},
		"relayed":             {wire.Source{Relay: "https://relay.example"}, 1000}, // which asks about what is new
		"relayed, and signed": {wire.Source{Relay: "https://relay.example", Verify: signed}, 1},
	} {
		if got := (&Appliance{opts: Options{Plan: wire.Plan{Fleet: 1000, Data: &c.data}}}).dataReaders(); got != c.want {
			t.Errorf("%s: %d; want %d", name, got, c.want)
		}
	}
}

// TestWhyNot: old data and an end are no health, and a source that is not asked is no age.
func TestWhyNot(t *testing.T) {
	now := time.Now()
	old := &datasync.Status{Serving: "one", Confirmed: now.Add(-40 * time.Minute), StaleAt: now.Add(-time.Minute)}
	fresh := &datasync.Status{Serving: "one", Confirmed: now.Add(-20 * time.Minute), StaleAt: now.Add(10 * time.Minute)}
	for name, c := range map[string]struct {
		status Status
		want   string
	}{
		"starting":  {Status{}, "it is still starting"},
		"no data":   {Status{Live: true}, ""},
		"fresh":     {Status{Live: true, Data: fresh}, ""},
		"unplanned": {Status{Live: true, Data: &datasync.Status{Serving: "one", Confirmed: now.AddDate(-1, 0, 0)}}, ""},
		"old":       {Status{Live: true, Data: old}, "the data was last found to be the newest 40m0s ago"},
		"frozen":    {Status{Live: true, Data: fresh, End: &EndStatus{Step: ending.Frozen.String()}}, ""},
		"over":      {Status{Live: true, Data: fresh, End: &EndStatus{Step: ending.Over.String()}}, "this instance is over"},
	} {
		if got := (&Appliance{}).whyNot(c.status, nil); got != c.want && (c.want == "" || !strings.HasPrefix(got, c.want)) {
			t.Errorf("%s: %q; want %q", name, got, c.want)
		}
	}
}
