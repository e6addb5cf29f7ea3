package web

import (
	"github.com/gin-gonic/gin"

	"popup/console"
)

// handOf is what somebody may be told to do for an instance: who manages its event.
func (s *Server) handOf(c *gin.Context, i console.InstanceView) console.Handwork {
	if i.Hand == (console.Handwork{}) { // as most have
		return i.Hand
	}
	e, err := s.console.Event(c.Request.Context(), s.actor(c), i.Event)
	if err != nil || !manages(s.actor(c), e) {
		return console.Handwork{}
	}
	return i.Hand
}

// doPaste shows what a machine is to be started with.
func (s *Server) doPaste(c *gin.Context) {
	id := c.Param("id")
	text, err := s.console.Paste(c.Request.Context(), s.actor(c), id)
	if s.refuse(c, err, func(fields []console.FieldError, status int) { s.showInstance(c, fields, status) }) {
		return
	}
	s.showOnce(c, sectionInstances, oncePage{
		Heading: "Start a machine with this", Kicker: "Whoever has it can be this instance, once",
		Text: "Paste all of it where your cloud asks for user data, or run it as root on a machine that has nothing else to do. The machine then comes here by itself.",
		Copy: copyable{ID: "user-data", Text: string(text), What: "the user data", Lines: true}, Back: instancePath(id),
	})
}

// doReplace has another machine take the place of one.
func (s *Server) doReplace(c *gin.Context) {
	id := c.Param("id")
	next, err := s.console.ReplaceMachine(c.Request.Context(), s.actor(c), id, c.PostForm("snapshot") != "")
	if s.refuse(c, err, func(fields []console.FieldError, status int) { s.showInstance(c, fields, status) }) {
		return
	}
	s.done(c, instancePath(next), "asked")
}

// doOff takes somebody's word that a machine is turned off.
func (s *Server) doOff(c *gin.Context) {
	id := c.Param("id")
	err := s.console.ConfirmOff(c.Request.Context(), s.actor(c), id)
	if s.refuse(c, err, func(fields []console.FieldError, status int) { s.showInstance(c, fields, status) }) {
		return
	}
	s.done(c, instancePath(id), "saved")
}
