// Package datasync keeps a published tree equal to a source's newest good
// revision: poll, fetch, extract, gate, publish, retain.
package datasync

import (
	"context"
	"errors"
	"popup/internal/tree"
)

// A Revision names one state of a source: a commit, or "tree-" and the id of a
// folder's tree. It is safe as a file name.
type Revision string

// A Source is where revisions come from. Its methods may be called from several
// goroutines.
type Source interface {
	// Head asks which revision is newest, by one small request.
	Head(ctx context.Context) (Revision, error)
	// Fetch writes the tree of rev by w, which the caller finishes. It writes rev's own
	// tree or returns an error, which is ErrMoved when rev is no longer to be had. have
	// is the revision whose tree w.Base is, empty when there is none; it may be one of
	// another source. What was written before an error is the caller's to remove.
	Fetch(ctx context.Context, rev, have Revision, w *tree.Writer) error
	// String names the source for people, without credentials.
	String() string
}

// ErrMoved says that a revision is no longer to be had, because the source went on
// to another: ask for the newest again.
var ErrMoved = errors.New("the source moved on meanwhile")

// valid says whether a revision is safe as the name of a folder.
func (r Revision) valid() bool {
	if r == "" || len(r) > 100 {
		return false
	}
	for _, c := range r {
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && c != '-' {
			return false
		}
	}
	return r[0] != '-' && (len(r) < len(tempPrefix) || r[:len(tempPrefix)] != tempPrefix) && r != currentName
}

// Short is a revision as it is shown to people.
func (r Revision) Short() string { return string(r[:min(len(r), 17)]) }
