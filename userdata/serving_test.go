package userdata

import (
	"slices"
	"strings"
	"testing"

	"popup/apps"
)

func TestPlanServing(t *testing.T) {
	loaded := apps.Loaded{Manifest: apps.Manifest{ManifestVersion: 1, ID: "fair", Name: "Fair", Service: apps.Service{Repository: "https://example.org/fair"}}}
	o := Overrides{Domains: []string{"Fair.example.org.", "bücher.example"}, Email: "me@example.org"}
	plan, err := NewPlan(loaded, o)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"fair.example.org", "xn--bcher-kva.example"}; !slices.Equal(plan.Serve.Domains, want) || plan.Serve.Email != o.Email {
		t.Errorf("the plan serves %+v", plan.Serve)
	}
	if o.Domains[0] != "Fair.example.org." {
		t.Error("what was given was changed")
	}
	for listen, want := range map[string]bool{"": false, ":80": false, ":8080": true} {
		plan.Serve.Listen = listen
		notes := strings.Join(Notes(loaded, o, plan), "\n")
		if !strings.Contains(notes, "point the DNS of fair.example.org, xn--bcher-kva.example at the machine") {
			t.Errorf("it notes: %s", notes)
		}
		if strings.Contains(notes, "asks on port 80") != want {
			t.Errorf("listening on %q it notes: %s", listen, notes)
		}
	}
	o.Domains, o.Service = []string{"fair.local", "192.0.2.7"}, "-u"
	_, err = NewPlan(loaded, o)
	for _, want := range []string{"fair.local is a private name", `"192.0.2.7" is an IP address`, "--service"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// An empty list of domains, as a form or an API sends it, is none.
func TestPlanWithNoDomains(t *testing.T) {
	loaded, err := apps.LoadShipped("notice")
	if err != nil {
		t.Fatal(err)
	}
	plan, err := NewPlan(loaded, Overrides{Origin: Origin{Shipped: "notice"}, Domains: []string{}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := EncodePlan(plan); err != nil {
		t.Error(err)
	}
}
