package git

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/plumbing/storer"
	"github.com/go-git/go-git/v5/storage/filesystem"
	"popup/internal/pack"
	"popup/internal/tree"
)

func (r *Remote) fetch(ctx context.Context, commit, have Commit, w *tree.Writer) error {
	id, err := tree.ParseID(string(commit))
	if err != nil {
		return err
	}
	return r.checkOut(ctx, newCheckout(w, id, ""), have)
}

// checkOut has a checkout get what it needs, and then its submodules.
func (r *Remote) checkOut(ctx context.Context, c *checkout, have Commit) error {
	get := r.receive
	if r.address.local() {
		get = r.pull
	}
	err := get(ctx, c, have)
	var damaged *pack.CorruptError
	switch {
	case errors.As(err, &damaged):
		return &Error{Class: Content, Err: err, Why: damaged.Error(), Retry: true,
			Hint: "try again; if it stays so, the repository there is damaged, or something on the way changes what it sends"}
	case err != nil:
		return err
	}
	if err := c.finish(ctx); err != nil {
		return err
	}
	return r.fetchModules(ctx, c)
}

// receive has the server send what the commit has and have has not.
func (r *Remote) receive(ctx context.Context, c *checkout, have Commit) error {
	var haves []Commit
	if have != "" && c.w.Base() != nil {
		haves = []Commit{have}
	}
	sent, err := r.pack(ctx, Commit(c.commit.String()), haves)
	if err != nil {
		return err
	}
	return errors.Join(pack.Read(ctx, sent, r.opts.Limits, c), sent.Close())
}

// pull takes what is needed, one after the other, from a repository of this machine.
func (r *Remote) pull(ctx context.Context, c *checkout, _ Commit) error {
	store, err := r.openLocal()
	if err != nil {
		return err
	}
	p := puller{limits: r.opts.Limits.OrDefault(), from: stored{streaming(store)}, to: c, next: []tree.ID{c.commit}}
	c.ask = func(id tree.ID) { p.next = append(p.next, id) }
	for len(p.next) > 0 && err == nil {
		id := p.next[len(p.next)-1]
		p.next = p.next[:len(p.next)-1]
		err = errors.Join(ctx.Err(), p.take(id))
	}
	if !c.rooted && errors.Is(err, plumbing.ErrObjectNotFound) {
		return errors.Join(errNotOurs, err)
	}
	return err
}

// streaming is the repository with files read as they are asked for, where that can be.
func streaming(s storer.Storer) storer.EncodedObjectStorer {
	on, ok := s.(*filesystem.Storage)
	if !ok {
		return s
	}
	return filesystem.NewStorageWithOptions(on.Filesystem(), cache.NewObjectLRU(8*cache.MiByte),
		filesystem.Options{LargeObjectThreshold: pack.InMemory})
}

// A puller moves objects of a repository into a checkout.
type puller struct {
	limits tree.Limits
	from   objects
	to     *checkout
	next   []tree.ID
}

func (p *puller) take(id tree.ID) (err error) {
	o, err := p.from.Get(plumbing.Hash(id))
	if err != nil {
		return fmt.Errorf("read object %s: %w", id, err)
	}
	if o.Size() > p.limits.Bytes {
		return &tree.LimitError{What: "bytes", Limit: p.limits.Bytes}
	}
	content, err := o.Reader()
	if err != nil {
		return fmt.Errorf("read object %s: %w", id, err)
	}
	defer func() { err = errors.Join(err, content.Close()) }()
	kind := pack.Kind(o.Type())
	if kind == pack.Blob && o.Size() > pack.InMemory {
		return p.blob(id, o.Size(), content)
	}
	all, err := io.ReadAll(io.LimitReader(content, o.Size()+1))
	if err != nil {
		return fmt.Errorf("read object %s: %w", id, err)
	}
	if got := tree.ObjectID(kind.String(), all); got != id {
		return rotten(id)
	}
	return p.to.Object(kind, id, all)
}

// blob takes a file that is too large for memory.
func (p *puller) blob(id tree.ID, size int64, content io.Reader) error {
	f, name, err := p.to.Temp()
	if err != nil {
		return err
	}
	got, err := tree.BlobID(size, io.TeeReader(content, f))
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("read object %s: %w", id, err)
	}
	if got != id {
		return rotten(id)
	}
	return p.to.Blob(id, name, size)
}

func rotten(id tree.ID) error {
	return &Error{Class: Content, Why: fmt.Sprintf("its object %s is damaged", id), Hint: "run git fsck there"}
}
