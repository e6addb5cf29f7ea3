package git

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
	"popup/internal/tree"
)

// A bound is how much of a history is looked at. Beyond it, it cannot be told what
// comes before.
type bound struct {
	commits int
	bytes   int64
}

var historyBound = bound{50_000, 32 << 20}

// A History is a commit, and how it stands to an earlier one.
type History struct {
	Raw     []byte // the commit as git keeps it; its id was checked
	Follows bool   // the earlier one is among what it was made from
	Cut     string // where it does not follow, why that is not sure; empty: it is
}

// History asks for commit alone, and whether it follows since; what is no commit, it
// does not follow. The files of the commits are left out where the server can. Errors
// are *Error.
func (r *Remote) History(ctx context.Context, commit, since Commit) (History, error) {
	h, err := r.history(ctx, commit, since, historyBound)
	return h, r.explain(ctx, "look at the history of "+short(commit)+" in", err)
}

func (r *Remote) history(ctx context.Context, commit, since Commit, within bound) (History, error) {
	if !isCommit(string(commit)) {
		return History{}, fmt.Errorf("%q is no commit", commit)
	}
	if !isCommit(string(since)) {
		since = ""
	}
	l := lineage{tip: plumbing.NewHash(string(commit)), since: plumbing.NewHash(string(since)), within: within, commits: map[plumbing.Hash][]byte{}}
	if r.address.local() {
		return r.localHistory(ctx, l)
	}
	req := packRequest{want: commit, filter: "tree:0", limit: maxAdvert + within.bytes, whole: true}
	if since == "" || since == commit {
		req.depth = 1
	} else {
		req.have = []Commit{since}
	}
	err := r.readHistory(ctx, req, &l)
	if err == nil && l.commits[l.tip] == nil && req.depth == 0 {
		req.depth, req.have = 1, nil // what came before since is not sent to one who has that
		err = r.readHistory(ctx, req, &l)
	}
	return l.judge(err)
}

func (r *Remote) readHistory(ctx context.Context, req packRequest, l *lineage) error {
	pack, err := r.request(ctx, req)
	if errors.Is(err, errNoFilter) {
		req.filter, req.limit = "", 0
		pack, err = r.request(ctx, req)
	}
	if err != nil {
		return err
	}
	err = l.read(ctx, pack, r.opts.Limits.OrDefault().Bytes)
	if err == nil { // a connection is kept only when it was read to its end
		_, _ = io.CopyN(io.Discard, pack, 1<<10)
	}
	return errors.Join(err, pack.Close())
}

// localHistory walks a repository of this machine.
func (r *Remote) localHistory(ctx context.Context, l lineage) (History, error) {
	store, err := r.openLocal()
	if err != nil {
		return History{}, err
	}
	next := []plumbing.Hash{l.tip}
	for len(next) > 0 && err == nil && (len(l.commits) == 0 || !l.since.IsZero() && !l.follows()) {
		id := next[0]
		next = next[1:]
		if l.commits[id] != nil {
			continue
		}
		var content []byte
		if content, err = readCommit(stored{store}, id); errors.Is(err, plumbing.ErrObjectNotFound) {
			err = nil // a shallow repository ends somewhere
			continue
		}
		if err = errors.Join(err, ctx.Err()); err == nil {
			err = l.add(content)
			next = append(next, parents(content)...)
		}
	}
	return l.judge(err)
}

func readCommit(from objects, id plumbing.Hash) (_ []byte, err error) {
	o, err := from.Get(id)
	if err != nil {
		return nil, err
	}
	if o.Type() != plumbing.CommitObject {
		return nil, fmt.Errorf("%s is a %s and no commit", id, o.Type())
	}
	content, err := o.Reader()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, content.Close()) }()
	return io.ReadAll(io.LimitReader(content, historyBound.bytes))
}

// A lineage is a commit, with those that came before it as far as they are known.
type lineage struct {
	tip, since plumbing.Hash
	within     bound
	commits    map[plumbing.Hash][]byte // under the ids that their contents have
	bytes      int64
}

var (
	errLongHistory = errors.New("its history is too long to be looked through")
	errAnswered    = errors.New("what is to be known is known")
)

func (l *lineage) add(content []byte) error {
	l.bytes += int64(len(content))
	if len(l.commits) >= l.within.commits || l.bytes > l.within.bytes {
		return errLongHistory
	}
	l.commits[plumbing.ComputeHash(plumbing.CommitObject, content)] = content
	return nil
}

