package web

import (
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/gin-gonic/gin"

	"popup/console"
	"popup/templates"
	"popup/web/oidc"
)

// An accessPage is one of those on which somebody comes in.
type accessPage struct {
	Problems               []fieldProblem
	Fields                 []field
	Next                   string // where to go then
	Provider, ProviderPath string // of a sign-in elsewhere; empty: there is none
}

// newPassword is the field for one that is chosen.
func newPassword(name, label string) field {
	return field{Name: name, Label: label, Type: "password", Hint: "At least 10 characters: three or four words are easy to remember.", Required: true, Autocomplete: "new-password"}
}

func claimFields(p console.NewPerson) []field {
	return []field{
		{Name: "name", Label: "Your name for signing in", Hint: "Like ada or ada.lovelace.", Value: p.Name, Required: true, Focus: true, Plain: true, Autocomplete: "username"},
		{Name: "display", Label: "How others see you", Value: p.Display, Optional: true, Autocomplete: "name"},
		newPassword("password", "Password"),
	}
}

func (s *Server) pageClaim(c *gin.Context) {
	s.showClaim(c, console.NewPerson{}, nil, 0)
}

func (s *Server) showClaim(c *gin.Context, p console.NewPerson, errors []console.FieldError, status int) {
	fields := claimFields(p)
	problems := explain(errors, "", fields)
	s.show(c, view{name: templates.ConsoleClaim, status: status, title: "Make this console yours", data: accessPage{Problems: problems, Fields: fields}})
}

func (s *Server) doClaim(c *gin.Context) {
	p := console.NewPerson{Name: c.PostForm("name"), Display: c.PostForm("display"), Password: c.PostForm("password")}
	session, err := s.console.Claim(c.Request.Context(), c.Param(paramSecret), p)
	if s.refuse(c, err, func(fields []console.FieldError, status int) { s.showClaim(c, p, fields, status) }) {
		return
	}
	s.startSession(c, session)
	s.done(c, "/", "welcome")
}

func signInFields(name string) []field {
	return []field{
		{Name: "name", Label: "Name", Value: name, Required: true, Focus: true, Plain: true, Autocomplete: "username"},
		{Name: "password", Label: "Password", Type: "password", Required: true, Autocomplete: "current-password"},
	}
}

func (s *Server) pageSignIn(c *gin.Context) {
	next := localPath(c.Query("next"))
	if s.actor(c).Kind != console.ActorNobody {
		c.Redirect(http.StatusSeeOther, next)
		return
	}
	s.showSignIn(c, accessPage{Fields: signInFields(""), Next: next}, 0)
}

func (s *Server) showSignIn(c *gin.Context, page accessPage, status int) {
	if p := s.opts.Provider; p != nil {
		page.Provider, page.ProviderPath = p.Title(), oidc.BeginPath+"?"+url.Values{"next": {page.Next}}.Encode()
	}
	s.show(c, view{name: templates.ConsoleSignIn, status: status, title: "Sign in", data: page})
}

func (s *Server) doSignIn(c *gin.Context) {
	name, next := c.PostForm("name"), localPath(c.PostForm("next"))
	session, err := s.signIn(c, name, c.PostForm("password"))
	fields, status, ok := refused(err)
	if errors.Is(err, console.ErrWrongPassword) {
		fields, status, ok = []console.FieldError{{Message: spoken(err.Error())}}, http.StatusUnauthorized, true
	}
	if ok {
		page := accessPage{Fields: signInFields(name), Next: next}
		page.Problems = explain(fields, "", page.Fields)
		s.showSignIn(c, page, status)
		return
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	s.startSession(c, session)
	c.Redirect(http.StatusSeeOther, next)
}

func (s *Server) doSignOut(c *gin.Context) {
	if err := s.endSession(c); err != nil {
		s.fail(c, err)
		return
	}
	c.Redirect(http.StatusSeeOther, "/sign-in")
}

func (s *Server) pageJoin(c *gin.Context) { s.showJoin(c, nil, 0) }

func (s *Server) showJoin(c *gin.Context, errors []console.FieldError, status int) {
	fields := []field{newPassword("password", "Password")}
	fields[0].Focus = true
	problems := explain(errors, "", fields)
	s.show(c, view{name: templates.ConsoleJoin, status: status, title: "Choose a password", data: accessPage{Problems: problems, Fields: fields}})
}

func (s *Server) doJoin(c *gin.Context) {
	session, err := s.console.Join(c.Request.Context(), c.Param(paramSecret), c.PostForm("password"))
	if s.refuse(c, err, func(fields []console.FieldError, status int) { s.showJoin(c, fields, status) }) {
		return
	}
	s.startSession(c, session)
	s.done(c, "/", "")
}

// pageHelp asks whoever comes by a helper's link to come in by a button: what only looks
// at links, to show what is behind them, has no session then.
func (s *Server) pageHelp(c *gin.Context) {
	s.show(c, view{name: templates.ConsoleHelp, title: "You are asked to help"})
}

func (s *Server) doHelp(c *gin.Context) {
	secret := c.Param(paramSecret)
	actor, err := s.console.ActorOfToken(c.Request.Context(), secret)
	if err == nil && actor.Kind != console.ActorLink {
		err = console.ErrNotFound
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	s.startSession(c, console.Session{Secret: secret, Expires: time.Time{}})
	s.done(c, eventPath(actor.Event), "")
}
