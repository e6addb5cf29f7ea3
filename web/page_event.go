package web

import (
	"bytes"
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/gin-gonic/gin"

	"popup/console"
	"popup/templates"
)

// An eventPageData is the page of an event.
type eventPageData struct {
	Path, Title string
	Chip        chip
	Ends        string
	Cost        string // so far; empty: nothing of it costs money
	CapSays     string
	Money       bool // its cap can be changed
	Cap         field
	Trouble     string
	Reminder    string
	Frozen      bool
	Operations  []pathText // under way
	Deployments []deploymentCard
	AddPath     string // where an app is added; empty: none may be
	Share       *share
	Archives    []archiveLine
	// ArchivesPath is all of them as one file; empty where there is none.
	ArchivesPath  string
	launches      map[string]url.Values // of the app of each instance, where that is of the catalogue
	ReceiptPath   string
	Manage        bool // its dates, its links, freezing it
	End, Time     field
	Zone          field
	More          []field
	MoreOpen      bool
	Zones         []string
	Links         []linkLine
	NewLink       field
	Confirmations []confirmation
	Problems      []fieldProblem
	Log           []auditLine
	LogPath       string
}

// A share is how an event is handed on.
type share struct {
	Copy     copyable
	QR, File string
}

// A deploymentCard is an app of an event, and its machines.
type deploymentCard struct {
	Mark       appMark
	Title, App string
	From       *sourceLink // where the code comes from
	Instances  []instanceLine
	More       *pathText // those that are not shown
}

// An instanceLine is one machine of a deployment.
type instanceLine struct {
	Title, Path, Address string
	Chip                 chip
	Why                  string
}

// An archiveLine is a backup that can be fetched.
type archiveLine struct {
	Title, Size, Files, Path string
	LaunchPath               string // begins a launch with it; empty: it cannot
	Taken                    *moment
	Final                    bool
}

// A linkLine is a helper's link.
type linkLine struct {
	Title, Path string
	Created     *moment
}

// mostMachines of one deployment are shown on its event's page.
const mostMachines = 12

func (s *Server) pageEvent(c *gin.Context) { s.showEventPage(c, eventForm{}, 0) }

// An eventForm is what was given on an event's page, and what is wrong with it.
type eventForm struct {
	dates  map[string]string // by field
	cap    *string           // nil: it was not
	link   string
	grave  string // which confirmation was tried
	errors []console.FieldError
}

// showEventPage shows an event, with what was given and is wrong.
func (s *Server) showEventPage(c *gin.Context, given eventForm, status int) {
	actor := s.actor(c)
	e, err := s.console.Event(c.Request.Context(), actor, c.Param("id"))
	if err != nil {
		s.fail(c, err)
		return
	}
	if part := c.Query("fragment"); part != "" {
		s.showEventPart(c, actor, e, part)
		return
	}
	page := s.eventFrame(e, s.console.Now())
	if err := s.fillEvent(c, actor, e, &page); err != nil {
		s.fail(c, err)
		return
	}
	if manages(actor, e) {
		if err := s.fillManaged(c, actor, e, &page); err != nil {
			s.fail(c, err)
			return
		}
		page.Manage = !e.State.Over()
		page.Confirmations = s.eventConfirmations(c, e)
		page.dateFields(e, given.dates)
		page.moneyFields(e, given.cap)
		page.Zones = zones
		page.NewLink = field{Name: "title", In: "link", Label: "Who is it for?", Value: given.link, Required: true, Hint: "A name that tells you whose it is."}
		page.explain(given)
	}
	s.show(c, view{name: templates.ConsoleEvent, status: status, title: e.Title, section: sectionEvents, stream: following(e.ID), data: page})
}

