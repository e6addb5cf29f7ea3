package console

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"popup/internal/archive"
)

// A trio are three consoles on one store, each with a vault of its own.
type trio struct {
	consoles []*testConsole
	dirs     []string
	away     map[string]bool
	members  []string

	mu    sync.Mutex // guards asked
	asked map[string]int
}

// count counts what is asked of a member.
func (trio *trio) count(what string) {
	trio.mu.Lock()
	defer trio.mu.Unlock()
	trio.asked[what]++
}

// peersOf are the vaults of the others of a trio, without a network in between.
type peersOf struct {
	*trio
	self string
}

func newTrio(t *testing.T) *trio {
	t.Helper()
	trio := &trio{away: map[string]bool{}, members: []string{"a", "b", "c"}, dirs: make([]string, 3), asked: map[string]int{}}
	keys := withKeys(t)
	for n, name := range trio.members {
		trio.consoles = append(trio.consoles, newConsole(t, func(o *Options) {
			if keys(o); n > 0 {
				o.Store, o.Keys, o.Now = trio.consoles[0].store, trio.consoles[0].opts.Keys, trio.consoles[0].clock.Now
			}
			o.Archives, trio.dirs[n] = openArchives(t, ArchivesOptions{Peers: peersOf{trio, name}})
		}))
	}
	return trio
}

func (p peersOf) Others(context.Context) (others []string, err error) {
	for _, name := range p.members {
		if name != p.self {
			others = append(others, name)
		}
	}
	return others, nil
}

func (p peersOf) vault(member string) (*Archives, error) {
	if n := slices.Index(p.members, member); n >= 0 && !p.away[member] {
		return p.consoles[n].opts.Archives, nil
	}
	return nil, errors.New(member + " does not answer")
}

func (p peersOf) Put(ctx context.Context, member, name string, size int64, sum []byte, r io.Reader) error {
	vault, err := p.vault(member)
	if err != nil {
		return err
	}
	return vault.Keep(ctx, name, size, sum, r)
}

func (p peersOf) Get(ctx context.Context, member, name string) (io.ReadCloser, error) {
	vault, err := p.vault(member)
	if err != nil {
		return nil, err
	}
	return vault.Own().Get(ctx, name)
}

func (p peersOf) List(ctx context.Context, member string) ([]archive.Item, error) {
	p.count("list " + member)
	vault, err := p.vault(member)
	if err != nil {
		return nil, err
	}
	return vault.Own().List(ctx)
}

func (p peersOf) Delete(ctx context.Context, member, name string) error {
	p.count("delete " + member)
	vault, err := p.vault(member)
	if err != nil {
		return err
	}
	return vault.Own().Delete(ctx, name)
}

// at is the machine as it talks to another console.
func (m *machine) at(c *testConsole) *machine {
	other := *m
	other.c = c
	return &other
}

// kept are the names that each of the consoles has, like "x y|x|".
func (trio *trio) kept(t *testing.T, m *machine) string {
	t.Helper()
	var all []string
	for _, dir := range trio.dirs {
		all = append(all, strings.ReplaceAll(strings.Join(inFolder(t, dir), " "), m.id+".", ""))
	}
	return strings.Join(all, "|")
}

// fetch reads what an owner gets of an archive at a console.
func (c *testConsole) fetch(t *testing.T, m *machine, name string) ([]byte, error) {
	t.Helper()
	_, file, err := c.OpenArchive(t.Context(), anOwner, m.id, name)
	if err != nil {
		return nil, err
	}
	got, err := io.ReadAll(file)
	return got, errors.Join(err, file.Close())
}

// look has the consoles that are there look after their copies, at a time.
func (trio *trio) look(t *testing.T, menders []*mender, now time.Time) {
	t.Helper()
	for n, m := range menders {
		if trio.away[trio.members[n]] {
			continue
		}
		if err := m.turn(t.Context(), now); err != nil {
			t.Fatal(err)
		}
	}
}

func (trio *trio) menders() (all []*mender) {
	for _, c := range trio.consoles {
		all = append(all, newMender(c.Console))
	}
	return all
}

