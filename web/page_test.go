package web

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"popup/console"
	"popup/internal/wire"
	"popup/templates"
)

// preview is for looking at pages: go test ./web -run TestEveryPageRenders -preview DIR
var preview = flag.String("preview", "", "a folder to write every page to")

// noon is when the pages of the tests are written.
var noon = time.Date(2026, 5, 28, 12, 0, 0, 0, time.UTC)

const (
	hostile   = `<script>alert(1)</script>`
	hostileJS = `javascript:alert(1)`
)

// A sample is a page with data, as somebody sees it.
type sample struct {
	file string
	page string
	view view
	role console.Role
}

func (s sample) frame() templates.ConsoleFrame {
	actor := console.Actor{Kind: console.ActorPerson, ID: "p1", Name: "Ada Lovelace", Role: s.role}
	f := templates.ConsoleFrame{Title: s.view.title, Section: s.view.section, Tab: s.view.tab, CSRF: "C0", Said: said[s.view.stream], Data: s.view.data}
	if s.role != "" {
		f.Menu, f.Tabs, f.Person, f.Role = menuOf(actor), tabsOf(actor, s.view.section), actor.Name, string(s.role)
	}
	return f
}

func sampleEvent(title string) console.Event {
	return console.Event{ID: "e1", Name: "spring-fair", Title: title, State: console.EventOpen, Owner: "p1", End: "2026-05-31", Zone: "Europe/Zurich",
		EndsAt: time.Date(2026, 5, 31, 22, 0, 0, 0, time.UTC), Created: noon.Add(-72 * time.Hour)}
}

const commit = "8d2f1c0b9a7e6d5c4b3a29181706f5e4d3c2b1a0"

func sampleInstance(title, address string) console.InstanceView {
	report := &wire.Report{Popup: "0.4.0", Live: true, Healthy: true, Notes: []string{hostile + " is slow"},
		Phases: []wire.Phase{{Name: "enrol", State: "done"}, {Name: "fetch service", State: "done"}, {Name: "fetch data", State: "kept"}, {Name: "packages", State: "running", Attempt: 2},
			{Name: "build", State: "failed", Cause: "the build ended with 1", Detail: "make: " + hostile, NextTry: noon.Add(30 * time.Second)}, {Name: "start", State: "waiting"}, {Name: "check", State: "waiting"}},
		Serving: &wire.Serving{Release: commit, Revision: commit},
		Service: &wire.Stream{Source: "https://github.com/fair/guestbook.git", Wanted: commit, Confirmed: noon.Add(-2 * time.Minute), NextTry: noon.Add(3 * time.Minute)},
		Data:    &wire.Stream{Source: address, Wanted: strings.Repeat("a", 40), Error: "the host cannot be found; check the address", Confirmed: noon.Add(-3 * time.Hour), StaleAt: noon.Add(-time.Hour)},
		Numbers: wire.Numbers{Requests: 4821, Errors: 3, DiskFree: 12e9, DiskSize: 20e9, MemoryFree: 400e6, MemorySize: 1e9}}
	i := console.InstanceView{EventName: "spring-fair", EventTitle: "Spring fair", Title: title, App: "guestbook", Health: console.HealthLive, LastReport: report, LastHeard: noon.Add(-12 * time.Second)}
	i.ID, i.Event, i.Deployment, i.Number, i.Cloud, i.State, i.Machine, i.Address = "spring-fair-guestbook-k3x9-1", "e1", "d1", 1, "local", console.InstanceLive, "4711", address
	i.Launched = noon.Add(-50 * time.Hour)
	for n := range 60 {
		i.History = append(i.History, console.Sample{At: noon.Add(time.Duration(n-60) * time.Minute), Requests: int64(20 + n*n%57), Errors: int64(n % 19 / 17 * 3)})
	}
	i.Commands = []console.Order{{Command: wire.Command{ID: "c1", Verb: wire.VerbLogs}, By: "p1", At: noon.Add(-time.Minute), Result: &wire.Result{OK: true, Text: "the log was sent"}},
		{Command: wire.Command{ID: "c2", Verb: wire.VerbRollback, Args: map[string]string{"what": "data"}}, By: "p1", At: noon.Add(-20 * time.Second)}}
	return i
}

