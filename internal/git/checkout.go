package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"popup/internal/pack"
	"popup/internal/tree"
)

// A checkout writes the tree of a commit as its objects come, in any order. It is
// the sink of a pack.
type checkout struct {
	w      *tree.Writer
	commit tree.ID // what leads to the tree; a tag's is followed
	dir    string  // where the tree goes; empty, or with a slash at its end

	rooted  bool
	kept    map[tree.ID]item     // what came and is held in memory: all but the content of files
	folders map[tree.ID][]string // that are to be written when they come
	files   map[tree.ID]int      // the same for files and links: the last of its places
	places  []place
	placed  map[tree.ID]string // files that came, and where they are
	parked  map[tree.ID]parked // files that came before it was known where they go
	modules []place            // submodules that are not here
	nesting int                // how many submodules this one is within
	asked   *int               // how many submodules were asked for
	ask     func(tree.ID)      // is told what is to come; nil: it comes by itself
}

type item struct {
	kind    pack.Kind
	content []byte
}

// A place is where an object goes.
type place struct {
	name string
	mode tree.Mode
	id   tree.ID
	next int // another place for the same, counted from 1; 0: none
}

type parked struct {
	temp    string
	size    int64
	pointer bool
}

func newCheckout(w *tree.Writer, commit tree.ID, dir string) *checkout {
	return &checkout{
		w: w, commit: commit, dir: dir, kept: map[tree.ID]item{}, folders: map[tree.ID][]string{},
		files: map[tree.ID]int{}, placed: map[tree.ID]string{}, parked: map[tree.ID]parked{}, asked: new(int),
	}
}

// Object takes what is in memory.
func (c *checkout) Object(kind pack.Kind, id tree.ID, content []byte) error {
	if kind == pack.Blob {
		return c.blob(id, content)
	}
	c.kept[id] = item{kind, content}
	if kind == pack.Tree {
		for _, dir := range c.folders[id] {
			if err := c.expand(dir, content); err != nil {
				return err
			}
		}
		delete(c.folders, id)
		return nil
	}
	return c.follow()
}

// follow goes from what was asked for to the root of the tree, as far as it has come.
func (c *checkout) follow() error {
	for !c.rooted {
		o, ok := c.kept[c.commit]
		if !ok {
			return nil
		}
		id, err := target(o.kind, o.content)
		if err != nil {
			return err
		}
		if o.kind == pack.Tag {
			c.commit = id
			c.request(id)
			continue
		}
		c.rooted = true
		if c.dir == "" {
			c.w.Expect(id, &Error{Class: Content, Why: "what was written is not the tree of the commit", Retry: true})
		}
		return c.folder(c.dir, id)
	}
	return nil
}

// folder writes what a folder holds, now or when it comes.
func (c *checkout) folder(dir string, id tree.ID) error {
	if content, ok := c.tree(id); ok {
		return c.expand(dir, content)
	}
	c.folders[id] = append(c.folders[id], dir)
	c.request(id)
	return nil
}

var noFiles = tree.ObjectID("tree", nil)

func (c *checkout) tree(id tree.ID) ([]byte, bool) {
	if o, ok := c.kept[id]; ok && o.kind == pack.Tree {
		return o.content, true
	}
	if base := c.w.Base(); base != nil {
		if content, ok := base.Index.Tree(id); ok {
			return content, true
		}
	}
	return nil, id == noFiles
}

func (c *checkout) expand(dir string, content []byte) error {
	var before leaf
	for len(content) > 0 {
		e, rest, ok := nextLeaf(content)
		if !ok {
			return &tree.EntryError{Name: dir, Why: "is a folder whose list of files is damaged"}
		}
		if err := e.check(dir, before); err != nil {
			return err
		}
		if err := c.entry(place{name: dir + e.name, mode: e.mode, id: e.id}); err != nil {
			return err
		}
		before, content = e, rest
	}
	return nil
}

func (c *checkout) entry(p place) error {
	here, err := c.w.Reuse(p.name, p.mode, p.id)
	if here || err != nil {
		return err
	}
	switch p.mode {
	case tree.Folder:
		if err := c.w.Dir(p.name); err != nil {
			return err
		}
		return c.folder(p.name+"/", p.id)
	case tree.Module:
		c.modules = append(c.modules, p)
		return c.w.Module(p.name, p.id)
	}
	return c.file(p)
}

// file writes a file or a link, now or when it comes.
func (c *checkout) file(p place) error {
	if was, ok := c.parked[p.id]; ok && p.mode != tree.Link {
		delete(c.parked, p.id)
		c.placed[p.id] = p.name
		return c.adopt(p, was)
	}
	base, err := c.Base(p.id)
	if errors.Is(err, pack.ErrUnknown) {
		p.next = c.files[p.id]
		c.places = append(c.places, p)
		c.files[p.id] = len(c.places)
		if p.next == 0 {
			c.request(p.id)
		}
		return nil
	}
	if err != nil {
		return err
	}
	err = c.copyFrom(base, p)
	if base.Close != nil {
		err = errors.Join(err, base.Close())
	}
	return err
}

