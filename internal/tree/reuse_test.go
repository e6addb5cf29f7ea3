package tree_test

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"popup/internal/tree"
)

// checkout writes wanted, as a source does: what can be reused is, from the top down,
// and only the rest is written. It returns how many files were written.
func checkout(t testing.TB, w *tree.Writer, wanted *tree.Index, f files) (written int) {
	t.Helper()
	var within func(dir string)
	within = func(dir string) {
		for e := range wanted.All() {
			if path.Dir(e.Path) != dir {
				continue
			}
			done, err := w.Reuse(e.Path, e.Mode, e.ID)
			switch {
			case err != nil:
				t.Fatal(err)
			case done:
			case e.Mode == tree.Folder:
				if err := w.Dir(e.Path); err != nil {
					t.Fatal(err)
				}
				within(e.Path)
			default:
				files{e.Path: f[e.Path]}.write(t, w)
				written++
			}
		}
	}
	within(".")
	return written
}

// some changes a tree at random: entries come, go, and become another kind.
func some(r *rand.Rand, before files) files {
	after := maps.Clone(before)
	for _, name := range slices.Sorted(maps.Keys(before)) {
		switch r.IntN(6) {
		case 0:
			delete(after, name)
		case 1:
			after[name] = fmt.Sprint("new", r.IntN(1000))
		case 2:
			delete(after, name)
			after[name+"/inner"] = "x"
		}
	}
	for range 3 {
		name := fmt.Sprintf("%c/%c%d", 'a'+rune(r.IntN(3)), 'a'+rune(r.IntN(3)), r.IntN(20))
		after[name] = []string{"text", "!run", "@../a", ""}[r.IntN(4)]
	}
	for name := range after { // a file cannot be below a file
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			delete(after, dir)
		}
	}
	return after
}

