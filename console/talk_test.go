package console

import (
	"context"
	"crypto/ed25519"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"popup/internal/wire"
)

func TestEnrol(t *testing.T) {
	c := newConsole(t, withKeys(t))
	_, machines := party(t, c, "fair", "otto", 2)
	m, other := machines[0], machines[1]
	stranger := *m
	stranger.key = newKey(t)

	guess := stranger
	guess.token = "token-of-nobody-0123456789"
	if _, err := guess.enrol(t); !errors.Is(err, ErrForbidden) || c.audited(t, "refuse enrolment", "instance/"+m.id) != 1 {
		t.Errorf("a wrong token: %v", err)
	}
	guess.token = other.token
	if _, err := guess.enrol(t); !errors.Is(err, ErrForbidden) {
		t.Errorf("another's token: %v", err)
	}
	guess.token = ""
	if _, err := guess.enrol(t); !errors.Is(err, ErrForbidden) {
		t.Errorf("no token: %v", err)
	}
	if n := c.audited(t, "refuse enrolment", "instance/"+m.id); n > 2 {
		t.Errorf("whoever tries tokens fills the audit log: %d entries", n)
	}
	want := `{"settings":{"TITLE":"Hello"},"secrets":{"PASSWORD":"hush"},"report_every":30}`
	for _, token := range []string{m.token, m.token, ""} { // the answer was lost; then the token was forgotten
		m.token = token
		got, err := m.enrol(t)
		if text := string(asJSON(t, got)); err != nil || text != want {
			t.Errorf("with token %q: %s, %v", token, text, err)
		}
	}
	if n := c.audited(t, "enrol", "instance/"+m.id); n != 1 {
		t.Errorf("the audit log has %d enrolments", n)
	}
	c.clock.advance(complainEvery)
	if _, err := stranger.enrol(t); !errors.Is(err, ErrForbidden) || !strings.Contains(err.Error(), "another key") {
		t.Errorf("the right token, another key: %v", err)
	}
	if i := stored[Instance](t, c, m.id); !m.key.Public().(ed25519.PublicKey).Equal(ed25519.PublicKey(i.Key)) {
		t.Error("it has another key now")
	}
	if n := c.audited(t, "refuse enrolment", "instance/"+m.id); n < 2 {
		t.Error("another key is not in the audit log")
	}
	if err := VerifyAudit(t.Context(), c.store); err != nil {
		t.Error(err)
	}
}

