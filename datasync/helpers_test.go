package datasync

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"popup/internal/tree"
)

// listing describes a tree: name to type, contents, link target and executable bit.
func listing(t testing.TB, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		info, err := d.Info()
		switch {
		case err != nil:
			return err
		case d.IsDir():
			found[name] = "folder"
		case d.Type()&fs.ModeSymlink != 0:
			target, err := os.Readlink(path)
			found[name] = "link " + target
			return err
		default:
			content, err := os.ReadFile(path)
			found[name] = fmt.Sprintf("%v executable=%v %s", d.Type(), info.Mode()&0o100 != 0, content)
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func openRoot(t testing.TB, dir string) *os.Root {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := root.Close(); err != nil {
			t.Error(err)
		}
	})
	return root
}

func write(t testing.TB, dir string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// tempDir is a folder whose read-only trees are removed as well.
func tempDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "datasync-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := removeTree(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func openPublisher(t testing.TB, dir string, opts PublisherOptions) *Publisher {
	t.Helper()
	p, err := OpenPublisher(dir, opts)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// filling is a fill that writes files.
func filling(t testing.TB, files map[string]string) func(context.Context, string) error {
	return func(_ context.Context, dir string) error {
		write(t, dir, files)
		return nil
	}
}

// names are those that a reader of the folder may rely on.
func names(t testing.TB, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") {
			all = append(all, e.Name())
		}
	}
	return all
}

func noLeftovers(t testing.TB, dir string) {
	t.Helper()
	if i := slices.IndexFunc(names(t, dir), func(n string) bool { return strings.HasPrefix(n, tempPrefix) }); i >= 0 {
		t.Errorf("%s was left", names(t, dir)[i])
	}
}

func wantText(t testing.TB, err error, texts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error; want one that says %q", texts)
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("the message is %q; want %q in it", err, text)
		}
	}
}

// A clock is moved by hand.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(time.Millisecond)
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// A script is a source that a test writes.
type script struct {
	mu      sync.Mutex
	head    Revision
	headErr error
	fill    map[Revision]func(dir string) error
	fetched []Revision
}

func newScript() *script { return &script{fill: map[Revision]func(string) error{}} }

func (s *script) set(t testing.TB, rev Revision, files map[string]string) {
	s.setFill(rev, func(dir string) error { write(t, dir, files); return nil })
}

func (s *script) setFill(rev Revision, fill func(dir string) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.head, s.fill[rev] = rev, fill
}

func (s *script) Head(context.Context) (Revision, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.head, s.headErr
}

func (s *script) Fetch(ctx context.Context, rev, _ Revision, w *tree.Writer) (err error) {
	s.mu.Lock()
	fill := s.fill[rev]
	s.fetched = append(s.fetched, rev)
	s.mu.Unlock()
	if fill == nil {
		return errors.New("no such revision")
	}
	dir, err := os.MkdirTemp("", "script-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, removeTree(dir)) }()
	if err := fill(dir); err != nil {
		return err
	}
	return tree.Copy(ctx, os.DirFS(dir), w)
}

// writerTo writes a tree into an empty folder, until the test is over.
func writerTo(t testing.TB, dir string, limits tree.Limits) *tree.Writer {
	t.Helper()
	w := tree.NewWriter(openRoot(t, dir), tree.WriterOptions{Limits: limits})
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// finished writes a tree by fetch, and finishes it.
func finished(t testing.TB, dir string, limits tree.Limits, fetch func(*tree.Writer) error) error {
	t.Helper()
	w := writerTo(t, dir, limits)
	if err := fetch(w); err != nil {
		return err
	}
	_, err := w.Finish()
	return err
}

func (s *script) fetches() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.fetched)
}

func (s *script) String() string { return "script" }
