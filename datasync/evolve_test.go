package datasync

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"popup/internal/testutil"
	"popup/internal/wire"
)

// Whatever becomes of a repository, what is published is its tree: by thin packs, upon
// a base, in a spare. What a pack leaves out is here already, though as another kind.
func TestRepositoryEvolves(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	repo := testutil.NewRepo(t)
	server := testutil.NewGitServer(t, repo.Dir)
	source, err := NewSource(wire.Source{URL: server.URL, Kind: kindGit}, SourceOptions{})
	if err != nil {
		t.Fatal(err)
	}
	now := newClock()
	p := openPublisher(t, tempDir(t), PublisherOptions{Retain: 2, Linger: time.Nanosecond, Share: true, Now: now.Now})
	s := NewSyncer(Config{Source: source, Publisher: p, Now: now.Now})
	for n := range 40 {
		for range 1 + r.IntN(6) {
			if err := evolve(r, repo.Dir); err != nil {
				t.Fatal(err)
			}
		}
		repo.Write("n", fmt.Append(nil, n), 0o644)
		want := Revision(repo.CommitAll())
		now.advance(time.Minute)
		rev, _, err := s.Stage(t.Context())
		if err != nil || rev != want {
			t.Fatalf("commit %d: %s, %v", n, rev, err)
		}
		if err := errors.Join(s.Publish(rev), p.Verify(t.Context(), rev), p.Prune(nil)); err != nil {
			t.Fatalf("commit %d: %v", n, err)
		}
		index, err := p.Index(rev)
		if err != nil || index.Root().String() != repo.Git("rev-parse", "HEAD^{tree}") {
			t.Fatalf("commit %d has another tree: %v", n, err)
		}
	}
	noLeftovers(t, p.Dir())
}

// evolve changes one thing: names are few, so that they meet.
func evolve(r *rand.Rand, dir string) error {
	name := func() string {
		return filepath.Join(dir, []string{"a", "b", "a.x", "d", "d/a", "d/b", "d.x", "d/e/a", "d/e/f/b", "g/a"}[r.IntN(10)])
	}
	path := name()
	content := []string{"a", "b", "../a", "", "0123456789"}[r.IntN(5)]
	put := func(as func() error) error {
		for up := filepath.Dir(path); up != dir; up = filepath.Dir(up) {
			if info, err := os.Lstat(up); err == nil && !info.IsDir() {
				if err := os.Remove(up); err != nil {
					return err
				}
			}
		}
		return errors.Join(os.RemoveAll(path), os.MkdirAll(filepath.Dir(path), 0o755), as())
	}
	switch r.IntN(6) {
	case 0:
		return put(func() error { return os.WriteFile(path, []byte(content), 0o755) })
	case 1:
		if content != "" && filepath.Dir(path) != dir {
			return put(func() error { return os.Symlink(content, path) })
		}
	case 2:
		return put(func() error { return os.RemoveAll(path) })
	case 3: // a folder comes again elsewhere
		if info, err := os.Lstat(path); err == nil && info.IsDir() {
			to := filepath.Join(dir, fmt.Sprintf("copy%d", r.IntN(3)))
			return errors.Join(os.RemoveAll(to), os.CopyFS(to, os.DirFS(path)))
		}
	case 4: // another bit, and nothing else
		if info, err := os.Lstat(path); err == nil && info.Mode().IsRegular() {
			return os.Chmod(path, info.Mode().Perm()^0o111)
		}
	}
	return put(func() error { return os.WriteFile(path, []byte(content), 0o644) })
}
