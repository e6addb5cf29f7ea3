package tree

import (
	"cmp"
	"iter"
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

// dir is the folder that the entry stands in.
func (e Entry) dir() string { return dirOf(e.Path) }

func dirOf(name string) string {
	if i := strings.LastIndexByte(name, '/'); i >= 0 {
		return name[:i]
	}
	return "."
}

// An Index is what a tree holds. It does not change and may be used from several
// goroutines.
type Index struct {
	top *folder

	find sync.Once
	byID map[ID]Entry // made by find
}

// A folder is what one folder of a tree holds. It does not change, and may be part of
// several indexes: what two trees have alike costs nothing.
type folder struct {
	id      ID
	size    Size // with all that is below
	links   int  // symlinks, with those below
	entries []Entry
	within  map[string]*folder // by their paths, what the folders among the entries hold
}

// newFolder takes over what a folder holds, puts it in order, and computes its id.
func newFolder(entries []Entry, within map[string]*folder) *folder {
	f := &folder{entries: entries, within: within}
	slices.SortFunc(entries, func(a, b Entry) int { return compare(a.Path, a.Mode, b.Path, b.Mode) })
	f.size.Entries = len(entries)
	for i := range entries {
		e := &entries[i]
		switch {
		case e.Mode.isFolder():
			inner := within[e.Path]
			if e.Mode == Folder {
				e.ID = inner.id
			}
			f.links += inner.links
			f.size.Entries += inner.size.Entries
			f.size.Files += inner.size.Files
			f.size.Bytes += inner.size.Bytes
		case e.Mode.isLink():
			f.links++
		default:
			f.size.Files++
			f.size.Bytes += e.Size
		}
	}
	f.id = ObjectID("tree", f.encode())
	return f
}

// newIndex makes an Index of entries in which a folder stands before what is in it.
func newIndex(entries []Entry) *Index {
	type open struct {
		path    string
		count   int
		entries []Entry
		within  map[string]*folder
	}
	found := map[string]*open{".": {path: "."}}
	inOrder := []*open{found["."]}
	in := make([]*open, len(entries))
	last := found["."]
	for i, e := range entries {
		if dir := e.dir(); dir != last.path {
			last = found[dir]
		}
		in[i] = last
		last.count++
		if e.Mode.isFolder() {
			o := &open{path: e.Path}
			found[e.Path] = o
			inOrder = append(inOrder, o)
		}
	}
	rest := make([]Entry, len(entries))
	for _, o := range inOrder {
		o.entries, rest = rest[:0:o.count], rest[o.count:]
	}
	for i, e := range entries {
		in[i].entries = append(in[i].entries, e)
	}
	for _, o := range slices.Backward(inOrder[1:]) {
		above := found[dirOf(o.path)]
		if above.within == nil {
			above.within = map[string]*folder{}
		}
		above.within[o.path] = newFolder(o.entries, o.within)
	}
	return &Index{top: newFolder(inOrder[0].entries, inOrder[0].within)}
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

// encode is the folder as git's tree object.
func (f *folder) encode() []byte {
	size, skip := 0, -1
	for i := range f.entries {
		if skip < 0 {
			skip = strings.LastIndexByte(f.entries[i].Path, '/') + 1 // they stand in the same folder
		}
		size += len("100644 ") + len(f.entries[i].Path) - skip + 1 + len(ID{})
	}
	out := make([]byte, 0, size)
	for i := range f.entries {
		e := &f.entries[i]
		out = strconv.AppendUint(out, uint64(e.Mode), 8)
		out = append(out, ' ')
		out = append(out, e.Path[skip:]...)
		out = append(out, 0)
		out = append(out, e.ID[:]...)
	}
	return out
}

// at finds the folder of that path below f, which is the tree's root.
func (f *folder) at(name string) *folder {
	if name == "." {
		return f
	}
	for i := 0; i <= len(name) && f != nil; i++ {
		if i == len(name) || name[i] == '/' {
			f = f.within[name[:i]]
		}
	}
	return f
}

// lookup finds an entry of the folder by its path.
func (f *folder) lookup(name string) (Entry, bool) {
	for _, mode := range []Mode{Plain, Folder} { // they stand in different places
		i, ok := slices.BinarySearchFunc(f.entries, name, func(e Entry, name string) int { return compare(e.Path, e.Mode, name, mode) })
		if ok && f.entries[i].Path == name {
			return f.entries[i], true
		}
	}
	return Entry{}, false
}

// each calls fn with all that is below, a folder before what is in it, until it returns false.
func (f *folder) each(fn func(Entry) bool) bool {
	for _, e := range f.entries {
		if !fn(e) || e.Mode.isFolder() && !f.within[e.Path].each(fn) {
			return false
		}
	}
	return true
}

// Root is the id of the whole: what git calls the tree of a commit.
func (x *Index) Root() ID { return x.top.id }

// Size is how big the tree is.
func (x *Index) Size() Size { return x.top.size }

// Lookup finds an entry by its path.
func (x *Index) Lookup(name string) (Entry, bool) {
	f := x.top.at(dirOf(name))
	if f == nil {
		return Entry{}, false
	}
	return f.lookup(name)
}

// Find finds an entry by its id. Where several have it, any of them.
func (x *Index) Find(id ID) (Entry, bool) {
	x.find.Do(func() {
		x.byID = make(map[ID]Entry, x.top.size.Entries)
		x.top.each(func(e Entry) bool { x.byID[e.ID] = e; return true })
	})
	e, ok := x.byID[id]
	return e, ok
}

// Tree is git's tree object of that id.
func (x *Index) Tree(id ID) ([]byte, bool) {
	if id == x.top.id {
		return x.top.encode(), true
	}
	e, ok := x.Find(id)
	if !ok || e.Mode != Folder {
		return nil, false
	}
	return x.top.at(e.Path).encode(), true
}

// All goes through the entries: a folder before what is in it.
func (x *Index) All() iter.Seq[Entry] { return x.Below(".") }

// Below goes through what a folder holds, at any depth.
func (x *Index) Below(dir string) iter.Seq[Entry] {
	return func(yield func(Entry) bool) {
		if f := x.top.at(dir); f != nil {
			f.each(yield)
		}
	}
}
