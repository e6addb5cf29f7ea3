package git_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"popup/internal/git"
	"popup/internal/testutil"
	"popup/internal/tree"
)

// fetch fetches a commit into a new folder.
func fetch(t *testing.T, r *git.Remote, commit git.Commit) (string, error) {
	t.Helper()
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	return dir, r.FetchTree(t.Context(), commit, root)
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
	s := sshServer(t)
	return map[string]struct {
		url  string
		opts git.Options
	}{
		"path": {r.Dir, git.Options{}},
		"file": {r.URL(), git.Options{}},
		"http": {server.URL + "/upstream", git.Options{}},
		"ssh":  {s.url(r.Dir), git.Options{CredentialsFile: s.keyFile, HostKeys: []string{s.hostKey}}},
	}
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
	s := sshServer(t)
	for name, way := range map[string]struct {
		url, want string
		opts      git.Options
	}{
		"folder":  {dir, "there is no git repository there; check the path", git.Options{}},
		"missing": {"file://" + dir + "/none", "there is no such folder; check the path", git.Options{}},
		"http":    {server.URL + "/none", "there is no git repository there; check the address", git.Options{}},
		"page":    {page.URL, "what is there is no git repository", git.Options{}},
		"ssh":     {s.url(dir), "there is no git repository there", git.Options{CredentialsFile: s.keyFile, HostKeys: []string{s.hostKey}}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := remote(t, way.url, way.opts).Head(t.Context(), "")
			wantError(t, err, git.NotRepository, way.want)
		})
	}
}

func TestCredentialsAreReadAtEveryUse(t *testing.T) {
	repo := testutil.NewRepo(t)
	repo.Commit(map[string]string{"n": "1"})
	server := testutil.NewGitServer(t, filepath.Dir(repo.Dir))
	server.Require("robot", "first-secret")
	file := filepath.Join(t.TempDir(), "credentials")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, err := remote(t, server.URL+"/upstream", git.Options{}).Head(t.Context(), "")
	wantError(t, err, git.Credentials, "the server wants credentials (401), and none are set")

	r := remote(t, server.URL+"/upstream", git.Options{CredentialsFile: file})
	_, err = r.Head(t.Context(), "")
	wantError(t, err, git.Credentials, "the credentials file cannot be read")
	write("\n")
	_, err = r.Head(t.Context(), "")
	wantError(t, err, git.Credentials, "the credentials file is empty")
	write("robot:first-secret\n")
	if _, err := r.Head(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	server.Require("robot", "second-secret")
	_, err = r.Head(t.Context(), "")
	wantError(t, err, git.Credentials, "credentials refused (401); renew what is in the credentials file")
	if strings.Contains(err.Error(), "secret") {
		t.Errorf("the message holds the password: %v", err)
	}
	write("robot:second-secret")
	head, err := r.Head(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fetch(t, r, head); err != nil {
		t.Fatal(err)
	}
}

// A token is sent as a bearer, and never to where a server redirects us.
func TestTokenStaysWithItsServer(t *testing.T) {
	repo := testutil.NewRepo(t)
	repo.Commit(map[string]string{"n": "1"})
	target := testutil.NewGitServer(t, filepath.Dir(repo.Dir))
	backend := testutil.GitHandler(t, filepath.Dir(repo.Dir))
	target.Answer(func(w http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("Authorization"); got != "" {
			t.Errorf("the other server was sent %q", got)
		}
		backend.ServeHTTP(w, r)
	})
	var sent string
	first := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent = r.Header.Get("Authorization")
		http.Redirect(w, r, strings.Replace(target.URL, "127.0.0.1", "localhost", 1)+r.RequestURI, http.StatusFound)
	}))
	t.Cleanup(first.Close)
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("tok-en\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := remote(t, first.URL+"/upstream", git.Options{CredentialsFile: file}).Head(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	if sent != "Bearer tok-en" {
		t.Errorf("the server was sent %q; want the token", sent)
	}
}

