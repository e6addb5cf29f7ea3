package logfile

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func open(t *testing.T, path string, limit int64) *File {
	t.Helper()
	l, err := Open(path, limit)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() }) // again, where the test closed it
	return l
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return string(text)
}

func TestNewestIsKeptWithinTheLimit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	const limit, lines = 2000, 1000
	l := open(t, path, limit)
	for i := range lines {
		if i%100 == 50 { // as another process would go on
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			l = open(t, path, limit)
		}
		if _, err := fmt.Fprintf(l, "line %d\n", i); err != nil {
			t.Fatal(err)
		}
		kept := read(t, path+".1") + read(t, path)
		if len(kept) > limit {
			t.Fatalf("after line %d it has %d bytes; the limit is %d", i, len(kept), limit)
		}
		all := strings.SplitAfter(kept, "\n")
		for back, line := range all[:len(all)-1] {
			if want := fmt.Sprintf("line %d\n", i+back+2-len(all)); line != want {
				t.Fatalf("after line %d it holds %q, where %q belongs", i, line, want)
			}
		}
		if i > 200 && len(kept) < limit/2 {
			t.Fatalf("after line %d only %d bytes are kept", i, len(kept))
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("the file is %v, %v", info, err)
	}
}

// One write may be larger than all of it: it is not lost, and stays alone.
func TestLargeWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	l := open(t, path, 10)
	for _, text := range []string{"a\n", "longer than the limit\n", "b\n"} {
		if n, err := l.Write([]byte(text)); err != nil || n != len(text) {
			t.Fatalf("wrote %d bytes of %q: %v", n, text, err)
		}
	}
	if got := read(t, path+".1") + "|" + read(t, path); got != "longer than the limit\n|b\n" {
		t.Errorf("kept %q", got)
	}
}

func TestManyWriters(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	l := open(t, path, 1<<20)
	var writers sync.WaitGroup
	for range 8 {
		writers.Go(func() {
			for range 200 {
				if _, err := l.Write([]byte("a line of it\n")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	if got := strings.Count(read(t, path), "a line of it\n"); got != 1600 {
		t.Errorf("%d lines of 1600 are there", got)
	}
}

func TestUnwritable(t *testing.T) {
	if _, err := Open(filepath.Join(t.TempDir(), "none", "log"), 100); err == nil || !strings.Contains(err.Error(), "open log") {
		t.Errorf("opened in a folder that is not there: %v", err)
	}
	dir := t.TempDir()
	l := open(t, filepath.Join(dir, "log"), 10)
	if err := os.Mkdir(filepath.Join(dir, "log.1"), fs.ModePerm); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Write([]byte("first\n")); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Write([]byte("second\n")); err == nil {
		t.Error("what could not be set aside was lost without a word")
	}
}
