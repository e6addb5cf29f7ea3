package git_test

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"popup/internal/git"
	"popup/internal/testutil"
	"popup/internal/tree"
)

// fetch fetches a commit into a new folder.
func fetch(t *testing.T, r *git.Remote, commit git.Commit) (string, error) {
	t.Helper()
	return fetchWithin(t, r, commit, tree.Limits{})
}

func fetchWithin(t *testing.T, r *git.Remote, commit git.Commit, limits tree.Limits) (string, error) {
	t.Helper()
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	w := tree.NewWriter(root, tree.WriterOptions{Limits: limits})
	defer w.Close()
	if err := r.Fetch(t.Context(), commit, "", w); err != nil {
		return dir, err
	}
	_, err = w.Finish()
	return dir, err
}

func remote(t *testing.T, url string, opts git.Options) *git.Remote {
	t.Helper()
	r, err := git.New(url, opts)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// listing describes a tree: name to kind and content. Folders of git's own are left out.
func listing(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		info, err := d.Info()
		switch {
		case err != nil:
			return err
		case name == ".git":
			return fs.SkipDir
		case d.IsDir():
			found[name] = "folder"
		case d.Type()&fs.ModeSymlink != 0:
			target, err := os.Readlink(path)
			found[name] = "link " + target
			return err
		default:
			content, err := os.ReadFile(path)
			found[name] = fmt.Sprintf("file %v %s", info.Mode()&0o100 != 0, content)
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// richRepo holds one of everything that is written.
func richRepo(t *testing.T) *testutil.GitRepo {
	t.Helper()
	r := testutil.NewRepo(t)
	r.Write("run.sh", []byte("#!/bin/sh\n"), 0o755)
	r.Write("a/b/c.txt", []byte("deep\n"), 0o644)
	r.Write("empty", nil, 0o644)
	r.Write("ümlaut und space", []byte(strings.Repeat("x", 100_000)), 0o644)
	if err := os.Symlink("a/b/c.txt", filepath.Join(r.Dir, "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("missing", filepath.Join(r.Dir, "a/dangling")); err != nil {
		t.Fatal(err)
	}
	r.CommitAll()
	return r
}

// ways are the addresses under which one repository is reached.
func ways(t *testing.T, r *testutil.GitRepo) map[string]struct {
	url  string
	opts git.Options
} {
	server := testutil.NewGitServer(t, filepath.Dir(r.Dir))
	s := testutil.NewSSHServer(t)
	return map[string]struct {
		url  string
		opts git.Options
	}{
		"path": {r.Dir, git.Options{}},
		"file": {r.URL(), git.Options{}},
		"http": {server.URL + "/upstream", git.Options{}},
		"old":  {oldServer(t, filepath.Dir(r.Dir)) + "/upstream", git.Options{}},
		"ssh":  {s.URL(r.Dir), git.Options{CredentialsFile: s.KeyFile, HostKeys: []string{s.HostKey}}},
	}
}

// oldServer is one that only speaks the first version of the protocol.
func oldServer(t *testing.T, dir string) string {
	t.Helper()
	backend := testutil.GitHandler(t, dir)
	return serve(t, func(w http.ResponseWriter, r *http.Request) {
		r.Header.Del("Git-Protocol")
		backend.ServeHTTP(w, r)
	})
}

func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.URL
}

func TestFetchTreeEqualsTheCheckout(t *testing.T) {
	repo := richRepo(t)
	want := listing(t, repo.Dir)
	for name, way := range ways(t, repo) {
		t.Run(name, func(t *testing.T) {
			r := remote(t, way.url, way.opts)
			head, err := r.Head(t.Context(), "")
			if err != nil {
				t.Fatal(err)
			}
			if string(head) != repo.Head() {
				t.Fatalf("head is %s; want %s", head, repo.Head())
			}
			dir, err := fetch(t, r, head)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, listing(t, dir)); diff != "" {
				t.Errorf("the fetched tree is not the checkout (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRefs(t *testing.T) {
	repo := testutil.NewRepo(t)
	first := repo.Commit(map[string]string{"n": "1"})
	repo.Git("tag", "light")
	repo.Git("tag", "-a", "-m", "a tag", "heavy")
	repo.Git("branch", "same")
	second := repo.Commit(map[string]string{"n": "2"})
	repo.Git("tag", "same")
	// The annotated tag's commit is on no branch: only the tag leads to it.
	repo.Git("checkout", "-q", "-b", "side")
	alone := repo.Commit(map[string]string{"n": "3"})
	repo.Git("tag", "-a", "-m", "a tag", "lonely")
	repo.Git("checkout", "-q", "main")
	repo.Git("branch", "-D", "side")
	for name, way := range ways(t, repo) {
		r := remote(t, way.url, way.opts)
		for ref, want := range map[string]string{
			"": second, "HEAD": second, "main": second, "refs/heads/main": second, "light": first, "heavy": first,
			"refs/tags/heavy": first, "same": first, "refs/tags/same": second, "lonely": alone, first: first,
		} {
			t.Run(name+"/"+ref, func(t *testing.T) {
				commit, err := r.Head(t.Context(), ref)
				if err != nil || string(commit) != want {
					t.Fatalf("Head(%q) = %s, %v; want %s", ref, commit, err, want)
				}
				dir, err := fetch(t, r, commit)
				if err != nil {
					if name == "ssh" && ref == first {
						return // this server only gives out tips
					}
					t.Fatal(err)
				}
				content := map[string]string{first: "1", second: "2", alone: "3"}[want]
				if diff := cmp.Diff(map[string]string{"n": "file false " + content}, listing(t, dir)); diff != "" {
					t.Error(diff)
				}
			})
		}
	}
}

// A branch that is rewound, switched or made anew is followed like any other.
func TestRewrittenHistoryIsOrdinary(t *testing.T) {
	repo := testutil.NewRepo(t)
	for n := range 5 {
		repo.Commit(map[string]string{"n": fmt.Sprint(n)})
	}
	for name, way := range ways(t, repo) {
		if name == "path" {
			continue // the same as file
		}
		r := remote(t, way.url, way.opts)
		follow := func(what, want, content string) {
			t.Helper()
			head, err := r.Head(t.Context(), "main")
			if err != nil || string(head) != want {
				t.Fatalf("%s, %s: head is %s, %v; want %s", name, what, head, err, want)
			}
			dir, err := fetch(t, r, head)
			if err != nil || listing(t, dir)["n"] != "file false "+content {
				t.Fatalf("%s, %s: fetched %v, %v; want %s", name, what, listing(t, dir), err, content)
			}
		}
		for n := range 3 {
			repo.Commit(map[string]string{"n": fmt.Sprint(n)})
		}
		follow("forward", repo.Head(), "2")
		follow("rewound", repo.Rewind("2"), "0")
		gone := repo.Head()
		follow("made anew", repo.Orphan(map[string]string{"n": "new"}), "new")
		_, err := fetch(t, r, git.Commit(gone))
		wantError(t, err, git.Moved, "no longer gives out this commit")
	}
}

// wantError says that err is of a class and has each of texts in it.
func wantError(t *testing.T, err error, class git.Class, texts ...string) {
	t.Helper()
	var e *git.Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v (%T); want a *git.Error", err, err)
	}
	if e.Class != class {
		t.Errorf("the class of %q is %s; want %s", err, e.Class, class)
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("the message is %q; want %q in it", err, text)
		}
	}
}

func TestMissingBranchNamesTheNearest(t *testing.T) {
	repo := testutil.NewRepo(t)
	repo.Commit(map[string]string{"n": "1"})
	for _, b := range []string{"develop", "maintenance", "release-1", "release-2"} {
		repo.Git("branch", b)
	}
	for name, way := range ways(t, repo) {
		t.Run(name, func(t *testing.T) {
			r := remote(t, way.url, way.opts)
			_, err := r.Head(t.Context(), "mian")
			wantError(t, err, git.NoBranch, `there is no branch or tag "mian"; the nearest it has: "main", `, "(and 2 more)")
			_, err = r.Head(t.Context(), repo.Head()[:10])
			wantError(t, err, git.NoBranch, "a commit is named by all of its 40 digits")
		})
	}
}

func TestUnbornDefaultBranch(t *testing.T) {
	repo := testutil.NewRepo(t)
	repo.Commit(map[string]string{"n": "1"})
	repo.Git("symbolic-ref", "HEAD", "refs/heads/gone")
	for name, way := range ways(t, repo) {
		t.Run(name, func(t *testing.T) {
			_, err := remote(t, way.url, way.opts).Head(t.Context(), "")
			wantError(t, err, git.NoBranch, `the default branch does not exist; the nearest it has: "main"`)
		})
	}
}

func TestEmptyRepository(t *testing.T) {
	repo := testutil.NewRepo(t)
	for name, way := range ways(t, repo) {
		t.Run(name, func(t *testing.T) {
			_, err := remote(t, way.url, way.opts).Head(t.Context(), "")
			wantError(t, err, git.Empty, "the repository is empty; push a first commit")
		})
	}
}

func TestNotARepository(t *testing.T) {
	dir := t.TempDir()
	server := testutil.NewGitServer(t, dir)
	page := httptest.NewServer(http.FileServer(http.Dir(dir)))
	t.Cleanup(page.Close)
	if err := os.MkdirAll(filepath.Join(dir, "info"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "info/refs"), []byte("<html>"), 0o644); err != nil {
		t.Fatal(err)
	}
	s := testutil.NewSSHServer(t)
	for name, way := range map[string]struct {
		url, want string
		opts      git.Options
	}{
		"folder":  {dir, "there is no git repository there; check the path", git.Options{}},
		"missing": {"file://" + dir + "/none", "there is no such folder; check the path", git.Options{}},
		"http":    {server.URL + "/none", "there is no git repository there; check the address", git.Options{}},
		"page":    {page.URL, "what is there is no git repository", git.Options{}},
		"ssh":     {s.URL(dir), "there is no git repository there", git.Options{CredentialsFile: s.KeyFile, HostKeys: []string{s.HostKey}}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := remote(t, way.url, way.opts).Head(t.Context(), "")
			wantError(t, err, git.NotRepository, way.want)
		})
	}
}
