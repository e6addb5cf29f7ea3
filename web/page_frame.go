package web

import (
	"bytes"
	"cmp"
	"errors"
	"net/http"
	"net/url"

	"github.com/gin-gonic/gin"

	"popup/console"
	"popup/templates"
	"popup/web/api"
)

// Sections of the console, and the pages of the one that has several.
const (
	sectionEvents    = "events"
	sectionApps      = "apps"
	sectionInstances = "instances"
	sectionConsole   = "console"
	sectionAccount   = "account"

	tabSettings = "settings"
	tabPeople   = "people"
	tabAudit    = "audit"
)

// A view is a page and what stands around it.
type view struct {
	name    string // in the table of templates
	status  int    // 0: 200
	title   string
	section string
	tab     string
	stream  string // the path of what it follows; empty: nothing of it is live
	refresh int    // seconds after which a browser without scripts asks again; 0: never
	// lone is a page without a menu, and without a form: it is the same for everybody.
	lone bool
	data any
}

// everything is followed by pages that are about more than one event.
const everything = "/api/v1/stream"

// following is the stream of one event.
func following(event string) string { return everything + "?" + url.Values{"event": {event}}.Encode() }

// show writes a page, or the part of it that a script asks for.
func (s *Server) show(c *gin.Context, v view) {
	frame := templates.ConsoleFrame{Title: v.title, Section: v.section, Tab: v.tab, Refresh: v.refresh, Said: said[c.Query("said")], Data: v.data}
	if !v.lone {
		actor := s.actor(c)
		frame.CSRF = s.csrf(c)
		frame.Menu, frame.Tabs = menuOf(actor), tabsOf(actor, v.section)
		frame.Person, frame.Role = actor.Name, roleWord(actor.Role)
	}
	if v.stream != "" {
		newest, err := s.console.Newest(c.Request.Context())
		if err != nil {
			s.fail(c, err)
			return
		}
		frame.Stream, frame.Newest = v.stream, newest
	}
	var b bytes.Buffer
	err := templates.RenderConsole(&b, v.name, c.Query("fragment"), frame)
	s.write(c, v.status, b.Bytes(), err)
}

