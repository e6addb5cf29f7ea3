package backup

import (
	"archive/tar"
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"popup/internal/archive"
)

func TestHostileArchives(t *testing.T) {
	file := func(name string) tar.Header { return tar.Header{Typeflag: tar.TypeReg, Name: name} }
	link := func(name, target string) tar.Header {
		return tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: target}
	}
	folder := tar.Header{Typeflag: tar.TypeDir, Name: "state/d/"}
	for name, test := range map[string]struct {
		archive *tarOf
		want    string
	}{
		"dots":             {newTar(t).add(file("state/../evil"), "x"), `it holds "state/../evil", which is not a path within the state`},
		"dots in between":  {newTar(t).add(folder, "").add(file("state/d/../../evil"), "x"), `it holds "state/d/../../evil", which`},
		"absolute":         {newTar(t).add(file("/etc/evil"), "x"), `it holds "/etc/evil", which`},
		"absolute below":   {newTar(t).add(file("state//etc/evil"), "x"), `it holds "state//etc/evil", which`},
		"beside the state": {newTar(t).add(file("evil"), "x"), `it holds "evil", which`},
		"the state itself": {newTar(t).add(file("state/."), "x"), `it holds "state/.", which`},
		"link out":         {newTar(t).add(link("state/l", "../../etc"), ""), `its link "l" leads out of the state, to "../../etc"`},
		"absolute link":    {newTar(t).add(link("state/l", "/etc/passwd"), ""), `its link "l" leads out of the state, to "/etc/passwd"`},
		"link to nothing":  {newTar(t).add(link("state/l", ""), ""), `its link "l" leads out of the state, to ""`},
		"through a link":   {newTar(t).add(link("state/l", "."), "").add(file("state/l/evil"), "x"), `it holds "l/evil", but no folder "l" before it`},
		"through a file":   {newTar(t).add(file("state/f"), "x").add(file("state/f/evil"), "x"), `it holds "f/evil", but no folder "f" before it`},
		"no folder":        {newTar(t).add(file("state/d/evil"), "x"), `it holds "d/evil", but no folder "d" before it`},
		"twice":            {newTar(t).add(file("state/f"), "x").add(file("state/f"), "y"), `it holds "f" twice`},
		"hard link":        {newTar(t).add(tar.Header{Typeflag: tar.TypeLink, Name: "state/h", Linkname: "/etc/passwd"}, ""), `"h" is neither a file nor a folder nor a symbolic link`},
		"device":           {newTar(t).add(tar.Header{Typeflag: tar.TypeBlock, Name: "state/sda", Devmajor: 8}, ""), `"sda" is neither`},
		"pipe":             {newTar(t).add(tar.Header{Typeflag: tar.TypeFifo, Name: "state/p"}, ""), `"p" is neither`},
		"no list":          {newTar(t).add(file("state/f"), "x"), `it is cut short after "f"`},
		"not listed":       {newTar(t).add(file("state/f"), "x").list(), `"f" is not in its list of sums`},
		"after the list":   {newTar(t).list().add(file("state/f"), "x"), `it does not end after its list of sums`},
		"odd list":         {newTar(t).add(file(listName), `{"entries":7}`), `its list of sums cannot be read`},
	} {
		t.Run(name, func(t *testing.T) {
			refuses(t, test.archive.archive(), archive.Limits{}, "the backup is not whole: "+test.want)
		})
	}
}

// refuses asserts that Restore fails, and leaves nothing in or beside its folder.
func refuses(t *testing.T, packed []byte, limits archive.Limits, want string) {
	t.Helper()
	dir := t.TempDir()
	check(t, os.Mkdir(filepath.Join(dir, "new"), 0o755))
	_, err := Restore(t.Context(), bytes.NewReader(packed), openRoot(t, filepath.Join(dir, "new")), limits)
	if err == nil || !strings.HasPrefix(err.Error(), "restore backup: "+want) {
		t.Errorf("got  %v\nwant restore backup: %s", err, want)
	}
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	check(t, err)
	inside, err := filepath.Glob(filepath.Join(dir, "new", "*"))
	check(t, err)
	if len(left) != 1 || len(inside) != 0 {
		t.Errorf("left %v %v", left, inside)
	}
}

