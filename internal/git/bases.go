package git

import (
	"bytes"
	"errors"
	"io"
	"os"

	"popup/internal/pack"
	"popup/internal/tree"
)

// Base opens an object that came, or that the tree which is built upon has.
func (c *checkout) Base(id tree.ID) (pack.Base, error) {
	if o, ok := c.kept[id]; ok {
		return pack.Base{Kind: o.kind, Size: int64(len(o.content)), Content: bytes.NewReader(o.content)}, nil
	}
	name, ok := c.placed[id]
	if !ok {
		name = c.parked[id].temp
	}
	if name == "" {
		return c.baseBelow(id)
	}
	f, err := c.w.Open(name)
	if err != nil {
		return pack.Base{}, err
	}
	return openBase(f)
}

func openBase(f *os.File) (pack.Base, error) {
	info, err := f.Stat()
	if err != nil {
		return pack.Base{}, errors.Join(err, f.Close())
	}
	return pack.Base{Kind: pack.Blob, Size: info.Size(), Content: f, Close: f.Close}, nil
}

// baseBelow opens an object of the tree that is built upon. It is held against its
// id: what is made of another one would be wrong, and not known to be.
func (c *checkout) baseBelow(id tree.ID) (pack.Base, error) {
	below := c.w.Base()
	if below == nil {
		return pack.Base{}, pack.ErrUnknown
	}
	if content, ok := below.Index.Tree(id); ok {
		return pack.Base{Kind: pack.Tree, Size: int64(len(content)), Content: bytes.NewReader(content)}, nil
	}
	e, ok := below.Index.Find(id)
	if !ok || !isFile(e.Mode) && e.Mode != tree.Link {
		return pack.Base{}, pack.ErrUnknown
	}
	if e.Mode == tree.Link {
		to, err := below.Root.Readlink(e.Path)
		if err != nil || tree.ObjectID("blob", []byte(to)) != id {
			return pack.Base{}, errors.Join(&tree.DamagedError{Path: e.Path, Why: "leads elsewhere"}, err)
		}
		return pack.Base{Kind: pack.Blob, Size: int64(len(to)), Content: bytes.NewReader([]byte(to))}, nil
	}
	f, err := below.Root.Open(e.Path)
	if err != nil {
		return pack.Base{}, errors.Join(&tree.DamagedError{Path: e.Path, Why: "cannot be opened"}, err)
	}
	base, err := openBase(f)
	if err != nil {
		return base, err
	}
	got, err := tree.BlobID(base.Size, io.NewSectionReader(f, 0, base.Size))
	if err != nil || got != id {
		return pack.Base{}, errors.Join(&tree.DamagedError{Path: e.Path, Why: "was changed"}, err, f.Close())
	}
	return base, nil
}
