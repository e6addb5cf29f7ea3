package git

import (
	"bytes"
	"context"
	"os/exec"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
	"popup/internal/testutil"
)

// HistoryWithin is History within other bounds.
func (r *Remote) HistoryWithin(ctx context.Context, commit, since Commit, commits int, bytes int64) (History, error) {
	return r.history(ctx, commit, since, bound{commits, bytes})
}

// FuzzHistory: whatever a server sends, a commit is only believed to be the one
// that was asked for when its id says so.
func FuzzHistory(f *testing.F) {
	for _, date := range []string{"GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE"} {
		f.Setenv(date, "2026-05-01T00:00:00Z") // the ids are the same in every process
	}
	repo := testutil.NewRepo(f)
	since := repo.Commit(map[string]string{"a": "1"})
	tip := repo.Commit(map[string]string{"a": "2"})
	for _, what := range []string{tip + "\n" + since + "\n", repo.Git("rev-list", "--objects", "--no-object-names", "HEAD") + "\n"} {
		pack := exec.Command("git", "-C", repo.Dir, "pack-objects", "--stdout", "-q")
		pack.Stdin = bytes.NewReader([]byte(what))
		content, err := pack.Output()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(content)
		f.Add(content[:len(content)/2])
	}
	f.Fuzz(func(t *testing.T, pack []byte) {
		l := lineage{tip: plumbing.NewHash(tip), since: plumbing.NewHash(since), within: bound{100, 1 << 20}, commits: map[plumbing.Hash][]byte{}}
		h, err := l.judge(l.read(t.Context(), bytes.NewReader(pack), 1<<20))
		if err == nil && plumbing.ComputeHash(plumbing.CommitObject, h.Raw) != l.tip {
			t.Fatalf("%q is not what was asked for", h.Raw)
		}
	})
}
