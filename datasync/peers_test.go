package datasync

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"popup/internal/testutil/faults"
)

// The tests of this file are named after faults that were seen in the best known tool
// that does the same. Those of processes are in e2e/appliance, those of slow servers
// in internal/git.

// Something was left under the name that a publish goes by: each takes a new one.
func TestPeerFault1LeftoverLinkBlocksNothing(t *testing.T) {
	r := newRig(t, Config{})
	dir := r.publisher.Dir()
	for n, rev := range []Revision{"one", "two"} {
		r.source.set(t, rev, map[string]string{"a": string(rev)})
		for _, name := range []string{"tmp-link", "tmp-current", "tmp-" + string(rev), "tmp-current-0"} {
			if err := os.Symlink("nowhere", filepath.Join(dir, name)); n == 0 && err != nil {
				t.Fatal(err)
			}
		}
		r.sync(rev)
	}
	r.reopen(nil)
	noLeftovers(t, dir)
}

// A check that fails, ends by a signal or takes too long publishes nothing.
func TestPeerFault2FailedCheckPublishesNothing(t *testing.T) {
	var says error
	r := newRig(t, Config{Check: func(context.Context, string) error { return says }})
	r.source.set(t, "good", map[string]string{"a": "1"})
	r.sync("good")
	for n, err := range []error{errors.New("exit status 3"), errors.New("signal: killed"), context.DeadlineExceeded} {
		says = err
		rev := Revision("bad" + strings.Repeat("x", n))
		r.source.set(t, rev, map[string]string{"a": "2"})
		r.refused(GateCheck, err.Error())
		if r.publisher.Has(rev) {
			t.Errorf("%v: it is there all the same", err)
		}
	}
}

// What popup keeps for itself is damaged while upstream is away: what is served stays.
func TestPeerFault3DamagedStoreKeepsTheLiveTree(t *testing.T) {
	for name, damage := range map[string]func(dir string) error{
		"index gone":    func(d string) error { return os.RemoveAll(filepath.Join(d, indexDir)) },
		"index garbled": func(d string) error { return os.WriteFile(filepath.Join(d, indexDir, "two"), []byte("x"), 0o600) },
		"memory":        func(d string) error { return os.WriteFile(filepath.Join(d, memoryName), []byte("{"), 0o600) },
		"spare":         func(d string) error { return os.MkdirAll(filepath.Join(d, spareDir, "x", "y"), 0o755) },
		"boot":          func(d string) error { return os.WriteFile(filepath.Join(d, bootName), nil, 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, Config{})
			for _, rev := range []Revision{"one", "two"} {
				r.source.set(t, rev, map[string]string{"a": string(rev)})
				r.sync(rev)
			}
			if err := damage(r.publisher.Dir()); err != nil {
				t.Fatal(err)
			}
			r.source.headErr = errors.New("upstream is away")
			r.reopen(nil)
			if _, _, err := r.Stage(t.Context()); err == nil {
				t.Error("upstream was away, and nothing was said")
			}
			if rev, ok := r.publisher.Current(); !ok || rev != "two" {
				t.Fatalf("%q is served", rev)
			}
			wantFiles(t, r.publisher.Path("two"), map[string]string{"a": "two"})
			r.source.headErr = nil
			r.source.set(t, "three", map[string]string{"a": "three"})
			r.sync("three")
		})
	}
}

// A disk that was full leaves nothing behind, and what then fits is published.
func TestPeerFault4FullDiskIsLeftWhenUpstreamShrinks(t *testing.T) {
	v := newVictim(t, "")
	v.again()
	out, err := v.pass(func(c faults.Call) faults.Verdict {
		if c.Kind == faults.Write && c.N > 5 {
			return faults.Verdict{Errno: syscall.ENOSPC}
		}
		return faults.Verdict{}
	})
	if err == nil || !strings.Contains(string(out), "the disk is full") || !strings.Contains(string(out), "free some space") {
		t.Errorf("it says %q, %v", out, err)
	}
	v.whole("full")
	noLeftovers(t, v.dir)
	v.repo.Git("rm", "-q", "--cached", "big")
	v.newest = Revision(v.repo.CommitAll())
	v.trees[v.newest] = describe(v.tracked())
	v.converges("when upstream shrank")
}

// Whatever a killed process left half made is no lock: the next one goes on.
func TestPeerFault6NothingLeftIsALock(t *testing.T) {
	r := newRig(t, Config{Extract: "day.tar"})
	r.source.setFill("one", func(dir string) error {
		return os.WriteFile(filepath.Join(dir, "day.tar"), tarOf(t, file("a", "1")), 0o644)
	})
	r.sync("one")
	dir := r.publisher.Dir()
	for _, name := range []string{"tmp-1/index.lock", "two/index.lock", sourceDir + "/tmp-2/shallow.lock", sourceDir + "/index.lock", spareDir + "/two/index.lock", indexDir + "/two.lock"} {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.RemoveAll(filepath.Join(dir, "two")); err != nil { // a revision under its name is believed
		t.Fatal(err)
	}
	r.reopen(nil)
	r.source.setFill("two", func(dir string) error {
		return os.WriteFile(filepath.Join(dir, "day.tar"), tarOf(t, file("a", "2")), 0o644)
	})
	r.sync("two")
	wantFiles(t, r.publisher.Path("two"), map[string]string{"a": "2"})
	noLeftovers(t, dir)
}

// An edit of the published tree is mended: see TestSyncerMendsEdits for the hour, and
// TestLocalEditsAreMended in e2e/appliance for what readers get.
func TestPeerFault8LocalEditsAreMended(t *testing.T) {
	r := newRig(t, Config{})
	files := map[string]string{"a": "1", "d/b": "2"}
	r.source.set(t, "one", files)
	r.sync("one")
	for name, edit := range map[string]func(dir string) error{
		"removed": func(d string) error {
			return errors.Join(os.Chmod(filepath.Join(d, "d"), 0o755), os.Remove(filepath.Join(d, "d/b")))
		},
		"added": func(d string) error {
			return errors.Join(os.Chmod(d, 0o755), os.WriteFile(filepath.Join(d, "stranger"), nil, 0o644))
		},
		"changed": func(d string) error {
			return errors.Join(os.Chmod(filepath.Join(d, "a"), 0o644), os.WriteFile(filepath.Join(d, "a"), []byte("9"), 0o644))
		},
	} {
		if err := edit(r.publisher.Path("one")); err != nil {
			t.Fatal(err)
		}
		r.clock.advance(2 * time.Hour)
		if _, changed, err := r.Stage(t.Context()); !changed || err != nil {
			t.Errorf("%s: %v, %v", name, changed, err)
		}
		wantFiles(t, r.publisher.Path("one"), files)
	}
}

// An upstream that was emptied is not published without a question. For one that went
// back, see TestRewind.
func TestPeerFault9EmptiedUpstreamIsRefused(t *testing.T) {
	r := newRig(t, Config{})
	r.source.set(t, "one", map[string]string{"a": "1"})
	r.sync("one")
	r.source.set(t, "none", map[string]string{})
	r.refused(GateEmpty, "it holds no file at all")
	wantFiles(t, r.publisher.Path("one"), map[string]string{"a": "1"})
}
