package web

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/gin-gonic/gin"

	"popup/console"
	"popup/templates"
)

// An instancesPage is the fleet, as far as somebody sees it.
type instancesPage struct {
	Trouble     string // of the consoles themselves, for who has to do something
	Counts      []healthCount
	Filter      []field
	Problems    []fieldProblem
	Narrowed    bool
	Shown       string
	Columns     []column
	Rows        []instanceRow
	First, Next string // pages; empty: there is none
	MayLaunch   bool
}

// A column is one of the table. Path is empty where it does not sort.
type column struct{ Text, Path, Sorted string }

// An instanceRow is one instance.
type instanceRow struct {
	ID, Path, Title, Event, EventPath, Why string
	Release, Freshness, Requests, Heard    string
	Chip                                   chip
}

// pageRows is how many instances a page lists.
const pageRows = 50

// filters are the parameters that narrow the list and stay from page to page.
var filters = []string{"q", "event", "app", "health", "cloud", "sort"}

func (s *Server) pageInstances(c *gin.Context) {
	actor, given := s.actor(c), c.Request.URL.Query()
	q := console.InstanceQuery{Text: given.Get("q"), App: given.Get("app"), Health: given.Get("health"), Cloud: given.Get("cloud"),
		Sort: given.Get("sort"), After: given.Get("page"), Limit: pageRows}
	page := instancesPage{MayLaunch: mayLaunch(actor), Filter: s.filterFields(given)}
	event, err := s.eventID(c, given.Get("event"))
	if errors.Is(err, console.ErrNotFound) {
		err = wrongField("event", "there is no such event")
	}
	q.Event = event
	var list console.InstancePage
	if err == nil {
		list, err = s.console.Instances(c.Request.Context(), actor, q)
	}
	status := 0
	var input *console.InputError
	if errors.As(err, &input) {
		page.Problems, status = explain(input.Fields, "", page.Filter), http.StatusUnprocessableEntity
	} else if err != nil {
		s.fail(c, err)
		return
	}
	page.Trouble = s.clusterTrouble(c)
	page.fill(list, given, s.console.Now())
	s.show(c, view{name: templates.ConsoleInstances, status: status, title: "Instances", section: sectionInstances, stream: everything, data: page})
}

func (s *Server) filterFields(given url.Values) []field {
	health := field{Name: "health", Label: "Health", Type: "select", Value: given.Get("health"), Choices: []choice{{"", "any"}}}
	for _, word := range healths {
		health.Choices = append(health.Choices, choice{word, healthChips[word].Word})
	}
	fields := []field{
		{Name: "q", Label: "Search", Type: "search", Value: given.Get("q"), Plain: true},
		{Name: "event", Label: "Event", Value: given.Get("event"), Plain: true},
		{Name: "app", Label: "App", Value: given.Get("app"), Plain: true},
		health,
	}
	if len(s.opts.Clouds) > 1 {
		cloud := field{Name: "cloud", Label: "Cloud", Type: "select", Value: given.Get("cloud"), Choices: []choice{{"", "any"}}}
		for _, name := range s.opts.Clouds {
			cloud.Choices = append(cloud.Choices, choice{name, name})
		}
		fields = append(fields, cloud)
	}
	return fields
}

// narrowedTo is the path of the list with one parameter changed, from its first page on.
func narrowedTo(given url.Values, name, value string) string {
	kept := url.Values{}
	for _, f := range filters {
		if v := given.Get(f); v != "" && f != name {
			kept.Set(f, v)
		}
	}
	if value != "" {
		kept.Set(name, value)
	}
	if len(kept) == 0 {
		return "/instances"
	}
	return "/instances?" + kept.Encode()
}

// fill shows a page of the list.
func (p *instancesPage) fill(list console.InstancePage, given url.Values, now time.Time) {
	for _, f := range filters {
		p.Narrowed = p.Narrowed || f != "sort" && given.Get(f) != ""
	}
	for _, word := range healths {
		if n := list.Counts[word]; n > 0 || word == console.HealthLive {
			on := given.Get("health") == word
			to := word
			if on {
				to = ""
			}
			p.Counts = append(p.Counts, healthCount{healthChips[word], thousands(int64(n)), narrowedTo(given, "health", to), on})
		}
	}
	for _, c := range []struct{ text, sort string }{{"App", "app"}, {"Event", "event"}, {"Health", "health"}, {"Code", ""}, {"Data", "data"}, {"Requests", "requests"}, {"Heard", "heard"}} {
		p.Columns = append(p.Columns, sortable(c.text, c.sort, given))
	}
	for _, i := range list.Instances {
		p.Rows = append(p.Rows, rowOf(i, now))
	}
	p.Shown = counted(int64(list.Total), "instance", "instances")
	if len(p.Rows) < list.Total {
		p.Shown = fmt.Sprintf("%s of %s on this page", thousands(int64(len(p.Rows))), p.Shown)
	}
	if given.Get("page") != "" {
		p.First = narrowedTo(given, "", "")
	}
	if list.Next != "" {
		p.Next = narrowedTo(given, "page", list.Next)
	}
}

// sortable is a column whose heading sorts by it, and turns it round.
func sortable(text, by string, given url.Values) column {
	c := column{Text: text}
	if by == "" {
		return c
	}
	to := by
	switch given.Get("sort") {
	case by:
		c.Sorted, to = "ascending", "-"+by
	case "-" + by:
		c.Sorted = "descending"
	}
	c.Path = narrowedTo(given, "sort", to)
	return c
}

func rowOf(i console.InstanceView, now time.Time) instanceRow {
	row := instanceRow{ID: i.ID, Path: instancePath(i.ID), Title: i.Title, Event: i.EventTitle, EventPath: eventPath(i.EventName),
		Chip: healthChips[i.Health], Heard: "never"}
	if i.Health != console.HealthLive {
		row.Why = i.Why
	}
	if i.Number > 1 {
		row.Title = fmt.Sprintf("%s %d", i.Title, i.Number)
	}
	if !i.LastHeard.IsZero() {
		row.Heard = relative(i.LastHeard, now)
	}
	var requests int64
	for _, sample := range i.History {
		requests += sample.Requests
	}
	row.Requests = thousands(requests)
	if r := i.LastReport; r != nil {
		if r.Serving != nil {
			row.Release = shortCommit(r.Serving.Release)
		}
		if r.Data != nil && !r.Data.Confirmed.IsZero() {
			row.Freshness = relative(r.Data.Confirmed, now)
		}
	}
	return row
}