func TestServersThatDoNotServe(t *testing.T) {
	answer := func(code int, header, value string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set(header, value)
			http.Error(w, strings.Repeat("go away ", 1000), code)
		}
	}
	plain := httptest.NewServer(answer(200, "X", ""))
	t.Cleanup(plain.Close)
	secure := httptest.NewUnstartedServer(answer(200, "X", ""))
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	t.Cleanup(secure.Close)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	serve := func(h http.HandlerFunc) string {
		s := httptest.NewServer(h)
		t.Cleanup(s.Close)
		return s.URL
	}
	for name, c := range map[string]struct {
		url   string
		class git.Class
		want  string
		after time.Duration
	}{
		"busy":      {serve(answer(429, "Retry-After", "90")), git.RateLimited, "come less often", 90 * time.Second},
		"forbidden": {serve(answer(403, "X", "")), git.Credentials, "wants credentials (403)", 0},
		"limited":   {serve(answer(403, "Retry-After", "5")), git.RateLimited, "come less often", 5 * time.Second},
		"down":      {serve(answer(503, "Retry-After", "7")), git.Other, "the server answered 503 Service Unavailable", 7 * time.Second},
		"refused":   {"http://" + closed.Addr().String() + "/x", git.Unreachable, "connection refused", 0},
		"unknown":   {"http://no-such-host.invalid/x", git.DNS, `the name "no-such-host.invalid" was not found`, 0},
		"untrusted": {secure.URL, git.TLS, "certificate is not trusted", 0},
		"plain":     {strings.Replace(plain.URL, "http:", "https:", 1), git.TLS, "speaks https", 0},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := remote(t, c.url, git.Options{}).Head(t.Context(), "")
			wantError(t, err, c.class, c.want)
			var e *git.Error
			if errors.As(err, &e) && e.RetryAfter() != c.after {
				t.Errorf("retry after %v; want %v", e.RetryAfter(), c.after)
			}
			if strings.Contains(err.Error(), "go away") {
				t.Errorf("the message repeats the server's page: %v", err)
			}
		})
	}
}

func TestStopped(t *testing.T) {
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(release) })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := remote(t, server.URL, git.Options{}).Head(ctx, "")
	wantError(t, err, git.Timeout, "no answer in time")
	ctx, cancel = context.WithCancel(t.Context())
	cancel()
	_, err = remote(t, server.URL, git.Options{}).Head(ctx, "")
	wantError(t, err, git.Other, "it was stopped")
}

func TestDialContextMakesEveryConnection(t *testing.T) {
	refuse := errors.New("that address is not for you")
	opts := git.Options{DialContext: func(context.Context, string, string) (net.Conn, error) { return nil, refuse }}
	for _, url := range []string{"http://127.0.0.1:1/x", "https://127.0.0.1:1/x", "git@127.0.0.1:x"} {
		_, err := remote(t, url, opts).Head(t.Context(), "")
		if !errors.Is(err, refuse) {
			t.Errorf("%s: %v; want the dialer's refusal", url, err)
		}
	}
}

