package console

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"popup/console"
	"popup/store"
	"popup/store/sqlite"
)

// mostLive bounds how many instances run at once, as real processes of this machine.
const mostLive = 4

// mostTokens are made: a person may have 50.
const mostTokens = 45

// A launched is one event with one app, and what was acknowledged of it.
type launched struct {
	name      string // of the event, and the key of its launch
	operation operation
	ended     bool // its end was acknowledged
	over      bool // it was seen to be archived
}

type operation struct {
	ID, Event string
	Instances []string
}

// A torture is a console that is killed again and again while somebody uses it.
type torture struct {
	testing.TB
	dir      string
	owner    *person
	number   int
	asked    *launched   // a launch that was not acknowledged: it is asked for again
	launched []*launched // acknowledged, in order
	known    []known     // what else was acknowledged
	repeated int         // launches that were asked for again with their key
	kills    int
	tokens   int
	killIn   func(time.Duration)
}

// A known is something that has to be there: a path of the API, a word of its answer,
// and the token to ask with; empty: the owner's.
type known struct{ path, word, token string }

// TestKill kills a console KILLS times at random moments while events are launched and
// ended, and people, tokens and drafts made. Whatever was acknowledged is there
// afterwards, once; and each instance that is wanted is one process of this machine.
func TestKill(t *testing.T) {
	o := &torture{TB: t, dir: filepath.Join(filepath.Dir(program), t.Name())} // others may enter that, as apps must
	r := start(t, o.dir, anyPort, -1)
	t.Cleanup(o.endProcesses)
	o.owner = claim(t, r)
	for range count(t, "KILLS", 5) {
		ctx, cancel := context.WithCancel(t.Context())
		kill := time.AfterFunc(rand.N(2*time.Second), func() { _ = r.cmd.Process.Kill() }) // until then it must not end
		o.killIn = func(d time.Duration) { kill.Reset(d) }
		done := make(chan error)
		go func() { done <- o.use(ctx) }()
		<-r.done
		cancel()
		err := <-done
		kill.Stop()
		if refused := new(refusal); r.cmd.ProcessState.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL || errors.As(err, &refused) {
			t.Fatalf("after %d kills: %v, %v\n%s", o.kills, r.cmd.ProcessState, err, r.log)
		}
		o.kills++
		r = start(t, o.dir, strings.TrimPrefix(r.url, "http://"), -1) // where its instances look for it
		o.acknowledged()
		o.processes() // none is doubled
	}
	t.Logf("%d kills: %d launches acknowledged, %d of them ended, %d asked for again by their key; %d drafts, people and tokens", o.kills, len(o.launched), o.countEnded(), o.repeated, len(o.known))
	o.settle(r)
	r.stop()
	o.audited()
}

func (o *torture) countEnded() (n int) {
	for _, l := range o.launched {
		if l.ended {
			n++
		}
	}
	return n
}

// use does one thing after the other until it is not answered. The error is a *refusal
// where it was, with a no.
func (o *torture) use(ctx context.Context) error {
	for {
		if err := o.step(ctx); err != nil {
			return err
		}
	}
}

func (o *torture) step(ctx context.Context) error {
	if o.asked != nil {
		o.repeated++
		return o.launch(ctx)
	}
	live := slices.DeleteFunc(slices.Clone(o.launched), func(l *launched) bool { return l.over })
	o.number++
	name := fmt.Sprintf("party-%d", o.number)
	what := rand.N(30) // the rest launches and ends
	if what == 2 && o.tokens == mostTokens {
		what = 0
	}
	switch what {
	case 0:
		var e struct{ ID string }
		err := o.owner.ask(ctx, ask{method: "POST", path: "/api/v1/events", in: map[string]any{"name": name, "title": "A party", "end": "7d"}, out: &e})
		return o.note(err, known{"/api/v1/events/" + name, e.ID, ""})
	case 1:
		err := o.owner.ask(ctx, ask{method: "POST", path: "/api/v1/people", in: map[string]any{"name": name, "role": "organiser"}})
		return o.note(err, known{"/api/v1/people", `"` + name + `"`, ""})
	case 2:
		o.tokens++
		var added struct{ Secret string }
		err := o.owner.ask(ctx, ask{method: "POST", path: "/api/v1/login", in: map[string]any{"name": ownerName, "password": password, "title": name}, out: &added})
		return o.note(err, known{"/api/v1/me", `"` + ownerName + `"`, added.Secret})
	}
	if len(live) < mostLive {
		o.asked = &launched{name: name}
		return o.launch(ctx)
	}
	return o.end(ctx, live)
}

