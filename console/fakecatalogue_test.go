package console

import (
	"context"
	"testing"

	"popup/apps"
	"popup/console/catalogue"
	"popup/userdata"
)

// A fakeCatalogue has apps in memory, and answers what is set for repositories.
type fakeCatalogue struct {
	apps    map[apps.AppID]catalogue.App
	inspect func(repository string) (catalogue.Proposal, error)
}

func (f *fakeCatalogue) App(id apps.AppID) (catalogue.App, error) {
	app, ok := f.apps[id]
	if !ok {
		return catalogue.App{}, &catalogue.NotFoundError{What: "app", Name: string(id)}
	}
	return app, nil
}

func (f *fakeCatalogue) Inspect(_ context.Context, repository string) (catalogue.Proposal, error) {
	if f.inspect == nil {
		return catalogue.Proposal{}, &catalogue.InputError{Field: "repository", Message: "there is none here"}
	}
	return f.inspect(repository)
}

// appsForTests are the shipped ones (guestbook has state, notice has none), and tally,
// whose settings are of all kinds.
func appsForTests(t testing.TB) map[apps.AppID]catalogue.App {
	t.Helper()
	all := map[apps.AppID]catalogue.App{}
	for _, id := range apps.Shipped() {
		loaded, err := apps.LoadShipped(id)
		if err != nil {
			t.Fatal(err)
		}
		all[id] = catalogue.App{Loaded: loaded, Written: loaded.Manifest, Commit: "c0ffee", Origin: userdata.Origin{Shipped: id}}
	}
	m, err := apps.Parse("app.yaml", []byte(`manifest_version: 1
id: tally
name: Tally
service: {repository: "https://example.org/tally.git"}
serve: {type: static}
lifetime: {default_ttl: 3d, max_ttl: 10d}
env:
  TITLE: {required: true, description: What stands at the top.}
  SEATS: {type: number}
  MAIL: {type: email}
  PASSWORD: {secret: true}
`))
	if err != nil {
		t.Fatal(err)
	}
	all["tally"] = catalogue.App{Loaded: apps.Loaded{Manifest: m}, Written: m, Commit: "c0ffee", Origin: userdata.Origin{Repository: "https://example.org/tally.git"}}
	return all
}
