package userdata

import (
	"strings"
	"testing"

	"popup/apps"
	"popup/internal/wire"
)

func TestCheckPlan(t *testing.T) {
	if err := CheckPlan(notice(t)); err != nil {
		t.Fatalf("what NewPlan makes is right: %v", err)
	}
	for name, c := range map[string]struct {
		change func(*wire.Plan)
		want   string
	}{
		"no service":        {func(p *wire.Plan) { p.Service = wire.Source{} }, "service has no url; write a repository's address"},
		"a service's words": {func(p *wire.Plan) { p.Service = wire.Source{URL: "the board"} }, "service.url holds a space"},
		"a relative folder": {func(p *wire.Plan) { p.Service = wire.Source{Kind: "folder", URL: "board"} }, `service.url "board" is not the absolute path of a folder`},
		"no data":           {func(p *wire.Plan) { p.Data = nil }, "the manifest shows data, and the plan does not say where it comes from"},
		"data's password":   {func(p *wire.Plan) { p.Data.URL = "https://me:hush@example.org/x" }, "data.url carries a password"},
		"a serve type":      {func(p *wire.Plan) { p.Manifest.Serve.Type = "bogus" }, "serve.type: "},
		"a schedule":        {func(p *wire.Plan) { p.Manifest.Data.Sync.Schedule = "nope" }, "data.sync.schedule: "},
		"listen":            {func(p *wire.Plan) { p.Serve.Listen = "abc" }, `listen "abc"`},
		"a setting":         {func(p *wire.Plan) { p.Settings = map[string]string{"COLOUR": "red"} }, "COLOUR: is not a setting"},
		"a folder":          {func(p *wire.Plan) { p.Service = wire.Source{Kind: apps.SourceFolder, URL: "/srv/board"} }, ""},
		"a console":         {func(p *wire.Plan) { p.Console = &wire.Console{URL: "https://me:hush@example.org"} }, "console.url has a password"},
		"an identity":       {func(p *wire.Plan) { p.Console = &wire.Console{URL: "https://c.example.org", Identity: "tpm"} }, "console.identity is"},
		"a volume":          {func(p *wire.Plan) { p.State.Volume, p.Manifest.State = &wire.Volume{ID: "vol-0123"}, &apps.State{} }, ""},
		"a volume's words":  {func(p *wire.Plan) { p.State.Volume, p.Manifest.State = &wire.Volume{ID: "../x"}, &apps.State{} }, "state.volume.id is no volume's"},
		"a volume for none": {func(p *wire.Plan) { p.State.Volume, p.Manifest.State = &wire.Volume{ID: "vol-0123"}, nil }, "the app keeps none; take state.volume out"},
		"an instance's id":  {func(p *wire.Plan) { p.Console, p.Instance = &wire.Console{URL: "https://c.example.org"}, "fair 7" }, "an instance's id has"},
		"what is told later": {func(p *wire.Plan) {
			p.Manifest.Env = map[string]apps.EnvVar{"TITLE": {Required: true}}
			p.Console = &wire.Console{URL: "https://c.example.org"}
		}, ""},
		"what nobody tells": {func(p *wire.Plan) { p.Manifest.Env = map[string]apps.EnvVar{"TITLE": {Required: true}} }, "TITLE: is required"},
		"another source":    {func(p *wire.Plan) { p.Data = &wire.Source{Kind: "s3", URL: "bucket/days"} }, ""},
	} {
		plan := notice(t)
		data, manifestData := *plan.Data, *plan.Manifest.Data
		plan.Data, plan.Manifest.Data = &data, &manifestData
		c.change(&plan)
		err := CheckPlan(plan)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want %q", name, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: the error holds the password: %v", name, err)
		}
	}
}
