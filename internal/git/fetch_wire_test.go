package git_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"popup/internal/git"
	"popup/internal/testutil"
)

// unpack has real git take a pack into a repository that has nothing but what is
// given, and returns how many objects came with it, and its size.
func unpack(t *testing.T, in *testutil.GitRepo, pack io.ReadCloser) (objects uint32, size int) {
	t.Helper()
	content := whole(t, pack)
	cmd := exec.Command("git", "index-pack", "--stdin", "--fix-thin")
	cmd.Dir, cmd.Env, cmd.Stdin = in.Dir, testutil.GitEnv(), bytes.NewReader(content)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("git index-pack: %v: %s", err, out)
	}
	return binary.BigEndian.Uint32(content[8:]), len(content)
}

func whole(t *testing.T, pack io.ReadCloser) []byte {
	t.Helper()
	content, err := io.ReadAll(pack)
	if err = errors.Join(err, pack.Close()); err != nil || len(content) < 12 {
		t.Fatalf("a pack of %d bytes: %v", len(content), err)
	}
	return content
}

func count(t *testing.T, pack io.ReadCloser) uint32 {
	t.Helper()
	return binary.BigEndian.Uint32(whole(t, pack)[8:])
}

// A fetch of what changed brings that alone, however the server is spoken with.
func TestPackIsTheDifference(t *testing.T) {
	repo := testutil.NewRepo(t)
	for n := range 300 {
		repo.Write(fmt.Sprintf("d%d/f%d", n%10, n), []byte(strings.Repeat(fmt.Sprint("line ", n, "\n"), 50)), 0o644)
	}
	for range 3 {
		repo.Commit(map[string]string{"n": "before"})
	}
	first := git.Commit(repo.CommitAll())
	repo.Git("tag", "first") // of the old protocol's commits, only those with a name are to be had
	repo.Write("d1/f1", []byte(strings.Repeat("line 1\n", 50)+"and one more\n"), 0o644)
	repo.CommitAll()
	repo.CommitAll()
	second := git.Commit(repo.CommitAll())
	for name, way := range ways(t, repo) {
		if name == "path" || name == "file" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			here := testutil.NewRepo(t)
			r := remote(t, way.url, way.opts)
			pack, err := r.Pack(t.Context(), first)
			if err != nil {
				t.Fatal(err)
			}
			_, all := unpack(t, here, pack)
			if err := os.WriteFile(filepath.Join(here.Dir, ".git/shallow"), []byte(string(first)+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			here.Git("update-ref", "refs/heads/main", string(first))
			pack, err = r.Pack(t.Context(), second, first)
			if err != nil {
				t.Fatal(err)
			}
			// The commit, the root, one folder and one file, as a delta against what is here.
			objects, size := unpack(t, here, pack)
			if objects != 4 || size > 1000 || all < 10*size {
				t.Errorf("the difference is %d objects and %d bytes, and the whole %d; want 4, below 1000", objects, size, all)
			}
			if err := os.WriteFile(filepath.Join(here.Dir, ".git/shallow"), []byte(string(first)+"\n"+string(second)+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			here.Git("read-tree", "-u", "--reset", string(second))
			if out := here.Git("rev-list", "--objects", string(second)); strings.Contains(out, "missing") {
				t.Errorf("objects are missing: %s", out)
			}
			// What the server never saw changes nothing.
			pack, err = r.Pack(t.Context(), second, git.Commit(strings.Repeat("1", 40)))
			if err != nil {
				t.Fatal(err)
			}
			if _, size := unpack(t, testutil.NewRepo(t), pack); size < all/2 {
				t.Errorf("a whole fetch has %d bytes; the one before had %d", size, all)
			}
			_, err = r.Pack(t.Context(), git.Commit(strings.Repeat("2", 40)), first)
			if !errors.Is(err, git.ErrNotOurs) {
				t.Errorf("a commit that is not there: %v", err)
			}
		})
	}
}

// Commits come without their files where the server can, and where it cannot that
// is found out once.
func TestCommitsAlone(t *testing.T) {
	for _, allowed := range []string{"true", "false"} {
		repo := testutil.NewRepo(t)
		first := git.Commit(repo.Commit(map[string]string{"n": strings.Repeat("content\n", 1000)}))
		repo.Commit(map[string]string{"n": "2"})
		third := git.Commit(repo.Commit(map[string]string{"n": "3"}))
		repo.Git("config", "uploadpack.allowFilter", allowed)
		for name, way := range ways(t, repo) {
			if name == "path" || name == "file" {
				continue
			}
			t.Run(allowed+"/"+name, func(t *testing.T) {
				r := remote(t, way.url, way.opts)
				for range 2 {
					pack, err := r.Commits(t.Context(), third)
					if allowed == "false" {
						if !errors.Is(err, git.ErrNoFilter) {
							t.Fatalf("got %v; want that it cannot", err)
						}
						continue
					}
					if err != nil {
						t.Fatal(err)
					}
					if objects := count(t, pack); objects != 3 {
						t.Errorf("%d objects came; want the 3 commits", objects)
					}
					if pack, err = r.Commits(t.Context(), third, first); err != nil {
						t.Fatal(err)
					}
					if objects := count(t, pack); objects != 2 {
						t.Errorf("%d objects came; want the 2 commits since", objects)
					}
				}
			})
		}
	}
}

func TestNoFilterIsRemembered(t *testing.T) {
	repo := testutil.NewRepo(t)
	head := git.Commit(repo.Commit(map[string]string{"n": "1"}))
	server := testutil.NewGitServer(t, filepath.Dir(repo.Dir))
	r := remote(t, server.URL+"/upstream", git.Options{})
	for _, want := range []int64{2, 2} {
		if _, err := r.Commits(t.Context(), head); !errors.Is(err, git.ErrNoFilter) {
			t.Fatal(err)
		}
		if server.Requests() != want {
			t.Errorf("%d requests; want %d", server.Requests(), want)
		}
	}
}

// A pack that is too large, cut off, or given up ends with what is wrong.
func TestPackEndsBadly(t *testing.T) {
	repo := testutil.NewRepo(t)
	noise := make([]byte, 200_000)
	if _, err := rand.Read(noise); err != nil {
		t.Fatal(err)
	}
	head := git.Commit(repo.Commit(map[string]string{"noise": string(noise)}))
	for name, way := range ways(t, repo) {
		if name == "path" || name == "file" {
			continue
		}
		r := remote(t, way.url, way.opts)
		pack, err := r.Few(t.Context(), head, 50_000)
		if err == nil {
			_, err = io.Copy(io.Discard, pack)
			err = errors.Join(err, pack.Close())
		}
		if !errors.Is(err, git.ErrTooLarge) {
			t.Errorf("%s: %v; want that it is too large", name, err)
		}
		pack, err = r.Pack(t.Context(), head)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(pack, make([]byte, 12)); err != nil {
			t.Error(err)
		}
		if err := pack.Close(); err != nil {
			t.Errorf("%s: close in the middle: %v", name, err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		if pack, err = r.Pack(ctx, head); err != nil {
			t.Fatal(err)
		}
		cancel()
		if _, err := io.Copy(io.Discard, pack); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: after it was stopped: %v", name, err)
		}
		if err := pack.Close(); err != nil {
			t.Errorf("%s: close what was stopped: %v", name, err)
		}
	}
	// Answers to a fetch that only begin well.
	for name, c := range map[string]struct{ body, want string }{
		"cut off":     {"000dpackfile\n0009\x01PACK", "was cut off"},
		"cut in two":  {"000dpackfile\n0019\x01PACK", "was cut off"},
		"no channel":  {"000dpackfile\n0009\x09PACK", "is not git's protocol"},
		"no length":   {"000dpackfile\nzzzz\x01PACK", "is not git's protocol"},
		"separator":   {"000dpackfile\n0001", "is not git's protocol"},
		"its words":   {"000dpackfile\n000f\x03disk full\n0000", `the server said "disk full"`},
		"no packfile": {"0010shallow-info0000", "is not git's protocol"},
		"cut before":  {"0010shallow-info", "was cut off"},
	} {
		t.Run(name, func(t *testing.T) {
			url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/x-git-upload-pack-result")
				_, _ = io.WriteString(w, c.body)
			})
			pack, err := remote(t, url, git.Options{}).Pack(t.Context(), head)
			if err == nil {
				_, err = io.Copy(io.Discard, pack)
				err = errors.Join(err, pack.Close())
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v; want %q", err, c.want)
			}
		})
	}
}