// Whatever was there before, the new tree is what was asked for, and no older one changes.
func TestReuseGivesTheSameTree(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for n := range 60 {
		dir := t.TempDir()
		at := func(name string) string { return filepath.Join(dir, name) }
		for _, name := range []string{"spare", "base", "fresh"} {
			if err := os.Mkdir(at(name), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		one := some(r, sorting)
		two := some(r, one)
		three := some(r, two)
		spare := newTree(t, at("spare"), tree.WriterOptions{}, func(w *tree.Writer) { one.write(t, w) })
		base := newTree(t, at("base"), tree.WriterOptions{}, func(w *tree.Writer) { two.write(t, w) })
		wanted := newTree(t, at("fresh"), tree.WriterOptions{}, func(w *tree.Writer) { three.write(t, w) })
		before := listTree(t, at("base"))
		root := openRoot(t, at("spare"))
		if err := tree.Unseal(root, spare); err != nil {
			t.Fatal(err)
		}
		opts := tree.WriterOptions{Spare: spare, Base: &tree.Base{Root: openRoot(t, at("base")), Index: base, Share: n%2 == 0}}
		index := newTree(t, at("spare"), opts, func(w *tree.Writer) { checkout(t, w, wanted, three) })
		if diff := cmp.Diff(listTree(t, at("fresh")), listTree(t, at("spare"))); diff != "" || index.Root() != wanted.Root() || index.Size() != wanted.Size() {
			t.Fatalf("round %d, %+v %+v: %s", n, index.Size(), wanted.Size(), diff)
		}
		if err := tree.Verify(t.Context(), root, index); err != nil {
			t.Fatalf("round %d: %v", n, err)
		}
		if diff := cmp.Diff(before, listTree(t, at("base"))); diff != "" {
			t.Fatalf("round %d: the base changed: %s", n, diff)
		}
	}
}

// Only what changed is written, and what did not is one file on disk, or a copy.
func TestReuseWritesWhatChanged(t *testing.T) {
	for name, share := range map[string]bool{"shared": true, "copied": false} {
		t.Run(name, func(t *testing.T) {
			dir, next := t.TempDir(), t.TempDir()
			base := newTree(t, dir, tree.WriterOptions{}, func(w *tree.Writer) { sorting.write(t, w) })
			changed := maps.Clone(sorting)
			changed["b/c/d"] = "another"
			changed["moved"] = sorting["ab.d/e/f"]
			wanted := newTree(t, t.TempDir(), tree.WriterOptions{}, func(w *tree.Writer) { changed.write(t, w) })
			newTree(t, next, tree.WriterOptions{Base: &tree.Base{Root: openRoot(t, dir), Index: base, Share: share}}, func(w *tree.Writer) {
				if n := checkout(t, w, wanted, changed); n != 1 {
					t.Errorf("%d files were written for one that changed", n)
				}
			})
			one, err1 := os.Stat(filepath.Join(dir, "a.txt"))
			two, err2 := os.Stat(filepath.Join(next, "a.txt"))
			if err := errors.Join(err1, err2); err != nil || os.SameFile(one, two) != share {
				t.Errorf("the same file: %v, %v", os.SameFile(one, two), err)
			}
		})
	}
}

// What somebody changed in a spare is not kept, or shows afterwards; in a base it is said.
func TestReuseSeesEdits(t *testing.T) {
	for name, edit := range edits {
		t.Run(name, func(t *testing.T) {
			dir, edited := t.TempDir(), t.TempDir()
			clean := newTree(t, dir, tree.WriterOptions{}, func(w *tree.Writer) { sorting.write(t, w) })
			index := newTree(t, edited, tree.WriterOptions{}, func(w *tree.Writer) { sorting.write(t, w) })
			root := openRoot(t, edited)
			if err := tree.Unseal(root, index); err != nil {
				t.Fatal(err)
			}
			if err := edit(edited); err != nil {
				t.Fatal(err)
			}
			if name != "top" && name != "more" { // what is too much in a base is not taken over
				w := tree.NewWriter(openRoot(t, t.TempDir()), tree.WriterOptions{Base: &tree.Base{Root: root, Index: index}})
				_, err := w.Reuse(".", tree.Folder, index.Root())
				var damaged *tree.DamagedError
				if !errors.As(err, &damaged) {
					t.Errorf("as a base: %v", err)
				}
				if err := w.Close(); err != nil {
					t.Error(err)
				}
			}
			if err := tree.Unseal(root, index); err != nil {
				t.Fatal(err)
			}
			opts := tree.WriterOptions{Spare: index, Base: &tree.Base{Root: openRoot(t, dir), Index: clean}}
			made := newTree(t, edited, opts, func(w *tree.Writer) {
				if n := checkout(t, w, clean, sorting); n != 0 {
					t.Errorf("%d files were written that the base has", n)
				}
			})
			if name == "no bit" || name == "deep" { // in place, in a folder that is kept whole: found like an edit of what is served
				var damaged *tree.DamagedError
				if err := tree.Check(t.Context(), root, made); !errors.As(err, &damaged) {
					t.Errorf("as a spare: %v", err)
				}
				return
			}
			if diff := cmp.Diff(listTree(t, dir), listTree(t, edited)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A file whose place is not known yet is written aside, and moved.
func TestAdopt(t *testing.T) {
	dir := t.TempDir()
	index := newTree(t, dir, tree.WriterOptions{}, func(w *tree.Writer) {
		for n, name := range []string{"d/run", ""} {
			f, temp, err := w.Temp()
			if err == nil {
				_, err = io.WriteString(f, "#!")
				err = errors.Join(err, f.Close())
			}
			if err == nil && name != "" {
				err = w.Adopt(name, tree.Program, temp, 2, tree.ObjectID("blob", []byte("#!")))
			}
			if err != nil {
				t.Fatal(n, err)
			}
		}
	})
	if got := strings.Join(listTree(t, dir), "; "); got != "d dr-xr-xr-x ; d/run -r-xr-xr-x #!" {
		t.Error(got)
	}
	if err := tree.Verify(t.Context(), openRoot(t, dir), index); err != nil {
		t.Error(err)
	}
}

func TestExpect(t *testing.T) {
	w, _ := newWriter(t, tree.Limits{})
	other := errors.New("another tree")
	w.Expect(tree.ID{1}, other)
	if _, err := w.Finish(); !errors.Is(err, other) {
		t.Errorf("it is %v", err)
	}
}
