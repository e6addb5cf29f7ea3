package datasync

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"popup/internal/tree"
	"popup/internal/wire"
)

// A folderSource is a folder, of this machine or of the binary. Its newest
// revision is the id of its tree; a folder named .git is left out.
type folderSource struct {
	name   string // for people
	open   func() (fs.FS, func() error, error)
	limits tree.Limits
}

func newFolder(path string, limits tree.Limits) Source {
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	return &folderSource{name: path, limits: limits, open: func() (fs.FS, func() error, error) {
		root, err := os.OpenRoot(path)
		if err != nil {
			return nil, nil, err
		}
		return root.FS(), root.Close, nil
	}}
}

// newShipped serves "ID" or "ID/FOLDER" of the apps that ship with popup.
func newShipped(address string, limits tree.Limits, catalogue func(id string) (fs.FS, error)) (Source, error) {
	id, sub, _ := strings.Cut(strings.TrimSuffix(address, "/"), "/")
	if sub == "" {
		sub = "."
	}
	if id == "" || !fs.ValidPath(sub) {
		return nil, fmt.Errorf("open source: %s is not the address of a shipped app; write catalogue:ID or catalogue:ID/FOLDER",
			strconv.Quote(wire.CataloguePrefix+address))
	}
	if catalogue == nil {
		return nil, fmt.Errorf("open source: no apps ship with this program, so there is no catalogue:%s", id)
	}
	return &folderSource{name: wire.CataloguePrefix + address, limits: limits, open: func() (fs.FS, func() error, error) {
		app, err := catalogue(id)
		if err != nil {
			return nil, nil, err
		}
		folder, err := fs.Sub(app, sub)
		return folder, func() error { return nil }, err
	}}, nil
}

func (s *folderSource) bounds() tree.Limits { return s.limits }

func (s *folderSource) String() string { return s.name }

func (s *folderSource) Head(ctx context.Context) (rev Revision, err error) {
	folder, done, err := s.open()
	if err != nil {
		return "", s.explain("read", err)
	}
	defer func() { err = errors.Join(err, done()) }()
	index, err := tree.Scan(ctx, folder, s.limits)
	if err != nil {
		return "", s.explain("read", err)
	}
	return treeRevision + Revision(index.Root().String()), nil
}

// Fetch copies the folder. It may have changed before or under the copy: whether what
// was copied is rev shows when it is finished.
func (s *folderSource) Fetch(ctx context.Context, rev, _ Revision, w *tree.Writer) (err error) {
	id, err := tree.ParseID(strings.TrimPrefix(string(rev), treeRevision))
	if err != nil {
		return s.explain("copy", ErrMoved) // of another source
	}
	w.Expect(id, s.explain("copy", ErrMoved))
	folder, done, err := s.open()
	if err != nil {
		return s.explain("copy", err)
	}
	defer func() { err = errors.Join(err, done()) }()
	return s.explain("copy", tree.Copy(ctx, folder, w))
}

// treeRevision begins the revision of a folder; the id of its tree follows.
const treeRevision = "tree-"

func (s *folderSource) explain(op string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s %s: %w", op, s.name, err)
}
