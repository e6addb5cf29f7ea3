package web

import (
	"cmp"
	"errors"
	"net/http"
	"net/url"

	"github.com/gin-gonic/gin"

	"popup/apps"
	"popup/console"
	"popup/console/catalogue"
	"popup/templates"
)

// A proposalPage is what a repository would run, before it does.
type proposalPage struct {
	Problems               []fieldProblem
	Address                field
	Event                  string
	Name, Summary, License string
	Manifest               string
	Code                   sourceLink
	Content                *sourceLink
	Commands               []commandLine
	Original, OriginalPath string // the app of the catalogue that it looks like
	Differences            []difference
	Next                   string // where this commit is launched; empty: it cannot be
}

// A commandLine is what is executed, and when.
type commandLine struct{ When, Line string }

// A difference is a field that two manifests have differently.
type difference struct {
	Path, Old, New string
	Runs           bool // it decides what is executed
}

// pageProposal looks at any repository by its address; nothing of it runs.
func (s *Server) pageProposal(c *gin.Context) {
	actor, repository, event := s.actor(c), c.Query("repository"), c.Query("event")
	if err := console.May(actor, console.Start); err != nil {
		s.fail(c, err)
		return
	}
	page := proposalPage{Event: event, Address: field{Name: "repository", Label: "Address of the repository", Type: "url", Plain: true, Required: true,
		Value: repository, Hint: "Add #BRANCH, a tag or a commit to look at that one."}}
	p, err := s.catalogue.Inspect(c.Request.Context(), repository)
	status := 0
	if err != nil {
		fields, code, ok := refused(inspectError(err))
		if !ok {
			s.fail(c, err)
			return
		}
		address := []field{page.Address}
		page.Problems, status = explain(fields, "", address), code
		page.Address = address[0]
	} else {
		page.propose(p)
	}
	s.show(c, view{name: templates.ConsoleProposal, status: status, title: "Before anything runs", section: sectionApps, data: page})
}

func (page *proposalPage) propose(p catalogue.Proposal) {
	m := p.Loaded.Manifest
	page.Name, page.Summary, page.License = m.Name, spoken(m.Summary()), m.License
	page.Code = sourceLink{URL: webAddress(p.Repository), Text: withoutScheme(p.Repository), Ref: shortCommit(p.Commit)}
	page.Manifest = cmp.Or(p.Loaded.File, "none; "+p.Loaded.Detected)
	if p.Content != nil {
		from := linkSource(*p.Content)
		page.Content = &from
	}
	page.Commands = commandLines(m)
	if o := p.Original; o != nil && o.Fork() {
		page.Original, page.OriginalPath = o.App.Name, appPath(string(o.App.ID))
		page.Differences = differencesOf(o.Fields)
	}
	next := url.Values{"repository": {p.Repository}, "commit": {p.Commit}}
	if page.Event != "" {
		next.Set("event", page.Event)
	}
	page.Next = "/launch?" + next.Encode()
}

// commandLines are all that a manifest has executed.
func commandLines(m apps.Manifest) (lines []commandLine) {
	add := func(when, line string) {
		if line != "" {
			lines = append(lines, commandLine{when, line})
		}
	}
	if n := len(m.Packages.Apt); n > 0 {
		add("packages", list(m.Packages.Apt))
	}
	add("builds", m.BuildCommand)
	add("starts", m.Serve.StartCommand)
	if m.Serve.Type == apps.ServePHP {
		add("serves", "the PHP files of the repository")
	}
	if m.Data != nil {
		add("checks new data", m.Data.Check.Command)
	}
	add("once, when it is up", m.Scripts.Postdeploy)
	add("when data changes", m.Scripts.OnDataChange)
	add("before a backup", m.Scripts.PreBackup)
	add("before the end", m.Scripts.Predestroy)
	return lines
}

// differencesOf shows the changes of a manifest; those that decide what is executed say so.
func differencesOf(changes []catalogue.FieldChange) (all []difference) {
	for _, change := range changes {
		runs := change.Concern == catalogue.ConcernScript || change.Concern == catalogue.ConcernCommand || change.Concern == catalogue.ConcernPackage
		all = append(all, difference{change.Field, change.Old, change.New, runs})
	}
	return all
}

// offered finds the app of a request, in the catalogue or in a repository.
func (s *Server) offered(c *gin.Context, r console.AppRequest) (apps.Manifest, error) {
	if r.Repository == "" {
		app, err := s.catalogue.App(r.App)
		return app.Manifest, err
	}
	p, err := s.catalogue.Inspect(c.Request.Context(), pinned(r))
	if err != nil {
		return apps.Manifest{}, inspectError(err)
	}
	return p.Loaded.Manifest, nil
}

// pinned is the address of a request's repository, at the commit that was looked at.
func pinned(r console.AppRequest) string {
	if r.Commit == "" {
		return r.Repository
	}
	at, err := url.Parse(r.Repository)
	if err != nil {
		return r.Repository
	}
	at.Fragment = r.Commit
	return at.String()
}

// isMissing says that an app is not in the catalogue (any more).
func isMissing(err error) bool {
	var missing *catalogue.NotFoundError
	return errors.As(err, &missing) || problemOf(err).Status == http.StatusUnprocessableEntity
}
