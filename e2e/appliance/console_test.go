package appliance

import (
	"encoding/pem"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"popup/internal/wire"
	"popup/launcher"
)

// TestEnrolsOnceAndNeedsNoConsoleAgain: the key is there before anybody is asked, what
// is told is kept, the token is forgotten, and neither a lost answer nor a console
// that is gone changes anything.
func TestEnrolsOnceAndNeedsNoConsoleAgain(t *testing.T) {
	t.Parallel()
	c, root, repo := newConsole(t), tempRoot(t), greeter(t)
	c.enrolled = wire.Enrolled{Settings: map[string]string{"GREETING": "hello", "FROM_A_NEWER_MANIFEST": "x"}, Secrets: map[string]string{"PASSWORD": "hush"}}
	c.misbehave = lossy(t, c, root)
	config := c.plan(root, repo, "")
	u := startUp(t, root)
	u.await("/", "one for hello/hush")
	c.mu.Lock()
	if n := len(c.enrols); n != 2 || string(c.enrols[0].Key) != string(c.enrols[1].Key) || c.enrols[0].Token != consoleToken {
		t.Errorf("it enrolled %d times, or with another key: %+v", n, c.enrols)
	}
	c.mu.Unlock()
	u.until("a report of the live app", func() bool { return c.last().Live })
	if text := read(t, config); strings.Contains(text, consoleToken) || !strings.Contains(text, "# keep me") || !strings.Contains(text, "from_a_newer_popup") {
		t.Errorf("the config is now\n%s", text)
	}
	for _, name := range []string{"instance.key", "console.json", "config.yaml"} {
		if info, err := os.Stat(filepath.Join(root, "etc/popup", name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", name, info, err)
		}
	}
	if text, _, _ := popup(t, "", "status", "--root", root); strings.Contains(text, "hush") || !strings.Contains(text, c.URL+"; enrolled; last report ") {
		t.Errorf("status says\n%s", text)
	}
	if err := u.stop(); err != nil {
		t.Fatal(err)
	}
	seq := c.last().Seq
	c.mu.Lock()
	last := uint64(0)
	for _, r := range c.reports {
		if r.Seq <= last {
			t.Errorf("report %d comes after %d", r.Seq, last)
		}
		last = r.Seq
	}
	c.mu.Unlock()

	c.say(func() {
		c.misbehave = func(w http.ResponseWriter, r *http.Request) bool { panic(http.ErrAbortHandler) }
	})
	u = startUp(t, root)
	u.await("/", "one for hello/hush")
	u.until("an error of the console's", func() bool { return u.status().Console.Error != "" })
	if s := u.awaitHealthy(); s.Console.Enrolled.IsZero() {
		t.Error("it forgot that it enrolled")
	}
	u.kill()
	c.say(func() { c.misbehave = nil })
	u = startUp(t, root)
	u.until("a report after a kill", func() bool { return c.last().Seq > seq })
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.enrols) != 2 {
		t.Errorf("it enrolled again: %d times", len(c.enrols))
	}
}

// lossy does not know the instance at first, and then loses its answer.
func lossy(t *testing.T, c *fakeConsole, root string) func(http.ResponseWriter, *http.Request) bool {
	asked := 0
	return func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != wire.PathEnrol {
			return false
		}
		if block, _ := pem.Decode([]byte(read(t, filepath.Join(root, "etc/popup/instance.key")))); block == nil {
			t.Error("it asks before its key is written down")
		}
		switch asked++; asked {
		case 1:
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooEarly)
			return true
		case 2:
			c.mu.Lock()
			c.lose = true
			c.mu.Unlock()
		}
		return false
	}
}

// TestRefusedEnrolmentIsSaid: the console's sentence is on the boot page, in the
// journal and in the status; what needs nothing of the console's is fetched meanwhile.
func TestRefusedEnrolmentIsSaid(t *testing.T) {
	t.Parallel()
	c, root, repo := newConsole(t), tempRoot(t), greeter(t)
	c.misbehave = func(w http.ResponseWriter, r *http.Request) bool {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, `{"title": "no", "detail": "the token was used by \u001b[31manother key"}`)
		return true
	}
	c.plan(root, repo, "")
	u := startUp(t, root)
	u.until("fetched", func() bool {
		return u.phase(launcher.PhaseBuild).State == "done" && u.phase(launcher.PhaseEnrol).State == "failed"
	})
	const says = "the token was used by  [31manother key"
	want := strings.Join(strings.Fields(says), " ")
	if status, page := u.get("/"); status != http.StatusServiceUnavailable || !strings.Contains(page, want) {
		t.Errorf("the boot page is %d\n%s", status, page)
	}
	time.Sleep(time.Second)
	if p := u.phase(launcher.PhaseStart); p.State == "failed" || len(u.lines("starts")) > 0 {
		t.Errorf("it starts without its settings: %+v", p)
	}
	s := u.status()
	if !strings.Contains(s.Console.Error, want) || !strings.Contains(s.Why, want) {
		t.Errorf("the status says %q, %q", s.Console.Error, s.Why)
	}
	if at := s.Console.NextReport; time.Until(at) < 25*time.Second {
		t.Errorf("it asks again at %s", at)
	}
	if !slices.ContainsFunc(s.Journal, func(e launcher.Entry) bool { return strings.Contains(e.Message, want) }) {
		t.Errorf("it is not in the journal: %+v", s.Journal)
	}
	if !strings.Contains(read(t, filepath.Join(root, "etc/popup/config.yaml")), consoleToken) {
		t.Error("the token that was not used is forgotten")
	}
}

