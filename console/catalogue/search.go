package catalogue

import (
	"fmt"
	"slices"
	"strings"

	"popup/apps"
)

// A Query narrows a list of apps. The zero value does not.
type Query struct {
	Text string // words that id, name, keywords and description all hold, in any case
}

// Apps lists apps by name.
func (c *Catalogue) Apps(q Query) []App {
	words := strings.Fields(strings.ToLower(q.Text))
	c.mu.RLock()
	all := c.shown.apps
	c.mu.RUnlock()
	found := make([]App, 0, len(all))
	for _, app := range all {
		if app.holds(words) {
			found = append(found, app)
		}
	}
	return found
}

func (a App) holds(words []string) bool {
	return !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(a.text, word) })
}

// searched is the text of an app that words are looked for in.
func searched(m apps.Manifest) string {
	return strings.ToLower(strings.Join(append([]string{string(m.ID), m.Name, m.Description}, m.Keywords...), "\n"))
}

// A NotFoundError says that there is no such thing here, and what may have been meant.
type NotFoundError struct {
	What, Name string
	Nearest    string // empty: nothing is near
}

func (e *NotFoundError) Error() string {
	text := fmt.Sprintf("there is no %s %q in the catalogue", e.What, e.Name)
	if e.Nearest != "" {
		text += fmt.Sprintf("; did you mean %q?", e.Nearest)
	}
	return text
}

// App finds an app. Its error is *NotFoundError.
func (c *Catalogue) App(id apps.AppID) (App, error) {
	c.mu.RLock()
	all := c.shown.apps
	c.mu.RUnlock()
	names := make([]string, len(all))
	for i, app := range all {
		if app.ID == id {
			return app, nil
		}
		names[i] = string(app.ID)
	}
	return App{}, &NotFoundError{What: "app", Name: string(id), Nearest: apps.Nearest(string(id), names)}
}
