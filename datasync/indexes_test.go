package datasync

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"popup/internal/tree"
)

// A machine is one that can be started anew.
type machine struct{ boot string }

func (m *machine) id() (string, error) { return m.boot, nil }

// stageFiles stages a tree upon what is there, as a source does.
func stageFiles(t testing.TB, p *Publisher, rev Revision, files map[string]string) {
	t.Helper()
	err := p.stageUpon(t.Context(), rev, func(ctx context.Context, a *aside) (_ *tree.Index, err error) {
		from := tempDir(t)
		write(t, from, files)
		wanted, err := tree.Scan(ctx, os.DirFS(from), tree.Limits{})
		if err != nil {
			return nil, err
		}
		w := a.writer(tree.Limits{})
		defer func() { err = errors.Join(err, w.Close()) }()
		for e := range wanted.All() {
			if e.Mode == tree.Folder {
				continue
			}
			if done, err := w.Reuse(e.Path, e.Mode, e.ID); done || err != nil {
				if err != nil {
					return nil, err
				}
				continue
			}
			f, err := os.Open(filepath.Join(from, e.Path))
			if err != nil {
				return nil, err
			}
			if err := errors.Join(w.File(e.Path, e.Mode, e.Size, f), f.Close()); err != nil {
				return nil, err
			}
		}
		return w.Finish()
	})
	if err != nil {
		t.Fatal(err)
	}
}

func wantFiles(t testing.TB, dir string, files map[string]string) {
	t.Helper()
	for name, want := range files {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != want {
			t.Errorf("%s is %q, %v; want %q", filepath.Join(dir, name), got, err, want)
		}
	}
	if got := len(listing(t, dir)); got != len(describe(files)) {
		t.Errorf("%s holds %v; want %v", dir, listing(t, dir), files)
	}
}

// overwrite edits a published file, as root does.
func overwrite(t testing.TB, path, content string) {
	t.Helper()
	if err := errors.Join(os.Chmod(path, 0o644), os.WriteFile(path, []byte(content), 0o644)); err != nil {
		t.Fatal(err)
	}
}

// What nobody reads any more becomes the next revision: the same inodes, and nothing is left over.
func TestSpareBecomesTheNext(t *testing.T) {
	dir, now := tempDir(t), newClock()
	p := openPublisher(t, dir, PublisherOptions{Retain: 2, Share: true, Now: now.Now})
	trees := map[Revision]map[string]string{}
	var inode fs.FileInfo
	for n, rev := range []Revision{"r1", "r2", "r3", "r4", "r5", "r6"} {
		trees[rev] = map[string]string{"same": "same", "d/same": "x", "d/name": string(rev), "only/" + string(rev): "1"}
		stageFiles(t, p, rev, trees[rev])
		if err := p.Flip(rev); err != nil {
			t.Fatal(err)
		}
		now.advance(time.Hour)
		if err := p.Prune(nil); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(filepath.Join(p.Path(rev), "same"))
		if err != nil {
			t.Fatal(err)
		}
		if n > 0 && !os.SameFile(info, inode) {
			t.Errorf("%s does not share what is the same", rev)
		}
		inode = info
		kept, err := p.List()
		if err != nil {
			t.Fatal(err)
		}
		for _, old := range kept {
			wantFiles(t, p.Path(old), trees[old])
			if err := p.Verify(t.Context(), old); err != nil {
				t.Errorf("%s: %v", old, err)
			}
		}
		if _, ok := p.spare(); ok != (n >= 2) {
			t.Errorf("after %s there is a spare: %v", rev, ok)
		}
	}
	noLeftovers(t, dir)
	if indexes, err := os.ReadDir(filepath.Join(dir, indexDir)); err != nil || len(indexes) != 3 {
		t.Errorf("there are %d indexes, %v; want those of two revisions and a spare", len(indexes), err)
	}
}

// An edit of the base is not taken over, and the revision that was edited is mended.
func TestEditedRevisionIsMended(t *testing.T) {
	dir, now := tempDir(t), newClock()
	p := openPublisher(t, dir, PublisherOptions{Share: true, Now: now.Now})
	files := map[string]string{"a": "1", "d/b": "2"}
	stageFiles(t, p, "r1", files)
	if err := p.Flip("r1"); err != nil {
		t.Fatal(err)
	}
	overwrite(t, filepath.Join(p.Path("r1"), "d/b"), "edited")
	stageFiles(t, p, "r2", files)
	wantFiles(t, p.Path("r2"), files)
	var damaged *tree.DamagedError
	if err := p.Check(t.Context(), "r1"); !errors.As(err, &damaged) {
		t.Errorf("Check: %v", err)
	}
	stageFiles(t, p, "r1", files)
	wantFiles(t, p.Path("r1"), files)
	if err := p.Check(t.Context(), "r1"); err != nil {
		t.Errorf("Check, after it was mended: %v", err)
	}
	now.advance(time.Hour)
	if err := p.Prune(nil); err != nil {
		t.Fatal(err)
	}
	noLeftovers(t, dir)
}

