package datasync

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"popup/internal/tree"
)

// Another stream's change prunes this one too, whenever it likes: also at the moment
// when a revision is made of the spare that is to be replaced.
func TestPruneWhileASpareIsTaken(t *testing.T) {
	now := newClock()
	p := openPublisher(t, tempDir(t), PublisherOptions{Retain: 1, Linger: time.Nanosecond, Share: true, Now: now.Now})
	files := map[string]string{}
	for i := range 300 {
		files["d/"+strconv.Itoa(i)] = "x"
	}
	for n := range 40 {
		at := func(part string) Revision { return Revision("r" + strconv.Itoa(n) + part) }
		for _, rev := range []Revision{at("a"), at("b"), at("c")} {
			stageFiles(t, p, rev, files)
			now.advance(time.Second)
		}
		if err := errors.Join(p.Flip(at("c")), p.Prune(func(rev Revision) bool { return rev == at("b") })); err != nil {
			t.Fatal(err)
		}
		var pruning sync.WaitGroup
		pruning.Go(func() {
			if err := p.Prune(nil); err != nil {
				t.Errorf("prune: %v", err)
			}
		})
		dir, index := p.takeSpare()
		pruning.Wait()
		if dir == "" {
			continue
		}
		err := inRoot(dir, func(root *os.Root) error { return tree.Check(t.Context(), root, index) })
		if err = errors.Join(err, removeTree(dir)); err != nil {
			t.Fatalf("round %d: %v", n, err)
		}
	}
}

// What is being built upon is neither removed nor turned into another.
func TestPruneKeepsTheBase(t *testing.T) {
	now := newClock()
	p := openPublisher(t, tempDir(t), PublisherOptions{Retain: 1, Linger: time.Nanosecond, Share: true, Now: now.Now})
	for _, rev := range []Revision{"r1", "r2"} {
		stageFiles(t, p, rev, map[string]string{"a": string(rev)})
		now.advance(time.Second)
	}
	if err := p.Flip("r1"); err != nil {
		t.Fatal(err)
	}
	err := p.stageUpon(t.Context(), "r3", func(context.Context, *aside) (*tree.Index, error) {
		if err := p.Flip("r2"); err != nil {
			return nil, err
		}
		now.advance(time.Second)
		return nil, errors.Join(p.Prune(nil), errors.New("enough"))
	})
	if !p.Has("r1") {
		t.Errorf("the base was pruned: %v", err)
	}
	if err := p.Prune(nil); err != nil || p.Has("r1") {
		t.Errorf("it stays, %v", err)
	}
}

// What is made of an archive, or built, is not made of a spare: none is kept.
func TestNoSpareWhereNoneIsOfUse(t *testing.T) {
	dir, now := tempDir(t), newClock()
	p := openPublisher(t, dir, PublisherOptions{Retain: 1, Share: true, Now: now.Now})
	for _, rev := range []Revision{"r1", "r2", "r3"} {
		if err := errors.Join(p.Stage(t.Context(), rev, filling(t, map[string]string{"a": string(rev)})), p.Flip(rev)); err != nil {
			t.Fatal(err)
		}
		now.advance(time.Hour)
		if err := p.Prune(nil); err != nil {
			t.Fatal(err)
		}
	}
	if rev, ok := p.spare(); ok {
		t.Errorf("%s is kept as a spare", rev)
	}
}

// Somebody who edits what was fetched does not stop what is made of it.
func TestEditedSourceIsFetchedAgain(t *testing.T) {
	for name, c := range map[string]struct {
		content map[string]string
		config  Config
	}{
		"built":     {map[string]string{"a": "1"}, Config{Prepare: func(context.Context, string) error { return nil }}},
		"extracted": {map[string]string{"x.tar": string(tarOf(t, file("a", "1")))}, Config{Extract: "x.tar"}},
	} {
		t.Run(name, func(t *testing.T) {
			r, content := newRig(t, c.config), c.content
			r.source.set(t, "one", content)
			r.sync("one")
			for of := range content {
				overwrite(t, filepath.Join(r.publisher.Dir(), sourceDir, "one", of), "edited")
			}
			overwrite(t, filepath.Join(r.publisher.Path("one"), "a"), "edited")
			r.clock.advance(2 * time.Hour)
			if _, changed, err := r.Stage(t.Context()); !changed || err != nil {
				t.Errorf("after an edit: %v, %v", changed, err)
			}
			wantFiles(t, r.publisher.Path("one"), map[string]string{"a": "1"})
		})
	}
}