// write answers with what a page or a part of it was rendered to.
func (s *Server) write(c *gin.Context, status int, html []byte, err error) {
	if errors.Is(err, templates.ErrNoFragment) {
		err = console.ErrNotFound
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	c.Header("Cache-Control", "no-store") // it is made for one reader, at one moment
	c.Data(cmp.Or(status, http.StatusOK), "text/html; charset=utf-8", html)
}

// menuOf are the sections that somebody may look at.
func menuOf(a console.Actor) []templates.MenuItem {
	events := templates.MenuItem{Name: sectionEvents, Path: "/", Icon: "ticket", Text: "Events"}
	switch a.Role {
	case console.RoleHelper:
		events.Path, events.Text = eventPath(a.Event), "Event"
		return []templates.MenuItem{events}
	case console.RoleOwner, console.RoleOrganiser, console.RoleViewer:
	default:
		return nil
	}
	menu := []templates.MenuItem{
		events,
		{Name: sectionApps, Path: "/apps", Icon: "apps", Text: "Apps"},
		{Name: sectionInstances, Path: "/instances", Icon: "machines", Text: "Instances"},
	}
	if tabs := tabsOf(a, sectionConsole); len(tabs) > 0 {
		menu = append(menu, templates.MenuItem{Name: sectionConsole, Path: tabs[0].Path, Icon: "console", Text: "Console"})
	}
	return append(menu, templates.MenuItem{Name: sectionAccount, Path: "/account", Icon: "person", Text: "You"})
}

// tabsOf are the pages of a section that has several.
func tabsOf(a console.Actor, section string) []templates.MenuItem {
	if section != sectionConsole {
		return nil
	}
	settings := templates.MenuItem{Name: tabSettings, Path: "/settings", Text: "Settings"}
	people := templates.MenuItem{Name: tabPeople, Path: "/people", Text: "People"}
	audit := templates.MenuItem{Name: tabAudit, Path: "/audit", Text: "Audit"}
	switch a.Role {
	case console.RoleOwner:
		return []templates.MenuItem{settings, people, audit}
	case console.RoleViewer:
		return []templates.MenuItem{audit}
	}
	return nil
}

// said are the sentences that a page begins with after something was done. They are
// named in its address, so that no address says anything else.
var said = map[string]string{
	"saved":    "That is saved.",
	"frozen":   "It is frozen: everything can be seen, and nothing changed.",
	"thawed":   "It goes on.",
	"purged":   "Its archives are removed.",
	"removed":  "That is removed.",
	"baking":   "An image is being made of it.",
	"asked":    "It was asked for. What came of it shows here with the next report.",
	"given-up": "What it wrote is given up; the machine is taken away.",
	"password": "Your password is changed, and your other sessions have ended.",
	"welcome":  "Welcome. This console is yours.",
}

// done sends the browser on after a form, so that loading the page again does nothing.
// what is one of said; empty: the page speaks for itself.
func (s *Server) done(c *gin.Context, path, what string) {
	if what != "" {
		path += "?" + url.Values{"said": {what}}.Encode()
	}
	c.Redirect(http.StatusSeeOther, path)
}

// refuse answers a form that was not taken: again shows it once more, with what is wrong,
// or else there is a page about it. It says whether there was anything to refuse.
func (s *Server) refuse(c *gin.Context, err error, again func(fields []console.FieldError, status int)) bool {
	if err == nil {
		return false
	}
	if fields, status, ok := refused(err); ok {
		again(fields, status)
	} else {
		s.fail(c, err)
	}
	return true
}

// refused tells the fields of an error that a form can be shown with again, and with
// which status; ok is false for one that is a page of its own.
func refused(err error) (fields []console.FieldError, status int, ok bool) {
	p := problemOf(err)
	switch p.Status {
	case http.StatusUnprocessableEntity:
		return p.Errors, p.Status, true
	case http.StatusConflict, http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return []console.FieldError{{Message: spoken(p.Detail)}}, p.Status, true
	}
	return nil, 0, false
}

// A noticePage is what is shown instead of what was asked for.
type noticePage struct {
	Kicker, Heading, Text, Try string
	Fields                     []fieldProblem
	Path, Button               string // where to go from here
	Request                    string
}

// notices are the headings of errors, and what to try.
var notices = map[int]noticePage{
	http.StatusBadRequest:            {Heading: "That was not understood", Try: "Go back, load the page again, and try once more."},
	http.StatusUnauthorized:          {Heading: "Please sign in", Path: "/sign-in", Button: "Sign in"},
	http.StatusForbidden:             {Heading: "That is not yours to do"},
	http.StatusNotFound:              {Heading: "There is nothing here", Try: "The address may be mistyped, or what was here is gone."},
	http.StatusMethodNotAllowed:      {Heading: "There is nothing here", Try: "Go back, and use the buttons of the page."},
	http.StatusConflict:              {Heading: "That does not fit any more", Try: "Load the page again to see how things are now."},
	http.StatusGone:                  {Heading: "That is gone"},
	http.StatusRequestEntityTooLarge: {Heading: "That is too much", Try: "Go back and send less."},
	http.StatusUnprocessableEntity:   {Heading: "Please look at this again", Try: "Go back, and change what is named here."},
	http.StatusTooManyRequests:       {Heading: "That was often", Try: "Wait a little before you try again."},
	http.StatusServiceUnavailable:    {Heading: "Not at the moment", Try: "Try it again in a little while."},
	http.StatusNotImplemented:        {Heading: "This console cannot do that yet"},
}

// pageProblem shows what went wrong as a page.
func (s *Server) pageProblem(c *gin.Context, p api.Problem) {
	page, known := notices[p.Status]
	if !known {
		page = noticePage{Heading: "Something went wrong here", Try: "It is not your fault. Try it again; if it stays, tell whoever runs this console."}
	}
	page.Kicker, page.Text, page.Request = p.Title, spoken(p.Detail), p.Request
	if page.Path == "" {
		page.Path, page.Button = "/", "To the start"
	}
	for _, f := range p.Errors {
		page.Fields = append(page.Fields, fieldProblem{Label: f.Field, Message: f.Message})
	}
	if len(p.Errors) > 0 {
		page.Text = ""
	}
	var b bytes.Buffer
	actor := s.actor(c)
	frame := templates.ConsoleFrame{Title: page.Heading, Menu: menuOf(actor), Person: actor.Name, Role: roleWord(actor.Role), Data: page}
	if err := templates.RenderConsole(&b, templates.ConsoleNotice, "", frame); err != nil {
		s.log.ErrorContext(c.Request.Context(), "an error has no page", "request", p.Request, "err", err)
		c.String(p.Status, "%s\n", p.Title)
		return
	}
	c.Data(p.Status, "text/html; charset=utf-8", b.Bytes())
}

// asset sends a file that pages load. It never changes under its name.
func (s *Server) asset(c *gin.Context) {
	asset, ok := templates.Assets()[c.Request.URL.Path]
	if !ok {
		s.fail(c, console.ErrNotFound)
		return
	}
	c.Header("Cache-Control", "public, max-age=31536000, immutable")
	c.Data(http.StatusOK, asset.Type, asset.Body)
}
