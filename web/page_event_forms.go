package web

import (
	"cmp"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"

	"popup/console"
	"popup/templates"
)

// zones are suggested where a time zone is asked for; any other can be written.
var zones = []string{"UTC", "Europe/London", "Europe/Dublin", "Europe/Lisbon", "Europe/Berlin", "Europe/Zurich", "Europe/Vienna", "Europe/Paris",
	"Europe/Madrid", "Europe/Rome", "Europe/Amsterdam", "Europe/Brussels", "Europe/Stockholm", "Europe/Warsaw", "Europe/Prague", "Europe/Athens",
	"Europe/Helsinki", "Europe/Kyiv", "Europe/Istanbul", "Africa/Lagos", "Africa/Nairobi", "Africa/Johannesburg", "Asia/Dubai", "Asia/Kolkata",
	"Asia/Shanghai", "Asia/Singapore", "Asia/Tokyo", "Asia/Seoul", "Australia/Sydney", "Pacific/Auckland", "America/New_York", "America/Chicago",
	"America/Denver", "America/Los_Angeles", "America/Toronto", "America/Mexico_City", "America/Bogota", "America/Sao_Paulo"}

// endFields are those of an end. Its time is a field of its own, so that a browser can
// offer a calendar for the day.
func endFields(under, end, zone string) (day, clock, where field) {
	date, hour, _ := strings.Cut(end, "T")
	return field{Name: under + "end", Label: "Day", Type: "date", Value: date, Plain: true},
		field{Name: under + "time", Label: "Time", Type: "time", Value: hour, Optional: true},
		field{Name: under + "zone", Label: "Time zone", Hint: "Like Europe/Zurich. Without a time it ends with the day, there.", Value: zone, Plain: true, List: "zones", Autocomplete: "off"}
}

// dateFields are those of an event; given, where it is not nil, was typed and stays.
func (p *eventPageData) dateFields(e console.Event, given map[string]string) {
	value := func(name, is string) string {
		if given == nil {
			return is
		}
		return given[name]
	}
	p.End, p.Time, p.Zone = endFields("", value("end", e.End), value("zone", e.Zone))
	p.End.Label = "Ends on"
	more := []field{
		{Name: "title", Label: "Title", Value: value("title", e.Title), Required: true},
		{Name: "freeze", Label: "Freezes by itself", Hint: "From then on nothing can be changed. Empty: ten minutes before the end.", Value: value("freeze", e.Freeze), Plain: true, Optional: true},
		{Name: "webhook", Label: "Webhook", Hint: "An address that is told of reminders and changes. It is not shown again; leave it empty to keep it as it is.", Type: "url", Value: value("webhook", ""), Optional: true, Plain: true},
	}
	if e.State == console.EventDraft || e.State == console.EventScheduled {
		start := field{Name: "start", Label: "Starts", Hint: "Empty: at once.", Value: value("start", e.Start), Plain: true, Optional: true}
		more = slices.Insert(more, 1, start)
	}
	p.More = more
}

// explain puts what is wrong beside what it is about.
func (p *eventPageData) explain(given eventForm) {
	if len(given.errors) == 0 {
		return
	}
	for i := range p.Confirmations {
		if p.Confirmations[i].ID == given.grave {
			p.Confirmations[i].Error = spoken(given.errors[0].Message)
			p.Problems = []fieldProblem{{ID: given.grave, Label: p.Confirmations[i].Title, Message: p.Confirmations[i].Error}}
			return
		}
	}
	if given.cap != nil {
		own := []field{p.Cap}
		p.Problems = explain(given.errors, "", own)
		p.Cap = own[0]
		return
	}
	own := []field{p.End, p.Zone}
	if given.dates == nil {
		own = []field{p.NewLink}
		p.Problems = explain(given.errors, "", own)
		p.NewLink = own[0]
		return
	}
	p.Problems = explain(given.errors, "", own, p.More)
	p.End, p.Zone = own[0], own[1]
	for _, f := range p.More {
		p.MoreOpen = p.MoreOpen || f.Error != ""
	}
}

