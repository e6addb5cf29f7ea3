package git_test

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"popup/internal/git"
	"popup/internal/meter"
	"popup/internal/testutil"
)

// change commits a file that differs each time.
func change(r *testutil.GitRepo, n int) git.Commit {
	return git.Commit(r.Commit(map[string]string{"notice.txt": fmt.Sprintf("notice %d\n", n), fmt.Sprintf("day/%d.txt", n): "x\n"}))
}

// raw is a commit as git keeps it.
func raw(t *testing.T, r *testutil.GitRepo, commit git.Commit) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "git", "-C", r.Dir, "cat-file", "commit", string(commit)).Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// histories are what may have become of a branch that was served at since.
var histories = map[string]struct {
	make    func(r *testutil.GitRepo) (since, tip git.Commit)
	follows bool
}{
	"one commit on": {func(r *testutil.GitRepo) (git.Commit, git.Commit) {
		since := change(r, 1)
		return since, change(r, 2)
	}, true},
	"many commits on, packed": {func(r *testutil.GitRepo) (since, tip git.Commit) {
		since = change(r, 1)
		for n := range 60 {
			r.Write("notice.txt", []byte(strconv.Itoa(n)), 0o644)
			r.Git("commit", "-q", "-a", "-m", strings.Repeat("the same long message ", 30)+strconv.Itoa(n))
		}
		r.Git("repack", "-q", "-a", "-d", "-f", "-b", "--depth=50", "--window=50")
		return since, git.Commit(r.Head())
	}, true},
	"behind a merge": {func(r *testutil.GitRepo) (git.Commit, git.Commit) {
		change(r, 1)
		r.Git("checkout", "-q", "-b", "side")
		since := change(r, 2)
		r.Git("checkout", "-q", "main")
		change(r, 3)
		r.Git("checkout", "-q", "-B", "main")
		r.Git("merge", "-q", "-s", "ours", "-m", "merge", "side")
		return since, git.Commit(r.Head())
	}, true},
	"the same": {func(r *testutil.GitRepo) (git.Commit, git.Commit) {
		since := change(r, 1)
		return since, since
	}, true},
	"moved back": {func(r *testutil.GitRepo) (git.Commit, git.Commit) {
		change(r, 1)
		since := change(r, 2)
		r.Git("branch", "kept")
		r.Git("reset", "-q", "--hard", "HEAD~1")
		return since, git.Commit(r.Head())
	}, false},
	"moved back and forgotten": {func(r *testutil.GitRepo) (git.Commit, git.Commit) {
		change(r, 1)
		since := change(r, 2)
		return since, git.Commit(r.Rewind("1"))
	}, false},
	"parted": {func(r *testutil.GitRepo) (git.Commit, git.Commit) {
		change(r, 1)
		since := change(r, 2)
		r.Rewind("1")
		return since, change(r, 3)
	}, false},
	"parted, and kept": {func(r *testutil.GitRepo) (git.Commit, git.Commit) {
		change(r, 1)
		since := change(r, 2)
		r.Git("branch", "kept")
		r.Git("reset", "-q", "--hard", "HEAD~1")
		return since, change(r, 3)
	}, false},
	"begun anew": {func(r *testutil.GitRepo) (git.Commit, git.Commit) {
		since := change(r, 1)
		return since, git.Commit(r.Orphan(map[string]string{"notice.txt": "anew\n"}))
	}, false},
	"only said to follow": {func(r *testutil.GitRepo) (git.Commit, git.Commit) {
		change(r, 1)
		since := change(r, 2)
		r.Rewind("1")
		r.Git("commit", "-q", "--allow-empty", "-m", "x\n\nparent "+string(since), "--author", "parent "+string(since)+" <a@example.org>")
		return since, git.Commit(r.Head())
	}, false},
}

// TestHistory asks in every way, with a server that leaves out files and with one
// that does not.
func TestHistory(t *testing.T) {
	for name, test := range histories {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := testutil.NewRepo(t)
			since, tip := test.make(r)
			for _, filter := range []string{"true", "false"} {
				r.Git("config", "uploadpack.allowFilter", filter)
				for way, to := range ways(t, r) {
					h, err := remote(t, to.url, to.opts).History(t.Context(), tip, since)
					if err != nil || h.Follows != test.follows || h.Cut != "" || string(h.Raw) != raw(t, r, tip) {
						t.Errorf("%s, filter %s: follows %v, cut %q, %d bytes, %v", way, filter, h.Follows, h.Cut, len(h.Raw), err)
					}
				}
			}
		})
	}
}