func TestArchiveIsOnTwoConsoles(t *testing.T) {
	trio := newTrio(t)
	a, b, c := trio.consoles[0], trio.consoles[1], trio.consoles[2]
	_, machines := party(t, a, "fair", "otto", 1)
	m := machines[0].live(t)
	one := m.backup(t, false, "one")
	if m.mustPut(t, "one", one); trio.kept(t, m) != "one|one|" {
		t.Fatalf("they have %s", trio.kept(t, m))
	}
	for n, console := range trio.consoles {
		if got, err := console.fetch(t, m, "one"); err != nil || !bytes.Equal(got, one) {
			t.Errorf("at console %d: %d bytes, %v", n, len(got), err)
		}
	}
	trio.away["b"] = true
	two := m.backup(t, true, "two")
	if m.at(c).mustPut(t, "two", two); trio.kept(t, m) != "one two|one|two" {
		t.Errorf("one is away, and they have %s", trio.kept(t, m))
	}
	trio.away["a"] = true
	if _, err := c.fetch(t, m, "one"); !isBusy(err) {
		t.Errorf("those who have it are away: %v", err)
	}
	if _, err := c.fetch(t, m, "none"); !errors.Is(err, ErrNotFound) {
		t.Errorf("one that there never was: %v", err)
	}
	if _, err := m.at(c).put(t, "one", two); !errors.Is(err, errNameTaken) {
		t.Errorf("another under a name that one away has: %v", err)
	}
	if m.at(c).mustPut(t, "one", one); trio.kept(t, m) != "one two|one|one two" || c.opts.Archives.Alone() != 1 {
		t.Errorf("sent again to the only one that is there: %s, %d alone", trio.kept(t, m), c.opts.Archives.Alone())
	}
	clear(trio.away)
	if err := b.removeArchives(t.Context(), m.id); err != nil || trio.kept(t, m) != "||" {
		t.Errorf("removed: %s, %v", trio.kept(t, m), err)
	}
}

func isBusy(err error) bool { var busy *BusyError; return errors.As(err, &busy) }

