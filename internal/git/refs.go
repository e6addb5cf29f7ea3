package git

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/transport"
)

// references are the names a repository has, each with what it points at.
type references struct {
	head   plumbing.Hash // zero: HEAD names a branch that does not exist
	ids    map[string]plumbing.Hash
	peeled map[string]plumbing.Hash // of annotated tags: the commit
}

// find asks for the references that may be meant, and for all of them only to say
// which there are.
func (r *Remote) find(ctx context.Context, ref string) (Commit, error) {
	if r.http == nil {
		refs, err := r.refs(ctx)
		if err != nil {
			return "", err
		}
		return refs.resolve(ref)
	}
	s, err := r.connectHTTP(maxAdvert)
	if err != nil {
		return "", err
	}
	if prefixes := prefixesOf(ref); prefixes != nil {
		refs, err := s.list(ctx, prefixes)
		if err != nil {
			return "", err
		}
		if commit, err := refs.resolve(ref); err == nil {
			return commit, nil
		}
	}
	refs, err := s.list(ctx, []string{"HEAD", "refs/heads/", "refs/tags/"})
	if err != nil {
		return "", err
	}
	if refs.head.IsZero() && len(refs.ids) == 0 {
		return "", transport.ErrEmptyRemoteRepository
	}
	return refs.resolve(ref)
}

// refs asks for all references.
func (r *Remote) refs(ctx context.Context) (_ references, err error) {
	if r.address.local() {
		return r.localRefs()
	}
	s, err := r.connectSSH(ctx, maxAdvert)
	if err != nil {
		return references{}, err
	}
	defer s.Close() //nolint:errcheck // what counts was read
	adv, err := advertises(s)
	if err != nil {
		return references{}, s.cause(err)
	}
	return advertised(adv), nil
}

func advertised(adv *packp.AdvRefs) references {
	refs := references{ids: adv.References, peeled: adv.Peeled}
	if adv.Head != nil {
		refs.head = *adv.Head
	}
	return refs
}

// prefixesOf are the beginnings of the names that ref may mean; nil where it is no
// name that a reference can have.
func prefixesOf(ref string) []string {
	switch {
	case ref == "" || ref == "HEAD":
		return []string{"HEAD"}
	case len(ref) > 1000 || strings.ContainsFunc(ref, func(r rune) bool { return r <= ' ' || r == 0x7f }):
		return nil
	case strings.HasPrefix(ref, "refs/"):
		return []string{ref}
	}
	return []string{"refs/heads/" + ref, "refs/tags/" + ref}
}

// resolve finds the commit of a branch or a tag; empty means the default branch.
func (r references) resolve(ref string) (Commit, error) {
	if ref == "" || ref == "HEAD" {
		if !r.head.IsZero() {
			return Commit(r.head.String()), nil
		}
		return "", r.noBranch("the default branch does not exist")
	}
	for _, name := range []string{ref, "refs/heads/" + ref, "refs/tags/" + ref} {
		if id, ok := r.peeled[name]; ok {
			return Commit(id.String()), nil
		}
		if id, ok := r.ids[name]; ok {
			return Commit(id.String()), nil
		}
	}
	return "", r.noBranch("there is no branch or tag "+strconv.Quote(ref), ref)
}

// noBranch says which branches there are, those nearest to wish first.
func (r references) noBranch(why string, wish ...string) error {
	var names []string
	for name := range r.ids {
		if short, ok := strings.CutPrefix(name, "refs/heads/"); ok {
			names = append(names, short)
		} else if short, ok := strings.CutPrefix(name, "refs/tags/"); ok && len(wish) > 0 {
			names = append(names, short)
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		if len(wish) > 0 {
			if d := distance(a, wish[0]) - distance(b, wish[0]); d != 0 {
				return d
			}
		}
		return strings.Compare(a, b)
	})
	const most = 3
	hint := "it has no branches at all"
	if len(names) > 0 {
		hint = "the nearest it has: " + strings.Join(quoted(names[:min(len(names), most)]), ", ")
		if more := len(names) - most; more > 0 {
			hint += fmt.Sprintf(" (and %d more)", more)
		}
	}
	if len(wish) > 0 && len(wish[0]) >= 7 && strings.Trim(wish[0], "0123456789abcdefABCDEF") == "" {
		hint += "; a commit is named by all of its 40 digits"
	}
	return &Error{Class: NoBranch, Why: why, Hint: hint, Retry: true}
}

func quoted(names []string) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = strconv.Quote(n)
	}
	return out
}

// distance is how many letters must be changed, added or left out to make b of a.
// Names beyond 100 bytes are compared by their beginning.
func distance(a, b string) int {
	a, b = a[:min(len(a), 100)], b[:min(len(b), 100)]
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