func TestRefusedContent(t *testing.T) {
	repo := testutil.NewRepo(t)
	inner := testutil.NewRepo(t)
	inner.Commit(map[string]string{"n": "1"})
	link := func(target string) func() {
		return func() {
			if err := os.Symlink(target, filepath.Join(repo.Dir, "link")); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, c := range map[string]struct {
		make func()
		want string
	}{
		"absolute link": {link("/etc/passwd"), `"link" is a symlink to the absolute path "/etc/passwd"`},
		"link out":      {link("a/../../x"), `"link" is a symlink that leads out of the tree`},
		"chain of links": {func() {
			repo.Write("d/e/f", nil, 0o644)
			link("d/e/up/..")()
			if err := os.Symlink("../..", filepath.Join(repo.Dir, "d/e/up")); err != nil {
				t.Fatal(err)
			}
		}, `"link" is a symlink that leads out of the tree by way of another`},
		"submodule": {func() { repo.Git("submodule", "--quiet", "add", inner.URL(), "sub") }, `"sub" is a submodule, and submodules are not fetched yet`},
		"lfs": {func() {
			repo.Write("big.bin", []byte("version https://git-lfs.github.com/spec/v1\noid sha256:"+strings.Repeat("0", 64)+"\nsize 5\n"), 0o644)
		}, `"big.bin" is a Git LFS pointer`},
	} {
		t.Run(name, func(t *testing.T) {
			repo.Orphan(map[string]string{"n": name})
			c.make()
			repo.Git("add", "-A")
			repo.Git("commit", "-q", "-m", "bad")
			_, err := fetch(t, remote(t, repo.URL(), git.Options{}), git.Commit(repo.Head()))
			wantError(t, err, git.Content, c.want)
		})
	}
}

// blob puts content into the repository's objects.
func blob(r *testutil.GitRepo, content string) string {
	cmd := exec.Command("git", "hash-object", "-w", "--stdin")
	cmd.Dir, cmd.Env, cmd.Stdin = r.Dir, testutil.GitEnv(), strings.NewReader(content)
	out, err := cmd.Output()
	if err != nil {
		panic(err)
	}
	return strings.TrimSpace(string(out))
}

// Git itself refuses to check such trees out, so they are made by hand.
func TestHostileTrees(t *testing.T) {
	repo := testutil.NewRepo(t)
	file := blob(repo, "x")
	mktree := func(lines string) string {
		t.Helper()
		cmd := exec.Command("git", "mktree", "--missing")
		cmd.Dir, cmd.Env, cmd.Stdin = repo.Dir, testutil.GitEnv(), strings.NewReader(lines)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git mktree: %v: %s", err, out)
		}
		return strings.TrimSpace(string(out))
	}
	bomb := mktree("100644 blob " + file + "\tf\n")
	for range 12 {
		var lines strings.Builder
		for n := range 10 {
			fmt.Fprintf(&lines, "040000 tree %s\td%d\n", bomb, n)
		}
		bomb = mktree(lines.String())
	}
	inner := mktree("100644 blob " + file + "\tconfig\n")
	for name, c := range map[string]struct {
		tree  string
		class git.Class
		want  string
	}{
		"bomb":    {bomb, git.TooLarge, "holds more than 1000 entries"},
		"dot git": {mktree("040000 tree " + inner + "\t.git\n"), git.Content, `".git" is named .git`},
		"dot GIT": {mktree("040000 tree " + inner + "\t.GiT\n"), git.Content, "is named .git"},
		"dot dot": {mktree("040000 tree " + inner + "\t..\n"), git.Content, ""},
		"twice":   {mktree("100644 blob " + file + "\ta\n120000 blob " + file + "\ta\n"), git.Content, `"a" is `},
	} {
		t.Run(name, func(t *testing.T) {
			commit := repo.Git("commit-tree", "-m", "bad", c.tree)
			_, err := fetch(t, remote(t, repo.URL(), git.Options{Limits: tree.Limits{Files: 1000}}), git.Commit(commit))
			if name == "dot dot" && err != nil {
				return // refused by whoever reads it first
			}
			wantError(t, err, c.class, c.want)
		})
	}
}

// What is sent, and what it unpacks to, is bounded before it is in memory.
func TestLimits(t *testing.T) {
	repo := testutil.NewRepo(t)
	repo.Write("zeros", make([]byte, 20<<20), 0o644) // 20 KB of pack
	commit := git.Commit(repo.CommitAll())
	server := testutil.NewGitServer(t, filepath.Dir(repo.Dir))
	for _, url := range []string{repo.URL(), server.URL + "/upstream"} {
		_, err := fetch(t, remote(t, url, git.Options{Limits: tree.Limits{Bytes: 1 << 20}}), commit)
		wantError(t, err, git.TooLarge, "holds more than 1 MiB")
	}
	small := testutil.NewRepo(t)
	for n := range 300 {
		small.Write(fmt.Sprint("f", n), []byte(fmt.Sprint(n)), 0o644)
	}
	commit = git.Commit(small.CommitAll())
	server = testutil.NewGitServer(t, filepath.Dir(small.Dir))
	for _, url := range []string{small.URL(), server.URL + "/upstream"} {
		_, err := fetch(t, remote(t, url, git.Options{Limits: tree.Limits{Files: 50}}), commit)
		wantError(t, err, git.TooLarge, "holds more than 50 entries")
	}
}

func TestCutOffPack(t *testing.T) {
	repo := richRepo(t)
	server := testutil.NewGitServer(t, filepath.Dir(repo.Dir))
	backend := testutil.GitHandler(t, filepath.Dir(repo.Dir))
	server.Answer(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			backend.ServeHTTP(w, r)
			return
		}
		whole := httptest.NewRecorder()
		backend.ServeHTTP(whole, r)
		w.Header().Set("Content-Type", whole.Header().Get("Content-Type"))
		if _, err := w.Write(whole.Body.Bytes()[:whole.Body.Len()*3/4]); err != nil {
			t.Error(err)
		}
	})
	dir, err := fetch(t, remote(t, server.URL+"/upstream", git.Options{}), git.Commit(repo.Head()))
	if err == nil {
		t.Fatal("a pack that was cut off was taken")
	}
	if left := listing(t, dir); len(left) > 0 {
		t.Errorf("it left %v", left)
	}
}