// A tree that lost too much is refused, also where nobody wrote down what is served.
func TestShrinkWithoutIndex(t *testing.T) {
	for name, lose := range map[string]func(*rig){
		"gone":    func(r *rig) { mustDo(r, os.RemoveAll(filepath.Join(r.publisher.Dir(), indexDir))) },
		"damaged": func(r *rig) { mustDo(r, os.WriteFile(r.publisher.indexPath("one"), []byte("x"), 0o600)) },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, Config{Limits: Limits{Shrink: 50}})
			r.source.set(t, "one", map[string]string{"a": strings.Repeat("x", 1000)})
			r.sync("one")
			lose(r)
			r.source.set(t, "two", map[string]string{"a": "x"})
			r.refused(GateShrink, "it lost 99%, and 50% is the limit")
		})
	}
}

func mustDo(r *rig, err error) {
	if err != nil {
		r.t.Fatal(err)
	}
}

// A revision that a failing disk does not give back any more keeps nobody from
// opening the others.
func TestUnreadableRevisionIsPassedOver(t *testing.T) {
	dir, m := tempDir(t), &machine{boot: "first"}
	p := openPublisher(t, dir, PublisherOptions{boot: m.id})
	for _, rev := range []Revision{"r1", "r2"} {
		stageFiles(t, p, rev, map[string]string{"a": string(rev)})
		if err := p.Flip(rev); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.Remove(p.indexPath("r2")), os.Mkdir(p.indexPath("r2"), 0o700)); err != nil { // reading it fails
		t.Fatal(err)
	}
	m.boot = "second"
	again := openPublisher(t, dir, PublisherOptions{boot: m.id})
	if rev, _ := again.Current(); rev != "r1" || len(again.Lost()) != 1 || !again.isDamaged("r2") {
		t.Errorf("%q is served, lost: %v", rev, again.Lost())
	}
}

