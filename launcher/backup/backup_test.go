package backup

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"

	"popup/internal/archive"
)

var when = time.Date(2026, 5, 31, 22, 0, 0, 0, time.UTC)

func openRoot(t testing.TB, dir string) *os.Root {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { check(t, root.Close()) })
	return root
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func closing(t testing.TB, c io.Closer) {
	t.Helper()
	check(t, c.Close())
}

// write makes a file, and the folders above it, that nobody wrote to for a while.
func write(t testing.TB, root *os.Root, name, content string) {
	t.Helper()
	check(t, root.MkdirAll(filepath.Dir(name), 0o755))
	check(t, root.WriteFile(name, []byte(content), 0o644))
	check(t, root.Chtimes(name, when, when.Add(-time.Hour+123456789)))
}

// sampleState holds one of each thing that an archive may hold.
func sampleState(t testing.TB) *os.Root {
	t.Helper()
	root := openRoot(t, t.TempDir())
	write(t, root, "photos/2026/wall.jpg", strings.Repeat("photo ", 1000))
	write(t, root, "empty", "")
	write(t, root, "per%cent", "%41")
	write(t, root, "caf\xe9.txt", "a name in Latin-1")
	write(t, root, "deep/"+strings.Repeat("long-name-", 20)+"/"+strings.Repeat("x", 250), "deep")
	write(t, root, "run.sh", "#!/bin/sh\n")
	check(t, root.Chmod("run.sh", 0o750))
	write(t, root, "secret", "s3cret")
	check(t, root.Chmod("secret", 0o400))
	check(t, root.Symlink("photos/2026", "latest"))
	check(t, root.Symlink("../../empty", "photos/2026/up"))
	check(t, root.Symlink("nowhere", "dangling"))
	check(t, root.Mkdir("locked", 0o700))
	write(t, root, "locked/file", "in a folder that cannot be written to")
	check(t, root.Chmod("locked", 0o500))
	t.Cleanup(func() { check(t, root.Chmod("locked", 0o700)) })
	check(t, root.Chtimes("locked", when, when.Add(-24*time.Hour)))
	return root
}

func take(t testing.TB, state *os.Root) ([]byte, archive.Manifest) {
	t.Helper()
	var packed bytes.Buffer
	manifest, err := Take(t.Context(), state, &packed, TakeOptions{App: "wall", Instance: "i-1", At: when})
	check(t, err)
	return packed.Bytes(), manifest
}

func TestRoundTrip(t *testing.T) {
	state := sampleState(t)
	packed, taken := take(t, state)
	if len(taken.Entries) != 16 || len(taken.LeftOut) != 0 || len(taken.Changed()) != 0 {
		t.Fatalf("took %d entries, left out %v, changed %v", len(taken.Entries), taken.LeftOut, taken.Changed())
	}
	if taken.App != "wall" || taken.Instance != "i-1" || !taken.Taken.Equal(when) {
		t.Errorf("manifest says %s %s %s", taken.App, taken.Instance, taken.Taken)
	}
	verified, err := archive.Verify(t.Context(), bytes.NewReader(packed), archive.Limits{})
	check(t, err)
	if diff := cmp.Diff(taken, verified); diff != "" {
		t.Errorf("verified is not what was taken: %s", diff)
	}
	target := openRoot(t, t.TempDir())
	restored, err := Restore(t.Context(), bytes.NewReader(packed), target, archive.Limits{})
	check(t, err)
	t.Cleanup(func() { check(t, target.Chmod("locked", 0o700)) })
	if diff := cmp.Diff(taken, restored); diff != "" {
		t.Errorf("restored is not what was taken: %s", diff)
	}
	if diff := cmp.Diff(describe(t, state), describe(t, target)); diff != "" {
		t.Errorf("the restored tree is another: %s", diff)
	}
}

// describe looks at a tree without any code of this package.
func describe(t *testing.T, root *os.Root) map[string]string {
	t.Helper()
	tree := map[string]string{}
	check(t, filepath.WalkDir(root.Name(), func(name string, d fs.DirEntry, err error) error {
		check(t, err)
		info, err := d.Info()
		check(t, err)
		what := info.Mode().String()
		switch {
		case name == root.Name():
			return nil
		case info.Mode()&fs.ModeSymlink != 0:
			target, err := os.Readlink(name)
			check(t, err)
			what += " " + target
		case info.Mode().IsRegular():
			content, err := os.ReadFile(name)
			check(t, err)
			what += " " + string(content)
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			what += " " + info.ModTime().UTC().String()
		}
		tree[strings.TrimPrefix(name, root.Name())] = what
		return nil
	}))
	return tree
}

