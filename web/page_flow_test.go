package web

import (
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"popup/console"
	"popup/internal/wire"
)

// A visitor is a browser without scripts: it has cookies, follows redirects, and sends
// forms with what stands in them.
type visitor struct {
	t    *testing.T
	http *http.Client
	base string
	path string // where it is
	body string
	code int
}

func (s *site) visitor(t *testing.T) *visitor {
	t.Helper()
	jar, err := cookiejar.New(nil)
	must(t, err)
	return &visitor{t: t, http: &http.Client{Jar: jar}, base: s.url}
}

func (v *visitor) take(resp *http.Response, err error) *visitor {
	v.t.Helper()
	must(v.t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	must(v.t, err)
	v.path, v.body, v.code = resp.Request.URL.RequestURI(), string(body), resp.StatusCode
	return v
}

func (v *visitor) open(path string) *visitor {
	v.t.Helper()
	return v.take(v.http.Get(v.base + path))
}

var (
	formOf    = regexp.MustCompile(`(?s)<form method="post"(?: action="([^"]*)")?.*?</form>`)
	hiddenOf  = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)">`)
	writtenOf = regexp.MustCompile(`<input type="(?:text|date|time|url)" id="[^"]*" name="([^"]*)" value="([^"]*)"`)
)

// send fills in the form with an action, and sends it.
func (v *visitor) send(action string, pairs ...string) *visitor {
	v.t.Helper()
	for _, m := range formOf.FindAllStringSubmatch(v.body, -1) {
		if m[1] != action {
			continue
		}
		values := url.Values{}
		for _, of := range []*regexp.Regexp{hiddenOf, writtenOf} {
			for _, f := range of.FindAllStringSubmatch(m[0], -1) {
				values.Set(html.UnescapeString(f[1]), html.UnescapeString(f[2]))
			}
		}
		for i := 0; i < len(pairs); i += 2 {
			values.Set(pairs[i], pairs[i+1])
		}
		if action == "" {
			action = v.path
		}
		return v.take(v.http.PostForm(v.base+action, values))
	}
	v.t.Fatalf("%s has no form for %q: %s", v.path, action, v.body)
	return nil
}

// sees fails unless the page was answered with a status and holds all the texts.
func (v *visitor) sees(status int, texts ...string) *visitor {
	v.t.Helper()
	if v.code != status {
		v.t.Fatalf("%s answered %d, not %d: %s", v.path, v.code, status, v.body)
	}
	for _, text := range texts {
		if !strings.Contains(v.body, text) {
			v.t.Fatalf("%s lacks %q: %s", v.path, text, v.body)
		}
	}
	return v
}

// TestAnEventByForms: all of an event's life with nothing but forms, and nothing typed
// but names.
func TestAnEventByForms(t *testing.T) {
	s := newSite(t)
	link, err := s.console.ClaimLink(t.Context())
	must(t, err)
	v := s.visitor(t)
	v.open(strings.TrimPrefix(link, s.url)).sees(200, "Make this console yours")
	v.send("", "name", "olga", "password", "short").sees(422, `id="f-password-error"`, `value="olga"`)
	v.send("", "password", password).sees(200, "This console is yours", "Pick an app")

	v.open("/apps/"+string(testApp)).sees(200, "Launch it without this console", "plan_version")
	v.open("/launch?app="+string(testApp)).sees(200, "What is it called?")
	v.send("/launch", "step", "check", "event.title", "Our fair", "event.end", "2020-01-01").sees(422, `id="f-event-end-error"`, `value="Our fair"`)
	v.send("/launch", "step", "add", "add", "guestbook", "event.end", "").sees(200, "apps[1].settings.GUESTBOOK_TITLE")
	v.send("/launch", "step", "remove:1", "apps[1].title", "Book").sees(200)
	if strings.Contains(v.body, "apps[1]") {
		t.Error("an app that was removed is still there")
	}
	v.send("/launch", "step", "check").sees(200, "Check your answers", "Launch until ", "Our fair")
	check := v.body
	v.send("/launch", "step", "edit").sees(200, `value="Our fair"`)
	v.body = check
	v.send("/launch", "step", "launch").sees(200, "Our fair is coming up")
	progress := v.path
	v.body = check
	if v.send("/launch", "step", "launch").sees(200); v.path != progress {
		t.Errorf("the same button once more made %s beside %s", v.path, progress)
	}

	e, err := s.console.Event(t.Context(), console.System, "our-fair")
	must(t, err)
	d := s.device(t, s.instanceOf(t, e.ID))
	if got := d.enrol(t); got.status != 200 {
		t.Fatal(got)
	}
	if got := d.report(t); got.status != 200 {
		t.Fatal(got)
	}
	v.open(progress+"?fragment=progress").sees(200, "Our fair is live", "Open Notice board")
	if strings.Contains(v.body, "<html") {
		t.Error("a part of a page is all of it")
	}
	v.open(progress + "?fragment=nothing").sees(404)
	s.manageByForms(t, v)
	s.endByForms(t, v, d)
}

