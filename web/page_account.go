package web

import (
	"cmp"
	"net/url"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"popup/console"
	"popup/templates"
)

// An accountPage is one's own.
type accountPage struct {
	Display, May string
	Problems     []fieldProblem
	Password     []field // empty: there is no account behind who looks
	Tokens       []tokenLine
	NewToken     []field
}

// A tokenLine is one of one's tokens.
type tokenLine struct{ Title, May, Expires, Path string }

// What each role is told about itself.
var mays = map[console.Role]string{
	console.RoleOwner:     "You own this console: you may do everything.",
	console.RoleOrganiser: "You launch events, and look after your own.",
	console.RoleViewer:    "You see what runs here, and change nothing.",
	console.RoleHelper:    "You help with one event, by a link.",
}

// An accountForm is what was given on the page.
type accountForm struct {
	token  console.NewToken
	errors []console.FieldError
}

func (s *Server) pageAccount(c *gin.Context) { s.showAccount(c, accountForm{}, 0) }

func (s *Server) showAccount(c *gin.Context, given accountForm, status int) {
	actor := s.actor(c)
	page := accountPage{Display: cmp.Or(actor.Name, "You"), May: mays[actor.Role]}
	if actor.Kind == console.ActorPerson {
		tokens, err := s.console.Tokens(c.Request.Context(), actor)
		if err != nil {
			s.fail(c, err)
			return
		}
		for _, t := range tokens {
			page.Tokens = append(page.Tokens, tokenOf(t, s.console.Now()))
		}
		page.Password = []field{
			{Name: "old", Label: "The one you have", Type: "password", Required: true, Autocomplete: "current-password"},
			newPassword("password", "The new one"),
		}
		page.NewToken = tokenFields(given.token)
		page.Problems = explain(given.errors, "", page.Password, page.NewToken)
	}
	s.show(c, view{name: templates.ConsoleAccount, status: status, title: "You", section: sectionAccount, data: page})
}

func tokenFields(t console.NewToken) []field {
	days := ""
	if t.Days > 0 {
		days = strconv.Itoa(t.Days)
	}
	reads := ""
	if t.Reads {
		reads = "true"
	}
	return []field{
		{Name: "title", Label: "What is it for?", Value: t.Title, Required: true, Autocomplete: "off"},
		{Name: "days", Label: "Good for", Type: "select", Value: cmp.Or(days, "90"), Choices: []choice{{"7", "a week"}, {"30", "a month"}, {"90", "three months"}, {"366", "a year"}}},
		{Name: "reads", Label: "It may only look", Type: "checkbox", Value: reads},
	}
}

func tokenOf(t console.Token, now time.Time) tokenLine {
	line := tokenLine{Title: t.Title, May: "may do what you may", Expires: "ends " + relative(t.Expires, now), Path: "/account/tokens/" + url.PathEscape(t.ID) + "/remove"}
	if t.Reads {
		line.May = "may only look"
	}
	if now.After(t.Expires) {
		line.Expires = "ended"
	}
	return line
}

// afterAccount goes on to the page, or shows it again with what is wrong.
func (s *Server) afterAccount(c *gin.Context, err error, given accountForm, what string) {
	if s.refuse(c, err, func(fields []console.FieldError, status int) {
		given.errors = fields
		s.showAccount(c, given, status)
	}) {
		return
	}
	s.done(c, "/account", what)
}

func (s *Server) doPassword(c *gin.Context) {
	err := s.console.ChangePassword(c.Request.Context(), s.actor(c), c.PostForm("old"), c.PostForm("password"))
	s.afterAccount(c, err, accountForm{}, "password")
}

// doToken makes a token, which is shown this once.
func (s *Server) doToken(c *gin.Context) {
	days, err := strconv.Atoi(cmp.Or(c.PostForm("days"), "0"))
	if err != nil {
		err = wrongField("days", "give a number of days")
	}
	n := console.NewToken{Title: c.PostForm("title"), Days: days, Reads: c.PostForm("reads") == "true"}
	var secret string
	if err == nil {
		_, secret, err = s.console.AddToken(c.Request.Context(), s.actor(c), n)
	}
	if err != nil {
		s.afterAccount(c, err, accountForm{token: n}, "")
		return
	}
	s.showOnce(c, sectionAccount, oncePage{
		Heading: "A token for " + n.Title, Text: "Keep it where the program finds it, and nobody else. It is not shown again.",
		Copy: copyable{ID: "secret", Text: secret, What: "the token"}, Back: "/account",
	})
}

func (s *Server) doRemoveToken(c *gin.Context) {
	s.afterAccount(c, s.console.RemoveToken(c.Request.Context(), s.actor(c), c.Param("token")), accountForm{}, "removed")
}
