package tree

// A draft is a folder that is being written.
type draft struct {
	entries []Entry
	at      map[string]int // by path, where an entry stands
}

func newDraft() *draft { return &draft{at: map[string]int{}} }

// known finds what was written, or kept, under a name.
func (w *Writer) known(name string) (Entry, bool) {
	dir := dirOf(name)
	if d, ok := w.drafts[dir]; ok {
		i, ok := d.at[name]
		if !ok {
			return Entry{}, false
		}
		return d.entries[i], true
	}
	for above := dir; above != "."; above = dirOf(above) {
		if _, ok := w.kept[above]; ok {
			return w.opts.Spare.Lookup(name)
		}
	}
	return Entry{}, false
}

// set replaces an entry that was counted.
func (w *Writer) set(e Entry) {
	d := w.drafts[e.dir()]
	d.entries[d.at[e.Path]] = e
}

// count adds an entry, whatever becomes known of it later. Its folder is a draft.
func (w *Writer) count(e Entry) error {
	if err := w.grow(Size{Entries: 1}); err != nil {
		return err
	}
	if e.Mode.isFile() {
		w.size.Files++
	}
	d := w.drafts[e.dir()]
	d.at[e.Path] = len(d.entries)
	d.entries = append(d.entries, e)
	if e.Mode.isFolder() {
		w.drafts[e.Path] = newDraft()
	}
	return nil
}

// grow adds to the size of the tree, and says when that is too much.
func (w *Writer) grow(by Size) error {
	w.size.Entries += by.Entries
	w.size.Files += by.Files
	w.size.Bytes += by.Bytes
	switch {
	case w.size.Entries > w.opts.Limits.Files:
		return &LimitError{"entries", int64(w.opts.Limits.Files)}
	case w.size.Bytes > w.opts.Limits.Bytes:
		return &LimitError{"bytes", w.opts.Limits.Bytes}
	}
	return nil
}

// thaw makes a draft of a folder that was kept, or is below one: something is to be
// written there after all.
func (w *Writer) thaw(name string) {
	if _, open := w.drafts[name]; open {
		return
	}
	if dir := dirOf(name); dir != name && name != "." {
		w.thaw(dir)
	}
	f, ok := w.kept[name]
	if !ok {
		return
	}
	delete(w.kept, name)
	d := newDraft()
	for _, e := range f.entries {
		d.at[e.Path] = len(d.entries)
		d.entries = append(d.entries, e)
		if e.Mode.isFolder() {
			w.kept[e.Path] = f.within[e.Path]
		}
	}
	w.drafts[name] = d
}

// build makes of a draft, and of what is within, what an Index holds.
func (w *Writer) build(dir string) *folder {
	if f, ok := w.kept[dir]; ok {
		return f
	}
	d := w.drafts[dir]
	var within map[string]*folder
	for _, e := range d.entries {
		if !e.Mode.isFolder() {
			continue
		}
		if within == nil {
			within = map[string]*folder{}
		}
		within[e.Path] = w.build(e.Path)
	}
	return newFolder(d.entries, within)
}
