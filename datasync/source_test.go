package datasync

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"popup/internal/testutil"
	"popup/internal/tree"
	"popup/internal/wire"
)

func head(t *testing.T, s Source) Revision {
	t.Helper()
	rev, err := s.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return rev
}

func fetchInto(t *testing.T, s Source, rev Revision) (map[string]string, error) {
	t.Helper()
	dir := tempDir(t)
	err := finished(t, dir, tree.Limits{}, func(w *tree.Writer) error { return s.Fetch(t.Context(), rev, "", w) })
	return listing(t, dir), err
}

// describe is what listing says of files.
func describe(files map[string]string) map[string]string {
	all := map[string]string{}
	for name, content := range files {
		all[name] = "---------- executable=false " + content
		if dir := filepath.Dir(name); dir != "." {
			all[dir] = "folder"
		}
	}
	return all
}

func TestFolderRevisionTellsWhatMatters(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"a": "1", "d/b": "2"})
	s := newFolder(dir, wireLimits)
	base := head(t, s)
	same := func(what string, change func() error) {
		t.Helper()
		if err := change(); err != nil {
			t.Fatal(err)
		}
		if got := head(t, s); got != base {
			t.Errorf("%s made another revision", what)
		}
	}
	other := func(what string, change, undo func() error) {
		t.Helper()
		if err := change(); err != nil {
			t.Fatal(err)
		}
		if got := head(t, s); got == base {
			t.Errorf("%s made no other revision", what)
		}
		same("undoing that "+what, undo)
	}
	path := func(name string) string { return filepath.Join(dir, name) }
	same("a time", func() error { return os.Chtimes(path("a"), newClock().Now(), newClock().Now()) })
	same("a permission", func() error { return os.Chmod(path("a"), 0o600) })
	same("git's own folder", func() error { write(t, dir, map[string]string{".git/config": "x", "d/.git": "y"}); return nil })
	other("executable bit", func() error { return os.Chmod(path("a"), 0o755) }, func() error { return os.Chmod(path("a"), 0o644) })
	other("name", func() error { return os.Rename(path("a"), path("c")) }, func() error { return os.Rename(path("c"), path("a")) })
	other("empty folder", func() error { return os.Mkdir(path("e"), 0o755) }, func() error { return os.Remove(path("e")) })
	other("link", func() error { return os.Symlink("a", path("l")) }, func() error { return os.Remove(path("l")) })
	if strings.TrimPrefix(string(base), "tree-") == string(base) {
		t.Errorf("the revision is %s; want tree- and a hash", base)
	}
}

var wireLimits = Limits{}.tree()

func TestFolderRefusesWhatIsNoContent(t *testing.T) {
	for name, c := range map[string]struct {
		make func(dir string) error
		want string
	}{
		"missing": {func(dir string) error { return os.Remove(dir) }, "no such file or directory"},
		"pipe":    {func(dir string) error { return syscall.Mkfifo(dir+"/p", 0o600) }, `"p" is a named pipe, which is no content`},
		"link":    {func(dir string) error { return os.Symlink("/etc", dir+"/l") }, `"l" is a symlink to the absolute path "/etc"`},
		"name":    {func(dir string) error { return os.Mkdir(dir+"/caf\xe9", 0o755) }, `"caf\xe9" is not UTF-8; rename it`},
		"up":      {func(dir string) error { return os.Symlink("../x", dir+"/l") }, `"l" is a symlink that leads out of the tree`},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := c.make(dir); err != nil {
				t.Fatal(err)
			}
			s := newFolder(dir, wireLimits)
			rev, err := s.Head(t.Context())
			if err == nil {
				_, err = fetchInto(t, s, rev)
			}
			wantText(t, err, c.want, dir)
		})
	}
}

func TestCatalogue(t *testing.T) {
	app := fstest.MapFS{"app.yaml": {Data: []byte("id: x")}, "site/index.html": {Data: []byte("hello")}}
	opts := SourceOptions{Catalogue: func(id string) (fs.FS, error) {
		if id != "notice" {
			return nil, fs.ErrNotExist
		}
		return app, nil
	}}
	for url, want := range map[string]map[string]string{
		"catalogue:notice":       {"app.yaml": "id: x", "site/index.html": "hello"},
		"catalogue:notice/site":  {"index.html": "hello"},
		"catalogue:notice/site/": {"index.html": "hello"},
	} {
		s, err := NewSource(wire.Source{URL: url}, opts)
		if err != nil {
			t.Fatal(err)
		}
		got, err := fetchInto(t, s, head(t, s))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(describe(want), got); diff != "" {
			t.Errorf("%s: %s", url, diff)
		}
	}
	s, err := NewSource(wire.Source{URL: "catalogue:other"}, opts)
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Head(t.Context())
	wantText(t, err, "read catalogue:other: ")
}

