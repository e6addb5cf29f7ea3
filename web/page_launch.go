package web

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"popup/apps"
	"popup/console"
	"popup/console/catalogue"
	"popup/templates"
)

// A launchPage is step 1: names and dates.
type launchPage struct {
	Problems        []fieldProblem
	Key             string // of the launch that comes of it, once
	Event           string // an event's name, where it is launched into; empty: a new one
	EventTitle      string
	EventEnds       string
	Title           field
	End, Time, Zone field
	More            []field
	MoreOpen        bool
	Zones           []string
	Apps            []chosenApp
	Choices         []choice // apps that may be added
	Clouds          bool     // there is more than one
	Cloud           field
	Charges         bool // something here costs money
}

// A chosenApp is one of those that are launched.
type chosenApp struct {
	Mark              appMark
	Name, Description string
	Hidden            []hidden
	Required          []field // settings without a default
	Fields            []field
	Open              bool // something in Fields is wrong
}

// pageLaunch begins a launch: of apps by their ids, or of any repository by its address,
// which is looked at first.
func (s *Server) pageLaunch(c *gin.Context) {
	if c.Query("repository") != "" && c.Query("commit") == "" {
		s.pageProposal(c)
		return
	}
	if err := console.May(s.actor(c), console.Start); err != nil {
		s.fail(c, err)
		return
	}
	r := console.LaunchRequest{Event: console.EventRequest{ID: c.Query("event")}}
	for _, id := range c.QueryArray("app") {
		r.Apps = append(r.Apps, console.AppRequest{App: apps.AppID(id)})
	}
	if repository := c.Query("repository"); repository != "" {
		r.Apps = append(r.Apps, console.AppRequest{Repository: repository, Commit: c.Query("commit")})
	}
	if len(r.Apps) == 1 {
		r.Apps[0].Restore = c.Query("restore")
	}
	if r.Event.ID == "" {
		r.Event.Zone = "UTC"
		r.Event.End = s.console.Now().UTC().AddDate(0, 0, 7).Format(time.DateOnly)
	}
	s.showLaunch(c, launchForm{request: r, key: rand.Text()}, 0)
}

// A launchForm is what was given so far.
type launchForm struct {
	request console.LaunchRequest
	key     string
	errors  []console.FieldError
}

// doLaunch goes on with a launch, from whichever step.
func (s *Server) doLaunch(c *gin.Context) {
	if err := console.May(s.actor(c), console.Start); err != nil { // repositories are looked at to show it again
		s.fail(c, err)
		return
	}
	f := launchForm{request: readLaunch(c.Request.PostForm), key: cmp.Or(c.PostForm("key"), rand.Text())}
	step, detail, _ := strings.Cut(c.PostForm("step"), ":")
	switch step {
	case "add":
		if id := c.PostForm("add"); id != "" && len(f.request.Apps) < mostForms {
			f.request.Apps = append(f.request.Apps, console.AppRequest{App: apps.AppID(id)})
		}
	case "remove":
		if i, err := strconv.Atoi(detail); err == nil && i >= 0 && i < len(f.request.Apps) {
			f.request.Apps = slices.Delete(f.request.Apps, i, i+1)
		}
	case "check":
		s.showCheck(c, f)
		return
	case "launch":
		s.begin(c, f)
		return
	}
	s.showLaunch(c, f, 0)
}

// begin launches, and goes on to where it is watched.
func (s *Server) begin(c *gin.Context, f launchForm) {
	o, err := s.console.Launch(c.Request.Context(), s.actor(c), f.request, f.key)
	if s.refuseLaunch(c, f, err) {
		return
	}
	c.Redirect(http.StatusSeeOther, operationPath(o.ID))
}

// refuseLaunch shows what was given once more, with what is wrong.
func (s *Server) refuseLaunch(c *gin.Context, f launchForm, err error) bool {
	return s.refuse(c, err, func(fields []console.FieldError, status int) {
		f.errors = fields
		s.showLaunch(c, f, status)
	})
}

