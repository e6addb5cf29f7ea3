package git_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"popup/internal/git"
	"popup/internal/testutil"
	"popup/internal/tree"
)

// neighbour makes a repository beside another one, with its content.
func neighbour(t *testing.T, of, r *testutil.GitRepo, name string) {
	t.Helper()
	r.Git("clone", "-q", "--bare", r.Dir, filepath.Join(filepath.Dir(of.Dir), name))
}

// link puts a commit of another repository into the next commit.
func link(r *testutil.GitRepo, name, url, commit string) {
	r.Git("config", "-f", ".gitmodules", "submodule."+name+".path", name)
	if url != "" {
		r.Git("config", "-f", ".gitmodules", "submodule."+name+".url", url)
	}
	r.Git("add", ".gitmodules")
	r.Git("update-index", "--add", "--cacheinfo", "160000,"+commit+","+name)
}

func commitLinks(r *testutil.GitRepo) string {
	r.Git("commit", "-q", "--allow-empty", "-m", "link")
	return r.Head()
}

func TestSubmodules(t *testing.T) {
	innermost, inner, repo := testutil.NewRepo(t), testutil.NewRepo(t), testutil.NewRepo(t)
	innermost.Commit(map[string]string{"deep/est": "1"})
	neighbour(t, repo, innermost, "innermost")
	inner.Write("d/f", []byte("inner"), 0o755)
	inner.Git("add", "d")
	link(inner, "most", "../innermost", innermost.Head())
	commitLinks(inner)
	neighbour(t, repo, inner, "inner.git")
	repo.Commit(map[string]string{"a": "1"})
	link(repo, "sub", "../inner.git", inner.Head())
	link(repo, "libs/sub", "../inner.git", inner.Head())
	first := commitLinks(repo)
	for name, way := range ways(t, repo) {
		t.Run(name, func(t *testing.T) {
			r := remote(t, way.url, way.opts)
			before, err := fetchOnto(t, r, first, "", t.TempDir(), tree.WriterOptions{})
			if err != nil {
				t.Fatal(err)
			}
			got := listing(t, before.dir)
			delete(got, ".gitmodules")
			delete(got, "sub/.gitmodules")
			delete(got, "libs/sub/.gitmodules")
			want := map[string]string{"a": "file false 1", "libs": "folder"}
			for _, at := range []string{"sub", "libs/sub"} {
				want[at], want[at+"/d"], want[at+"/d/f"] = "folder", "folder", "file true inner"
				want[at+"/most"], want[at+"/most/deep"], want[at+"/most/deep/est"] = "folder", "folder", "file false 1"
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("the tree differs (-want +got):\n%s", diff)
			}
			if want := repo.Git("rev-parse", first+"^{tree}"); before.index.Root().String() != want {
				t.Errorf("the root is %s; want %s", before.index.Root(), want)
			}
		})
	}
}

