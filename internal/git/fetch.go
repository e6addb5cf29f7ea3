package git

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/idxfile"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
	"popup/internal/tree"
)

func (r *Remote) fetch(ctx context.Context, commit, _ Commit, w *tree.Writer) (err error) {
	if !isCommit(string(commit)) {
		return fmt.Errorf("%q is no commit", commit)
	}
	id := plumbing.NewHash(string(commit))
	if r.address.local() {
		store, err := r.openLocal()
		if err != nil {
			return err
		}
		if err = writeCommit(ctx, stored{store}, id, w); errors.Is(err, plumbing.ErrObjectNotFound) {
			return errors.Join(errNotOurs, err)
		}
		return err
	}
	pack, _, err := w.Temp()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, pack.Close()) }()
	if err = r.download(ctx, commit, pack); err != nil {
		return err
	}
	from, err := openPack(pack, r.opts.Limits.OrDefault())
	if err != nil {
		return err
	}
	return writeCommit(ctx, from, id, w)
}

// download has the server send the one commit, without its history.
func (r *Remote) download(ctx context.Context, commit Commit, to io.Writer) error {
	pack, err := r.pack(ctx, commit, nil)
	if err != nil {
		return err
	}
	_, err = io.Copy(to, pack)
	return errors.Join(err, pack.Close())
}

// openPack indexes a pack. Before anything is unpacked into memory, what it says
// of itself is held against the limits.
func openPack(f *os.File, limits tree.Limits) (objects, error) {
	if err := weigh(f, limits); err != nil {
		return nil, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	index := new(idxfile.Writer)
	parser, err := packfile.NewParser(packfile.NewScanner(f), index)
	if err != nil {
		return nil, err
	}
	if _, err := parser.Parse(); err != nil {
		return nil, fmt.Errorf("read pack: %w", err)
	}
	idx, err := index.Index()
	if err != nil {
		return nil, fmt.Errorf("read pack: %w", err)
	}
	return packfile.NewPackfile(idx, nil, packFile{f}, 0), nil
}

// packFile is a file as go-git wants it.
type packFile struct{ *os.File }

func (packFile) Lock() error   { return nil }
func (packFile) Unlock() error { return nil }

// weigh adds up the sizes that the objects of a pack unpack to: a small pack may
// say of itself that it is huge.
func weigh(f *os.File, limits tree.Limits) error {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	s := packfile.NewScanner(f)
	_, count, err := s.Header()
	if err != nil {
		return fmt.Errorf("read pack: %w", err)
	}
	// A file has a blob, and a folder a tree; the rest is the commit and tags.
	if int64(count) > 2*int64(limits.Files)+100 {
		return &tree.LimitError{What: "entries", Limit: int64(limits.Files)}
	}
	left := limits.Bytes + maxAdvert // the trees are no content
	for range count {
		h, err := s.NextObjectHeader()
		if err != nil {
			return fmt.Errorf("read pack: %w", err)
		}
		size := h.Length
		if left -= size; left < 0 || size < 0 {
			return &tree.LimitError{What: "bytes", Limit: limits.Bytes}
		}
		var start prefix
		if _, _, err := s.NextObject(&start); err != nil {
			return fmt.Errorf("read pack: %w", err)
		}
		if h.Type.IsDelta() {
			if left -= start.deltaSize(); left < 0 {
				return &tree.LimitError{What: "bytes", Limit: limits.Bytes}
			}
		}
	}
	return nil
}

// A prefix keeps the first bytes written to it and forgets the others.
type prefix struct {
	bytes [20]byte
	n     int
}

func (p *prefix) Write(b []byte) (int, error) {
	p.n += copy(p.bytes[p.n:], b)
	return len(b), nil
}

// deltaSize reads the size of what a delta makes: the second of the two numbers it
// begins with, seven bits a byte.
func (p *prefix) deltaSize() int64 {
	var size int64
	at := 0
	for range 2 {
		size = 0
		for shift := 0; at < p.n; shift += 7 {
			b := p.bytes[at]
			at++
			size |= int64(b&0x7f) << min(shift, 62)
			if b&0x80 == 0 {
				break
			}
		}
	}
	if size < 0 {
		return 1 << 62
	}
	return size
}
