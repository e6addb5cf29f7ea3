package launcher

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestViewMountsOverWhatTheReleaseHas(t *testing.T) {
	for _, link := range []bool{true, false} {
		release, data := t.TempDir(), t.TempDir()
		write(t, filepath.Join(release, "site/data/placeholder"), "from the release")
		write(t, filepath.Join(release, "site/index.php"), "page")
		write(t, filepath.Join(data, "day"), "one")
		v, err := openViews(t.TempDir(), link)
		if err != nil {
			t.Fatal(err)
		}
		path, err := v.make(t.Context(), "a-b", release, []mount{{at: "site/data", target: data}})
		if err != nil {
			t.Fatal(err)
		}
		if got := read(t, filepath.Join(path, "site/data/day")); got != "one" {
			t.Errorf("the mount shows %q; want the data", got)
		}
		a, b := stat(t, filepath.Join(release, "site/index.php")), stat(t, filepath.Join(path, "site/index.php"))
		if os.SameFile(a, b) != link {
			t.Errorf("link %v: the view shares the release's file: %v", link, os.SameFile(a, b))
		}
		if _, err := os.Stat(filepath.Join(release, "site/data/placeholder")); err != nil {
			t.Errorf("the release lost what the mount covers: %v", err)
		}
	}
}

// A symlink in a repository must not move a mount out of the view.
func TestViewMountFollowsNoLinkOut(t *testing.T) {
	release, outside := t.TempDir(), t.TempDir()
	if err := os.Symlink(outside, filepath.Join(release, "site")); err != nil {
		t.Fatal(err)
	}
	v, err := openViews(t.TempDir(), false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.make(t.Context(), "a-b", release, []mount{{at: "site/data", target: t.TempDir()}}); err == nil {
		t.Error("a mount below a symlink that leads out was made")
	}
	if left, err := os.ReadDir(outside); err != nil || len(left) > 0 {
		t.Errorf("outside the view there is now %v %v", left, err)
	}
	if left, err := os.ReadDir(v.dir); err != nil || len(left) > 0 {
		t.Errorf("the view that could not be made left %v %v", left, err)
	}
}

func TestViewStaysTenMinutesAfterItWasReplaced(t *testing.T) {
	release := t.TempDir()
	write(t, filepath.Join(release, "f"), "x")
	v, err := openViews(t.TempDir(), true)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	v.now = func() time.Time { return now }
	for range 2 { // a restarted app shows the view of the one before
		if _, err := v.make(t.Context(), "a-b", release, nil); err != nil {
			t.Fatal(err)
		}
	}
	there := func() bool {
		if err := v.prune(); err != nil {
			t.Fatal(err)
		}
		_, err := os.Stat(filepath.Join(v.dir, "a-b"))
		return err == nil
	}
	v.retire("a-b")
	now = now.Add(keepReplaced + time.Second)
	if !there() {
		t.Fatal("a view that is still shown was removed")
	}
	v.retire("a-b")
	if now = now.Add(keepReplaced - time.Second); !there() {
		t.Error("a view was removed before its ten minutes were over")
	}
	if now = now.Add(2 * time.Second); there() {
		t.Error("a view stays for ever")
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o444); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func stat(t *testing.T, path string) os.FileInfo {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info
}