// parents are what a commit says it was made from: the lines after its first.
func parents(commit []byte) (ids []plumbing.Hash) {
	for i := 0; ; i++ {
		line, rest, _ := bytes.Cut(commit, []byte("\n"))
		id, ok := bytes.CutPrefix(line, []byte("parent "))
		if i > 0 && (!ok || !isCommit(string(id))) {
			return ids
		}
		if i > 0 {
			ids = append(ids, plumbing.NewHash(string(id)))
		}
		commit = rest
	}
}

// follows says whether the tip was made from since. What a server says cannot make
// it so: each step is a line of a commit whose id is its content's.
func (l *lineage) follows() bool {
	seen := map[plumbing.Hash]bool{}
	for next := []plumbing.Hash{l.tip}; len(next) > 0; {
		id := next[len(next)-1]
		next = next[:len(next)-1]
		if id == l.since {
			return true
		}
		if !seen[id] {
			seen[id] = true
			next = append(next, parents(l.commits[id])...)
		}
	}
	return false
}

// answered says whether more commits would change nothing.
func (l *lineage) answered() bool {
	return l.commits[l.tip] != nil && (l.since.IsZero() || l.follows())
}

// judge makes what was found of what was read. err is why not all was.
func (l *lineage) judge(err error) (History, error) {
	h := History{Raw: l.commits[l.tip], Follows: !l.since.IsZero() && l.follows()}
	long := errors.Is(err, errLongHistory) || errors.Is(err, errTooLarge)
	switch {
	case h.Raw != nil && (errors.Is(err, errAnswered) || h.Follows):
		return h, nil
	case h.Raw != nil && long:
		h.Cut = fmt.Sprintf("its history has more than the %d commits, or %s, that are looked through", l.within.commits, tree.Bytes(l.within.bytes))
		return h, nil
	case err != nil:
		return History{}, err
	case h.Raw == nil:
		return History{}, errors.Join(errNotOurs, errors.New("the server did not send the commit"))
	}
	return h, nil
}

// read keeps the commits of a pack. It passes over all else, of which it unpacks at
// most limit bytes, and ends with errAnswered before that where it can.
func (l *lineage) read(ctx context.Context, from io.Reader, limit int64) error {
	s := packfile.NewScanner(from)
	_, count, err := s.Header()
	if err != nil {
		return fmt.Errorf("read pack: %w", err)
	}
	placed := map[int64][]byte{} // commits, by where they begin
	rest := &allowance{left: limit + maxAdvert}
	judged := 0
	for range count {
		if err := ctx.Err(); err != nil {
			return err
		}
		o, err := s.NextObjectHeader()
		if err != nil {
			return fmt.Errorf("read pack: %w", err)
		}
		base := placed[o.OffsetReference]
		if o.Type == plumbing.REFDeltaObject {
			base = l.commits[o.Reference]
		}
		switch {
		case o.Type == plumbing.CommitObject, o.Type.IsDelta() && base != nil:
			if placed[o.Offset], err = l.content(s, base); err == nil {
				err = l.add(placed[o.Offset])
			}
		case len(l.commits) > 2*judged && l.answered():
			return errAnswered
		default:
			judged = max(judged, len(l.commits))
			if _, _, err = s.NextObject(rest); err != nil {
				err = fmt.Errorf("read pack: %w", err)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// content reads a commit, or makes it of the one it is said to be like.
func (l *lineage) content(s *packfile.Scanner, base []byte) ([]byte, error) {
	var buf bytes.Buffer
	room := &allowance{to: &buf, left: l.within.bytes - l.bytes}
	if _, _, err := s.NextObject(room); err != nil {
		return nil, fmt.Errorf("read pack: %w", err)
	}
	if base == nil {
		return slices.Clip(buf.Bytes()), nil
	}
	_, n := binary.Uvarint(buf.Bytes())
	if size, m := binary.Uvarint(buf.Bytes()[max(0, n):]); n <= 0 || m <= 0 || size > uint64(l.within.bytes) {
		return nil, errLongHistory
	}
	content, err := packfile.PatchDelta(base, buf.Bytes())
	if err != nil {
		return nil, fmt.Errorf("read pack: %w", err)
	}
	return content, nil
}

// An allowance takes so many bytes and no more.
type allowance struct {
	to   io.Writer // nil: they are forgotten
	left int64
}

func (a *allowance) Write(b []byte) (int, error) {
	if a.left -= int64(len(b)); a.left < 0 {
		return 0, errLongHistory
	}
	if a.to == nil {
		return len(b), nil
	}
	return a.to.Write(b)
}
