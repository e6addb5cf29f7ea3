package console

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"popup/internal/wire"
)

// Two are two consoles on one store, whose clocks are ten minutes apart. Their loops do not
// run: neither follows the other's clock unless it is told to.
type two struct {
	ahead, behind *testConsole
	clock         *testClock
}

const apart = 5 * time.Minute

func newTwo(t testing.TB, change ...func(*Options)) *two {
	t.Helper()
	keys := filepath.Join(t.TempDir(), "keys")
	base := newConsole(t, append(change, func(o *Options) { o.Keys = openKeys(t, keys) })...)
	w := &two{clock: base.clock}
	another := func(name string, skew time.Duration) *testConsole {
		opts := base.opts
		opts.Name = name
		opts.Now = func() time.Time { return base.clock.Now().Add(skew) }
		c, err := New(t.Context(), opts)
		if err != nil {
			t.Fatal(err)
		}
		return &testConsole{Console: c, cloud: base.cloud, clock: base.clock}
	}
	w.ahead, w.behind = another("ahead", apart), another("behind", -apart)
	return w
}

// hear has one write down what it heard, and the other read it.
func (w *two) hear(t testing.TB, from, to *testConsole) {
	t.Helper()
	if err := from.fleet.writeHeard(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := to.fleet.catchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func (c *testConsole) health(t testing.TB, id string) string {
	t.Helper()
	v, err := c.Instance(t.Context(), aViewer, id)
	if err != nil {
		t.Fatal(err)
	}
	return v.Health
}

// TestHeardByAnother: an instance that reports to one console looks the same on another, by
// whatever clock, and when it is silent it is so on both.
func TestHeardByAnother(t *testing.T) {
	for name, roles := range map[string]func(*two) (hears, reads *testConsole){
		"the one that hears is ahead":  func(w *two) (*testConsole, *testConsole) { return w.ahead, w.behind },
		"the one that hears is behind": func(w *two) (*testConsole, *testConsole) { return w.behind, w.ahead },
	} {
		t.Run(name, func(t *testing.T) {
			w := newTwo(t)
			hears, reads := roles(w)
			_, machines := party(t, hears, "fair", "otto", 1)
			m := machines[0].live(t)
			for n := range 20 { // worst: what was written down is older by a period, and comes late
				w.clock.advance(hears.period() - time.Millisecond)
				m.mustSay(t)
				w.clock.advance(time.Millisecond)
				if n%2 == 1 { // one that could not be written down
					w.hear(t, hears, reads)
				}
				for who, c := range map[string]*testConsole{"hears": hears, "reads": reads} {
					if is := c.health(t, m.id); is != HealthLive {
						t.Fatalf("report %d: for the one that %s it is %s", n, who, is)
					}
				}
			}
			fresh := reads.again(t)
			checkState(t, "for one that was started anew", fresh.health(t, m.id), HealthLive)
			w.clock.advance(silentAfter*reads.period() + heardEvery)
			checkState(t, "for the one that hears nothing of it any more", hears.health(t, m.id), HealthSilent)
			checkState(t, "for the one that reads nothing, for a moment yet", reads.health(t, m.id), HealthLive)
			w.clock.advance(time.Second)
			checkState(t, "for the one that reads nothing", reads.health(t, m.id), HealthSilent)
			m.c = reads
			m.mustSay(t)
			checkState(t, "for the one that it turned to", reads.health(t, m.id), HealthLive)
			w.hear(t, reads, hears)
			checkState(t, "for the one that it left", hears.health(t, m.id), HealthLive)
		})
	}
}

// TestHeardSlowly: what was told to report more seldom is waited for on every console.
func TestHeardSlowly(t *testing.T) {
	w := newTwo(t)
	_, machines := party(t, w.ahead, "fair", "otto", 1)
	m := machines[0].live(t)
	w.ahead.fleet.answering.Store(3 * easy)
	told := time.Duration(m.mustSay(t).Next) * time.Second
	if told < 3*w.ahead.period() {
		t.Fatalf("it is told to come in %s", told)
	}
	w.hear(t, w.ahead, w.behind)
	w.clock.advance(2 * told)
	checkState(t, "two of its periods later", w.behind.health(t, m.id), HealthLive)
}

// TestConsoleThatLeft: what it heard is kept, and its row is not.
func TestConsoleThatLeft(t *testing.T) {
	w := newTwo(t)
	_, machines := party(t, w.ahead, "fair", "otto", 1)
	m := machines[0].live(t)
	m.mustSay(t)
	w.hear(t, w.ahead, w.behind)
	rows := func() (ids []string) {
		t.Helper()
		err := w.behind.store.View(t.Context(), func(tx Tx) error {
			ids = nil
			return each(tx, Query{}, func(row heardRow) { ids = append(ids, row.Console) })
		})
		if err != nil {
			t.Fatal(err)
		}
		return ids
	}
	for _, pass := range []time.Duration{leftAfter, time.Second} {
		w.clock.advance(pass)
		if err := w.behind.tidy(t.Context()); err != nil {
			t.Fatal(err)
		}
		want := "ahead"
		if pass == time.Second {
			want = "behind"
		}
		if got := rows(); len(got) != 1 || got[0] != want {
			t.Errorf("there are rows of %v, want %s", got, want)
		}
	}
	before := w.behind.fleet.members[m.id]
	after := w.behind.again(t).fleet.members[m.id]
	if after.seq != before.seq || after.heard.Sub(before.heard).Abs() > 2*apart {
		t.Errorf("report %d, heard %s, is known after a new start as %d, %s", before.seq, before.heard, after.seq, after.heard)
	}
}

// peerLogs are the logs of another console.
type peerLogs struct {
	*Console
	asked int
}

func (p *peerLogs) SentLog(_ context.Context, instance, command string) ([]byte, error) {
	p.asked++
	return p.Console.SentLog(instance, command)
}

// TestLogsOfAnother: a log is asked for at one console, sent to another that has not heard of
// it yet, and read at the first, which asks for it once it was sent.
func TestLogsOfAnother(t *testing.T) {
	w := newTwo(t)
	peer := &peerLogs{Console: w.behind.Console}
	w.ahead.opts.LogPeers = peer
	_, machines := party(t, w.ahead, "fair", "otto", 1)
	m := machines[0].live(t)
	m.c = w.behind
	m.mustSay(t)
	o := order(t, w.ahead, m.id, wire.Command{Verb: wire.VerbLogs})
	if err := m.sendLogs(t, o.ID, zipped(t, "it began\n")); err != nil {
		t.Fatal(err)
	}
	if _, err := w.ahead.Logs(t.Context(), anOwner, m.id, o.ID); !errors.Is(err, ErrNotFound) || peer.asked != 0 {
		t.Errorf("before it says so: %v, asked %d times", err, peer.asked)
	}
	m.report.Results = []wire.Result{{ID: o.ID}}
	m.mustSay(t)
	if text, err := w.ahead.Logs(t.Context(), anOwner, m.id, o.ID); err != nil || string(text) != "it began\n" {
		t.Errorf("the log is %q, %v", text, err)
	}
	if _, err := w.ahead.Logs(t.Context(), aViewer, m.id, o.ID); !errors.Is(err, ErrForbidden) || peer.asked != 1 {
		t.Errorf("by a viewer: %v, asked %d times", err, peer.asked)
	}
}

// TestResultAtAnother: what became of a command is told to a console that has not heard of
// the command yet.
func TestResultAtAnother(t *testing.T) {
	w := newTwo(t)
	_, machines := party(t, w.ahead, "fair", "otto", 1)
	m := machines[0].live(t)
	m.c = w.behind
	m.mustSay(t)
	o := order(t, w.ahead, m.id, wire.Command{Verb: wire.VerbSync})
	m.report.Results = []wire.Result{{ID: o.ID, OK: true}}
	m.mustSay(t)
	i := stored[Instance](t, w.ahead, m.id)
	if len(i.Commands) != 1 || i.Commands[0].Result == nil {
		t.Errorf("the command was answered, and is %+v", i.Commands)
	}
}

// TestFollowAtAnother: who followed one console goes on at another after the last it was told,
// and is told the same.
func TestFollowAtAnother(t *testing.T) {
	w := newTwo(t)
	w.ahead.following(t)
	fair, machines := party(t, w.ahead, "fair", "otto", 3)
	start, err := w.ahead.Newest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range machines {
		m.live(t)
	}
	first := w.ahead.follow(t, anOrganiser, fair.ID, start)
	var told []Notice
	for range 3 {
		told = append(told, first.next(t))
	}
	first.stop()
	// The other one knows of nothing yet, and follows only from now on.
	second := w.behind.follow(t, anOrganiser, fair.ID, told[len(told)-1].Seq)
	told = append(told, second.next(t))
	w.behind.following(t)
	w.ahead.write(t, func(tx Tx) error {
		i, err := get[Instance](tx, machines[0].id)
		i.Failure = "the last"
		return errors.Join(err, put(tx, i))
	})
	last := w.ahead.newest(t)
	for told[len(told)-1].Seq < last {
		told = append(told, second.next(t))
	}
	all := w.ahead.follow(t, anOrganiser, fair.ID, start)
	for k, n := range told {
		if want := all.next(t); n != want {
			t.Fatalf("notice %d is %+v, want %+v", k, n, want)
		}
	}
	// A number that no store gave out, as after a restore of it, is not followed.
	err = w.behind.Follow(t.Context(), anOrganiser, fair.ID, last+1, func(n Notice) error { return fmt.Errorf("told %+v", n) })
	if !errors.Is(err, ErrForgotten) {
		t.Error(err)
	}
}
