package web

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"popup/apps"
	"popup/console"
	"popup/console/catalogue"
	"popup/internal/wire"
	"popup/web/api"
)

func showSource(from wire.Source) *api.Address {
	if from.URL == "" {
		return nil
	}
	kind := from.Kind
	if kind == "" {
		kind = apps.SourceGit
	}
	return &api.Address{Kind: kind, URL: from.URL, Ref: from.Ref}
}

func showApp(a catalogue.App) api.App {
	at := "/api/v1/apps/" + url.PathEscape(string(a.ID))
	shown := api.App{ID: string(a.ID), Name: a.Name, Description: a.Description, Keywords: append([]string{}, a.Keywords...), Website: a.Website,
		License: a.License, Commit: a.Commit, Code: showSource(a.Code), State: a.State != nil}
	if a.Content != nil {
		shown.Data = showSource(*a.Content)
	}
	if a.Icon.Type != "" {
		shown.Icon = at + "/icon"
	}
	for i := range a.Screenshots {
		shown.Screenshots = append(shown.Screenshots, fmt.Sprintf("%s/screenshots/%d", at, i))
	}
	return shown
}

func (s *Server) listApps(c *gin.Context) (api.Catalogue, error) {
	all := s.catalogue.Apps(catalogue.Query{Text: c.Query("q")})
	return api.Catalogue{Apps: each(all, showApp), Source: s.catalogue.Source(), Commit: s.catalogue.Commit(), Problems: each(s.catalogue.Problems(), func(p catalogue.Problem) api.Flaw {
		return api.Flaw{App: string(p.App), Commit: p.Commit, Kept: p.Kept, Message: p.Message, Details: p.Details}
	})}, nil
}

func (s *Server) getApp(c *gin.Context) (api.App, error) {
	a, err := s.catalogue.App(apps.AppID(c.Param("id")))
	if err != nil {
		return api.App{}, err
	}
	shown := showApp(a)
	shown.Manifest = &a.Manifest
	return shown, nil
}

func (s *Server) getIcon(c *gin.Context) {
	a, err := s.catalogue.App(apps.AppID(c.Param("id")))
	if err != nil {
		s.fail(c, err)
		return
	}
	s.sendPicture(c, a.Icon)
}

func (s *Server) getScreenshot(c *gin.Context) {
	a, err := s.catalogue.App(apps.AppID(c.Param("id")))
	if err != nil {
		s.fail(c, err)
		return
	}
	i, err := strconv.Atoi(c.Param("n"))
	if err != nil || i < 0 || i >= len(a.Screenshots) {
		s.fail(c, console.ErrNotFound)
		return
	}
	picture, err := s.catalogue.Screenshot(a.ID, a.Screenshots[i])
	if err != nil {
		s.fail(c, err)
		return
	}
	s.sendPicture(c, picture)
}

// sendPicture sends a stranger's picture, so that it can do nothing but be seen.
func (s *Server) sendPicture(c *gin.Context, p catalogue.Picture) {
	if p.Type == "" {
		s.fail(c, console.ErrNotFound)
		return
	}
	c.Header("Content-Type", p.Type)
	c.Header("Content-Security-Policy", catalogue.PicturePolicy)
	c.Header("Cache-Control", "private, max-age=300")
	http.ServeContent(c.Writer, c.Request, "", time.Time{}, bytes.NewReader(p.Bytes))
}

// getUserData is what is pasted to launch a copy of an app without this console.
func (s *Server) getUserData(c *gin.Context) {
	a, err := s.catalogue.App(apps.AppID(c.Param("id")))
	if err != nil {
		s.fail(c, err)
		return
	}
	settings, err := givenSettings(c.QueryArray("set"))
	if err != nil {
		s.fail(c, err)
		return
	}
	made, err := s.console.Copy(s.actor(c), a, console.CopyRequest{Format: c.Query("format"), Until: c.Query("until"), Zone: c.Query("zone"),
		Service: c.Query("service"), Data: c.Query("data"), Settings: settings})
	if err != nil {
		s.fail(c, err)
		return
	}
	c.Data(http.StatusOK, "text/plain; charset=utf-8", made.Text)
}

