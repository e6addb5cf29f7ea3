package datasync

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestStagedIsReadOnlyAndNotCurrent(t *testing.T) {
	dir := tempDir(t)
	p := openPublisher(t, dir, PublisherOptions{})
	err := p.Stage(t.Context(), "one", func(_ context.Context, dir string) error {
		write(t, dir, map[string]string{"a/b": "text", "run": "#!"})
		return errors.Join(os.Chmod(filepath.Join(dir, "run"), 0o700), os.Symlink("/etc/shadow", filepath.Join(dir, "link")))
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]fs.FileMode{"": 0o555 | fs.ModeDir, "a": 0o555 | fs.ModeDir, "a/b": 0o444, "run": 0o555} {
		if info, err := os.Lstat(filepath.Join(p.Path("one"), name)); err != nil || info.Mode() != want {
			t.Errorf("%q has mode %v, %v; want %v", name, info.Mode(), err, want)
		}
	}
	if info, err := os.Stat("/etc/shadow"); err == nil && info.Mode().Perm() == 0o444 {
		t.Error("a link was followed out of the tree")
	}
	if rev, ok := p.Current(); ok {
		t.Errorf("%s is current though nothing was flipped", rev)
	}
	noLeftovers(t, dir)
	if err := p.Flip("one"); err != nil {
		t.Fatal(err)
	}
	if target, err := os.Readlink(filepath.Join(dir, "current")); err != nil || target != "one" {
		t.Errorf("current is %q, %v; want a relative link", target, err)
	}
}

func TestFailedStageLeavesNothing(t *testing.T) {
	dir := tempDir(t)
	p := openPublisher(t, dir, PublisherOptions{})
	ctx, cancel := context.WithCancel(t.Context())
	for name, fill := range map[string]func(context.Context, string) error{
		"error": func(_ context.Context, dir string) error {
			write(t, dir, map[string]string{"a/b": ""})
			return errors.New("no")
		},
		"pipe": func(_ context.Context, dir string) error { return syscall.Mkfifo(filepath.Join(dir, "p"), 0o600) },
		"stop": func(context.Context, string) error { cancel(); return nil },
	} {
		if err := p.Stage(ctx, "one", fill); err == nil {
			t.Errorf("%s: no error", name)
		}
		noLeftovers(t, dir)
		if p.Has("one") {
			t.Errorf("%s: the revision is there", name)
		}
	}
}

func TestOpenSweepsWhatACrashLeft(t *testing.T) {
	dir := tempDir(t)
	p := openPublisher(t, dir, PublisherOptions{})
	if err := p.Stage(t.Context(), "one", filling(t, map[string]string{"a": "1"})); err != nil {
		t.Fatal(err)
	}
	if err := p.Flip("one"); err != nil {
		t.Fatal(err)
	}
	write(t, dir, map[string]string{"tmp-123/half/file": "x", "tmp-current-abc": "file", "tmp-": "x"})
	for _, mode := range []fs.FileMode{0o555, 0} {
		if err := os.Chmod(filepath.Join(dir, "tmp-123/half"), mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("nowhere", filepath.Join(dir, "tmp-link")); err != nil {
		t.Fatal(err)
	}
	p = openPublisher(t, dir, PublisherOptions{})
	if diff := cmp.Diff([]string{"current", "one"}, names(t, dir)); diff != "" {
		t.Error(diff)
	}
	if rev, ok := p.Current(); !ok || rev != "one" {
		t.Errorf("current is %s, %v; want one", rev, ok)
	}
}

func TestOpenLooksAtCurrent(t *testing.T) {
	dir := tempDir(t)
	if err := os.Symlink("gone", filepath.Join(dir, "current")); err != nil {
		t.Fatal(err)
	}
	if p := openPublisher(t, dir, PublisherOptions{}); p.Since() != (time.Time{}) {
		t.Error("a link to nowhere stayed")
	}
	if err := os.Symlink("../../etc", filepath.Join(dir, "current")); err != nil {
		t.Fatal(err)
	}
	if rev, ok := openPublisher(t, dir, PublisherOptions{}).Current(); ok {
		t.Errorf("current is %s", rev)
	}
	write(t, dir, map[string]string{"current": "mine"})
	_, err := OpenPublisher(dir, PublisherOptions{})
	wantText(t, err, "current is no symlink, so it is not ours; move it away")
}

func TestFlipWantsAWholeRevision(t *testing.T) {
	p := openPublisher(t, tempDir(t), PublisherOptions{})
	for _, rev := range []Revision{"none", "", "..", "a/b", "tmp-1", "current", "A"} {
		if err := p.Flip(rev); err == nil {
			t.Errorf("flipped to %q", rev)
		}
		if rev != "none" {
			if err := p.Stage(t.Context(), rev, filling(t, nil)); err == nil {
				t.Errorf("staged %q", rev)
			}
		}
	}
}

// A reader that goes through current finds one whole revision at any moment.
func TestReadersNeverMissDuringFlips(t *testing.T) {
	p := openPublisher(t, tempDir(t), PublisherOptions{})
	for _, rev := range []Revision{"one", "two"} {
		if err := p.Stage(t.Context(), rev, filling(t, map[string]string{"name": string(rev)})); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Flip("one"); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	failed := make(chan error, 1)
	go func() {
		defer close(failed)
		for {
			select {
			case <-stop:
				return
			default:
			}
			if text, err := os.ReadFile(filepath.Join(p.Dir(), "current/name")); err != nil || string(text) != "one" && string(text) != "two" {
				failed <- fmt.Errorf("read %q: %w", text, err)
				return
			}
		}
	}()
	for n := range 200 {
		if err := p.Flip([]Revision{"two", "one"}[n%2]); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	if err := <-failed; err != nil {
		t.Error(err)
	}
}

func TestPruneKeepsWhatIsNeeded(t *testing.T) {
	c := newClock()
	p := openPublisher(t, tempDir(t), PublisherOptions{Now: c.Now})
	for n := range 8 {
		rev := Revision(fmt.Sprintf("r%d", n))
		if err := p.Stage(t.Context(), rev, filling(t, map[string]string{"d/n": "x"})); err != nil {
			t.Fatal(err)
		}
		if n == 0 || n == 2 {
			if err := p.Flip(rev); err != nil {
				t.Fatal(err)
			}
		}
		c.advance(time.Minute)
	}
	prune := func(want ...Revision) {
		t.Helper()
		if err := p.Prune(func(rev Revision) bool { return rev == "r1" }); err != nil {
			t.Fatal(err)
		}
		if got, err := p.List(); err != nil || !slices.Equal(got, want) {
			t.Errorf("kept are %v, %v; want %v", got, err, want)
		}
		noLeftovers(t, p.Dir())
	}
	prune("r7", "r6", "r5", "r2", "r1", "r0") // r2 is current, r1 is in use, r0 was replaced 6 minutes ago
	c.advance(5 * time.Minute)
	prune("r7", "r6", "r5", "r2", "r1")
	p.reject("r6")
	prune("r7", "r5", "r2", "r1")
	if p.Has("r6") {
		t.Error("a rejected revision was kept")
	}
	// What is staged again is the newest again.
	if err := p.Stage(t.Context(), "r1", nil); err != nil {
		t.Fatal(err)
	}
	prune("r1", "r7", "r5", "r2")
}

// Without root, read-only trees are published and removed all the same.
func TestWithoutRoot(t *testing.T) {
	if os.Getuid() != 0 {
		return // then every other test is this one
	}
	if os.Getenv("DATASYNC_NOBODY") != "" {
		t.Fatal("still root")
	}
	dir := tempDir(t)
	test, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	exe := filepath.Join(dir, "test")
	if err := os.WriteFile(exe, test, 0o755); err != nil {
		t.Fatal(err)
	}
	work := filepath.Join(dir, "work")
	if err := errors.Join(os.Chmod(dir, 0o755), os.Mkdir(work, 0o700), os.Chown(work, 65534, 65534)); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, "-test.run=^(TestPrune.*|TestStaged.*|TestFailedStage.*|TestOpen.*|TestReaders.*)$", "-test.v")
	cmd.Dir, cmd.Env = work, []string{"TMPDIR=" + work, "DATASYNC_NOBODY=1", "PATH=" + os.Getenv("PATH")}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	if err != nil || strings.Count(string(out), "--- PASS") < 6 {
		t.Errorf("as nobody: %v\n%s", err, out)
	}
}
