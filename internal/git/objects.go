package git

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/storer"
	"popup/internal/pack"
	"popup/internal/tree"
)

// objects is where commits, trees and files are read from.
type objects interface {
	Get(plumbing.Hash) (plumbing.EncodedObject, error)
}

// stored is a repository of this machine.
type stored struct{ storer.EncodedObjectStorer }

func (s stored) Get(id plumbing.Hash) (plumbing.EncodedObject, error) {
	return s.EncodedObject(plumbing.AnyObject, id)
}

// peel follows annotated tags to what they name.
func peel(from objects, id plumbing.Hash) (plumbing.Hash, error) {
	for range 10 {
		o, err := from.Get(id)
		if err != nil || o.Type() != plumbing.TagObject {
			return id, err
		}
		var tag object.Tag
		if err := tag.Decode(o); err != nil {
			return id, err
		}
		id = tag.Target
	}
	return id, errors.New("the tag names a tag, which names a tag, and so on")
}

// target is what the first line of a commit or a tag names: its tree, or what was tagged.
func target(kind pack.Kind, content []byte) (tree.ID, error) {
	word := "tree "
	if kind == pack.Tag {
		word = "object "
	}
	line, _, ended := bytes.Cut(content, []byte("\n"))
	name, ok := bytes.CutPrefix(line, []byte(word))
	id, err := tree.ParseID(string(name))
	if !ended || !ok || err != nil {
		return id, &pack.CorruptError{Why: fmt.Sprintf("a %s in it does not begin with what it is of", kind)}
	}
	return id, nil
}

// A leaf is one entry of a folder.
type leaf struct {
	name string
	mode tree.Mode
	id   tree.ID
}

// nextLeaf reads the first entry of a tree object, and returns the others.
func nextLeaf(content []byte) (e leaf, rest []byte, ok bool) {
	mode, content, ok := bytes.Cut(content, []byte(" "))
	if !ok || len(mode) == 0 || mode[0] == '0' {
		return e, nil, false
	}
	bits, err := strconv.ParseUint(string(mode), 8, 32)
	if err != nil {
		return e, nil, false
	}
	name, content, ok := bytes.Cut(content, []byte{0})
	if !ok || len(content) < len(e.id) {
		return e, nil, false
	}
	e.name, e.mode = string(name), tree.Mode(bits)
	return e, content[copy(e.id[:], content):], true
}

// check refuses what no folder of git's holds; before is the entry before it. dir
// ends in a slash, or is empty.
func (e leaf) check(dir string, before leaf) error {
	name := dir + e.name
	if e.name == "" || e.name == "." || e.name == ".." || bytes.IndexByte([]byte(e.name), '/') >= 0 {
		return &tree.EntryError{Name: name, Why: "is no name a file in git can have"}
	}
	if before.name != "" && e.sortedBy() <= before.sortedBy() {
		return &tree.EntryError{Name: name, Why: "is not where it belongs in its folder, or is there twice; the repository is damaged"}
	}
	if isFile(e.mode) || e.mode == tree.Folder || e.mode == tree.Link || e.mode == tree.Module {
		return nil
	}
	return &tree.EntryError{Name: name, Why: fmt.Sprintf("has the mode %o, which is no file, folder or link", uint32(e.mode))}
}

func (e leaf) sortedBy() string {
	if e.mode == tree.Folder {
		return e.name + "/"
	}
	return e.name
}

func isFile(mode tree.Mode) bool { return mode&0o170000 == 0o100000 }
