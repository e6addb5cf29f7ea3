package tree_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"popup/internal/tree"
)

// More folders than are held open: a descriptor that is in use is not closed for
// another one.
func TestManyFolders(t *testing.T) {
	const folders = 1000
	index := newTree(t, t.TempDir(), tree.WriterOptions{}, func(w *tree.Writer) {
		if err := w.File("d0/f", tree.Plain, 1, strings.NewReader("x")); err != nil {
			t.Fatal(err)
		}
		for n := range folders {
			name := fmt.Sprintf("d%d/s/f", n)
			if err := w.Link(name, "d0/f"); err != nil {
				t.Fatalf("link %s: %v", name, err)
			}
			f, temp, err := w.Temp()
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(f.Close(), w.Adopt(fmt.Sprintf("e%d/s/f", n), tree.Plain, temp, 0, tree.ObjectID("blob", nil))); err != nil {
				t.Fatal(err)
			}
		}
	})
	if got := index.Size().Files; got != 2*folders+1 {
		t.Errorf("there are %d files", got)
	}
}
