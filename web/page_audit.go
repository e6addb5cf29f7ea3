package web

import (
	"cmp"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"popup/console"
	"popup/templates"
)

// An auditPage is what was done, newest first.
type auditPage struct {
	Heading     string
	Log         []auditLine
	First, Next string // pages; empty: there is none
}

// An auditLine is one thing that was done.
type auditLine struct {
	At                                  *moment
	Actor, Action, Object, Path, Detail string
}

// auditRows is how many entries a page lists.
const auditRows = 100

func (s *Server) pageAudit(c *gin.Context) { s.showAudit(c, console.Event{}) }

func (s *Server) pageEventAudit(c *gin.Context) {
	e, err := s.console.Event(c.Request.Context(), s.actor(c), c.Param("id"))
	if err != nil {
		s.fail(c, err)
		return
	}
	s.showAudit(c, e)
}

// showAudit shows the log of an event, or of everything.
func (s *Server) showAudit(c *gin.Context, e console.Event) {
	before, err := number(c, "before", 0, 1<<62)
	if err != nil {
		s.fail(c, err)
		return
	}
	log, err := s.console.AuditLog(c.Request.Context(), s.actor(c), e.ID, before, auditRows)
	if err != nil {
		s.fail(c, err)
		return
	}
	v := view{name: templates.ConsoleAudit, title: "Audit", section: sectionConsole, tab: tabAudit}
	page := auditPage{Heading: "Audit", Log: s.auditLines(c, log, zoneOf(e.Zone))}
	path := "/audit"
	if e.ID != "" {
		page.Heading, path = "What happened to "+e.Title, eventPath(e.Name)+"/audit"
		v.title, v.section, v.tab = page.Heading, sectionEvents, ""
	}
	if before > 0 {
		page.First = path
	}
	if len(log) == auditRows {
		page.Next = path + "?before=" + strconv.FormatInt(log[len(log)-1].Seq, 10)
	}
	v.data = page
	s.show(c, v)
}

// names are those of people by their ids, as far as who looks may know them.
func (s *Server) names(c *gin.Context) map[string]string {
	actor := s.actor(c)
	names := map[string]string{actor.ID: cmp.Or(actor.Name, actor.ID), console.System.ID: console.System.Name}
	if people, err := s.console.People(c.Request.Context(), actor); err == nil { // whoever may not, sees ids
		for _, p := range people {
			names[p.ID] = cmp.Or(p.Display, p.Name)
		}
	}
	return names
}

// deeds are the actions of the log, as what somebody did.
var deeds = map[string]string{
	"launch": "launched into", "create": "drafted", "change": "changed", "freeze": "froze", "thaw": "let go on", "end": "ended", "discard": "gave up what was written in", "purge": "removed the archives of",
	"enrol": "enrolled", "refuse enrolment": "was refused", "command": "asked", "pin": "pinned", "archive": "archived what it wrote", "fetch archive": "fetched an archive of", "fetch archives": "fetched the archives of",
	"back up": "backed up", "invite": "invited", "recover": "recovered", "make link": "made a link to", "remove link": "removed a link to", "add person": "added", "change person": "changed",
	"sign in": "signed in", "sign out": "signed out", "claim": "claimed this console", "set password": "chose a password",
	"change password": "changed the password of", "make token": "made a token of", "remove token": "removed a token of",
}

// auditLines shows entries.
func (s *Server) auditLines(c *gin.Context, log []console.AuditEntry, zone *time.Location) []auditLine {
	names := s.names(c)
	lines := make([]auditLine, 0, len(log))
	for _, e := range log {
		line := auditLine{At: at(e.At, s.console.Now(), zone), Actor: cmp.Or(names[e.Actor], e.Actor, "somebody"), Action: cmp.Or(deeds[e.Action], e.Action), Detail: e.Detail}
		kind, id, _ := strings.Cut(e.Object, "/")
		switch console.Kind(kind) {
		case console.KindEvent:
			line.Path, line.Object = eventPath(id), "the event"
		case console.KindInstance:
			if id != e.Actor { // who did it is named already
				line.Path, line.Object = instancePath(id), id
			}
		case console.KindPerson:
			if line.Object = cmp.Or(names[id], id); id == e.Actor {
				line.Object = ""
			}
		default:
			line.Object = e.Object
		}
		lines = append(lines, line)
	}
	return lines
}