func samples(title, address string) []sample {
	var all []sample
	add := func(file, page string, role console.Role, v view) { all = append(all, sample{file, page, v, role}) }
	fields := claimFields(console.NewPerson{Name: title})
	problems := explain([]console.FieldError{{Field: "name", Message: "a name has lower-case letters"}, {Field: "other", Message: title}}, "", fields)
	add("claim", templates.ConsoleClaim, "", view{title: "Claim", data: accessPage{Fields: claimFields(console.NewPerson{})}})
	add("claim-wrong", templates.ConsoleClaim, "", view{title: "Claim", data: accessPage{Fields: fields, Problems: problems}})
	add("signin", templates.ConsoleSignIn, "", view{title: "Sign in", data: accessPage{Fields: signInFields(""), Next: "/", Provider: title, ProviderPath: "/oidc"}})
	add("join", templates.ConsoleJoin, "", view{title: "Join", data: accessPage{Fields: []field{newPassword("password", "Password")}}})
	add("help", templates.ConsoleHelp, "", view{title: "Help"})
	all = append(all, eventSamples(title, address)...)
	all = append(all, launchSamples(title, address)...)
	all = append(all, fleetSamples(title, address)...)
	return append(all, houseSamples(title)...)
}

// TestEveryPageRenders: with what strangers write, in every place where it can stand.
func TestEveryPageRenders(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range samples(hostile, hostileJS) {
		seen[s.page] = true
		text := render(t, s, "")
		for _, part := range []string{"<!doctype html>", `<html lang="en">`, `name="viewport"`, `<main id="main"`, `href="#main"`, "</html>"} {
			if !strings.Contains(text, part) {
				t.Errorf("%s lacks %q", s.file, part)
			}
		}
		for _, bad := range []string{hostile, `href="javascript:`, `src="javascript:`, `action="javascript:`, "<no value>", "%!", "<style", " style=", " onclick="} {
			if strings.Contains(text, bad) {
				t.Errorf("%s holds %q", s.file, bad)
			}
		}
		if n := strings.Count(text, "<h1"); n != 1 {
			t.Errorf("%s has %d headings of the first rank", s.file, n)
		}
		checkForms(t, s.file, text)
	}
	for _, name := range templates.ConsolePages() {
		if !seen[name] {
			t.Errorf("page %s is rendered by no test", name)
		}
	}
	if *preview != "" {
		writePreview(t)
	}
}

var (
	idOf    = regexp.MustCompile(` id="([^"]+)"`)
	forOf   = regexp.MustCompile(` (?:for|aria-describedby|list)="([^"]+)"`)
	postsOf = regexp.MustCompile(`(?s)<form method="post".*?</form>`)
)

// checkForms: each label has its field, each id is one, and no form is sent without what
// shows that it is of this console.
func checkForms(t *testing.T, file, text string) {
	t.Helper()
	ids := map[string]bool{}
	for _, m := range idOf.FindAllStringSubmatch(text, -1) {
		if ids[m[1]] {
			t.Errorf("%s has the id %q twice", file, m[1])
		}
		ids[m[1]] = true
	}
	for _, m := range forOf.FindAllStringSubmatch(text, -1) {
		for _, id := range strings.Fields(m[1]) {
			if !ids[id] {
				t.Errorf("%s refers to %q, which is not there", file, id)
			}
		}
	}
	for _, form := range postsOf.FindAllString(text, -1) {
		if !strings.Contains(form, `name="csrf" value="C0"`) {
			t.Errorf("%s has a form without the field csrf: %.120s", file, form)
		}
	}
}

func render(t *testing.T, s sample, fragment string) string {
	t.Helper()
	var b bytes.Buffer
	if err := templates.RenderConsole(&b, s.page, fragment, s.frame()); err != nil {
		t.Errorf("%s: %v", s.file, err)
	}
	return b.String()
}

var liveOf = regexp.MustCompile(`data-live="([^"]+)"`)

// TestLiveParts: each part of a page that a script renews can be asked for alone, and is
// what the page holds.
func TestLiveParts(t *testing.T) {
	count := 0
	for _, s := range samples("Spring fair", "https://fair.example.org") {
		text := render(t, s, "")
		for _, m := range liveOf.FindAllStringSubmatch(text, -1) {
			count++
			if part := strings.TrimSpace(render(t, s, m[1])); part == "" || !strings.Contains(text, part) {
				t.Errorf("%s: part %s is not what the page holds: %.200q", s.file, m[1], part)
			}
		}
	}
	if count < 10 {
		t.Errorf("found %d live parts", count)
	}
}

func writePreview(t *testing.T) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(*preview, "assets"), 0o755); err != nil {
		t.Fatal(err)
	}
	for path, asset := range templates.Assets() {
		if err := os.WriteFile(filepath.Join(*preview, path), asset.Body, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range samples("Spring fair", "https://fair.example.org") {
		if err := os.WriteFile(filepath.Join(*preview, s.file+".html"), []byte(render(t, s, "")), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestDayThatHasNoMidnight: where clocks are set forward at midnight, a day is still that day.
func TestDayThatHasNoMidnight(t *testing.T) {
	e := console.Event{End: "2026-09-06", Zone: "America/Santiago"}
	if got := endOf(e); !strings.HasPrefix(got, "6 September 2026, 24:00") || lastDay(e).Day() != 6 {
		t.Errorf("it ends %s; its last day is %s", got, lastDay(e))
	}
}