func TestWhatIsLeftOutIsNamed(t *testing.T) {
	dir := t.TempDir()
	state := openRoot(t, dir)
	write(t, state, "kept", "kept")
	listener, err := net.Listen("unix", filepath.Join(dir, "app.sock"))
	check(t, err)
	defer closing(t, listener)
	check(t, unix.Mkfifo(filepath.Join(dir, "pipe"), 0o600))
	check(t, os.Symlink("/etc/passwd", filepath.Join(dir, "absolute")))
	check(t, os.Symlink("../outside", filepath.Join(dir, "out")))
	packed, manifest := take(t, state)
	want := []archive.LeftOut{
		{Path: "absolute", Why: `a link that leads out, to "/etc/passwd"`},
		{Path: "app.sock", Why: "a socket"},
		{Path: "out", Why: `a link that leads out, to "../outside"`},
		{Path: "pipe", Why: "a pipe"},
	}
	if diff := cmp.Diff(want, manifest.LeftOut); diff != "" {
		t.Error(diff)
	}
	restored, err := Restore(t.Context(), bytes.NewReader(packed), openRoot(t, t.TempDir()), archive.Limits{})
	check(t, err)
	if len(restored.Entries) != 1 || restored.Entries[0].Path != "kept" || len(restored.LeftOut) != len(want) {
		t.Errorf("restored %+v", restored)
	}
}

func TestEveryFlippedByteIsSeen(t *testing.T) {
	state := openRoot(t, t.TempDir())
	write(t, state, "notes", "the quick brown fox")
	packed, taken := take(t, state)
	plain := unpack(t, packed)
	for i := range packed {
		damaged := slices.Clone(packed)
		damaged[i] ^= 0x10
		got, err := archive.Verify(t.Context(), bytes.NewReader(damaged), archive.Limits{})
		switch {
		case err == nil && (!cmp.Equal(got, taken) || !bytes.Equal(unpack(t, damaged), plain)):
			t.Errorf("byte %d of %d: not seen", i, len(packed)) // some bits mean nothing to zstd
		case err != nil && !errors.Is(err, archive.ErrCorrupt):
			t.Errorf("byte %d of %d: %v", i, len(packed), err)
		}
	}
}

func TestEveryTruncationIsSeen(t *testing.T) {
	state := openRoot(t, t.TempDir())
	write(t, state, "notes", "the quick brown fox")
	packed, _ := take(t, state)
	target := openRoot(t, t.TempDir())
	for n := range packed {
		if _, err := Restore(t.Context(), bytes.NewReader(packed[:n]), target, archive.Limits{}); !errors.Is(err, archive.ErrCorrupt) {
			t.Fatalf("the first %d of %d bytes: %v", n, len(packed), err)
		}
		if left, err := names(target); err != nil || len(left) > 0 {
			t.Fatalf("the first %d of %d bytes left %v, %v", n, len(packed), left, err)
		}
	}
}

func TestDamageNamesTheFile(t *testing.T) {
	state := openRoot(t, t.TempDir())
	write(t, state, "a", "first")
	write(t, state, "b", "second")
	packed, _ := take(t, state)
	plain := unpack(t, packed)
	for _, test := range []struct {
		damage func([]byte) []byte
		want   string
	}{
		{func(b []byte) []byte { return bytes.Replace(b, []byte("second"), []byte("sEcond"), 1) }, `the backup is not whole: "b" is not what its list of sums says`},
		{func(b []byte) []byte { return b[:bytes.Index(b, []byte("second"))+3] }, `the backup is not whole: it is damaged in "b" (unexpected EOF)`},
		{func(b []byte) []byte { return b[:bytes.Index(b, []byte("first"))+512] }, `the backup is not whole: it is cut short after "a"`},
		{func(b []byte) []byte { return nil }, `the backup is not whole: it is cut short at its beginning`},
		{func(b []byte) []byte { return append(b, 0) }, `the backup is not whole: it does not end after its list of sums`},
	} {
		_, err := archive.Verify(t.Context(), bytes.NewReader(pack(t, test.damage(slices.Clone(plain)))), archive.Limits{})
		if err == nil || err.Error() != "verify backup: "+test.want || !errors.Is(err, archive.ErrCorrupt) {
			t.Errorf("got  %v\nwant verify backup: %s", err, test.want)
		}
	}
	_, err := archive.Verify(t.Context(), strings.NewReader("PK\x03\x04 surely no archive of ours"), archive.Limits{})
	if err == nil || err.Error() != "verify backup: the backup is not whole: it is not an archive that popup made" {
		t.Errorf("got %v", err)
	}
}

