package tree

import (
	"cmp"
	"iter"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// An Entry is one file, link or folder of a tree.
type Entry struct {
	Path     string // from the tree's root, with slashes
	Mode     Mode
	ID       ID
	Size     int64 // bytes of a file; of a link, of its target
	Modified int64 // of the inode, in nanoseconds since 1970; 0: not looked at
}

// An Index is what a tree holds. It does not change and may be used from several
// goroutines.
type Index struct {
	entries []Entry // sorted as git walks
	root    ID
	size    Size

	find   sync.Once // makes what follows when it is asked for
	within map[string][]int32
	byID   map[ID]int32
}

// newIndex sorts entries, which it keeps, and gives each folder its id.
func newIndex(entries []Entry) *Index {
	slices.SortFunc(entries, func(a, b Entry) int { return compare(a.Path, a.Mode, b.Path, b.Mode) })
	x := &Index{entries: entries}
	x.group()
	// Behind each other stand a folder and then what is in it; so, backwards, what is in it comes first.
	for i := len(entries) - 1; i >= 0; i-- {
		e := &entries[i]
		switch {
		case e.Mode == Folder:
			e.ID = ObjectID("tree", x.encode(e.Path))
		case e.Mode.isFile():
			x.size.Files++
			x.size.Bytes += e.Size
		}
	}
	x.size.Entries = len(entries)
	x.root = ObjectID("tree", x.encode("."))
	return x
}

// compare is git's order: a folder's name ends in a slash there.
func compare(a string, am Mode, b string, bm Mode) int {
	n := min(len(a), len(b))
	if order := strings.Compare(a[:n], b[:n]); order != 0 {
		return order
	}
	return cmp.Or(cmp.Compare(after(a, am, n), after(b, bm, n)), cmp.Compare(len(a), len(b)))
}

func after(s string, mode Mode, n int) int {
	switch {
	case n < len(s):
		return int(s[n])
	case mode == Folder:
		return '/'
	}
	return -1
}

func (x *Index) prepare() {
	x.find.Do(func() {
		if x.within == nil {
			x.group()
		}
		x.byID = make(map[ID]int32, len(x.entries))
		for i, e := range x.entries {
			x.byID[e.ID] = int32(i)
		}
	})
}

func (x *Index) group() {
	x.within = map[string][]int32{}
	for i, e := range x.entries {
		dir := path.Dir(e.Path)
		x.within[dir] = append(x.within[dir], int32(i))
	}
}

// encode is the folder as git's tree object.
func (x *Index) encode(dir string) []byte {
	var out []byte
	for _, i := range x.within[dir] {
		e := &x.entries[i]
		out = strconv.AppendUint(out, uint64(e.Mode), 8)
		out = append(out, ' ')
		out = append(out, path.Base(e.Path)...)
		out = append(out, 0)
		out = append(out, e.ID[:]...)
	}
	return out
}

// Root is the id of the whole: what git calls the tree of a commit.
func (x *Index) Root() ID { return x.root }

// Size is how big the tree is.
func (x *Index) Size() Size { return x.size }

// Lookup finds an entry by its path.
func (x *Index) Lookup(name string) (Entry, bool) {
	for _, mode := range []Mode{Plain, Folder} { // they stand in different places
		i, ok := slices.BinarySearchFunc(x.entries, name, func(e Entry, name string) int { return compare(e.Path, e.Mode, name, mode) })
		if ok && x.entries[i].Path == name {
			return x.entries[i], true
		}
	}
	return Entry{}, false
}

// Find finds an entry by its id. Where several have it, any of them.
func (x *Index) Find(id ID) (Entry, bool) {
	x.prepare()
	i, ok := x.byID[id]
	if !ok {
		return Entry{}, false
	}
	return x.entries[i], true
}

// Tree is git's tree object of that id.
func (x *Index) Tree(id ID) ([]byte, bool) {
	x.prepare()
	if id == x.root {
		return x.encode("."), true
	}
	e, ok := x.Find(id)
	if !ok || e.Mode != Folder {
		return nil, false
	}
	return x.encode(e.Path), true
}

// All goes through the entries: a folder before what is in it.
func (x *Index) All() iter.Seq[Entry] { return slices.Values(x.entries) }

// Below goes through what a folder holds, at any depth.
func (x *Index) Below(dir string) iter.Seq[Entry] {
	x.prepare()
	return func(yield func(Entry) bool) { x.below(dir, yield) }
}

func (x *Index) below(dir string, yield func(Entry) bool) bool {
	for _, i := range x.within[dir] {
		e := x.entries[i]
		if !yield(e) || e.Mode.isFolder() && !x.below(e.Path, yield) {
			return false
		}
	}
	return true
}
