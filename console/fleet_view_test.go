package console

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestInstance(t *testing.T) {
	c := newConsole(t, withKeys(t))
	_, machines := party(t, c, "fair", "otto", 1)
	m := machines[0].mustEnrol(t)
	m.report.Phases[0].Detail = "gcc: not found"
	m.mustSay(t)
	v, err := c.Instance(t.Context(), aViewer, m.id)
	if err != nil || v.LastReport.Phases[0].Detail != "gcc: not found" || v.Report == nil || v.Key != nil || v.TokenHash != nil || len(v.History) != 60 {
		t.Errorf("%+v, %v", v, err)
	}
	if page, err := c.Instances(t.Context(), aViewer, InstanceQuery{}); err != nil || page.Instances[0].LastReport.Phases[0].Detail != "" {
		t.Errorf("what commands print is kept in memory: %v", err)
	}
	other := Actor{Kind: ActorPerson, ID: "oda", Role: RoleOrganiser}
	for name, try := range map[string]struct {
		a    Actor
		id   string
		want error
	}{"none": {aViewer, "fair-abc-9", ErrNotFound}, "another's": {other, m.id, ErrNotFound}, "to nobody": {aStranger, m.id, ErrSignIn}} {
		if _, err := c.Instance(t.Context(), try.a, try.id); !errors.Is(err, try.want) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := c.InstanceConfig(t.Context(), try.a, try.id); !errors.Is(err, try.want) {
			t.Errorf("the config of %s: %v", name, err)
		}
	}
	config, err := c.InstanceConfig(t.Context(), aViewer, m.id)
	if text := string(asJSON(t, config)); err != nil || config.Plan.Instance != m.id || config.Settings["TITLE"] != "Hello" || !slices.Equal(config.Secrets, []string{"PASSWORD"}) ||
		strings.Contains(text, "hush") || strings.Contains(text, m.token) {
		t.Errorf("%s, %v", text, err)
	}
}