// manageByForms extends, freezes and shares.
func (s *site) manageByForms(t *testing.T, v *visitor) {
	const path = "/events/our-fair"
	v.open(path).sees(200, "Share it", s.url+"/e/our-fair")
	v.send(path+"/dates", "end", "tomorrow").sees(422, `id="f-end-error"`)
	v.open(path).send(path+"/dates", "time", "18:30").sees(200, "That is saved", "18:30 UTC")
	v.send(path+"/freeze").sees(200, "frozen").send(path+"/thaw").sees(200, "It goes on")
	v.send(path+"/links", "title", "").sees(422, "Please look at this again")
	v.send(path+"/links", "title", "Hedi").sees(200, "/h/")
	address := regexp.MustCompile(`/h/[a-zA-Z0-9_-]+`).FindString(v.body)
	hedi := s.visitor(t)
	hedi.open(address).sees(200, "You are asked to help")
	hedi.open("/").sees(200, "Sign in") // looking at the link alone let nobody in
	hedi.open(address).send("").sees(200, "Our fair")
	hedi.open("/people").sees(403, "That is not yours to do")
	if strings.Contains(hedi.body, `action="`+path+`/end"`) {
		t.Error("a helper is offered to end the event")
	}
	public := s.visitor(t)
	public.open("/e/our-fair").sees(200, "Our fair", "Notice board")
	if cookies := public.http.Jar.Cookies(mustURL(t, s.url)); len(cookies) > 0 {
		t.Errorf("who only looks gets cookies: %v", cookies)
	}
	public.open("/e/our-fair/qr.svg").sees(200, "<svg")
}

func mustURL(t *testing.T, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	must(t, err)
	return u
}

// endByForms gives an instance commands, and ends it all.
func (s *site) endByForms(t *testing.T, v *visitor, d *device) {
	const path = "/events/our-fair"
	at := instancePath(d.id)
	v.open(at).sees(200, "How it came up", "Look for news").send(at+"/commands", "verb", "logs").sees(200, "Send its log", "asked")
	v.open("/instances?q="+d.id+"&sort=-heard").sees(200, d.id, `aria-sort="descending"`)
	v.open("/instances?sort=nothing").sees(422, "Please look at this again")
	v.open(path).send(path+"/end", "name", "my-fair").sees(422, `id="end-error"`)
	v.send(path+"/end", "name", "our-fair").sees(200, "Receipt", "Our fair")
	d.seq++
	body, err := json.Marshal(wire.Report{Version: wire.TalkVersion, Seq: d.seq, Time: time.Now(), Since: time.Now(), Popup: "test", App: string(testApp), End: &wire.Ending{Step: "over"}})
	must(t, err)
	if got := d.send(t, wire.PathReport, body, nil); got.status != 200 {
		t.Fatal(got)
	}
	eventually(t, "is over", func() bool {
		return strings.Contains(v.open(path+"/receipt").sees(200).body, "1 of 1 proven gone") && strings.Contains(v.open(path).sees(200).body, path+"/purge")
	})
	v.open("/e/our-fair").sees(200, "It is over")
	v.open(path).send(path+"/purge", "name", "our-fair").sees(200, "archives removed")
	v.open(path+"/audit").sees(200, "olga</strong> froze", "olga</strong> ended")
}