func (c *checkout) copyFrom(base pack.Base, p place) error {
	whole := io.NewSectionReader(base.Content, 0, base.Size)
	switch {
	case base.Size <= pack.InMemory:
		content, err := io.ReadAll(whole)
		if err != nil {
			return fmt.Errorf("read %q: %w", p.name, err)
		}
		if tree.ObjectID("blob", content) != p.id {
			return &tree.DamagedError{Path: p.name, Why: "changed while it was copied"}
		}
		return c.put(p, content)
	case p.mode == tree.Link:
		return longLink(p)
	}
	return c.w.File(p.name, p.mode, base.Size, whole)
}

func longLink(p place) error {
	return &tree.EntryError{Name: p.name, Why: "is a symlink to no name a file can have"}
}

func (c *checkout) request(id tree.ID) {
	if c.ask != nil {
		c.ask(id)
	}
}

// blob takes the content of a file or a link.
func (c *checkout) blob(id tree.ID, content []byte) error {
	at := c.files[id]
	if at == 0 {
		return c.park(id, content)
	}
	for ; at > 0; at = c.places[at-1].next {
		p := c.places[at-1]
		if err := c.put(p, content); err != nil {
			return err
		}
		if p.mode == tree.Link {
			c.kept[id] = item{pack.Blob, content}
		} else {
			c.placed[id] = p.name
		}
	}
	delete(c.files, id)
	return nil
}

// park keeps a file for which there is no place yet.
func (c *checkout) park(id tree.ID, content []byte) error {
	if c.has(id) {
		return nil
	}
	f, name, err := c.w.Temp()
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	c.parked[id] = parked{name, int64(len(content)), isPointer(content)}
	return errors.Join(err, f.Close())
}

// has says whether a file is here already.
func (c *checkout) has(id tree.ID) bool {
	base, err := c.Base(id)
	if err == nil && base.Close != nil {
		err = base.Close()
	}
	return err == nil
}

// Blob takes a file that is too large for memory.
func (c *checkout) Blob(id tree.ID, temp string, size int64) error {
	at := c.files[id]
	if at == 0 {
		if !c.has(id) {
			c.parked[id] = parked{temp: temp, size: size}
		}
		return nil
	}
	delete(c.files, id)
	first := c.places[at-1]
	c.placed[id] = first.name
	if err := c.adopt(first, parked{temp: temp, size: size}); err != nil {
		return err
	}
	for at = first.next; at > 0; at = c.places[at-1].next {
		if err := c.file(c.places[at-1]); err != nil { // from where the first one is
			return err
		}
	}
	return nil
}

func (c *checkout) adopt(p place, was parked) error {
	switch {
	case p.mode == tree.Link:
		return longLink(p)
	case was.pointer:
		return pointer(p)
	}
	return c.w.Adopt(p.name, p.mode, was.temp, was.size, p.id)
}

// put writes a file or a link.
func (c *checkout) put(p place, content []byte) error {
	switch {
	case p.mode == tree.Link:
		return c.w.Symlink(p.name, string(content))
	case isPointer(content):
		return pointer(p)
	}
	return c.w.Put(p.name, p.mode, p.id, content)
}

// lfsStart begins a file that stands for one that is kept elsewhere.
const lfsStart = "version https://git-lfs.github.com/spec/"

func isPointer(content []byte) bool { return bytes.HasPrefix(content, []byte(lfsStart)) }

func pointer(p place) error {
	return &tree.EntryError{Name: p.name, Why: "is a Git LFS pointer, and LFS is not fetched yet; commit the file itself"}
}

// Temp makes a file in the tree's folder.
func (c *checkout) Temp() (*os.File, string, error) { return c.w.Temp() }

// finish says what did not come.
func (c *checkout) finish(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if !c.rooted {
		return c.leftOut("the commit itself")
	}
	var names []string
	for _, dirs := range c.folders {
		names = append(names, dirs...)
	}
	for _, at := range c.files {
		for ; at > 0; at = c.places[at-1].next {
			names = append(names, c.places[at-1].name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	slices.Sort(names)
	if names[0] == "" {
		return c.leftOut("its list of files")
	}
	first := fmt.Sprintf("%q", names[0])
	if len(names) > 1 {
		first = fmt.Sprintf("%s and %d more", first, len(names)-1)
	}
	return c.leftOut(first)
}

func (c *checkout) leftOut(what string) error {
	return &Error{Class: Content, Why: "the server left out " + what, Retry: true,
		Hint: "try again; if it stays so, the repository there is damaged"}
}