// TestCopiesAreMended: what came to a console alone, what a lost one had, and what was
// damaged.
func TestCopiesAreMended(t *testing.T) {
	trio := newTrio(t)
	menders, now := trio.menders(), aDay
	_, machines := party(t, trio.consoles[0], "fair", "otto", 1)
	m := machines[0].live(t)
	trio.away["b"], trio.away["c"] = true, true
	one, two := m.backup(t, false, "one"), m.backup(t, false, "two")
	m.mustPut(t, "one", one)
	trio.look(t, menders, now)
	if a := trio.consoles[0].opts.Archives; a.Alone() != 1 || trio.kept(t, m) != "one||" {
		t.Fatalf("%d have no copy: %s", a.Alone(), trio.kept(t, m))
	}
	delete(trio.away, "c")
	trio.look(t, menders, now.Add(mendEvery))
	if a := trio.consoles[0].opts.Archives; a.Alone() != 0 || trio.kept(t, m) != "one||one" {
		t.Errorf("another is back, and %d have no copy: %s", a.Alone(), trio.kept(t, m))
	}
	delete(trio.away, "b")
	if m.mustPut(t, "two", two); trio.kept(t, m) != "one two|two|one" {
		t.Fatal(trio.kept(t, m))
	}

	trio.away["c"] = true
	now = now.Add(lookEvery + mendEvery)
	if trio.look(t, menders, now); trio.kept(t, m) != "one two|two|one" {
		t.Errorf("one was away for a moment: %s", trio.kept(t, m))
	}
	if trio.look(t, menders, now.Add(awayFor)); trio.kept(t, m) != "one two|one two|one" {
		t.Errorf("one was away for long: %s", trio.kept(t, m))
	}

	clear(trio.away)
	name := filepath.Join(trio.dirs[0], m.id+".two")
	bad := bytes.Clone(two)
	bad[len(bad)/2] ^= 1
	if err := os.WriteFile(name, bad, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := trio.consoles[0].fetch(t, m, "two"); err == nil {
		t.Error("a damaged one was given out")
	}
	if got, err := trio.consoles[0].fetch(t, m, "two"); err != nil || !bytes.Equal(got, two) {
		t.Errorf("the second time: %d bytes, %v", len(got), err)
	}
	trio.look(t, menders, now.Add(awayFor+mendEvery))
	if got, err := os.ReadFile(name); err != nil || !bytes.Equal(got, two) {
		t.Errorf("it was not taken back: %v", err)
	}
}

// TestAwayConsoleRemoves: what was purged or pruned while a console was away is gone once
// it is back; what the store merely does not know stays.
func TestAwayConsoleRemoves(t *testing.T) {
	trio := newTrio(t)
	c := trio.consoles[0]
	_, fair := party(t, c, "fair", "otto", 1)
	_, feast := party(t, c, "feast", "oda", 1)
	m, other := fair[0].live(t), feast[0].live(t)
	m.mustPut(t, "0", m.backup(t, false, "0"))
	other.mustPut(t, "0", other.backup(t, true, "0"))
	stray := filepath.Join(trio.dirs[1], m.id+".stray")
	if err := os.WriteFile(stray, []byte("newer than the store"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range inFolder(t, trio.dirs[1]) {
		when := aDay
		if strings.HasSuffix(name, "stray") {
			when = aDay.AddDate(1, 0, 0)
		}
		if err := os.Chtimes(filepath.Join(trio.dirs[1], name), when, when); err != nil {
			t.Fatal(err)
		}
	}
	trio.away["b"] = true
	for n := range archivesKept {
		c.clock.advance(time.Hour)
		m.mustPut(t, fmt.Sprint(n+1), m.backup(t, false, fmt.Sprint(n+1)))
	}
	if err := c.removeArchives(t.Context(), other.id); err != nil {
		t.Fatal(err)
	}
	c.write(t, func(tx Tx) error {
		e, err := get[Event](tx, "id-feast")
		e.State = EventPurged
		return errors.Join(err, put(tx, e))
	})
	if got := len(inFolder(t, trio.dirs[1])); got != 3 {
		t.Fatalf("who is away has %d files", got)
	}
	clear(trio.away)
	trio.look(t, trio.menders(), aDay)
	if got := inFolder(t, trio.dirs[1]); !slices.Equal(got, []string{m.id + ".stray"}) {
		t.Errorf("who is back has %v", got)
	}
	if got := trio.kept(t, m); !strings.HasPrefix(got, "1 2 3 4 5 6 7|") || !strings.HasSuffix(got, "|1 2 3 4 5 6 7") {
		t.Errorf("they have %s", got)
	}
}

func TestKeepRefuses(t *testing.T) {
	a, dir := openArchives(t, ArchivesOptions{Most: 100, Free: func() (int64, error) { return 2 << 30, nil }})
	sum := sha256.Sum256([]byte("hello"))
	for name, keep := range map[string]struct {
		key  string
		size int64
		sum  []byte
	}{
		"a path":     {"../fair-1.x", 5, sum[:]},
		"no name":    {"fair-1", 5, sum[:]},
		"hidden":     {".fair-1.x", 5, sum[:]},
		"too large":  {"fair-1.x", 101, sum[:]},
		"too short":  {"fair-1.x", 6, sum[:]},
		"too long":   {"fair-1.x", 4, sum[:]},
		"other sum":  {"fair-1.x", 5, make([]byte, 32)},
		"without it": {"fair-1.x", 5, nil},
	} {
		if err := a.Keep(t.Context(), keep.key, keep.size, keep.sum, strings.NewReader("hello")); err == nil {
			t.Errorf("%s: it was kept", name)
		}
	}
	if got := inFolder(t, dir); len(got) != 0 {
		t.Errorf("it has %v", got)
	}
	for range 2 {
		if err := a.Keep(t.Context(), "fair-1.x", 5, sum[:], strings.NewReader("hello")); err != nil {
			t.Error(err)
		}
	}
	full, _ := openArchives(t, ArchivesOptions{Free: func() (int64, error) { return 1 << 20, nil }})
	if err := full.Keep(t.Context(), "fair-1.x", 5, sum[:], strings.NewReader("hello")); !isBusy(err) {
		t.Errorf("on a full disk: %v", err)
	}
}