// A submodule that is as it was is not asked for again.
func TestUnchangedSubmoduleIsReused(t *testing.T) {
	inner, repo := testutil.NewRepo(t), testutil.NewRepo(t)
	inner.Commit(map[string]string{"f": "1"})
	aside := testutil.NewGitServer(t, filepath.Dir(inner.Dir))
	link(repo, "sub", aside.URL+"/upstream", inner.Head())
	first := commitLinks(repo)
	server := testutil.NewGitServer(t, filepath.Dir(repo.Dir))
	r := remote(t, server.URL+"/upstream", git.Options{})
	before, err := fetchOnto(t, r, first, "", t.TempDir(), tree.WriterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	asked := aside.Requests()
	repo.Write("a", []byte("1"), 0o644)
	repo.Git("add", "a")
	second := commitLinks(repo)
	after, err := fetchOnto(t, r, second, first, t.TempDir(), tree.WriterOptions{Base: before.base(true)})
	if err != nil || asked == 0 || aside.Requests() != asked {
		t.Fatalf("%v; the submodule's server was asked %d times, and %d more", err, asked, aside.Requests()-asked)
	}
	if content, err := os.ReadFile(filepath.Join(after.dir, "sub/f")); err != nil || string(content) != "1" {
		t.Errorf("the submodule holds %q, %v", content, err)
	}
	link(repo, "sub", aside.URL+"/upstream", inner.Commit(map[string]string{"f": "2"}))
	if after, err = fetchOnto(t, r, commitLinks(repo), second, t.TempDir(), tree.WriterOptions{Base: after.base(true)}); err != nil {
		t.Fatal(err)
	}
	if content, err := os.ReadFile(filepath.Join(after.dir, "sub/f")); err != nil || string(content) != "2" {
		t.Errorf("the changed submodule holds %q, %v", content, err)
	}
}

// What a stranger writes into .gitmodules is no reason to tell another host a
// password, or to read this machine's disk.
func TestSubmodulesAreNotTrusted(t *testing.T) {
	inner, repo := testutil.NewRepo(t), testutil.NewRepo(t)
	inner.Commit(map[string]string{"f": "1"})
	aside := testutil.NewGitServer(t, filepath.Dir(inner.Dir))
	backend := testutil.GitHandler(t, filepath.Dir(inner.Dir))
	told := ""
	aside.Answer(func(w http.ResponseWriter, r *http.Request) {
		told += r.Header.Get("Authorization")
		backend.ServeHTTP(w, r)
	})
	server := testutil.NewGitServer(t, filepath.Dir(repo.Dir))
	server.Require("robot", "secret")
	file := filepath.Join(t.TempDir(), "credentials")
	if err := os.WriteFile(file, []byte("robot:secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := remote(t, server.URL+"/upstream", git.Options{CredentialsFile: file})
	link(repo, "sub", aside.URL+"/upstream", inner.Head())
	if _, err := fetch(t, r, git.Commit(commitLinks(repo))); err != nil || told != "" {
		t.Errorf("the other host was told %q, %v", told, err)
	}
	for name, c := range map[string]struct {
		url   string
		class git.Class
		want  string
	}{
		"path":    {inner.Dir, git.Content, `"sub" is a submodule that is not fetched: its address is a folder`},
		"file":    {inner.URL(), git.Content, `"sub" is a submodule that is not fetched: its address is a folder`},
		"option":  {"--upload-pack=touch /tmp/x", git.Content, "begins with -"},
		"scheme":  {"ext::sh -c date", git.Content, `"sub" is a submodule that is not fetched`},
		"none":    {"", git.Content, ".gitmodules does not say where it is to be had"},
		"nowhere": {"../nowhere", git.NotRepository, `the submodule "sub" is not to be had: fetch ` + server.URL + "/nowhere: there is no git repository there"},
	} {
		t.Run(name, func(t *testing.T) {
			repo.Orphan(map[string]string{"n": name})
			link(repo, "sub", c.url, inner.Head())
			_, err := fetch(t, r, git.Commit(commitLinks(repo)))
			wantError(t, err, c.class, c.want)
		})
	}
	local := remote(t, repo.URL(), git.Options{})
	repo.Orphan(map[string]string{"n": "local"})
	link(repo, "sub", "some/where", inner.Head())
	_, err := fetch(t, local, git.Commit(commitLinks(repo)))
	wantError(t, err, git.Content, "its address is no URL")
}

// Submodules of submodules, and many of them, come to an end.
func TestSubmodulesAreBounded(t *testing.T) {
	repo := testutil.NewRepo(t)
	commits := []string{repo.Commit(map[string]string{"f": "1"})}
	for range 4 {
		link(repo, "again", "../upstream", commits[len(commits)-1])
		commits = append(commits, commitLinks(repo))
	}
	r := remote(t, repo.URL(), git.Options{})
	if _, err := fetch(t, r, git.Commit(commits[3])); err != nil {
		t.Errorf("three within each other: %v", err)
	}
	_, err := fetch(t, r, git.Commit(commits[4]))
	wantError(t, err, git.Content, `"again/again/again/again" is a submodule within 3 others`)
	repo.Orphan(map[string]string{"f": "1"})
	first := repo.Head()
	for n := range 51 {
		link(repo, fmt.Sprint("sub", n), "../upstream", first)
	}
	_, err = fetch(t, r, git.Commit(commitLinks(repo)))
	wantError(t, err, git.Content, "is a submodule, and there are more than 50")
	repo.Orphan(map[string]string{".gitmodules": "[submodule \"x\"]\n" + strings.Repeat("#", 1<<20)})
	repo.Git("update-index", "--add", "--cacheinfo", "160000,"+first+",sub")
	_, err = fetch(t, r, git.Commit(commitLinks(repo)))
	wantError(t, err, git.Content, `".gitmodules" has more than 1 MiB`)
}