// givenSettings reads KEY=VALUE.
func givenSettings(given []string) (map[string]string, error) {
	settings := map[string]string{}
	for _, pair := range given {
		key, value, ok := strings.Cut(pair, "=")
		if !ok || key == "" {
			return nil, wrongField("set", "write it like TITLE=Our fair")
		}
		settings[key] = value
	}
	return settings, nil
}

// getDiff is what changed between two commits of the catalogue.
func (s *Server) getDiff(c *gin.Context) (api.Diff, error) {
	d, err := s.catalogue.Diff(c.Request.Context(), c.Query("from"), c.Query("to"))
	return api.Diff{From: d.From, To: d.To, Apps: append([]catalogue.AppDiff{}, d.Apps...)}, err
}

// inspect looks at any repository, before anything of it is run.
func (s *Server) inspect(c *gin.Context) (api.Proposal, error) {
	if err := console.May(s.actor(c), console.Start); err != nil { // it fetches
		return api.Proposal{}, err
	}
	p, err := s.catalogue.Inspect(c.Request.Context(), c.Query("repository"))
	if err != nil {
		return api.Proposal{}, inspectError(err)
	}
	shown := api.Proposal{Repository: p.Repository, Commit: p.Commit, ID: string(p.Loaded.ID), Name: p.Loaded.Name, Manifest: p.Loaded.Manifest,
		Code: showSource(p.Code), Notes: append([]string{}, p.Notes...)}
	if p.Content != nil {
		shown.Data = showSource(*p.Content)
	}
	if o := p.Original; o != nil {
		shown.Original = &api.Original{ID: string(o.App.ID), Name: o.App.Name, Why: o.Why, Fork: o.Fork(), Changes: append([]catalogue.FieldChange{}, o.Fields...)}
	}
	return shown, nil
}

// inspectError tells a manifest's problems as what is wrong with the repository.
func inspectError(err error) error {
	var problems apps.Problems
	if !errors.As(err, &problems) {
		return err
	}
	fields := make([]console.FieldError, 0, len(problems))
	for _, p := range problems {
		fields = append(fields, console.FieldError{Field: "repository", Message: p.String()})
	}
	return &console.InputError{Fields: fields}
}

// appRoutes are about what can be launched.
var appRoutes = []route{
	{method: http.MethodGet, path: "/api/v1/apps", who: signedIn, does: "the catalogue", endpoint: answer(200, (*Server).listApps),
		query: []parameter{{name: "q", means: "words that an app's id, name, keywords and description all hold"}}},
	{method: http.MethodGet, path: "/api/v1/apps/:id", who: signedIn, does: "an app, with its manifest", endpoint: answer(200, (*Server).getApp)},
	{method: http.MethodGet, path: "/api/v1/apps/:id/icon", who: signedIn, does: "the icon of an app", endpoint: raw("image/*", (*Server).getIcon)},
	{method: http.MethodGet, path: "/api/v1/apps/:id/screenshots/:n", who: signedIn, does: "a picture of an app, counted from 0", endpoint: raw("image/*", (*Server).getScreenshot)},
	{method: http.MethodGet, path: "/api/v1/apps/:id/userdata", who: signedIn, does: "the text that launches a copy of an app without this console", endpoint: raw("text/plain", (*Server).getUserData),
		query: []parameter{{name: "format", means: "script, cloud-config or mime"}, {name: "until", means: "a date, a date and time, or a length of time like 7d"},
			{name: "zone", means: "of until, an IANA name"}, {name: "service", means: "URL[#REF] of the code"}, {name: "data", means: "URL[#REF] of the data"},
			{name: "set", means: "KEY=VALUE of a setting", many: true}}},
	{method: http.MethodGet, path: "/api/v1/catalogue/diff", who: signedIn, does: "what changed between two commits of the catalogue", endpoint: answer(200, (*Server).getDiff),
		query: []parameter{{name: "from", means: "a commit"}, {name: "to", means: "a commit"}}},
	{method: http.MethodGet, path: "/api/v1/catalogue/inspect", who: signedIn, does: "what would run, were any repository launched", endpoint: answer(200, (*Server).inspect),
		query: []parameter{{name: "repository", means: "URL[#REF]"}}},
}