// TestDoesWhatTheConsoleSays: commands are done once and told, wishes hold, and an
// end that was moved is believed after a restart too.
func TestDoesWhatTheConsoleSays(t *testing.T) {
	t.Parallel()
	c, root, repo := newConsole(t), tempRoot(t), greeter(t)
	c.enrolled = wire.Enrolled{Settings: map[string]string{"GREETING": "hello"}, Secrets: map[string]string{"PASSWORD": "hush"}}
	c.plan(root, repo, `end: {at: "2031-05-31"}`)
	u := startUp(t, root)
	u.await("/", "one for hello")
	first := u.status().Serving.Release

	second := repo.Commit(greeting("two"))
	if r := c.order(u, wire.Command{ID: "c1", Verb: "sync"}); !r.OK || !strings.Contains(r.Text, second[:7]) {
		t.Errorf("sync: %+v", r)
	}
	u.await("/", "two for")
	starts := len(u.lines("starts"))
	if r := c.order(u, wire.Command{ID: "c2", Verb: "restart"}); !r.OK || len(u.lines("starts")) != starts+1 {
		t.Errorf("restart: %+v, %d starts", r, len(u.lines("starts"))-starts)
	}
	if r := c.order(u, wire.Command{ID: "c3", Verb: "dance\n"}); r.OK || r.Text != `"dance\n" is not known to this version of popup` {
		t.Errorf("an unknown verb: %+v", r)
	}
	if r := c.order(u, wire.Command{ID: "c4", Verb: "rollback", Args: map[string]string{"what": "service", "to": string(first)}}); !r.OK {
		t.Errorf("rollback: %+v", r)
	}
	u.await("/", "one for")
	if r := c.order(u, wire.Command{ID: "c5", Verb: "release", Args: map[string]string{"what": "service"}}); !r.OK {
		t.Errorf("release: %+v", r)
	}
	u.await("/", "two for")
	if r := c.order(u, wire.Command{ID: "c6", Verb: "logs"}); !r.OK {
		t.Errorf("logs: %+v", r)
	}
	c.mu.Lock()
	if text := c.logs["c6"]; !strings.Contains(text, `"event":"flip"`) || !strings.Contains(text, "msg=serving") {
		t.Errorf("the log is %q", text)
	}
	c.mu.Unlock()
	if r := c.order(u, wire.Command{ID: "c7", Verb: "rollback", Args: map[string]string{"what": "data"}}); r.OK || r.Text != "this app has no data to roll back" {
		t.Errorf("no data: %+v", r)
	}

	// A commit that is not here any more than any other is fetched, and held.
	third := repo.Commit(greeting("three"))
	repo.Commit(greeting("four"))
	c.say(func() {
		c.answer.Wanted = &wire.Wanted{Generation: 1, ServiceCommit: third, ReadOnly: true, End: &wire.End{At: "2032-05-31", Zone: "Europe/Zurich"}}
	})
	u.await("/", "three for")
	post := func() int {
		resp, err := http.Post(u.url+"/", "text/plain", strings.NewReader("x"))
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close() // its status is what counts
		return resp.StatusCode
	}
	u.until("reported", func() bool {
		r := c.last()
		return r.Generation == 1 && r.Unmet == "" && r.ReadOnly && r.Service.Held == third
	})
	if status := post(); status != http.StatusServiceUnavailable {
		t.Errorf("a write is answered %d", status)
	}
	// What is late, or cannot be read, moves nothing.
	c.say(func() { c.answer.Wanted = &wire.Wanted{Generation: 0, End: &wire.End{At: "2020-01-01"}} })
	u.kill()
	u = startUp(t, root)
	u.await("/", "three for")
	n := c.last().Seq
	u.until("two more reports", func() bool { return c.last().Seq > n+1 })
	if s := u.status(); s.End.At.Format("2006-01-02T15:04Z07:00") != "2032-06-01T00:00+02:00" || !s.ReadOnly {
		t.Errorf("after a kill: %+v, read-only %v", s.End, s.ReadOnly)
	}
	if status := post(); status != http.StatusServiceUnavailable {
		t.Errorf("after a kill a write is answered %d", status)
	}
	c.say(func() { c.answer.Wanted = &wire.Wanted{Generation: 2, End: &wire.End{At: "never"}} })
	u.await("/", "four for")
	u.until("writes", func() bool { return post() != http.StatusServiceUnavailable })
	if s := u.status(); s.End.At.Year() != 2032 {
		t.Errorf("an end that nobody can read moved it to %s", s.End.At)
	}

	if r := c.order(u, wire.Command{ID: "c8", Verb: "drain"}); !r.OK || post() != http.StatusServiceUnavailable {
		t.Errorf("drain: %+v", r)
	}
	c.order(u, wire.Command{ID: "c9", Verb: "end"})
	u.until("over", func() bool { status, _ := u.get("/"); return status == http.StatusGone })
	u.until("reported to be over", func() bool { r := c.last(); return r.End != nil && r.End.Step == "over" && r.End.Archive != "" })
	u.kill()
	u = startUp(t, root)
	u.until("over after a kill", func() bool { status, _ := u.get("/"); return status == http.StatusGone })
	for _, id := range []string{"c1", "c2", "c3", "c4", "c5", "c6", "c7", "c8", "c9"} { // they are in every answer
		// The kill may have come before it was written down that one was heard.
		if found := slices.Compact(c.result(id)); len(found) != 1 {
			t.Errorf("%s was told %d times: %+v", id, len(found), found)
		}
	}
}
