package testutil

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Publish prints what a bench measured. Where the environment names a document of the
// repository as OUT it also puts it there, between the comments <!-- name --> and
// <!-- /name -->, in the place of what was measured before.
func Publish(t testing.TB, name, text string) {
	t.Helper()
	fmt.Println(text)
	if out := os.Getenv("OUT"); out != "" {
		if err := writeBetween(filepath.Join(RepositoryRoot(t), out), name, text); err != nil {
			t.Fatal(err)
		}
	}
}

func writeBetween(file, name, text string) error {
	old, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	begin, end := "<!-- "+name+" -->\n", "<!-- /"+name+" -->"
	head, rest, found := bytes.Cut(old, []byte(begin))
	_, tail, closed := bytes.Cut(rest, []byte(end))
	if !found || !closed {
		return fmt.Errorf("write %s: it has no %s and %s to write between", file, strings.TrimSpace(begin), end)
	}
	return os.WriteFile(file, slices.Concat(head, []byte(begin+text+"\n"), []byte(end), tail), 0o644)
}