func (s *Server) showLaunch(c *gin.Context, f launchForm, status int) {
	page := launchPage{Key: f.key, Zones: zones, Charges: s.console.Charges()}
	if id := f.request.Event.ID; id != "" {
		e, err := s.console.Event(c.Request.Context(), s.actor(c), id)
		if err != nil {
			s.fail(c, err)
			return
		}
		page.Event, page.EventTitle, page.EventEnds = e.Name, e.Title, endOf(e)
	}
	first := true
	for _, r := range f.request.Apps {
		m, err := s.offered(c, r)
		if err != nil && !isMissing(err) {
			s.fail(c, err)
			return
		}
		if err != nil { // it is said, and the rest stays
			message := problemOf(err).Detail
			page.Problems = append(page.Problems, fieldProblem{Label: cmp.Or(string(r.App), r.Repository), Message: spoken(message)})
			continue
		}
		page.Apps = append(page.Apps, s.chosen(len(page.Apps), r, m))
		if first && f.request.Event.ID == "" && f.request.Event.Title == "" && status == 0 {
			page.Title.Hint = "What people will read on its page. Left empty, it is called " + m.Name + "."
		}
		first = false
	}
	page.eventFields(f.request.Event)
	page.cloudField(s.opts.Clouds, cmp.Or(f.request.Cloud, s.opts.Cloud))
	for _, app := range s.catalogue.Apps(catalogue.Query{}) {
		page.Choices = append(page.Choices, choice{string(app.ID), app.Name})
	}
	page.explain(f.errors)
	s.show(c, view{name: templates.ConsoleLaunch, status: status, title: "Launch", section: sectionEvents, data: page})
}

func (p *launchPage) eventFields(e console.EventRequest) {
	hint := p.Title.Hint
	p.Title = field{Name: "event.title", Label: "What is it called?", Hint: cmp.Or(hint, "What people will read on its page."), Value: e.Title, Focus: true, Autocomplete: "off"}
	p.End, p.Time, p.Zone = endFields("event.", e.End, e.Zone)
	p.More = []field{
		{Name: "event.name", Label: "Its address", Hint: "The last part of the address of its page. Empty: made of the title.", Value: e.Name, Optional: true, Plain: true},
		{Name: "event.start", Label: "Starts", Hint: "A day, or a day and a time. Empty: at once.", Value: e.Start, Optional: true, Plain: true},
		{Name: "event.freeze", Label: "Freezes", Hint: "From then on nothing can be changed. Empty: ten minutes before the end.", Value: e.Freeze, Optional: true, Plain: true},
		{Name: "event.webhook", Label: "Webhook", Hint: "An address that is told of reminders and changes.", Type: "url", Value: e.Webhook, Optional: true, Plain: true},
	}
	if p.Charges {
		p.More = append(p.More, capField("event.cap", e.Cap))
	}
}

func (p *launchPage) cloudField(clouds []string, chosen string) {
	p.Clouds = len(clouds) > 1
	p.Cloud = field{Name: "cloud", Label: "Cloud", Type: "select", Value: chosen}
	for _, name := range clouds {
		p.Cloud.Choices = append(p.Cloud.Choices, choice{name, name})
	}
}

// chosen shows an app of a form with the fields of its settings.
func (s *Server) chosen(i int, r console.AppRequest, m apps.Manifest) chosenApp {
	under := fmt.Sprintf("apps[%d].", i)
	app := chosenApp{Mark: s.markOf(m.ID, m.Name), Name: m.Name, Description: m.Description, Hidden: []hidden{{under + "app", string(r.App)}}}
	if r.Repository != "" {
		app.Mark = appMark{Letter: letterOf(m.Name)}
		app.Description = withoutScheme(r.Repository) + " at " + shortCommit(r.Commit)
		app.Hidden = []hidden{{under + "repository", r.Repository}, {under + "commit", r.Commit}}
	}
	count := ""
	if r.Count != 0 {
		count = strconv.Itoa(r.Count)
	}
	app.Fields = append(app.Fields, field{Name: under + "title", Label: "Shown as", Value: r.Title, Hint: "Empty: " + m.Name + ".", Optional: true})
	for _, name := range slices.Sorted(maps.Keys(m.Env)) {
		v := m.Env[name]
		if v.Generator != "" {
			continue // it is made on the machine
		}
		f := settingOf(under+"settings."+name, settingLabel(m.ID, name), v)
		if given, ok := r.Settings[name]; ok {
			f.Value = given
		}
		if v.Required && v.Value == "" {
			app.Required = append(app.Required, f)
		} else {
			app.Fields = append(app.Fields, f)
		}
	}
	app.Fields = append(app.Fields,
		field{Name: under + "service", Label: "Other code", Value: r.Service, Hint: "Your fork’s address, URL#BRANCH. Empty: what the manifest says.", Optional: true, Plain: true},
		field{Name: under + "data", Label: "Other data", Value: r.Data, Hint: "The address of your own. Empty: what the manifest says.", Optional: true, Plain: true},
		field{Name: under + "domains", Label: "Domains", Value: strings.Join(r.Domains, " "), Hint: "Names that lead to it, like fair.example.org.", Optional: true, Plain: true})
	if m.State != nil {
		app.Fields = append(app.Fields, s.stateFields(under, r)...)
		app.Open = r.Restore != ""
	} else {
		app.Fields = append(app.Fields, field{Name: under + "count", Label: "Machines", Type: "number", Value: count, Hint: "Empty: one.", Optional: true})
	}
	return app
}