func TestListsThatLie(t *testing.T) {
	file := tar.Header{Typeflag: tar.TypeReg, Name: "state/f"}
	missing := newTar(t)
	missing.manifest.Entries = []archive.Entry{{Path: "gone", Kind: archive.KindFile}}
	refuses(t, missing.list().archive(), archive.Limits{}, `the backup is not whole: "gone" is missing`)

	wrong := newTar(t).add(file, "x")
	wrong.manifest.Entries = []archive.Entry{{Path: "f", Kind: archive.KindFile, Mode: 0o644, Size: 1, SHA256: strings.Repeat("0", 64)}}
	refuses(t, wrong.list().archive(), archive.Limits{}, `the backup is not whole: "f" is not what its list of sums says`)

	newer := newTar(t)
	newer.manifest.Version = 2
	refuses(t, newer.list().archive(), archive.Limits{}, "it is of version 2, and this popup reads version 1: use the popup that made it")
}

func TestBombs(t *testing.T) {
	state := openRoot(t, t.TempDir())
	write(t, state, "zeros", strings.Repeat("\x00", 1<<20))
	for _, name := range []string{"a", "b", "c"} {
		write(t, state, name, "")
	}
	packed, _ := take(t, state)
	refuses(t, packed, archive.Limits{Bytes: 1<<20 - 1}, `it holds more than the 1048575 bytes that are allowed, at "zeros"`)
	refuses(t, packed, archive.Limits{Entries: 3}, "it holds more than the 3 files and folders that are allowed")
	if _, err := Restore(t.Context(), bytes.NewReader(packed), openRoot(t, t.TempDir()), archive.Limits{Bytes: 1 << 20, Entries: 4}); err != nil {
		t.Error(err)
	}

	var wide bytes.Buffer
	w, err := zstd.NewWriter(&wide, zstd.WithWindowSize(64<<20))
	check(t, err)
	_, err = w.Write(bytes.Repeat([]byte("window"), 1<<20))
	check(t, errors.Join(err, w.Close()))
	refuses(t, wide.Bytes(), archive.Limits{}, "the backup is not whole: it is damaged at its beginning (window size exceeded)")
}

// FuzzRestore mutates what is within the compression, which alone lets little through.
func FuzzRestore(f *testing.F) {
	packed, _ := take(f, sampleState(f))
	f.Add(unpack(f, packed))
	small := openRoot(f, f.TempDir())
	write(f, small, "d/f", "x")
	check(f, small.Symlink("d", "l"))
	packed, _ = take(f, small)
	f.Add(unpack(f, packed))
	f.Fuzz(func(t *testing.T, plain []byte) {
		dir := t.TempDir()
		check(t, os.Mkdir(filepath.Join(dir, "new"), 0o755))
		target := openRoot(t, filepath.Join(dir, "new"))
		packed := pack(t, plain)
		_, restoreErr := Restore(t.Context(), bytes.NewReader(packed), target, archive.Limits{Bytes: 1 << 20, Entries: 100})
		left, err := names(target)
		check(t, err)
		if restoreErr != nil && len(left) > 0 {
			t.Errorf("left %v after %v", left, restoreErr)
		}
		if beside, err := os.ReadDir(dir); err != nil || len(beside) != 1 {
			t.Errorf("beside the state: %v, %v", beside, err)
		}
		if restoreErr == nil {
			_, err := archive.Verify(t.Context(), bytes.NewReader(packed), archive.Limits{})
			check(t, err)
			openUp(t, target)
		}
	})
}

// openUp makes a restored tree removable for a user who is not root.
func openUp(t *testing.T, root *os.Root) {
	check(t, filepath.Walk(root.Name(), func(name string, info os.FileInfo, err error) error {
		if err == nil && info.IsDir() {
			err = os.Chmod(name, 0o700)
		}
		return err
	}))
}
