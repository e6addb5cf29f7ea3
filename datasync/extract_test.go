package datasync

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
	"popup/internal/testutil"
	"popup/internal/tree"
)

// member is an entry of an archive a test makes.
type member struct {
	name, content, link string
	kind                byte
	mode                int64
}

func file(name, content string) member {
	return member{name: name, content: content, kind: tar.TypeReg}
}
func link(name, to string) member { return member{name: name, link: to, kind: tar.TypeSymlink} }
func hard(name, to string) member { return member{name: name, link: to, kind: tar.TypeLink} }
func folder(name string) member   { return member{name: name, kind: tar.TypeDir, mode: 0o755} }

func tarOf(t testing.TB, members ...member) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, m := range members {
		if m.mode == 0 {
			m.mode = 0o644
		}
		h := &tar.Header{Name: m.name, Typeflag: m.kind, Linkname: m.link, Size: int64(len(m.content)), Mode: m.mode}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(m.content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func gzipOf(t testing.TB, content []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func zstdOf(t testing.TB, content []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return w.EncodeAll(content, nil)
}

func zipOf(t testing.TB, members ...member) []byte {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, m := range members {
		h := &zip.FileHeader{Name: m.name, Method: zip.Deflate}
		content := m.content
		switch {
		case m.kind == tar.TypeSymlink:
			h.SetMode(os.ModeSymlink | 0o777)
			content = m.link
		case m.kind == tar.TypeFifo:
			h.SetMode(os.ModeNamedPipe | 0o644)
		case m.kind == tar.TypeDir:
			h.SetMode(os.ModeDir | 0o755)
		default:
			h.SetMode(os.FileMode(m.mode) | 0o644)
		}
		f, err := w.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// unpackBytes extracts an archive and returns where to.
func unpackBytes(t testing.TB, archive []byte, limits tree.Limits) (string, error) {
	t.Helper()
	from, to := tempDir(t), tempDir(t)
	if err := os.WriteFile(filepath.Join(from, "archive"), archive, 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := extract(t.Context(), openRoot(t, from), "archive", writerTo(t, to, limits), limits)
	return to, err
}

// untarReal unpacks by the tar of this machine.
func untarReal(t testing.TB, archive []byte) string {
	t.Helper()
	dir := tempDir(t)
	cmd := exec.Command("tar", "-x", "-z", "--no-same-owner", "-f", "-")
	cmd.Dir, cmd.Stdin = dir, bytes.NewReader(archive)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("tar x: %v: %s", err, out)
	}
	return dir
}

func TestEveryDayIsWhatTarUnpacks(t *testing.T) {
	days := append(testutil.Days(t, 52), testutil.GeneratedDay(t, 0), testutil.GeneratedDay(t, 1))
	for _, day := range days {
		dir, err := unpackBytes(t, day.Tarball, tree.Limits{})
		if err != nil {
			t.Fatalf("%s: %v", day.Name, err)
		}
		want := listing(t, untarReal(t, day.Tarball))
		if diff := cmp.Diff(want, listing(t, dir)); diff != "" {
			t.Errorf("%s is not what tar unpacks (-tar +got):\n%s", day.Name, diff)
		}
		if len(want) < 20 {
			t.Errorf("%s holds only %d entries", day.Name, len(want))
		}
	}
}

// One of everything, in an odd order, is what tar unpacks.
func TestOddTarIsWhatTarUnpacks(t *testing.T) {
	archive := gzipOf(t, tarOf(t,
		file("./late/parent", "no folder entry before it"), folder("./late/"), file("twice", "first"), file("twice", "second"),
		member{name: "run", content: "#!", kind: tar.TypeReg, mode: 0o755}, hard("hard", "twice"), link("soft", "late/parent"), link("late/up", "../run"),
		link("dangling", "not/there"), hard("softer", "soft"), file(strings.Repeat("long/", 50)+"name", "pax"), folder("empty"), file("a//b/./c", "x"),
		link("soft2", "run"), link("soft2", "late"), file("zeros", string(make([]byte, 3000))), file(".hidden", "x"), folder("./"),
	))
	dir, err := unpackBytes(t, archive, tree.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(listing(t, untarReal(t, archive)), listing(t, dir)); diff != "" {
		t.Errorf("not what tar unpacks (-tar +got):\n%s", diff)
	}
}

func TestKindsOfArchives(t *testing.T) {
	members := []member{folder("d/"), file("d/a", "text"), {name: "run", content: "#!", kind: tar.TypeReg, mode: 0o755}, link("l", "d/a")}
	want := map[string]string{"d": "folder", "d/a": "---------- executable=false text", "run": "---------- executable=true #!", "l": "link d/a"}
	plain := tarOf(t, members...)
	for name, archive := range map[string][]byte{
		"tar": plain, "tar.gz": gzipOf(t, plain), "tar.zst": zstdOf(t, plain), "zip": zipOf(t, members...),
	} {
		t.Run(name, func(t *testing.T) {
			dir, err := unpackBytes(t, archive, tree.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, listing(t, dir)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestHostileArchives(t *testing.T) {
	several := func(n int) (all []member) {
		for i := range n {
			all = append(all, file(fmt.Sprint("f", i), ""))
		}
		return all
	}
	bomb := file("zeros", string(make([]byte, 4<<20)))
	for name, c := range map[string]struct {
		members []member
		want    string
	}{
		"dot dot":           {[]member{file("../escaped", "x")}, `"../escaped" leads out of the tree by a .. in it`},
		"dot dot inside":    {[]member{file("a/../../escaped", "x")}, "leads out of the tree"},
		"absolute":          {[]member{file("/tmp/escaped", "x")}, `"/tmp/escaped" is an absolute path`},
		"absolute link":     {[]member{link("l", "/etc/passwd")}, `"l" is a symlink to the absolute path "/etc/passwd"`},
		"link out":          {[]member{link("a/l", "../../x")}, `"a/l" is a symlink that leads out of the tree, to "../../x"`},
		"chain out":         {[]member{folder("d/e"), link("d/e/up", "../.."), link("out", "d/e/up/..")}, `"out" is a symlink that leads out of the tree by way of another`},
		"hard link out":     {[]member{hard("h", "../../etc/passwd")}, `"h" is a hard link that leads out of the tree`},
		"hard link abs":     {[]member{hard("h", "/etc/passwd")}, `"h" is a hard link that leads out of the tree`},
		"hard link nowhere": {[]member{hard("h", "missing")}, `"h" is a hard link to "missing", which is no file before it`},
		"hard link folder":  {[]member{folder("d"), hard("h", "d")}, "which is no file before it"},
		"through a link":    {[]member{folder("d"), link("l", "d"), file("l/x", "x")}, `"l" is a folder and, before, was a symlink`},
		"folder to link":    {[]member{folder("d"), link("d", "e")}, `"d" is a symlink and, before, was a folder`},
		"file to link":      {[]member{file("d", "x"), link("d", "e")}, `"d" is a symlink and, before, was a file`},
		"link to file":      {[]member{link("d", "e"), file("d", "x")}, `"d" is a file and, before, was a symlink`},
		"fifo":              {[]member{{name: "p", kind: tar.TypeFifo}}, `"p" is `},
		"dot git":           {[]member{file("x/.git/config", "x")}, `is named .git, which programs run there would obey`},
		"size bomb":         {[]member{bomb}, "it holds more than 1 MiB, which is the limit"},
		"count bomb":        {several(200), "it holds more than 100 entries, which is the limit"},
		"long path":         {[]member{file(strings.Repeat("d/", 700)+"f", "")}, "a path in it is longer than 1024 bytes"},
		"not UTF-8":         {[]member{file("caf\xe9", "x")}, `"caf\xe9" is not UTF-8; rename it`},
		"long name":         {[]member{file(strings.Repeat("d", 256), "")}, "is no name a file can have here"},
	} {
		plain := tarOf(t, c.members...)
		archives := map[string][]byte{"tar": plain, "tar.gz": gzipOf(t, plain), "tar.zst": zstdOf(t, plain)}
		if !strings.HasPrefix(name, "hard") {
			archives["zip"] = zipOf(t, c.members...)
		}
		for kind, archive := range archives {
			t.Run(name+"/"+kind, func(t *testing.T) {
				_, err := unpackBytes(t, archive, tree.Limits{Bytes: 1 << 20, Files: 100})
				wantText(t, err, "extract archive: ", c.want)
			})
		}
	}
	for name, kind := range map[string]byte{"character device": tar.TypeChar, "block device": tar.TypeBlock} {
		_, err := unpackBytes(t, tarOf(t, member{name: "dev", kind: kind}), tree.Limits{})
		wantText(t, err, `"dev" is a device; an archive of data holds files, folders and links`)
		_ = name
	}
	if _, err := os.Lstat("/tmp/escaped"); err == nil {
		t.Error("a file was written outside")
	}
}

// A tar may hide a bomb where no entry is: after its end, or in its headers.
func TestBombBesideTheEntries(t *testing.T) {
	after := append(tarOf(t, file("a", "x")), make([]byte, 8<<20)...)
	_, err := unpackBytes(t, gzipOf(t, after), tree.Limits{Bytes: 1 << 20, Files: 10})
	wantText(t, err, "it holds more than 1 MiB")
}

func TestDamagedArchives(t *testing.T) {
	plain := tarOf(t, file("a", strings.Repeat("text ", 1000)), file("b", "x"))
	var sevens [2000]byte
	for i := range sevens {
		sevens[i] = byte(i * 7)
	}
	whole := map[string][]byte{"tar": plain, "tar.gz": gzipOf(t, plain), "tar.zst": zstdOf(t, plain), "zip": zipOf(t, file("a", string(sevens[:])))}
	for kind, archive := range whole {
		for _, part := range []float64{0.3, 0.6, 0.9, 0.99} {
			cut := archive[:int(float64(len(archive))*part)]
			if kind == "tar" && part > 0.9 {
				continue // within the empty blocks of the end
			}
			_, err := unpackBytes(t, cut, tree.Limits{})
			wantText(t, err, "truncated")
		}
	}
	atBoundary := plain[:512+5120] // all of a, nothing of b
	_, err := unpackBytes(t, atBoundary, tree.Limits{})
	wantText(t, err, "truncated")
	flipped := bytes.Clone(whole["tar.gz"])
	flipped[len(flipped)-5] ^= 1
	_, err = unpackBytes(t, flipped, tree.Limits{})
	wantText(t, err, "checksum")
	for want, archive := range map[string][]byte{
		"it is empty":           nil,
		"is not an archive":     []byte("<html>not found</html>"),
		"compressed by xz":      []byte("\xfd7zXZ\x00 and so on"),
		"xz or bzip2":           []byte("BZh91AY"),
		"make it a tar, tar.gz": make([]byte, 1024),
	} {
		_, err := unpackBytes(t, archive, tree.Limits{})
		wantText(t, err, want)
	}
	encrypted := bytes.Clone(whole["zip"])
	at := bytes.Index(encrypted, []byte("PK\x01\x02"))
	encrypted[at+8] |= 1
	_, err = unpackBytes(t, encrypted, tree.Limits{})
	wantText(t, err, `"a" is encrypted`)
}

func TestPickArchive(t *testing.T) {
	dir := t.TempDir()
	archive := string(gzipOf(t, tarOf(t, file("x", "x"))))
	write(t, dir, map[string]string{"day-1.tar.gz": archive, "sub/day-2.tar.gz": archive, "sub/day-3.tar.gz": archive, "note": "x"})
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "out")); err != nil {
		t.Fatal(err)
	}
	for pattern, want := range map[string]string{
		"day-1.tar.gz": "", "day-*.tar.gz": "", "./day-1.tar.gz": "", "sub/*-2*": "",
		"sub/*.gz":   `matches 2 files ("sub/day-2.tar.gz", "sub/day-3.tar.gz"); write a pattern that only one matches`,
		"nope":       `nothing is called "nope" there; there are: "day-1.tar.gz", "note"`,
		"*.zip":      `nothing is called "*.zip" there`,
		"sub":        `"sub" is not a file`,
		"../x":       "leads out of the tree",
		"/etc/x":     "is an absolute path",
		"[":          "is not a pattern",
		"out":        "find archive",
		"day-1.tar/": "nothing is called",
	} {
		_, err := extract(t.Context(), openRoot(t, dir), pattern, writerTo(t, tempDir(t), tree.Limits{}), tree.Limits{})
		if want == "" && err != nil {
			t.Errorf("%s: %v", pattern, err)
		} else if want != "" {
			wantText(t, err, want)
		}
	}
}

func fuzzArchive(f *testing.F, seeds ...[]byte) {
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, archive []byte) {
		outer := tempDir(t)
		to := filepath.Join(outer, "to")
		if err := os.Mkdir(to, 0o755); err != nil {
			t.Fatal(err)
		}
		from := tempDir(t)
		if err := os.WriteFile(filepath.Join(from, "archive"), archive, 0o644); err != nil {
			t.Fatal(err)
		}
		limits := tree.Limits{Bytes: 1 << 20, Files: 100}
		_, err := extract(t.Context(), openRoot(t, from), "archive", writerTo(t, to, limits), limits)
		if got := names(t, outer); len(got) != 1 {
			t.Errorf("it wrote beside the folder: %v", got)
		}
		index, measureErr := tree.Scan(t.Context(), os.DirFS(to), tree.Limits{})
		if measureErr != nil {
			t.Fatal(measureErr)
		}
		size := index.Size()
		if size.Entries > limits.Files+1 || err == nil && size.Bytes > limits.Bytes {
			t.Errorf("it is over the limits: %+v", size)
		}
		var entry *tree.EntryError
		if errors.As(err, &entry) && strings.ContainsAny(err.Error(), "\n\x00") {
			t.Errorf("the message is not one line: %q", err)
		}
	})
}

func FuzzTar(f *testing.F) {
	plain := tarOf(f, folder("d/"), file("d/a", "x"), link("l", "d/a"), hard("h", "d/a"))
	fuzzArchive(f, plain, tarOf(f, file("../x", "x")), tarOf(f, link("l", "/x"), file("l/x", "y")), gzipOf(f, plain), zstdOf(f, plain))
}

func FuzzZip(f *testing.F) {
	fuzzArchive(f, zipOf(f, folder("d/"), file("d/a", "x"), link("l", "d/a")), zipOf(f, file("../x", "x")), zipOf(f, link("l", "/x")))
}
