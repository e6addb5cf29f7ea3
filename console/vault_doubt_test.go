package console

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"popup/internal/archive"
)

// silent are consoles that take connections, and never answer.
type silent []string

func (s silent) Others(context.Context) ([]string, error) { return s, nil }

func (silent) Put(ctx context.Context, _, _ string, _ int64, _ []byte, _ io.Reader) error {
	<-ctx.Done()
	return ctx.Err()
}

func (silent) Get(ctx context.Context, _, _ string) (io.ReadCloser, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func (silent) List(ctx context.Context, _ string) ([]archive.Item, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func (silent) Delete(ctx context.Context, _, _ string) error {
	<-ctx.Done()
	return ctx.Err()
}

// TestSilentConsolesHoldUpLittle: a backup is acknowledged while its instance still
// listens, and removing many waits once.
func TestSilentConsolesHoldUpLittle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, dir := openArchives(t, ArchivesOptions{Peers: silent{"b", "c"}})
		body := packed(t, true, "ten for the cake")
		hungUp, hangUp := context.WithTimeout(t.Context(), time.Minute)
		defer hangUp()
		if _, err := a.Receive(hungUp, incoming(body)); !errors.Is(err, context.DeadlineExceeded) || a.Alone() != 0 {
			t.Errorf("who sent it is gone: %v, %d alone", err, a.Alone())
		}
		patient, done := context.WithTimeout(t.Context(), 15*time.Minute) // as an instance is
		defer done()
		began := time.Now()
		if _, err := a.Receive(patient, incoming(body)); err != nil || a.Alone() != 1 {
			t.Errorf("after %s: %v, %d alone", time.Since(began), err, a.Alone())
		}
		if took := time.Since(began); took > shareTime {
			t.Errorf("a backup took %s", took)
		}
		for what, remove := range map[string]func() error{
			"one":  func() error { return a.Remove(t.Context(), "fair-1", "a.tar.zst") },
			"many": func() error { return a.Purge(t.Context(), "fair-1", "fair-2", "fair-3") },
		} {
			began = time.Now()
			err := remove()
			if took := time.Since(began); err != nil || took > 20*time.Second || what == "one" && took > 0 { // a page waits no longer than 60
				t.Errorf("removing %s took %s, %v", what, took, err)
			}
		}
		if names := inFolder(t, dir); len(names) != 0 {
			t.Errorf("there are %v", names)
		}
	})
}

// TestPurgeAsksOnce for all instances of an event, and no further where nobody answers.
func TestPurgeAsksOnce(t *testing.T) {
	trio := newTrio(t)
	c := trio.consoles[0]
	e, machines := party(t, c, "fair", "otto", 3)
	for n, m := range machines {
		m.live(t).at(trio.consoles[n]).mustPut(t, "one", m.backup(t, true, "one"))
	}
	c.write(t, func(tx Tx) error {
		e, err := get[Event](tx, e.ID)
		e.State = EventArchived
		return errors.Join(err, put(tx, e))
	})
	trio.away["b"] = true
	clear(trio.asked)
	if e, err := c.purge(t.Context(), e.ID); err != nil || e.State != EventPurged {
		t.Fatalf("%s, %v", e.State, err)
	}
	if a := trio.asked; a["list b"] != 1 || a["delete b"] != 0 || a["list c"] != 1 || a["delete c"] != 1 {
		t.Errorf("asked: %v", a)
	}
	if here, there := inFolder(t, trio.dirs[0]), inFolder(t, trio.dirs[2]); len(here)+len(there) != 0 {
		t.Errorf("there are %v and %v", here, there)
	}
	var left []Archive
	if err := c.store.View(t.Context(), func(tx Tx) (err error) { left, err = list[Archive](tx, Query{}); return err }); err != nil || len(left) != 0 {
		t.Errorf("noted are %v, %v", left, err)
	}
	clear(trio.away)
	if trio.look(t, trio.menders(), aDay); len(inFolder(t, trio.dirs[1])) != 0 {
		t.Errorf("who is back has %v", inFolder(t, trio.dirs[1]))
	}
}

// TestPrunedIsToldLater, so that no backup waits for it.
func TestPrunedIsToldLater(t *testing.T) {
	trio := newTrio(t)
	_, machines := party(t, trio.consoles[0], "fair", "otto", 1)
	m := machines[0].live(t)
	for _, name := range strings.Fields("1 2 3 4 5 6 7 8") {
		trio.consoles[0].clock.advance(time.Hour)
		m.mustPut(t, name, m.backup(t, false, name))
	}
	if got := trio.kept(t, m); got != "2 3 4 5 6 7 8|1 2 3 4 5 6 7 8|" || trio.asked["delete b"] != 0 {
		t.Errorf("they have %s; asked: %v", got, trio.asked)
	}
	m.mustPut(t, "9", m.backup(t, false, "9"))
	trio.look(t, trio.menders()[:1], aDay)
	if got := trio.kept(t, m); got != "3 4 5 6 7 8 9|3 4 5 6 7 8 9|" {
		t.Errorf("then they have %s", got)
	}
}