// Where a revision could not be renamed before it was removed, and a crash came
// between, what is left of it is no revision.
func TestHalfRemovedRevisionIsSwept(t *testing.T) {
	dir := tempDir(t)
	p := openPublisher(t, dir, PublisherOptions{})
	for _, rev := range []Revision{"r1", "r2"} {
		stageFiles(t, p, rev, map[string]string{"a": string(rev), "b": "x"})
		if err := os.WriteFile(p.indexPath(rev), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Flip("r2"); err != nil {
		t.Fatal(err)
	}
	if again := openPublisher(t, dir, PublisherOptions{}); again.Has("r1") || !again.Has("r2") {
		t.Errorf("r1 is there: %v; r2, which is served: %v", again.Has("r1"), again.Has("r2"))
	}
}

// A build may leave paths behind that no call takes whole.
func TestRemoveTreeOfAnyDepth(t *testing.T) {
	dir := filepath.Join(tempDir(t), "tmp-1")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	at, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	for range 30 {
		name := strings.Repeat("d", 200)
		if err := at.Mkdir(name, 0o755); err != nil {
			t.Fatal(err)
		}
		below, err := at.OpenRoot(name)
		if err := errors.Join(err, at.Chmod(".", 0o555), at.Close()); err != nil {
			t.Fatal(err)
		}
		at = below
	}
	if err := errors.Join(at.Close(), removeTree(dir)); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it is still there: %v", err)
	}
}

// On a disk of its own, in a mount namespace of its own.
func TestOtherFileSystems(t *testing.T) {
	if os.Getuid() != 0 {
		return // nothing can be mounted
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, "-test.run=^TestOnOtherFileSystems$", "-test.v")
	cmd.Env = append(os.Environ(), "DATASYNC_MOUNT="+t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	if out, err := cmd.CombinedOutput(); err != nil || strings.Count(string(out), "    --- PASS") != 2 {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestOnOtherFileSystems is started by TestOtherFileSystems.
func TestOnOtherFileSystems(t *testing.T) {
	at := os.Getenv("DATASYNC_MOUNT")
	if at == "" {
		return
	}
	// An image that was made with revisions in it is the lower layer of a container's
	// disk: what is there cannot be renamed.
	t.Run("layer of an image", func(t *testing.T) {
		if err := unix.Mount("tmpfs", at, "tmpfs", 0, ""); err != nil {
			t.Fatal(err)
		}
		under := func(name string) string { return filepath.Join(at, name) }
		for _, name := range []string{"lower", "upper", "work", "disk"} {
			if err := os.Mkdir(under(name), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		now := newClock()
		opts := PublisherOptions{Retain: 2, Share: true, Now: now.Now}
		files := func(rev Revision) map[string]string { return map[string]string{"d/same": "1", "name": string(rev)} }
		image := openPublisher(t, under("lower"), opts)
		for _, rev := range []Revision{"r1", "r2", "r3", "r4"} {
			stageFiles(t, image, rev, files(rev))
			now.advance(time.Second)
		}
		if err := errors.Join(image.Flip("r4"), image.Close()); err != nil {
			t.Fatal(err)
		}
		layers := "lowerdir=" + under("lower") + ",upperdir=" + under("upper") + ",workdir=" + under("work")
		if err := unix.Mount("overlay", under("disk"), "overlay", 0, layers); err != nil {
			t.Fatal(err)
		}
		p := openPublisher(t, under("disk"), opts)
		overwrite(t, filepath.Join(p.Path("r4"), "name"), "edited")
		var damaged *tree.DamagedError
		if err := p.Check(t.Context(), "r4"); !errors.As(err, &damaged) {
			t.Errorf("edited: %v", err)
		}
		stageFiles(t, p, "r4", files("r4"))
		wantFiles(t, p.Path("r4"), files("r4"))
		for _, rev := range []Revision{"r5", "r6", "r7"} {
			now.advance(time.Second)
			stageFiles(t, p, rev, files(rev))
			if err := errors.Join(p.Flip(rev), p.Verify(t.Context(), rev)); err != nil {
				t.Fatal(err)
			}
			now.advance(time.Hour)
			if err := p.Prune(nil); err != nil {
				t.Errorf("prune: %v", err)
			}
		}
		if kept, err := p.List(); err != nil || len(kept) != 2 {
			t.Errorf("kept are %v, %v", kept, err)
		}
		noLeftovers(t, p.Dir())
		if err := unix.Unmount(under("disk"), unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	// Cleaning up makes room where there is none, not even for one more name.
	t.Run("no room for a folder", func(t *testing.T) {
		disk := filepath.Join(at, "full")
		if err := os.MkdirAll(disk, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := unix.Mount("tmpfs", disk, "tmpfs", 0, "nr_inodes=100"); err != nil {
			t.Fatal(err)
		}
		now := newClock()
		p := openPublisher(t, disk, PublisherOptions{Retain: 1, Share: true, Now: now.Now})
		for _, rev := range []Revision{"r1", "r2", "r3"} {
			stageFiles(t, p, rev, map[string]string{"a": string(rev)})
			if err := p.Flip(rev); err != nil {
				t.Fatal(err)
			}
			now.advance(time.Hour)
		}
		for n := 0; ; n++ {
			if err := os.WriteFile(filepath.Join(disk, "tmp-filler"+strconv.Itoa(n)), nil, 0o600); errors.Is(err, syscall.ENOSPC) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}
		if err := p.Prune(nil); err != nil {
			t.Errorf("prune: %v", err)
		}
		if p.Has("r1") || p.Has("r2") {
			t.Error("nothing was removed")
		}
	})
}
