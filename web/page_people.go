package web

import (
	"cmp"
	"net/url"
	"time"

	"github.com/gin-gonic/gin"

	"popup/console"
	"popup/templates"
)

// A peoplePage is who may sign in.
type peoplePage struct {
	People   []personRow
	New      []field
	Problems []fieldProblem
	Roles    []fact
	Admin    bool
}

// A personRow is one of them.
type personRow struct {
	Path, Name, Display, Email string
	Chip                       chip
	Seen                       *moment
	Disabled                   bool
	Fields                     []field
}

var roleMeans = []fact{
	{Label: "owner", Value: "may do everything, and adds people"},
	{Label: "organiser", Value: "launches events, and looks after their own"},
	{Label: "viewer", Value: "sees everything but secrets and archives, and changes nothing"},
}

func roleChoices() (choices []choice) {
	for _, r := range roleMeans {
		choices = append(choices, choice{r.Label, r.Label + ": " + r.Value})
	}
	return choices
}

func newPersonFields(p console.NewPerson) []field {
	return []field{
		{Name: "name", Label: "Name for signing in", Value: p.Name, Required: true, Plain: true, Autocomplete: "off"},
		{Name: "display", Label: "How others see them", Value: p.Display, Optional: true, Autocomplete: "off"},
		{Name: "email", Label: "Email", Hint: "Of the account they sign in with elsewhere, where that is set up.", Type: "email", Value: p.Email, Optional: true, Autocomplete: "off"},
		{Name: "role", Label: "May", Type: "select", Value: cmp.Or(string(p.Role), string(console.RoleOrganiser)), Choices: roleChoices()},
	}
}

func (s *Server) pagePeople(c *gin.Context) { s.showPeople(c, console.NewPerson{}, nil, 0) }

func (s *Server) showPeople(c *gin.Context, given console.NewPerson, errors []console.FieldError, status int) {
	people, err := s.console.People(c.Request.Context(), s.actor(c))
	if err != nil {
		s.fail(c, err)
		return
	}
	page := peoplePage{New: newPersonFields(given), Roles: roleMeans, Admin: s.actor(c).Role == console.RoleOwner && !s.actor(c).Reads}
	page.Problems = explain(errors, "", page.New)
	for _, p := range people {
		page.People = append(page.People, personOf(p, s.console.Now()))
	}
	s.show(c, view{name: templates.ConsolePeople, status: status, title: "People", section: sectionConsole, tab: tabPeople, data: page})
}

var roleChips = map[console.Role]chip{
	console.RoleOwner: {"owner", "good", "person"}, console.RoleOrganiser: {"organiser", "cold", "ticket"}, console.RoleViewer: {"viewer", "idle", "dashed"},
}

func personOf(p console.Person, now time.Time) personRow {
	row := personRow{Path: "/people/" + url.PathEscape(p.ID), Name: p.Name, Display: cmp.Or(p.Display, p.Name), Email: p.Email, Chip: roleChips[p.Role],
		Seen: at(p.Seen, now, time.UTC), Disabled: p.Disabled}
	barred := ""
	if p.Disabled {
		barred, row.Chip = "true", chip{"may not sign in", "bad", "square"}
	}
	row.Fields = []field{
		{Name: "role", Label: "May", Type: "select", Value: string(p.Role), Choices: roleChoices()},
		{Name: "disabled", Label: "May not sign in", Type: "checkbox", Value: barred},
	}
	for i := range row.Fields {
		row.Fields[i].In = p.ID
	}
	return row
}

// doAddPerson adds somebody, whose link is shown this once.
func (s *Server) doAddPerson(c *gin.Context) {
	p := console.NewPerson{Name: c.PostForm("name"), Display: c.PostForm("display"), Email: c.PostForm("email"), Role: console.Role(c.PostForm("role"))}
	added, invitation, err := s.console.AddPerson(c.Request.Context(), s.actor(c), p)
	if s.refuse(c, err, func(fields []console.FieldError, status int) { s.showPeople(c, p, fields, status) }) {
		return
	}
	s.showInvitation(c, added.Name, invitation)
}

func (s *Server) showInvitation(c *gin.Context, name, link string) {
	s.showOnce(c, sectionConsole, oncePage{
		Heading: "A link for " + name, Text: "Send it to " + name + ". Whoever opens it chooses a password and is in, so send it in private. It works once, and is not shown again.",
		Copy: copyable{ID: "secret", Text: link, What: "the link"}, Back: "/people",
	})
}

func (s *Server) doChangePerson(c *gin.Context) {
	role, disabled := console.Role(c.PostForm("role")), c.PostForm("disabled") == "true"
	_, err := s.console.ChangePerson(c.Request.Context(), s.actor(c), c.Param("id"), console.PersonChange{Role: &role, Disabled: &disabled})
	if s.refuse(c, err, func(fields []console.FieldError, status int) { s.showPeople(c, console.NewPerson{}, fields, status) }) {
		return
	}
	s.done(c, "/people", "saved")
}

func (s *Server) doInvite(c *gin.Context) {
	link, err := s.console.Invite(c.Request.Context(), s.actor(c), c.Param("id"))
	if s.refuse(c, err, func(fields []console.FieldError, status int) { s.showPeople(c, console.NewPerson{}, fields, status) }) {
		return
	}
	s.showInvitation(c, "them", link)
}
