package git

import (
	"errors"
	"io/fs"
	"os"

	gogit "github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/storer"
	"github.com/go-git/go-git/v5/plumbing/transport"
)

// IsRepository says whether a folder of this machine is a git repository itself,
// bare or with a working tree. A folder within one is not.
func IsRepository(dir string) bool {
	_, err := gogit.PlainOpenWithOptions(dir, &gogit.PlainOpenOptions{EnableDotGitCommonDir: true})
	return err == nil
}

// openLocal opens a repository of this machine. It is opened anew for each use:
// a repack would move its objects under an older view.
func (r *Remote) openLocal() (storer.Storer, error) {
	if _, err := os.Stat(r.address.path); errors.Is(err, fs.ErrNotExist) {
		return nil, &Error{Class: NotRepository, Err: err, Why: "there is no such folder", Hint: "check the path"}
	}
	repo, err := gogit.PlainOpenWithOptions(r.address.path, &gogit.PlainOpenOptions{EnableDotGitCommonDir: true})
	if errors.Is(err, gogit.ErrRepositoryNotExists) {
		return nil, errors.Join(transport.ErrRepositoryNotFound, err)
	}
	if err != nil {
		return nil, err
	}
	return repo.Storer, nil
}

func (r *Remote) localRefs() (references, error) {
	store, err := r.openLocal()
	if err != nil {
		return references{}, err
	}
	refs := references{ids: map[string]plumbing.Hash{}, peeled: map[string]plumbing.Hash{}}
	all, err := store.IterReferences()
	if err != nil {
		return references{}, err
	}
	err = all.ForEach(func(ref *plumbing.Reference) error {
		if ref.Type() != plumbing.HashReference {
			return nil
		}
		name := ref.Name().String()
		refs.ids[name] = ref.Hash()
		if ref.Name().IsTag() {
			commit, err := peel(stored{store}, ref.Hash())
			if err != nil {
				return err
			}
			refs.peeled[name] = commit
		}
		return nil
	})
	if err != nil {
		return references{}, err
	}
	if head, err := storer.ResolveReference(store, plumbing.HEAD); err == nil {
		refs.head = head.Hash()
	} else if len(refs.ids) == 0 {
		return references{}, transport.ErrEmptyRemoteRepository
	}
	return refs, nil
}