// showEventPart shows a part of an event's page that renews itself. Nothing of it is of
// whoever asks, but what they may do with the event.
func (s *Server) showEventPart(c *gin.Context, a console.Actor, e console.Event, part string) {
	newest, err := s.console.Newest(c.Request.Context())
	if err != nil {
		s.fail(c, err)
		return
	}
	html, err := s.shared.get(fmt.Sprintf("%s %s %v", e.ID, part, manages(a, e)), newest, func() ([]byte, error) {
		e, err := s.console.Event(c.Request.Context(), a, e.ID) // which knows of that change
		if err != nil {
			return nil, err
		}
		page := s.eventFrame(e, s.console.Now())
		if err := s.fillEvent(c, a, e, &page); err != nil {
			return nil, err
		}
		var b bytes.Buffer
		err = templates.RenderConsole(&b, templates.ConsoleEvent, part, templates.ConsoleFrame{Data: page})
		return b.Bytes(), err
	})
	s.write(c, 0, html, err)
}

// manages says whether a page offers what changes an event; the console decides it.
func manages(a console.Actor, e console.Event) bool {
	return !a.Reads && (a.Role == console.RoleOwner || a.Role == console.RoleOrganiser && e.Owner == a.ID)
}

func (s *Server) eventFrame(e console.Event, now time.Time) eventPageData {
	page := eventPageData{Path: eventPath(e.Name), Title: e.Title, Chip: eventChips[e.State], Ends: endsWords(e, now),
		Cost: costWords(e, now), CapSays: e.CapSays(), Trouble: troubleOf(e), Frozen: e.State == console.EventFrozen}
	if e.State.Over() {
		page.ReceiptPath = page.Path + "/receipt"
	}
	if e.State != console.EventDraft && !e.State.Over() {
		public := s.opts.URL + publicPath(e.Name)
		page.Share = &share{Copy: copyable{ID: "public", Text: public, What: "the address", Link: true}, QR: publicPath(e.Name) + "/qr.svg", File: e.Name + ".svg"}
	}
	return page
}

func publicPath(name string) string { return "/e/" + url.PathEscape(name) }

// fillEvent looks up what belongs to an event.
func (s *Server) fillEvent(c *gin.Context, a console.Actor, e console.Event, page *eventPageData) error {
	deployments, err := s.console.Deployments(c.Request.Context(), a, e.ID)
	if err != nil {
		return err
	}
	instances, err := s.console.Instances(c.Request.Context(), a, console.InstanceQuery{Event: e.ID, Limit: 500, Uncounted: true})
	if err != nil {
		return err
	}
	for _, d := range deployments {
		page.Deployments = append(page.Deployments, s.deploymentCard(d, instances.Instances))
	}
	page.launches = launchesOf(a, deployments, instances.Instances)
	if manages(a, e) && !e.State.Over() {
		page.AddPath = "/apps?" + url.Values{"event": {e.Name}}.Encode()
	}
	if !e.State.Over() {
		page.Reminder = e.Reminder(s.console.Now())
	}
	operations, err := s.console.Operations(c.Request.Context(), a, e.ID)
	if err != nil {
		return err
	}
	for _, o := range operations {
		if o.State == console.OperationRunning {
			page.Operations = append(page.Operations, pathText{operationPath(o.ID), operationWords(o)})
		}
	}
	return nil
}

// launchesOf are what launches the app of an instance again, where somebody may.
func launchesOf(a console.Actor, deployments []console.Deployment, instances []console.InstanceView) map[string]url.Values {
	launches := map[string]url.Values{}
	for _, i := range instances {
		n := slices.IndexFunc(deployments, func(d console.Deployment) bool { return d.ID == i.Deployment })
		if n >= 0 && deployments[n].Repository == "" && mayLaunch(a) {
			launches[i.ID] = url.Values{"app": {string(deployments[n].App)}}
		}
	}
	return launches
}