// eventConfirmations are what is not taken back.
func (s *Server) eventConfirmations(c *gin.Context, e console.Event) []confirmation {
	if e.State == console.EventPurged {
		return nil
	}
	path := eventPath(e.Name)
	if e.State == console.EventArchived {
		return []confirmation{{ID: "purge", Title: "Remove the archives", Name: e.Name, Button: "Remove the archives for good", Action: path + "/purge", CSRF: s.csrf(c),
			Text: "What the apps have written is then gone for good. Download it first, if anybody may want it."}}
	}
	if e.State == console.EventEnded {
		return nil
	}
	return []confirmation{{ID: "end", Title: "End it now", Name: e.Name, Button: "End it now", Action: path + "/end", CSRF: s.csrf(c),
		Text: "What the apps have written is archived and verified, and then the machines are taken away. That is not taken back."}}
}

// doDates changes what is different from before.
func (s *Server) doDates(c *gin.Context) {
	actor := s.actor(c)
	e, err := s.console.Event(c.Request.Context(), actor, c.Param("id"))
	if err != nil {
		s.fail(c, err)
		return
	}
	var change console.EventChange
	given := map[string]string{}
	for name, f := range map[string]struct {
		is string
		to **string
	}{"title": {e.Title, &change.Title}, "start": {e.Start, &change.Start}, "freeze": {e.Freeze, &change.Freeze}, "end": {e.End, &change.End}, "zone": {e.Zone, &change.Zone}, "webhook": {"", &change.Webhook}} {
		value, sent := c.GetPostForm(name)
		if name == "end" {
			value = givenEnd(value, c.PostForm("time"))
		}
		if given[name] = value; sent && value != f.is {
			*f.to = &value
		}
	}
	_, err = s.console.ChangeEvent(c.Request.Context(), actor, e.ID, change)
	s.afterEvent(c, e, err, eventForm{dates: given}, "saved")
}

// afterEvent goes on to the event's page, or shows it again with what is wrong.
func (s *Server) afterEvent(c *gin.Context, e console.Event, err error, given eventForm, what string) {
	if s.refuse(c, err, func(fields []console.FieldError, status int) {
		given.errors = fields
		s.showEventPage(c, given, status)
	}) {
		return
	}
	s.done(c, eventPath(cmp.Or(e.Name, c.Param("id"))), what)
}

func (s *Server) doFreeze(c *gin.Context) {
	e, err := s.console.FreezeEvent(c.Request.Context(), s.actor(c), c.Param("id"))
	s.afterEvent(c, e, err, eventForm{}, "frozen")
}

func (s *Server) doThaw(c *gin.Context) {
	e, err := s.console.ThawEvent(c.Request.Context(), s.actor(c), c.Param("id"))
	s.afterEvent(c, e, err, eventForm{}, "thawed")
}

func (s *Server) doEnd(c *gin.Context) {
	_, err := s.console.EndEvent(c.Request.Context(), s.actor(c), c.Param("id"), c.PostForm("name"))
	if err == nil {
		s.done(c, eventPath(c.Param("id"))+"/receipt", "")
		return
	}
	s.afterEvent(c, console.Event{}, err, eventForm{grave: "end"}, "")
}

func (s *Server) doPurge(c *gin.Context) {
	e, err := s.console.PurgeEvent(c.Request.Context(), s.actor(c), c.Param("id"), c.PostForm("name"))
	s.afterEvent(c, e, err, eventForm{grave: "purge"}, "purged")
}

// doLink makes a helper's link, whose address is shown this once.
func (s *Server) doLink(c *gin.Context) {
	title := c.PostForm("title")
	_, address, err := s.console.AddLink(c.Request.Context(), s.actor(c), c.Param("id"), title)
	if err != nil {
		s.afterEvent(c, console.Event{}, err, eventForm{link: title}, "")
		return
	}
	s.showOnce(c, sectionEvents, oncePage{
		Heading: "A link for " + title, Text: "Send it to whoever is to help. It shows this event, and works until that is over. It is not shown again.",
		Copy: copyable{ID: "secret", Text: address, What: "the link"}, Back: eventPath(c.Param("id")),
	})
}

func (s *Server) doRemoveLink(c *gin.Context) {
	if err := s.console.RemoveLink(c.Request.Context(), s.actor(c), c.Param("link")); err != nil {
		s.fail(c, err)
		return
	}
	s.done(c, eventPath(c.Param("id")), "removed")
}

// A oncePage shows a secret.
type oncePage struct {
	Heading, Text string
	Kicker        string // empty: that it is shown this once
	Copy          copyable
	Back          string
}

func (s *Server) showOnce(c *gin.Context, section string, page oncePage) {
	s.show(c, view{name: templates.ConsoleOnce, title: page.Heading, section: section, data: page})
}