// alsoKeeps has one more console keep a copy.
func (trio *trio) alsoKeeps(t *testing.T, console int, m *machine, name string, body []byte) {
	t.Helper()
	sum := sha256.Sum256(body)
	if err := trio.consoles[console].opts.Archives.Keep(t.Context(), m.id+"."+name, int64(len(body)), sum[:], bytes.NewReader(body)); err != nil {
		t.Fatal(err)
	}
}

// rot damages one byte of what a console has.
func (trio *trio) rot(t *testing.T, console int, m *machine, name string) {
	t.Helper()
	file := filepath.Join(trio.dirs[console], m.id+"."+name)
	bad, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	bad[len(bad)/2] ^= 1
	if err := os.WriteFile(file, bad, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestRotElsewhereIsFoundOut by a reader that has no copy.
func TestRotElsewhereIsFoundOut(t *testing.T) {
	trio := newTrio(t)
	a, b := trio.consoles[0], trio.consoles[1]
	_, machines := party(t, a, "fair", "otto", 1)
	m := machines[0].live(t)
	one := m.backup(t, true, "one")
	trio.away["a"] = true
	if m.at(b).mustPut(t, "one", one); trio.kept(t, m) != "|one|one" {
		t.Fatal(trio.kept(t, m))
	}
	clear(trio.away)
	trio.rot(t, 1, m, "one")
	if _, err := a.fetch(t, m, "one"); err == nil {
		t.Fatal("a damaged one was given out")
	}
	if got, err := a.fetch(t, m, "one"); err != nil || !bytes.Equal(got, one) {
		t.Errorf("the second time: %d bytes, %v", len(got), err)
	}
	trio.away["c"] = true
	if _, err := a.fetch(t, m, "one"); !isBusy(err) {
		t.Errorf("who has a good one is away: %v", err)
	}
	clear(trio.away)
	trio.look(t, trio.menders(), aDay)
	if got, err := b.fetch(t, m, "one"); err != nil || !bytes.Equal(got, one) || len(a.opts.Archives.doubted) != 0 {
		t.Errorf("it was not put back: %v, doubted: %v", err, a.opts.Archives.doubted)
	}
	if trio.kept(t, m) != "|one|one" {
		t.Error(trio.kept(t, m))
	}
}

// TestUnreadableElsewhereIsFoundOut: a disk that breaks is no other fault than one that lies.
func TestUnreadableElsewhereIsFoundOut(t *testing.T) {
	trio := newTrio(t)
	a, b := trio.consoles[0], trio.consoles[1]
	_, machines := party(t, a, "fair", "otto", 1)
	m := machines[0].live(t)
	one := m.backup(t, true, "one")
	m.mustPut(t, "one", one) // at a and b
	for _, c := range []*testConsole{a, b} {
		opts := &c.opts.Archives.opts
		opts.Vault = lyingVault{opts.Vault, func(whole []byte) ([]byte, error) { return whole[:9], errors.New("input/output error") }}
	}
	trio.alsoKeeps(t, 2, m, "one", one)
	for n := range 2 { // its own, and then b's
		if _, err := a.fetch(t, m, "one"); err == nil {
			t.Fatalf("the vault of console %d is broken, and gives it out", n)
		}
	}
	if got, err := a.fetch(t, m, "one"); err != nil || !bytes.Equal(got, one) {
		t.Errorf("the third time: %d bytes, %v", len(got), err)
	}
}

// TestTakenBackFromWhoHasAGoodOne, where there is space for it.
func TestTakenBackFromWhoHasAGoodOne(t *testing.T) {
	trio := newTrio(t)
	a := trio.consoles[0]
	_, machines := party(t, a, "fair", "otto", 1)
	m := machines[0].live(t)
	one := m.backup(t, true, "one")
	m.mustPut(t, "one", one) // at a and b
	trio.alsoKeeps(t, 2, m, "one", one)
	trio.rot(t, 0, m, "one")
	trio.rot(t, 1, m, "one")
	a.opts.Archives.damage(m.id + ".one")
	a.opts.Archives.opts.Free = func() (int64, error) { return DefaultSpare, nil }
	mender := trio.menders()[0]
	if err := mender.turn(t.Context(), aDay); !isBusy(err) || !a.opts.Archives.isDamaged(m.id+".one") {
		t.Errorf("on a full disk: %v", err)
	}
	a.opts.Archives.opts.Free = nil
	if err := mender.turn(t.Context(), aDay.Add(mendEvery)); err != nil {
		t.Error(err)
	}
	for n, c := range trio.consoles {
		if got, err := c.fetch(t, m, "one"); err != nil || !bytes.Equal(got, one) {
			t.Errorf("console %d: %d bytes, %v", n, len(got), err)
		}
	}
	if a.opts.Archives.isDamaged(m.id+".one") || len(a.opts.Archives.doubted) != 0 {
		t.Errorf("damaged still, or doubted: %v", a.opts.Archives.doubted)
	}
}
