package userdata

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"popup/apps"
	"popup/internal/wire"
)

const signers = `# who writes the notices
anna@example.org namespaces="git",valid-before="20270101" ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIM7WJbCEXvaGJGg6o6y5DiYtkuJm5XgmfWoE07UXtpLB anna's key: "new"

`

func TestTrustIsInThePlan(t *testing.T) {
	loaded := with(func(m *apps.Manifest) { m.Data.Mount = "days" })
	o := Overrides{Service: "https://example.org/board", Trust: Trust{
		AllowedSigners: signers, ServiceSigners: signers, Rewind: wire.RewindRefuse, Relay: "https://relay.example.org/days",
	}}
	plan, err := NewPlan(loaded, o)
	if err != nil {
		t.Fatal(err)
	}
	service := wire.Source{URL: "https://example.org/board", Verify: &wire.Verify{AllowedSigners: signers}}
	data := wire.Source{URL: "https://example.org/days", Ref: "main", Verify: &wire.Verify{AllowedSigners: signers},
		Rewind: "refuse", Relay: "https://relay.example.org/days"}
	if diff := cmp.Diff([]wire.Source{service, data}, []wire.Source{plan.Service, *plan.Data}); diff != "" {
		t.Error(diff)
	}
	for _, format := range []Format{Script, CloudConfig, MIME} {
		text, err := Render(Spec{Format: format, Binary: binary(), Plan: plan})
		if err != nil {
			t.Fatal(err)
		}
		back, err := Read(text)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(*plan.Data, *back.Data); diff != "" {
			t.Errorf("%s: %s", format, diff)
		}
	}
	if err := CheckPlan(plan); err != nil {
		t.Errorf("a plan that was made is refused when it is read: %v", err)
	}
}

func TestTrustThatCannotBeHeld(t *testing.T) {
	repository := apps.Loaded{Manifest: board(), File: "app.yaml"}
	beside := with(func(m *apps.Manifest) { m.Data = &apps.Data{Source: apps.SourceFolder, URL: "sample"} })
	none := with(func(m *apps.Manifest) { m.Data = nil })
	for name, test := range map[string]struct {
		loaded apps.Loaded
		origin Origin
		trust  Trust
		want   []string
	}{
		"a malformed line":      {repository, Origin{}, Trust{AllowedSigners: signers + "bert"}, []string{"data: verify.allowed_signers: line 4: "}},
		"a malformed line, too": {repository, Origin{}, Trust{ServiceSigners: "\nbert\n", AllowedSigners: "x"}, []string{"code: verify.allowed_signers: line 2: ", "data: verify.allowed_signers: line 1: "}},
		"nobody":                {repository, Origin{}, Trust{AllowedSigners: "# nobody"}, []string{"nobody among the allowed signers"}},
		"another word":          {repository, Origin{}, Trust{Rewind: "no"}, []string{`rewind is "no"`}},
		"no address":            {repository, Origin{}, Trust{Relay: "relay"}, []string{"relay is no web address"}},
		"no data":               {none, Origin{}, Trust{AllowedSigners: signers}, []string{"this app shows none"}},
		"a sample's signers":    {beside, Origin{Shipped: "board"}, Trust{AllowedSigners: signers}, []string{"--allowed-signers is about commits, and the data is no git repository"}},
		"a sample's history":    {beside, Origin{Shipped: "board"}, Trust{Rewind: "refuse"}, []string{"--rewind is about commits"}},
		"shipped code":          {none, Origin{Shipped: "board"}, Trust{ServiceSigners: signers}, []string{"--service-allowed-signers is about commits, and the code is no git repository"}},
	} {
		t.Run(name, func(t *testing.T) {
			o := Overrides{Origin: test.origin, Trust: test.trust}
			if test.origin == (Origin{}) {
				o.Service = "https://example.org/board"
			}
			_, err := NewPlan(test.loaded, o)
			wantError(t, err, test.want...)
		})
	}
}

// TestManifestDecidesNoTrust: a fork changes its app.yaml, and not whom a launch
// believes.
func TestManifestDecidesNoTrust(t *testing.T) {
	plan, err := NewPlan(apps.Loaded{Manifest: board(), File: "app.yaml"}, Overrides{Service: "https://example.org/board"})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []wire.Source{plan.Service, *plan.Data} {
		if s.Verify != nil || s.Rewind+s.Relay != "" {
			t.Errorf("%+v trusts by itself", s)
		}
	}
}

func TestTrustByHandIsChecked(t *testing.T) {
	plan := notice(t)
	plan.Data.Verify = &wire.Verify{AllowedSigners: "\n\nbert"}
	plan.Service.Rewind = wire.RewindRefuse
	wantError(t, CheckPlan(plan), "data: verify.allowed_signers: line 3: ", "verify or rewind is about commits, and the service is no git repository")
}