func TestNewSourceRefuses(t *testing.T) {
	for _, c := range []struct {
		spec wire.Source
		want string
	}{
		{wire.Source{Kind: "ftp", URL: "x"}, `no source of the kind "ftp"; write git, s3, https or folder`},
		{wire.Source{URL: "-x"}, "begins with -"},
		{wire.Source{URL: "https://u:s3cret@example.org/x"}, "carries a password"},
		{wire.Source{Kind: "folder", URL: "https://example.org/x"}, "https://example.org/x is not a folder of this machine"},
		{wire.Source{URL: "catalogue:"}, "write catalogue:ID or catalogue:ID/FOLDER"},
		{wire.Source{URL: "catalogue:x/../y"}, "write catalogue:ID or catalogue:ID/FOLDER"},
		{wire.Source{URL: "catalogue:x"}, "no apps ship with this program"},
	} {
		_, err := NewSource(c.spec, SourceOptions{})
		wantText(t, err, c.want)
		if strings.Contains(err.Error(), "s3cret") {
			t.Errorf("the message holds the password: %v", err)
		}
	}
}

// A folder that is no repository is served as it is; a repository is served at its commit.
func TestLocalAddressIsToldApart(t *testing.T) {
	repo := testutil.NewRepo(t)
	commit := repo.Commit(map[string]string{"site/a": "committed"})
	write(t, repo.Dir, map[string]string{"site/a": "not committed"})
	for url, want := range map[string]string{repo.Dir: commit[:5], repo.Dir + "/site": "tree-", "file://" + repo.Dir + "/site": "tree-"} {
		s, err := NewSource(wire.Source{URL: url}, SourceOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if rev := head(t, s); !strings.HasPrefix(string(rev), want) {
			t.Errorf("%s is at %s; want %s", url, rev, want)
		}
	}
	s, err := NewSource(wire.Source{Kind: "folder", URL: repo.Dir}, SourceOptions{})
	if err != nil {
		t.Fatal(err)
	}
	got, err := fetchInto(t, s, head(t, s))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(describe(map[string]string{"site/a": "not committed"}), got); diff != "" {
		t.Errorf("kind folder of a repository: %s", diff)
	}
}

func TestFolderChangedUnderTheCopy(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"a": "1"})
	s := newFolder(dir, wireLimits)
	rev := head(t, s)
	write(t, dir, map[string]string{"a": "2"})
	_, err := fetchInto(t, s, rev)
	if ErrorClass(err) != ClassMoved {
		t.Errorf("got %v; want that it moved on", err)
	}
	p := openPublisher(t, tempDir(t), PublisherOptions{})
	syncer := NewSyncer(Config{Source: &movesOnce{Source: s, rev: rev}, Publisher: p})
	got, changed, err := syncer.Stage(t.Context())
	if err != nil || !changed || got != head(t, s) {
		t.Errorf("staged %s, %v, %v; want the newest", got, changed, err)
	}
}

// movesOnce says an outdated head first.
type movesOnce struct {
	Source
	rev Revision
}

func (m *movesOnce) Head(ctx context.Context) (Revision, error) {
	if rev := m.rev; rev != "" {
		m.rev = ""
		return rev, nil
	}
	return m.Source.Head(ctx)
}

// A branch that is rewritten between the poll and the fetch is asked for again.
func TestRepositoryRewrittenUnderTheFetch(t *testing.T) {
	repo := testutil.NewRepo(t)
	server := testutil.NewGitServer(t, filepath.Dir(repo.Dir))
	source, err := NewSource(wire.Source{URL: server.URL + "/upstream"}, SourceOptions{})
	if err != nil {
		t.Fatal(err)
	}
	gone := Revision(repo.Commit(map[string]string{"a": "1"}))
	newest := Revision(repo.Orphan(map[string]string{"a": "2"}))
	s := NewSyncer(Config{Source: &movesOnce{Source: source, rev: gone}, Publisher: openPublisher(t, tempDir(t), PublisherOptions{})})
	if rev, changed, err := s.Stage(t.Context()); err != nil || !changed || rev != newest {
		t.Errorf("staged %s, %v, %v; want %s", rev, changed, err, newest)
	}
}