func TestEnrolRefuses(t *testing.T) {
	var store *countingStore
	c := newConsole(t, withKeys(t), counting(&store))
	_, machines := party(t, c, "fair", "otto", 2)
	m, over := machines[0], machines[1]
	good := wire.Enrolment{Version: 1, Instance: m.id, Token: m.token, Key: m.key.Public().(ed25519.PublicKey)}
	unknown := *m
	unknown.id = "fair-abc-9"
	var busy *BusyError
	before := store.updates.Load()
	if _, err := unknown.enrol(t); !errors.As(err, &busy) || busy.After != 5*time.Second {
		t.Errorf("one that is not known yet: %v", err)
	}
	if store.updates.Load() != before {
		t.Error("anybody who asks for what there is not keeps others from writing")
	}
	c.write(t, func(tx Tx) error {
		i, err := get[Instance](tx, over.id)
		i.State = InstanceGone
		return errors.Join(err, put(tx, i))
	})
	if _, err := over.enrol(t); !errors.Is(err, ErrOver) {
		t.Errorf("one that is over: %v", err)
	}
	var input *InputError
	for name, body := range map[string][]byte{"garbage": []byte("{]"), "nothing": nil, "no key": []byte(`{"version": 1, "instance": "fair-abc-1"}`),
		"too much": []byte(`{"popup": "` + strings.Repeat("x", 2<<20) + `"}`)} {
		if _, err := c.Enrol(t.Context(), body, m.sign(wire.PathEnrol, body)); !errors.As(err, &input) {
			t.Errorf("%s: %v", name, err)
		}
	}
	body := asJSON(t, good)
	other := *m
	other.key = newKey(t)
	for name, s := range map[string]Signature{"no signature": {Instance: m.id}, "another's signature": other.sign(wire.PathEnrol, body),
		"a signature for another path": m.sign(wire.PathReport, body), "another instance": {Instance: over.id, Value: m.sign(wire.PathEnrol, body).Value}} {
		if _, err := c.Enrol(t.Context(), body, s); !errors.Is(err, ErrForbidden) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if i := stored[Instance](t, c, m.id); i.Key != nil {
		t.Error("it enrolled all the same")
	}
}

// TestOneKeyEnrols: of a hundred who have the token, one has the instance.
func TestOneKeyEnrols(t *testing.T) {
	c := newConsole(t, withKeys(t))
	_, machines := party(t, c, "fair", "otto", 1)
	var won atomic.Int64
	var all sync.WaitGroup
	for range 100 {
		rival := *machines[0]
		rival.key = newKey(t)
		all.Go(func() {
			switch _, err := rival.enrol(t); {
			case err == nil:
				won.Add(1)
			case !errors.Is(err, ErrForbidden):
				t.Error(err)
			}
		})
	}
	all.Wait()
	if won.Load() != 1 || c.audited(t, "enrol", "instance/"+machines[0].id) != 1 {
		t.Errorf("%d enrolled", won.Load())
	}
}

func TestReport(t *testing.T) {
	var store *countingStore
	c := newConsole(t, withKeys(t), counting(&store))
	_, machines := party(t, c, "fair", "otto", 1)
	m := machines[0].mustEnrol(t)

	if answer := m.mustSay(t); answer.Next != 5 {
		t.Errorf("while it starts it is to report again in %d s", answer.Next)
	}
	if i := stored[Instance](t, c, m.id); i.Report == nil || i.Report.Phases[0].Name != "build" || i.State != InstanceStarting {
		t.Errorf("kept: %+v", i)
	}
	before, updates := c.newest(t), store.updates.Load()
	m.report.Numbers.Requests, m.report.Phases[0].Attempt, m.report.Time = 7, 3, aDay.Add(time.Minute)
	c.clock.advance(time.Minute)
	m.mustSay(t)
	if c.newest(t) != before || store.updates.Load() != updates {
		t.Error("a report without news was written")
	}
	if v, err := c.Instance(t.Context(), aViewer, m.id); err != nil || v.LastReport.Numbers.Requests != 7 || !v.LastHeard.Equal(c.now()) || v.Health != HealthStarting {
		t.Errorf("without news: %+v, %v", v, err)
	}
	m.report.Live, m.report.Healthy = true, true
	if answer := m.mustSay(t); answer.Next != 30 {
		t.Errorf("once it is live it is to report again in %d s", answer.Next)
	}
	if i := stored[Instance](t, c, m.id); i.State != InstanceLive || !i.LiveSince.Equal(c.now()) || !i.Report.Live || !i.Heard.Equal(c.now()) {
		t.Errorf("news: kept %+v", i)
	}
	m.report.Healthy, m.report.Why = false, "its data is old"
	m.report.Seq-- // late
	before = c.newest(t)
	for range 2 { // late, and a copy of it
		if _, err := m.sayAgain(t); err != nil {
			t.Errorf("a late report is refused: %v", err)
		}
	}
	if v, err := c.Instance(t.Context(), aViewer, m.id); err != nil || v.Health != HealthLive || c.newest(t) != before {
		t.Errorf("a late report was applied: %+v, %v", v, err)
	}
	m.report.Seq++
	m.mustSay(t)
	if v, err := c.Instance(t.Context(), aViewer, m.id); err != nil || v.Health != HealthUnhealthy || v.Why != "its data is old" {
		t.Errorf("news of bad health: %+v, %v", v, err)
	}
}

func TestReportRefuses(t *testing.T) {
	c := newConsole(t, withKeys(t))
	_, machines := party(t, c, "fair", "otto", 3)
	m, over := machines[0].live(t), machines[2].live(t)
	if _, err := machines[1].say(t); !errors.Is(err, ErrForbidden) {
		t.Errorf("one that did not enrol: %v", err)
	}
	unknown := *m
	unknown.id = "fair-abc-9"
	var busy *BusyError
	if _, err := unknown.say(t); !errors.As(err, &busy) {
		t.Errorf("one that is not known: %v", err)
	}
	for _, id := range []string{"", "../x", strings.Repeat("x", 200)} {
		unknown.id = id
		if _, err := unknown.say(t); !errors.Is(err, ErrForbidden) {
			t.Errorf("instance %q: %v", id, err)
		}
	}
	stranger := *m
	stranger.key = machines[1].key
	if _, err := stranger.say(t); !errors.Is(err, ErrForbidden) {
		t.Errorf("signed by another key: %v", err)
	}
	var input *InputError
	for name, body := range map[string]string{"garbage": "\x00\xff{", "nothing": "", "a list": "[]", "no number": `{"version": 1}`, "a time that is none": `{"version": 1, "seq": 99, "time": "yesterday"}`,
		"2 MB": `{"version": 1, "seq": 99, "why": "` + strings.Repeat("x", 2<<20) + `"}`} {
		if _, err := c.Report(t.Context(), []byte(body), m.sign(wire.PathReport, []byte(body))); !errors.As(err, &input) {
			t.Errorf("%s: %v", name, err)
		}
	}
	c.write(t, func(tx Tx) error {
		i, err := get[Instance](tx, over.id)
		i.State = InstanceGone
		return errors.Join(err, put(tx, i))
	})
	if err := c.fleet.catchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := over.say(t); !errors.Is(err, ErrOver) {
		t.Errorf("one that is over: %v", err)
	}
}

// TestNewsAtOnceIsWrittenAtOnce: what many report while one writes is one transaction.
func TestNewsAtOnceIsWrittenAtOnce(t *testing.T) {
	var store *countingStore
	c := newConsole(t, withKeys(t), counting(&store))
	_, machines := party(t, c, "fair", "otto", 40)
	for _, m := range machines {
		m.mustEnrol(t)
	}
	c.fleet.newsroom.turn <- struct{}{} // somebody writes
	before := store.updates.Load()
	var all sync.WaitGroup
	for _, m := range machines {
		all.Go(func() {
			if _, err := m.say(t); err != nil {
				t.Error(err)
			}
		})
	}
	until(t, "all wait", func() bool {
		c.fleet.newsroom.mu.Lock()
		defer c.fleet.newsroom.mu.Unlock()
		return len(c.fleet.newsroom.waiting) == len(machines)
	})
	<-c.fleet.newsroom.turn
	all.Wait()
	if n := store.updates.Load() - before; n != 1 {
		t.Errorf("%d transactions", n)
	}
	for _, m := range machines {
		if i := stored[Instance](t, c, m.id); i.Report == nil {
			t.Errorf("the report of %s was acknowledged, and is not kept", m.id)
		}
	}
}

// TestNewsSurvivesAFailure: a report whose news could not be kept is no longer news to
// nobody.
func TestNewsSurvivesAFailure(t *testing.T) {
	c := newConsole(t, withKeys(t))
	_, machines := party(t, c, "fair", "otto", 1)
	m := machines[0].mustEnrol(t)
	c.fleet.newsroom.turn <- struct{}{}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	m.report.Seq++
	body := asJSON(t, m.report)
	if _, err := c.Report(ctx, body, m.sign(wire.PathReport, body)); !errors.Is(err, context.Canceled) {
		t.Fatalf("given up: %v", err)
	}
	c.fleet.newsroom.mu.Lock()
	c.fleet.newsroom.waiting = nil // and lost
	c.fleet.newsroom.mu.Unlock()
	<-c.fleet.newsroom.turn
	m.mustSay(t)
	if i := stored[Instance](t, c, m.id); i.Report == nil {
		t.Error("the same news, told again, are not kept")
	}
}

// TestTalkAfterARestore: an instance that was told more than the console's store knows
// is told anew what is wanted, above that.
func TestTalkAfterARestore(t *testing.T) {
	c := newConsole(t, withKeys(t))
	_, machines := party(t, c, "fair", "otto", 1)
	m := machines[0].live(t)
	m.report.Generation = 41
	if answer := m.mustSay(t); answer.Wanted == nil || answer.Wanted.Generation != 42 || answer.Wanted.End == nil || answer.Wanted.End.At != "2026-05-31" {
		t.Errorf("told %+v", answer.Wanted)
	}
	m.report.Generation = 42
	before := c.newest(t)
	m.mustSay(t) // the generation is news
	m.mustSay(t)
	if c.newest(t) != before+1 {
		t.Errorf("%d changes", c.newest(t)-before)
	}
	m.report.Generation = 1<<63 - 1
	if answer := m.mustSay(t); answer.Wanted == nil || answer.Wanted.Generation != 42 {
		t.Errorf("a number that nobody gave: told %+v", answer.Wanted)
	}
}

// TestHurry: who is under way reports often, but not for ever.
func TestHurry(t *testing.T) {
	c := newConsole(t, withKeys(t))
	_, machines := party(t, c, "fair", "otto", 1)
	m := machines[0].mustEnrol(t)
	c.clock.advance(hurry - time.Second)
	if next := m.mustSay(t).Next; next != 5 {
		t.Errorf("while it builds: in %d s", next)
	}
	c.clock.advance(time.Second)
	if next := m.mustSay(t).Next; next != 30 {
		t.Errorf("when it has been building for half an hour: in %d s", next)
	}
	for range 3 * easy {
		defer c.fleet.busy()()
	}
	if next := m.mustSay(t).Next; next != 4*30 {
		t.Errorf("when all report at once: in %d s", next)
	}
}

// TestReportedAddress: people are led to web addresses alone.
func TestReportedAddress(t *testing.T) {
	for given, want := range map[string]string{"http://a.test:8080/": "http://a.test:8080/", "https://a.test": "https://a.test", "javascript:alert(1)": "", "file:///etc/passwd": "",
		"http://me:hush@a.test": "", "//a.test": "", "http:///x": "", "": ""} {
		if r, err := parseReport(asJSON(t, wire.Report{Version: 1, Seq: 1, URL: given})); err != nil || r.URL != want {
			t.Errorf("%q is %q, %v", given, r.URL, err)
		}
	}
}

// FuzzEnrolment: whatever is sent, what is wrong with it is told without its token.
func FuzzEnrolment(f *testing.F) {
	for _, seed := range []string{"", "null", `{"version": 1, "instance": "fair-1", "token": "hush-hush-hush-hush", "key": "AAAA"}`, `{"token": 7, "x": "hush-hush"}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		e, err := parseEnrolment(body)
		var input *InputError
		if err != nil && !errors.As(err, &input) || err == nil && (len(e.Key) != ed25519.PublicKeySize || wire.CheckInstance(e.Instance) != nil) {
			t.Errorf("%+v, %v", e, err)
		}
		if err != nil && len(e.Token) > 15 && strings.Contains(err.Error(), e.Token) {
			t.Errorf("the error holds the token: %v", err)
		}
	})
}
