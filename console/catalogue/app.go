package catalogue

import (
	"fmt"
	"io/fs"
	"path"

	"popup/apps"
	"popup/internal/wire"
	"popup/userdata"
)

// An App is what can be launched from a catalogue. What it holds is shared, and not to
// be changed.
type App struct {
	// Loaded is the manifest as it is launched: what lies beside it in a repository of
	// many apps is written out.
	apps.Loaded
	Written apps.Manifest   // as its author wrote it
	Commit  string          // of the catalogue, where the manifest was read
	Origin  userdata.Origin // for a launch
	Icon    Picture
	// Code and Content are where service and data come from. Code is empty and Content
	// nil where the manifest leaves it to whoever launches it, or there is no data.
	Code    wire.Source
	Content *wire.Source

	text string // what is searched, in lower case
	flaw error  // of what is shown besides
}

// readApp reads an app of a commit. Its error is apps.Problems where the manifest is at fault.
func (c *Catalogue) readApp(folder fs.FS, id apps.AppID, commit string) (App, error) {
	m, err := c.readManifest(folder, id)
	if err != nil {
		return App{}, err
	}
	app := App{Written: m, Commit: commit, text: searched(m)}
	app.Loaded, app.Origin = c.from.place(m, commit)
	app.Code, app.Content = sources(app.Loaded, app.Overrides())
	if m.Icon != "" {
		if app.Icon, err = readPicture(folder, path.Join(string(id), m.Icon), maxIcon); err != nil {
			app.flaw = fmt.Errorf("its icon is left out: %w", err)
		}
	}
	return app, nil
}

// sources are where service and data come from, as far as that is known.
func sources(loaded apps.Loaded, o userdata.Overrides) (code wire.Source, content *wire.Source) {
	o.Here = true
	loaded.Env = nil // settings are not asked for
	if plan, err := userdata.NewPlan(loaded, o); err == nil {
		return plan.Service, plan.Data
	}
	loaded.Data = nil
	plan, err := userdata.NewPlan(loaded, o)
	if err != nil {
		return wire.Source{}, nil
	}
	return plan.Service, nil
}

// Overrides are what a launch of the app begins with: the rest is decided by whoever
// launches it.
func (a App) Overrides() userdata.Overrides { return userdata.Overrides{Origin: a.Origin} }

// UserData is the text that launches a copy of the app without any console, and what
// whoever pastes it should be told. o says what they decided, spec how the text is
// written and where popup is downloaded from; its Plan is made here. The error joins
// all that is wrong with these, in sentences; settings are apps.Problems in it.
func (a App) UserData(o userdata.Overrides, spec userdata.Spec) (text []byte, notes []string, err error) {
	o.Origin = a.Origin
	if spec.Plan, err = userdata.NewPlan(a.Loaded, o); err != nil {
		return nil, nil, err
	}
	if spec.Binary, err = spec.Binary.For(a.Resources.Architectures); err != nil {
		return nil, nil, err
	}
	if text, err = userdata.Render(spec); err != nil {
		return nil, nil, err
	}
	return text, userdata.Notes(a.Loaded, o, spec.Plan), nil
}