func unpack(t testing.TB, packed []byte) []byte {
	t.Helper()
	r, err := zstd.NewReader(bytes.NewReader(packed))
	check(t, err)
	defer r.Close()
	plain, err := io.ReadAll(r)
	check(t, err)
	return plain
}

func pack(t testing.TB, plain []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := zstd.NewWriter(&b)
	check(t, err)
	_, err = w.Write(plain)
	check(t, errors.Join(err, w.Close()))
	return b.Bytes()
}

func TestRestoreWantsAnEmptyFolder(t *testing.T) {
	packed, _ := take(t, openRoot(t, t.TempDir()))
	target := openRoot(t, t.TempDir())
	write(t, target, "precious", "here before")
	_, err := Restore(t.Context(), bytes.NewReader(packed), target, archive.Limits{})
	if err == nil || !strings.HasSuffix(err.Error(), "is not empty; give an empty folder") {
		t.Errorf("got %v", err)
	}
	if _, err := target.Stat("precious"); err != nil {
		t.Error(err)
	}
}

func TestRestoreThatIsCancelledLeavesNothing(t *testing.T) {
	packed, _ := take(t, sampleState(t))
	target := openRoot(t, t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	half := io.MultiReader(bytes.NewReader(packed[:len(packed)/2]), readerFunc(func([]byte) (int, error) {
		cancel()
		return 0, nil
	}), bytes.NewReader(packed[len(packed)/2:]))
	_, err := Restore(ctx, half, target, archive.Limits{})
	if !errors.Is(err, context.Canceled) || errors.Is(err, archive.ErrCorrupt) {
		t.Errorf("got %v", err)
	}
	if left, err := names(target); err != nil || len(left) > 0 {
		t.Errorf("left %v, %v", left, err)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestErrorOfTheVaultIsNotCorruption(t *testing.T) {
	packed, _ := take(t, sampleState(t))
	broken := errors.New("connection reset")
	r := io.MultiReader(bytes.NewReader(packed[:len(packed)/2]), readerFunc(func([]byte) (int, error) { return 0, broken }))
	if _, err := archive.Verify(t.Context(), r, archive.Limits{}); !errors.Is(err, broken) || errors.Is(err, archive.ErrCorrupt) {
		t.Errorf("got %v", err)
	}
}

// tarOf makes an archive by hand: entries, then a list of the same entries, or of
// those given.
type tarOf struct {
	t        testing.TB
	plain    bytes.Buffer
	w        *tar.Writer
	manifest archive.Manifest
}

// listName is what the list of sums is called.
const listName = "manifest.json"

func newTar(t testing.TB) *tarOf {
	a := &tarOf{t: t, manifest: archive.Manifest{Version: 1, Taken: when}}
	a.w = tar.NewWriter(&a.plain)
	return a
}

func (a *tarOf) add(h tar.Header, content string) *tarOf {
	a.t.Helper()
	h.Size, h.Mode, h.Format = int64(len(content)), 0o644, tar.FormatPAX
	check(a.t, a.w.WriteHeader(&h))
	_, err := io.WriteString(a.w, content)
	check(a.t, err)
	return a
}

func (a *tarOf) list() *tarOf {
	a.t.Helper()
	text, err := json.Marshal(a.manifest)
	check(a.t, err)
	return a.add(tar.Header{Typeflag: tar.TypeReg, Name: listName}, string(text))
}

func (a *tarOf) archive() []byte {
	a.t.Helper()
	check(a.t, a.w.Close())
	return pack(a.t, a.plain.Bytes())
}