// stateFields are of an app that keeps what visitors write.
func (s *Server) stateFields(under string, r console.AppRequest) []field {
	fields := []field{{Name: under + "restore", Label: "Begin with a backup", Value: r.Restore, Optional: true, Plain: true,
		Hint: "INSTANCE/NAME of one of the same app; the page of its event leads here with it. Empty: with nothing."}}
	if s.volumes {
		volume := ""
		if r.Volume {
			volume = "true"
		}
		fields = append(fields, field{Name: under + "volume", Label: "Keep what visitors write on a volume", Type: "checkbox", Value: volume,
			Hint: "A disk of its own, which outlives the machine: where that fails, another one goes on with it."})
	}
	return fields
}

var appLabel = regexp.MustCompile(`^apps\[(\d+)\]\.?`)

// named puts an app's name where the API has its number.
func (p *launchPage) named(label string) string {
	m := appLabel.FindStringSubmatch(label)
	if m == nil {
		return label
	}
	name := "App " + m[1]
	if i, err := strconv.Atoi(m[1]); err == nil && i < len(p.Apps) {
		name = p.Apps[i].Name
	}
	if rest := label[len(m[0]):]; rest != "" {
		return name + ", " + rest
	}
	return name
}

// settingLabel is a setting's name as a person reads it: GUESTBOOK_TITLE of the
// guestbook is its title.
func settingLabel(id apps.AppID, key string) string {
	label := strings.TrimPrefix(key, strings.ToUpper(strings.ReplaceAll(string(id), "-", "_"))+"_")
	label = strings.ToLower(strings.ReplaceAll(label, "_", " "))
	return strings.TrimSuffix(spoken(label), ".")
}

// settingOf is the field of a setting.
func settingOf(name, label string, v apps.EnvVar) field {
	f := field{Name: name, Label: label, Hint: strings.Join(strings.Fields(v.Description), " "), Value: v.Value, Plain: true, Optional: !v.Required}
	switch {
	case len(v.Choices) > 0:
		f.Type = "select"
		for _, c := range v.Choices {
			f.Choices = append(f.Choices, choice{c, c})
		}
		if v.Value == "" {
			f.Choices = append([]choice{{"", "as the app has it"}}, f.Choices...)
		}
	case v.Type == "boolean":
		f.Type, f.Choices = "select", []choice{{"", "as the app has it"}, {"true", "yes"}, {"false", "no"}}
	case v.Secret:
		f.Type, f.Autocomplete = "password", "new-password"
	case v.Type == "number" || v.Type == "url" || v.Type == "email":
		f.Type = v.Type
	default:
		f.Plain = false
	}
	return f
}

// explain puts what is wrong beside what it is about.
func (p *launchPage) explain(errors []console.FieldError) {
	if len(errors) == 0 {
		return
	}
	groups := [][]field{{p.Title, p.End, p.Zone, p.Cloud}, p.More}
	for i := range p.Apps {
		groups = append(groups, p.Apps[i].Required, p.Apps[i].Fields)
	}
	problems := explain(errors, "", groups...)
	for i := range problems {
		problems[i].Label = p.named(problems[i].Label)
	}
	p.Problems = append(p.Problems, problems...)
	p.Title, p.End, p.Zone, p.Cloud = groups[0][0], groups[0][1], groups[0][2], groups[0][3]
	wrong := func(f field) bool { return f.Error != "" }
	p.MoreOpen = slices.ContainsFunc(p.More, wrong)
	for i := range p.Apps {
		p.Apps[i].Open = slices.ContainsFunc(p.Apps[i].Fields, wrong)
	}
}