func (o *torture) note(err error, k known) error {
	if err == nil {
		o.known = append(o.known, k)
	}
	return err
}

// soon is within which most kills come after a launch or an end was asked for.
const soon = 100 * time.Millisecond

func (o *torture) maybeSoon() {
	if o.killIn != nil && rand.N(3) > 0 {
		o.killIn(rand.N(soon))
	}
}

// launch asks for what is in asked, by its key.
func (o *torture) launch(ctx context.Context) error {
	o.maybeSoon()
	l := o.asked
	in := map[string]any{"event": map[string]any{"name": l.name, "title": "A party", "end": "7d"}, "apps": []any{map[string]any{"app": "notice"}}}
	if err := o.owner.ask(ctx, ask{method: "POST", path: "/api/v1/launches", key: l.name, in: in, out: &l.operation}); err != nil {
		return err
	}
	o.asked, o.launched = nil, append(o.launched, l)
	return nil
}

// end ends the oldest event that runs, or looks whether those that were ended are over.
func (o *torture) end(ctx context.Context, live []*launched) error {
	goOn := slices.DeleteFunc(slices.Clone(live), func(l *launched) bool { return l.ended })
	for _, l := range live {
		if !l.ended && len(goOn) <= mostLive/2 {
			continue // some go on
		}
		if !l.ended {
			o.maybeSoon()
			err := o.owner.ask(ctx, ask{method: "POST", path: "/api/v1/events/" + l.name + "/end", in: map[string]any{"name": l.name}})
			// The end may have been written down by a console that was killed before it said so.
			if refused := new(refusal); errors.As(err, &refused) && refused.status == 409 {
				err = nil
			}
			l.ended = err == nil
			return err
		}
		var e struct{ State string }
		if err := o.owner.ask(ctx, ask{method: "GET", path: "/api/v1/events/" + l.name, out: &e}); err != nil {
			return err
		}
		l.over = e.State == "archived"
	}
	select {
	case <-time.After(20 * time.Millisecond):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// acknowledged holds what was acknowledged against what a new console knows.
func (o *torture) acknowledged() {
	o.Helper()
	answers := map[[2]string]string{}
	for _, k := range o.known {
		answer, asked := answers[[2]string{k.path, k.token}]
		if !asked {
			answer = o.see(k)
			answers[[2]string{k.path, k.token}] = answer
		}
		if !strings.Contains(answer, k.word) {
			o.Errorf("after %d kills %s does not have %s, which was acknowledged: %s", o.kills, k.path, k.word, answer)
		}
	}
	for _, l := range o.launched[max(0, len(o.launched)-10):] { // the last see to it that one before was there in its time
		before := l.operation
		again := &torture{TB: o.TB, owner: o.owner, asked: &launched{name: l.name}}
		must(o, again.launch(o.Context()))
		if got := again.launched[0].operation; got.ID != before.ID || !slices.Equal(got.Instances, before.Instances) {
			o.Errorf("after %d kills the launch of %s is %+v; %+v was acknowledged", o.kills, l.name, got, before)
		}
		var e struct{ State string }
		o.owner.must(o, "GET", "/api/v1/events/"+l.name, nil, &e)
		if over := e.State == "ended" || e.State == "archived"; l.ended && !over {
			o.Errorf("after %d kills %s is %s, and its end was acknowledged", o.kills, l.name, e.State)
		}
	}
}

// see is what is answered to who looks for something known.
func (o *torture) see(k known) string {
	o.Helper()
	who := *o.owner
	who.token = cmp.Or(k.token, who.token)
	var text jsonText
	if err := who.ask(o.Context(), ask{method: "GET", path: k.path, out: &text}); err != nil {
		return err.Error()
	}
	return string(text)
}

// jsonText is JSON as it came.
type jsonText string

func (j *jsonText) UnmarshalJSON(text []byte) error {
	*j = jsonText(text)
	return nil
}

// settle waits until what is wanted is there, and holds instances against processes.
func (o *torture) settle(r *running) {
	o.Helper()
	var all []console.Instance
	var why string
	for deadline := time.Now().Add(4 * time.Minute); ; {
		all = o.instances()
		if why = o.unsettled(all); why == "" {
			break
		}
		if time.Now().After(deadline) {
			o.Errorf("it does not settle: %s\n%s", why, r.log)
			break
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-o.Context().Done():
			o.Fatal(o.Context().Err())
		}
	}
	wanted := map[string]bool{}
	for _, l := range o.launched {
		for _, id := range l.operation.Instances {
			wanted[id] = true
		}
	}
	if o.asked != nil { // it may be there, or not
		for _, i := range all {
			if strings.HasPrefix(i.ID, o.asked.name+"-") {
				wanted[i.ID] = true
			}
		}
	}
	running, states := o.processes(), map[console.InstanceState]int{}
	for _, i := range all {
		states[i.State]++
		if !wanted[i.ID] {
			o.Errorf("%s was not acknowledged, or is one too many", i.ID)
		}
		if _, err := os.Stat(filepath.Join(o.dir, "instances", i.ID)); i.State.Over() == (err == nil) {
			o.Errorf("%s is %s, and its folder: %v", i.ID, i.State, err)
		}
		if i.State.Over() == running[i.ID] {
			o.Errorf("%s is %s, and that it has a process is %v", i.ID, i.State, running[i.ID])
		}
		delete(wanted, i.ID)
		delete(running, i.ID)
	}
	for id := range wanted {
		o.Errorf("%s was acknowledged, and is lost", id)
	}
	for id := range running {
		o.Errorf("the process of %s is an orphan", id)
	}
	o.Logf("%d instances: %v", len(all), states)
}

// instances are all that the console knows.
func (o *torture) instances() (all []console.Instance) {
	o.Helper()
	for token := ""; ; {
		var page struct {
			Instances []console.Instance
			Next      string `json:"next_page_token"`
		}
		o.owner.must(o, "GET", "/api/v1/instances?page_size=500&page_token="+token, nil, &page)
		all = append(all, page.Instances...)
		if token = page.Next; token == "" {
			return all
		}
	}
}

// unsettled says what is still under way; empty: nothing.
func (o *torture) unsettled(all []console.Instance) string {
	ended := map[string]bool{}
	for _, l := range o.launched {
		ended[l.operation.Event] = l.ended
	}
	for _, i := range all {
		if want := ended[i.Event]; want && i.State != console.InstanceGone || !want && i.State != console.InstanceLive && !i.State.Over() {
			return fmt.Sprintf("%s is %s (%s), and that its event was ended is %v", i.ID, i.State, i.Failure, want)
		}
	}
	return ""
}

// processes are the instances that run; one that runs twice is an error.
func (o *torture) processes() map[string]bool {
	o.Helper()
	of := map[string]bool{}
	for pid, instance := range o.pids() {
		if of[instance] {
			o.Errorf("after %d kills %s runs twice, once as %d", o.kills, instance, pid)
		}
		of[instance] = true
	}
	return of
}

// pids are the processes of this console's instances.
func (o *torture) pids() map[int]string {
	o.Helper()
	entries, err := os.ReadDir("/proc")
	must(o, err)
	all := map[int]string{}
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		line, readErr := os.ReadFile("/proc/" + entry.Name() + "/cmdline")
		args := strings.Split(string(line), "\x00")
		if err != nil || readErr != nil || len(args) < 4 || args[1] != "up" || args[2] != "--root" {
			continue
		}
		if rest, ours := strings.CutPrefix(args[3], filepath.Join(o.dir, "instances")+"/"); ours {
			all[pid], _, _ = strings.Cut(rest, "/")
		}
	}
	return all
}

// endProcesses ends what outlives the console.
func (o *torture) endProcesses() {
	for pid := range o.pids() {
		_ = syscall.Kill(-pid, syscall.SIGKILL) // it leads its group; it may have ended
	}
}

// audited verifies the audit log, and that every launch is in it once.
func (o *torture) audited() {
	o.Helper()
	s, err := sqlite.Open(o.Context(), filepath.Join(o.dir, "store"))
	must(o, err)
	defer s.Close()
	newest, err := store.VerifyAudit(o.Context(), s)
	if err != nil {
		o.Error(err)
	}
	launches := map[string]int{}
	must(o, s.View(o.Context(), func(tx console.Tx) error {
		for before := int64(0); ; {
			page, err := tx.AuditLog(before, 0)
			if err != nil || len(page) == 0 {
				return err
			}
			for _, e := range page {
				if e.Action == "launch" {
					launches[e.Object]++
				}
			}
			before = page[len(page)-1].Seq
		}
	}))
	for _, l := range o.launched {
		if n := launches["event/"+l.operation.Event]; n != 1 {
			o.Errorf("the audit log has %d launches of %s", n, l.name)
		}
	}
	if extra := len(launches) - len(o.launched); extra < 0 || extra > 1 || extra == 1 && o.asked == nil {
		o.Errorf("the audit log has launches of %d events, and %d were acknowledged", len(launches), len(o.launched))
	}
	o.Logf("the audit log is whole: %d entries", newest.Seq)
}
