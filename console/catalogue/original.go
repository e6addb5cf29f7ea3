package catalogue

import (
	"popup/apps"
)

// An Original is the app of the catalogue that a repository looks like.
type Original struct {
	App App
	// Why is what they have in common: "repository", the same one; "origin", which the
	// manifest names as its code; "id"; or "name", of the repositories.
	Why string
	// Fields are how the manifest differs from the original's.
	Fields []FieldChange
}

// Fork says whether it is another repository than the original's.
func (o Original) Fork() bool { return o.Why != "repository" }

// originalOf finds the app that a repository is, or was made from; nil: none.
func (c *Catalogue) originalOf(loaded apps.Loaded, url string) (*Original, error) {
	name := apps.RepositoryName(url)
	alike := []struct {
		why  string
		like func(App) bool
	}{
		{"repository", func(a App) bool { return isCodeOf(a, url) }},
		{"origin", func(a App) bool { return isCodeOf(a, loaded.Service.Repository) }},
		{"id", func(a App) bool { return a.ID == loaded.ID }},
		{"name", func(a App) bool { return a.isNamed(name) }},
	}
	all := c.Apps(Query{})
	for _, by := range alike {
		for _, app := range all {
			if !by.like(app) {
				continue
			}
			fields, err := compareManifests(&app.Written, &loaded.Manifest)
			return &Original{App: app, Why: by.why, Fields: fields}, err
		}
	}
	return nil, nil
}

// isCodeOf says whether an address is the repository that an app names for its code.
func isCodeOf(a App, address string) bool {
	named := a.Written.Service.Repository
	return named != "" && address != "" && apps.SameRepository(named, address)
}

// isNamed says whether a repository of that name is likely a fork of the app's.
func (a App) isNamed(name string) bool {
	named := a.Written.Service.Repository
	return name == string(a.ID) || named != "" && name == apps.RepositoryName(named)
}

// namedLike is the app whose own repository has the same name as this one.
func (c *Catalogue) namedLike(url string) (App, bool) {
	name := apps.RepositoryName(url)
	for _, app := range c.Apps(Query{}) {
		if named := app.Written.Service.Repository; named != "" && (isCodeOf(app, url) || name == apps.RepositoryName(named)) {
			return app, true
		}
	}
	return App{}, false
}