// After the machine went down, what the disk lost is found before it is served.
func TestCrashOfTheMachineIsVerified(t *testing.T) {
	for name, c := range map[string]struct {
		damage  func(t *testing.T, p *Publisher)
		current Revision
	}{
		"nothing": {func(*testing.T, *Publisher) {}, "r2"},
		"content": {func(t *testing.T, p *Publisher) {
			path := filepath.Join(p.Path("r2"), "a")
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			overwrite(t, path, "\x00\x00")
			if err := errors.Join(os.Chtimes(path, info.ModTime(), info.ModTime()), os.Chmod(path, 0o444)); err != nil {
				t.Fatal(err)
			}
		}, "r1"},
		"index": {func(t *testing.T, p *Publisher) { overwrite(t, p.indexPath("r2"), "") }, "r1"},
		"all": {func(t *testing.T, p *Publisher) {
			overwrite(t, p.indexPath("r1"), "x")
			overwrite(t, p.indexPath("r2"), "x")
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir, m := tempDir(t), &machine{boot: "first"}
			opts := PublisherOptions{boot: m.id}
			p := openPublisher(t, dir, opts)
			for _, rev := range []Revision{"r1", "r2"} {
				stageFiles(t, p, rev, map[string]string{"a": string(rev)})
				if err := p.Flip(rev); err != nil {
					t.Fatal(err)
				}
			}
			c.damage(t, p)
			if again := openPublisher(t, dir, opts); !again.Has("r2") || len(again.Lost()) != 0 {
				t.Error("it was read though the machine had stayed up")
			}
			m.boot = "second"
			again := openPublisher(t, dir, opts)
			if got, _ := again.Current(); got != c.current || c.current == "r1" && again.Has("r2") {
				t.Errorf("%q is served; want %q", got, c.current)
			}
			if lost := len(again.Lost()) > 0; lost != (name != "nothing") {
				t.Errorf("lost: %v", again.Lost())
			}
		})
	}
}

// Who closed it in order need not read all of it again.
func TestCloseSparesTheReading(t *testing.T) {
	dir, m := tempDir(t), &machine{boot: "first"}
	p := openPublisher(t, dir, PublisherOptions{boot: m.id})
	stageFiles(t, p, "r1", map[string]string{"a": "1"})
	overwrite(t, p.indexPath("r1"), "damaged")
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	m.boot = "second"
	if again := openPublisher(t, dir, PublisherOptions{boot: m.id}); !again.Has("r1") {
		t.Error("it was read")
	}
}

// What an older popup published has no index: it is made, and believed.
func TestRevisionWithoutIndexIsAdopted(t *testing.T) {
	dir, m := tempDir(t), &machine{boot: "first"}
	p := openPublisher(t, dir, PublisherOptions{boot: m.id})
	stageFiles(t, p, "r1", map[string]string{"a": "1"})
	if err := errors.Join(p.Flip("r1"), os.RemoveAll(filepath.Join(dir, indexDir))); err != nil {
		t.Fatal(err)
	}
	m.boot = "second"
	again := openPublisher(t, dir, PublisherOptions{boot: m.id})
	if rev, _ := again.Current(); rev != "r1" {
		t.Fatalf("%q is served", rev)
	}
	if index, err := again.Index("r1"); err != nil || index.Size().Files != 1 {
		t.Errorf("its index is %v, %v", index, err)
	}
}

// The syncer looks once an hour whether what it serves was changed on disk, and says
// that it is to be served anew.
func TestSyncerMendsEdits(t *testing.T) {
	r := newRig(t, Config{})
	r.source.set(t, "one", map[string]string{"a": "1"})
	r.sync("one")
	path := filepath.Join(r.publisher.Path("one"), "a")
	if _, changed, err := r.Stage(t.Context()); changed || err != nil {
		t.Fatalf("unchanged: %v, %v", changed, err)
	}
	overwrite(t, path, "edited")
	r.clock.advance(2 * time.Hour)
	if rev, changed, err := r.Stage(t.Context()); rev != "one" || !changed || err != nil {
		t.Errorf("after an edit: %v, %v, %v", rev, changed, err)
	}
	wantFiles(t, r.publisher.Path("one"), map[string]string{"a": "1"})
	if err := r.Publish("one"); err != nil {
		t.Fatal(err)
	}
	if _, changed, err := r.Stage(t.Context()); changed || err != nil {
		t.Errorf("when it was mended: %v, %v", changed, err)
	}
}

// Another archive of the same revision is other data, also after a restart.
func TestAnotherExtractIsMadeAnew(t *testing.T) {
	r := newRig(t, Config{Extract: "one.tar"})
	r.source.setFill("r1", func(dir string) error {
		return errors.Join(os.WriteFile(filepath.Join(dir, "one.tar"), tarOf(t, file("a", "1")), 0o644),
			os.WriteFile(filepath.Join(dir, "two.tar"), tarOf(t, file("a", "2")), 0o644))
	})
	r.sync("r1")
	r.reopen(nil)
	if _, changed, err := r.Stage(t.Context()); changed || err != nil {
		t.Errorf("the same archive: %v, %v", changed, err)
	}
	r.reopen(func(c *Config) { c.Extract = "two.tar" })
	if _, changed, err := r.Stage(t.Context()); !changed || err != nil {
		t.Errorf("another archive: %v, %v", changed, err)
	}
	wantFiles(t, r.publisher.Path("r1"), map[string]string{"a": "2"})
}

// What was mended stays to be served anew until it is; and what is held is mended too.
func TestMendedUntilPublished(t *testing.T) {
	r := newRig(t, Config{})
	r.source.set(t, "one", map[string]string{"a": "1"})
	r.sync("one")
	if err := r.Hold("one"); err != nil {
		t.Fatal(err)
	}
	overwrite(t, filepath.Join(r.publisher.Path("one"), "a"), "edited")
	r.Recheck()
	for range 2 {
		if _, changed, err := r.Stage(t.Context()); !changed || err != nil {
			t.Fatalf("mended: %v, %v", changed, err)
		}
	}
	wantFiles(t, r.publisher.Path("one"), map[string]string{"a": "1"})
	if err := r.Publish("one"); err != nil {
		t.Fatal(err)
	}
	if _, changed, err := r.Stage(t.Context()); changed || err != nil {
		t.Errorf("published: %v, %v", changed, err)
	}
}
