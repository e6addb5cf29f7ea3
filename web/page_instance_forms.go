package web

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/gin-gonic/gin"

	"popup/console"
	"popup/internal/wire"
	"popup/templates"
)

// doCommand asks something of an instance.
func (s *Server) doCommand(c *gin.Context) {
	actor, id := s.actor(c), c.Param("id")
	var err error
	if readOnly, given := c.GetPostForm("read_only"); given {
		refuse := readOnly == "true"
		_, err = s.console.Pin(c.Request.Context(), actor, id, console.Pins{ReadOnly: &refuse})
	} else {
		command := wire.Command{Verb: c.PostForm("verb")}
		if what := c.PostForm("what"); what != "" {
			command.Args = map[string]string{"what": what}
		}
		_, err = s.console.Command(c.Request.Context(), actor, id, command)
	}
	if s.refuse(c, err, func(fields []console.FieldError, status int) { s.showInstance(c, fields, status) }) {
		return
	}
	s.done(c, instancePath(id), "asked")
}

// doDiscard gives up what an instance wrote.
func (s *Server) doDiscard(c *gin.Context) {
	actor, id := s.actor(c), c.Param("id")
	i, err := s.console.Instance(c.Request.Context(), actor, id)
	if err == nil {
		err = s.console.DiscardState(c.Request.Context(), actor, id, c.PostForm("name"))
	}
	if s.refuse(c, err, func(fields []console.FieldError, status int) { s.showInstance(c, fields, status) }) {
		return
	}
	s.done(c, eventPath(i.EventName)+"/receipt", "given-up")
}

// A logsPage is the log of an instance, or the word that it is to come.
type logsPage struct{ Title, Path, Here, Says, Text string }

// mostLog is shown of a log, its end.
const mostLog = 512 << 10

func (s *Server) pageLogs(c *gin.Context) {
	actor, id := s.actor(c), c.Param("id")
	i, err := s.console.Instance(c.Request.Context(), actor, id)
	if err != nil {
		s.fail(c, err)
		return
	}
	text, err := s.console.Logs(c.Request.Context(), actor, id, c.Param("command"))
	if err != nil && !errors.Is(err, console.ErrNotFound) {
		s.fail(c, err)
		return
	}
	page := logsPage{Title: i.Title, Path: instancePath(id), Here: c.Request.URL.Path, Says: size(int64(len(text))) + ", the newest at the end."}
	refresh := 0
	if err != nil {
		refresh = 5
	} else if page.Text = tailOf(text); page.Text == "" {
		page.Text = "(it printed nothing)"
	}
	if len(text) > mostLog {
		page.Says = fmt.Sprintf("The last %s of %s.", size(mostLog), size(int64(len(text))))
	}
	s.show(c, view{name: templates.ConsoleLogs, title: "Log of " + i.Title, section: sectionInstances, stream: following(i.Event), refresh: refresh, data: page})
}

// tailOf is the end of a log, from the beginning of a letter on.
func tailOf(text []byte) string {
	if len(text) > mostLog {
		text = text[len(text)-mostLog:]
		for len(text) > 0 && !utf8.RuneStart(text[0]) {
			text = text[1:]
		}
	}
	return string(text)
}
