package web

import (
	"github.com/gin-gonic/gin"

	"popup/console"
	"popup/console/catalogue"
	"popup/templates"
)

// A settingsPage is how this console was started.
type settingsPage struct {
	Console   []fact
	Cluster   clusterCard
	Clouds    []cloudLine
	Catalogue []fact
	Problems  []string
	Changes   []appChange
	Backup    string // where a backup is fetched; empty: it may not be
	KeyFile   string
}

// A cloudLine is one of the clouds.
type cloudLine struct {
	Name, Means string
	Default     bool
}

// An appChange is how an app differs from the commit before.
type appChange struct {
	App, What string
	Fields    []difference
}

func (s *Server) pageSettings(c *gin.Context) {
	actor := s.actor(c)
	if err := console.May(actor, console.Admin); err != nil {
		s.fail(c, err)
		return
	}
	state, err := s.console.ClusterState(c.Request.Context(), actor)
	if err != nil {
		s.fail(c, err)
		return
	}
	page := settingsPage{Backup: "/api/v1/backup", KeyFile: "secrets.key", Cluster: clusterOf(state, s.console.BackupsAlone())}
	page.Console = []fact{{"Version", s.opts.Version, false}, {"Address", s.opts.URL, true}}
	if s.opts.Pin != "" {
		page.Console = append(page.Console, fact{"Certificate", s.opts.Pin, true})
	}
	for _, name := range s.opts.Clouds {
		page.Clouds = append(page.Clouds, cloudLine{name, spoken(cloudWords(name)), name == s.opts.Cloud})
	}
	page.Catalogue = []fact{{"From", s.catalogue.Source(), false}}
	if commit := s.catalogue.Commit(); commit != "" {
		page.Catalogue = append(page.Catalogue, fact{"At", shortCommit(commit), true})
	}
	for _, p := range s.catalogue.Problems() {
		text := spoken(p.Message)
		if p.App != "" {
			text = string(p.App) + ": " + text
		}
		page.Problems = append(page.Problems, text)
	}
	page.Changes = s.latestChanges(c)
	s.show(c, view{name: templates.ConsoleSettings, title: "Settings", section: sectionConsole, tab: tabSettings, data: page})
}

// latestChanges are how the catalogue differs from what it was before; what cannot be
// told is left out.
func (s *Server) latestChanges(c *gin.Context) (changes []appChange) {
	commits, err := s.catalogue.Commits()
	if err != nil || len(commits) < 2 {
		return nil
	}
	diff, err := s.catalogue.Diff(c.Request.Context(), commits[1], commits[0])
	if err != nil {
		return nil
	}
	for _, d := range diff.Apps {
		change := appChange{App: string(d.ID), What: d.Change}
		if d.Change == catalogue.Changed {
			change.Fields = differencesOf(d.Fields)
		}
		changes = append(changes, change)
	}
	return changes
}
