package git

import (
	"context"
	"io"
	"time"
)

// Pack is what the writers of trees read.
func (r *Remote) Pack(ctx context.Context, want Commit, have ...Commit) (io.ReadCloser, error) {
	return r.pack(ctx, want, have)
}

// Commits asks for commits without their trees.
func (r *Remote) Commits(ctx context.Context, want Commit, have ...Commit) (io.ReadCloser, error) {
	return r.request(ctx, packRequest{want: want, have: have, filter: "tree:0"})
}

// Few asks for a pack of at most limit bytes.
func (r *Remote) Few(ctx context.Context, want Commit, limit int64) (io.ReadCloser, error) {
	return r.request(ctx, packRequest{want: want, shallow: true, depth: 1, limit: limit})
}

// AnHourLater makes what was learnt of the server as old as it may be.
func (r *Remote) AnHourLater() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.route.until = r.route.until.Add(-routeLasts - time.Second)
}

// Errors for tests.
var (
	ErrNoFilter = errNoFilter
	ErrTooLarge = errTooLarge
	ErrNotOurs  = errNotOurs
)