// fillManaged looks up what only who manages an event sees.
func (s *Server) fillManaged(c *gin.Context, a console.Actor, e console.Event, page *eventPageData) error {
	links, err := s.console.Links(c.Request.Context(), a, e.ID)
	if err != nil {
		return err
	}
	for _, l := range links {
		page.Links = append(page.Links, linkLine{l.Title, page.Path + "/links/" + url.PathEscape(l.ID) + "/remove", at(l.Created, s.console.Now(), zoneOf(e.Zone))})
	}
	archives, err := s.console.Archives(c.Request.Context(), a, e.ID)
	if err != nil {
		return err
	}
	if page.Archives = page.archiveLines(e, archives, s.console.Now()); len(archives) > 0 {
		page.ArchivesPath = "/api/v1/events/" + url.PathEscape(e.ID) + "/archives.zip"
	}
	log, err := s.console.AuditLog(c.Request.Context(), a, e.ID, 0, 8)
	if err != nil {
		return err
	}
	page.Log = s.auditLines(c, log, zoneOf(e.Zone))
	page.LogPath = page.Path + "/audit"
	return nil
}

// archiveLines are the backups that are kept of an event, each verified.
func (p eventPageData) archiveLines(e console.Event, archives []console.Archive, now time.Time) (lines []archiveLine) {
	titles := map[string]string{}
	for _, d := range p.Deployments {
		for _, i := range d.Instances {
			titles[i.Path] = i.Title
		}
	}
	for _, a := range archives {
		line := archiveLine{Title: cmp.Or(titles[instancePath(a.Instance)], a.Instance), Size: size(a.Size), Files: counted(int64(a.Files), "file", "files"),
			Taken: at(a.Taken, now, zoneOf(e.Zone)), Final: a.Final, Path: archivePath(a)}
		if launch := p.launches[a.Instance]; launch != nil {
			launch.Set("restore", a.Instance+"/"+a.Name)
			line.LaunchPath = "/launch?" + launch.Encode()
		}
		lines = append(lines, line)
	}
	return lines
}

// archivePath is where an archive is fetched.
func archivePath(a console.Archive) string {
	return "/api/v1/instances/" + url.PathEscape(a.Instance) + "/archives/" + url.PathEscape(a.Name)
}

// deploymentCard shows an app of an event with those of the instances that are its own.
func (s *Server) deploymentCard(d console.Deployment, instances []console.InstanceView) deploymentCard {
	card := deploymentCard{Mark: s.markOf(d.App, d.Plan.Manifest.Name), Title: d.Title, App: cmp.Or(d.Plan.Manifest.Name, string(d.App))}
	from := linkSource(d.Plan.Service)
	card.From = &from
	if card.App == card.Title {
		card.App = "Code"
	}
	more := 0
	for _, i := range instances {
		if i.Deployment != d.ID || i.State.Over() && d.Count > 0 && i.State != console.InstanceGone {
			continue
		}
		if len(card.Instances) == mostMachines {
			more++
			continue
		}
		card.Instances = append(card.Instances, lineOf(i, d.Count))
	}
	if more > 0 {
		card.More = &pathText{"/instances?" + url.Values{"event": {d.Event}, "app": {string(d.App)}}.Encode(), fmt.Sprintf("and %s more", thousands(int64(more)))}
	}
	return card
}

func lineOf(i console.InstanceView, of int) instanceLine {
	line := instanceLine{Title: i.Title, Path: instancePath(i.ID), Chip: healthChips[i.Health], Why: i.Why}
	if of > 1 {
		line.Title = fmt.Sprintf("%s %d", i.Title, i.Number)
	}
	if i.Health == console.HealthLive || i.Health == console.HealthUnhealthy {
		line.Address = webAddress(i.Address)
	}
	return line
}

// operationWords says what is under way.
func operationWords(o console.Operation) string {
	switch o.Verb {
	case "launch":
		return counted(int64(len(o.Instances)), "machine is", "machines are") + " coming up: watch"
	case "end":
		return "It is ending: see how far that is"
	}
	return spoken(o.Verb + " is under way")
}