// TestPeopleByForms: somebody is invited, comes in, makes a token, and is turned away.
func TestPeopleByForms(t *testing.T) {
	s := newSite(t)
	s.claim(t)
	olga, grace := s.visitor(t), s.visitor(t)
	olga.open("/people").sees(200, "Sign in")
	olga.send("/sign-in", "name", "olga", "password", "wrong wrong wrong").sees(401, "Please look at this again")
	olga.send("/sign-in", "name", "olga", "password", password).sees(200, "Add somebody") // where it wanted to go
	olga.send("/people", "name", "grace", "role", "organiser").sees(200, "A link for grace")
	grace.open(regexp.MustCompile(`/join/[a-zA-Z0-9_-]+`).FindString(olga.body)).sees(200, "Choose a password")
	grace.send("", "password", "short").sees(422, `id="f-password-error"`)
	grace.send("", "password", password).sees(200, "What is it going to be?")
	grace.open("/account").sees(200, "You launch events")
	grace.send("/account/tokens", "title", "backup script", "days", "7").sees(200, "A token for backup script")
	grace.open("/account").sees(200, "backup script", "ends in 7 days")
	grace.send("/account/password", "old", "wrong", "password", password+" 2").sees(422, "Please look at this again")
	grace.open("/settings").sees(403)
	olga.open("/settings").sees(200, "Download a backup")
	olga.open("/audit").sees(200, "grace")
	form := regexp.MustCompile(`action="(/people/[^"/]+)"`).FindAllStringSubmatch(olga.open("/people").body, -1)
	if len(form) != 2 {
		t.Fatalf("the page has forms for %v", form)
	}
	for _, f := range form {
		olga.open("/people").send(f[1], "role", "viewer", "disabled", "true")
	}
	olga.open("/people").sees(200, "may not sign in", ">owner<") // the last owner stays one
	if grace.open("/"); grace.path != "/sign-in?next=%2F" {
		t.Errorf("who may not sign in is at %s", grace.path)
	}
}

// TestReadLaunch: what a form says is what is asked for, and comes back out of the page
// on which it is checked.
func TestReadLaunch(t *testing.T) {
	given := url.Values{"event.title": {"Fair"}, "event.end": {"2026-05-31"}, "event.time": {"18:00"}, "apps[3].app": {"notice"}, "apps[3].domains": {"a.example, b.example"},
		"apps[1].repository": {"https://example.org/x"}, "apps[1].commit": {"c"}, "apps[1].count": {"many"}, "apps[1].settings.TITLE": {"Ours"},
		"apps[1].settings.bad name": {"x"}, "apps[100].app": {"no"}, "apps[1].restore": {"fair-1/final.tar.zst"}, "apps[1].volume": {"true"}, "apps[3].volume": {"maybe"}, "apps[2].title": {"of nothing"}, "other": {"x"}}
	r := readLaunch(given)
	if r.Event.End != "2026-05-31T18:00" || len(r.Apps) != 2 || r.Apps[0].Repository != "https://example.org/x" || r.Apps[0].Count != -1 ||
		r.Apps[0].Restore != "fair-1/final.tar.zst" || !r.Apps[0].Volume || r.Apps[1].Volume ||
		fmt.Sprint(r.Apps[0].Settings) != "map[TITLE:Ours]" || fmt.Sprint(r.Apps[1].Domains) != "[a.example b.example]" {
		t.Fatalf("read %+v", r)
	}
	again := url.Values{}
	for _, f := range hiddenLaunch(r, "k") {
		again.Set(f.Name, f.Value)
	}
	if got := readLaunch(again); fmt.Sprint(got) != fmt.Sprint(r) {
		t.Errorf("came back as %+v, not %+v", got, r)
	}
}

// TestLaunchFormLooksForWhoMayLaunch: a form that is shown again looks at the repository in
// it, which is done for nobody who may not launch.
func TestLaunchFormLooksForWhoMayLaunch(t *testing.T) {
	s := newOwnedSite(t)
	for _, who := range []string{"vera", "helper", "reader"} {
		got := s.do(t, request{who: who, method: http.MethodPost, path: "/launch", browser: who != "reader", body: "apps[0].repository=http://127.0.0.1:1/x.git"})
		if got.status != http.StatusForbidden {
			t.Errorf("%s: %d", who, got.status)
		}
	}
}