// TestCommitAlone asks for what a signature is of, and nothing else.
func TestCommitAlone(t *testing.T) {
	r := testutil.NewRepo(t)
	for n := range 5 {
		change(r, n)
	}
	tip := git.Commit(r.Head())
	r.Git("tag", "-a", "-m", "a tag", "v1")
	for _, filter := range []string{"true", "false"} {
		r.Git("config", "uploadpack.allowFilter", filter)
		for way, to := range ways(t, r) {
			h, err := remote(t, to.url, to.opts).History(t.Context(), tip, "")
			if err != nil || h.Follows || h.Cut != "" || string(h.Raw) != raw(t, r, tip) {
				t.Errorf("%s, filter %s: %+v, %v", way, filter, h, err)
			}
		}
	}
}

// TestHistoryLeavesTheFilesOut is about bytes: files of five megabytes do not come
// where the server can leave them out, and hardly begin to where it cannot.
func TestHistoryLeavesTheFilesOut(t *testing.T) {
	r := testutil.NewRepo(t)
	var commits []git.Commit
	for range 3 {
		content := make([]byte, 5<<20)
		_, _ = rand.Read(content)
		r.Write("large.bin", content, 0o644)
		commits = append(commits, git.Commit(r.CommitAll()))
	}
	server := testutil.NewGitServer(t, filepath.Dir(r.Dir))
	for filter, most := range map[string]int64{"true": 8 << 10, "false": 5 << 20} {
		r.Git("config", "uploadpack.allowFilter", filter)
		for _, since := range []git.Commit{"", commits[0]} {
			var counted meter.Meter
			h, err := remote(t, server.URL+"/upstream", git.Options{Meter: &counted}).History(t.Context(), commits[2], since)
			if err != nil || h.Follows != (since != "") || len(h.Raw) == 0 {
				t.Errorf("filter %s, since %q: %+v, %v", filter, since, h, err)
			}
			if in := counted.Read().BytesIn; in > most {
				t.Errorf("filter %s, since %q: %d bytes came, and %d are enough", filter, since, in, most)
			}
		}
	}
}

// TestShallowServerProvesNothing: what it does not have cannot be followed to.
func TestShallowServerProvesNothing(t *testing.T) {
	full := testutil.NewRepo(t)
	since := change(full, 1)
	change(full, 2)
	tip := change(full, 3)
	shallow := testutil.NewRepo(t)
	shallow.Git("fetch", "-q", "--depth=1", full.URL(), "main")
	shallow.Git("reset", "-q", "--hard", "FETCH_HEAD")
	shallow.Git("config", "uploadpack.allowFilter", "true")
	for way, to := range ways(t, shallow) {
		h, err := remote(t, to.url, to.opts).History(t.Context(), tip, since)
		if err != nil || h.Follows || string(h.Raw) != raw(t, full, tip) {
			t.Errorf("%s: %+v, %v", way, h, err)
		}
	}
}

// TestLongHistory holds a history against bounds, which are low here.
func TestLongHistory(t *testing.T) {
	r := testutil.NewRepo(t)
	gone := change(r, 0)
	begin := git.Commit(r.Orphan(map[string]string{"notice.txt": "anew\n"}))
	for n := range 30 {
		change(r, n)
	}
	tip := git.Commit(r.Head())
	for _, filter := range []string{"true", "false"} {
		r.Git("config", "uploadpack.allowFilter", filter)
		for way, to := range ways(t, r) {
			for _, since := range []git.Commit{gone, begin} {
				from := remote(t, to.url, to.opts)
				for name, history := range map[string]func() (git.History, error){
					"commits": func() (git.History, error) { return from.HistoryWithin(t.Context(), tip, since, 10, 1<<20) },
					"bytes":   func() (git.History, error) { return from.HistoryWithin(t.Context(), tip, since, 1000, 2000) },
				} {
					h, err := history()
					if err != nil || h.Follows || !strings.Contains(h.Cut, "that are looked through") || string(h.Raw) != raw(t, r, tip) {
						t.Errorf("%s, filter %s, bounded by %s: %+v, %v", way, filter, name, h, err)
					}
				}
			}
		}
	}
}

// TestLyingServer: another commit than was asked for is none.
func TestLyingServer(t *testing.T) {
	r := testutil.NewRepo(t)
	change(r, 1)
	backend := testutil.GitHandler(t, filepath.Dir(r.Dir))
	asked := strings.Repeat("ab", 20)
	url := serve(t, func(w http.ResponseWriter, req *http.Request) {
		body, err := readAll(req, asked, r.Head())
		if err != nil {
			t.Error(err)
		}
		req.Body, req.ContentLength = body, -1
		backend.ServeHTTP(w, req)
	})
	h, err := remote(t, url+"/upstream", git.Options{}).History(t.Context(), git.Commit(asked), "")
	if err == nil || len(h.Raw) > 0 {
		t.Errorf("%+v, %v", h, err)
	}
}

// readAll is a request's body with one word for another.
func readAll(req *http.Request, old, by string) (io.ReadCloser, error) {
	body, err := io.ReadAll(req.Body)
	return io.NopCloser(bytes.NewReader(bytes.ReplaceAll(body, []byte(old), []byte(by)))), err
}
