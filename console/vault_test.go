package console

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"popup/internal/archive"
)

// openArchives keeps archives in a folder.
func openArchives(t testing.TB, opts ArchivesOptions) (*Archives, string) {
	t.Helper()
	dir := t.TempDir()
	if opts.Vault == nil {
		vault, err := archive.FolderVault(dir)
		if err != nil {
			t.Fatal(err)
		}
		opts.Vault = vault
	}
	return NewArchives(opts), dir
}

// packed is a backup of fair-1 with one file.
func packed(t testing.TB, final bool, contents string) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := archive.NewWriter(&b, archive.Manifest{App: "wall", Instance: "fair-1", Taken: aDay, Final: final})
	if err == nil {
		err = w.Add(archive.Entry{Path: "bids", Kind: archive.KindFile, Mode: 0o600, Modified: aDay, Size: int64(len(contents))}, strings.NewReader(contents))
	}
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func incoming(body []byte) Incoming {
	sum := sha256.Sum256(body)
	return Incoming{Instance: "fair-1", Name: "a.tar.zst", Size: int64(len(body)), SHA256: sum[:], Body: bytes.NewReader(body)}
}

// inFolder is what lies there.
func inFolder(t testing.TB, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// TestArchiveIsReceivedOnce, verified, and opened again.
func TestArchiveIsReceivedOnce(t *testing.T) {
	a, dir := openArchives(t, ArchivesOptions{})
	body := packed(t, true, "ten for the cake")
	first, err := a.Receive(t.Context(), incoming(body))
	if err != nil {
		t.Fatal(err)
	}
	want := Archive{Instance: "fair-1", Name: "a.tar.zst", Size: int64(len(body)), SHA256: fmt.Sprintf("%x", sha256.Sum256(body)), Files: 1, Final: true, Taken: aDay}
	if first != want {
		t.Errorf("got %+v, want %+v", first, want)
	}
	unread := incoming(body)
	unread.Body = strings.NewReader("") // what is there is not asked for
	if again, err := a.Receive(t.Context(), unread); err != nil || again != want {
		t.Errorf("again: %+v, %v", again, err)
	}
	if _, err := a.Receive(t.Context(), incoming(packed(t, true, "nothing for the cake"))); !conflicts(err) {
		t.Errorf("another under its name: %v", err)
	}
	file, err := a.Open(t.Context(), "fair-1", "a.tar.zst")
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(file)
	if err := errors.Join(err, file.Close()); err != nil || !bytes.Equal(got, body) {
		t.Errorf("it gives back %d bytes, %v", len(got), err)
	}
	if _, err := a.Open(t.Context(), "fair-1", "b.tar.zst"); !errors.Is(err, ErrNotFound) {
		t.Errorf("one that is not there: %v", err)
	}
	if names := inFolder(t, dir); len(names) != 1 || names[0] != "fair-1.a.tar.zst" {
		t.Errorf("the vault holds %v", names)
	}
}

// TestWhatIsNotAnArchiveIsNotKept, and is told why.
func TestWhatIsNotAnArchiveIsNotKept(t *testing.T) {
	whole := packed(t, false, "ten for the cake")
	change := func(f func(*Incoming)) Incoming { in := incoming(whole); f(&in); return in }
	for name, test := range map[string]struct {
		in   Incoming
		want string
	}{
		"cut short on its way":  {change(func(in *Incoming) { in.Body = bytes.NewReader(whole[:20]) }), "bytes came: unexpected EOF"},
		"longer":                {change(func(in *Incoming) { in.Body = io.MultiReader(in.Body, strings.NewReader("x")) }), "size: more came than the"},
		"endless":               {change(func(in *Incoming) { in.Body = io.MultiReader(in.Body, zeros{}) }), "size: more came than the"},
		"another digest":        {change(func(in *Incoming) { in.SHA256 = make([]byte, 32) }), "sha256: what came is not what was announced; send it again"},
		"no digest":             {change(func(in *Incoming) { in.SHA256 = nil }), "sha256: its SHA-256 is missing"},
		"no size":               {change(func(in *Incoming) { in.Size = -1 }), "size: its size is missing"},
		"too large":             {change(func(in *Incoming) { in.Size = 1<<20 + 1 }), "size: the backup has 1048577 bytes, and at most 1048576 are kept"},
		"cut short before":      {incoming(whole[:len(whole)-9]), "archive: verify backup: the backup is not whole"},
		"nothing":               {incoming(nil), "archive: verify backup: the backup is not whole: it is cut short at its beginning"},
		"words":                 {incoming([]byte("<html>")), "archive: verify backup: the backup is not whole"},
		"an absolute path":      {incoming(hostile(t, tar.Header{Typeflag: tar.TypeReg, Name: "/etc/passwd"})), `it holds "/etc/passwd", which is not a path within the state`},
		"a link out":            {incoming(hostile(t, tar.Header{Typeflag: tar.TypeSymlink, Name: "state/l", Linkname: "../../etc"})), `its link "l" leads out`},
		"a huge name":           {incoming(hostile(t, tar.Header{Typeflag: tar.TypeReg, Name: "state/" + strings.Repeat("n", 70<<10)})), "its list of sums has more than the 65536 bytes"},
		"a bomb":                {incoming(bomb(t, 10<<30)), `it holds more than the 1073741824 bytes that are allowed, at "zeros"`},
		"a bomb after its list": {incoming(slicesJoin(whole, zerosFrame(10<<30))), "it does not end after its list of sums"},
		"of another":            {change(func(in *Incoming) { in.Instance = "fair-2" }), `archive: verify backup: it says that it is of "fair-1"`},
		"a dot":                 {change(func(in *Incoming) { in.Instance = "fair.1" }), "instance: it has a dot"},
		"no instance":           {change(func(in *Incoming) { in.Instance = "../x" }), "instance: an instance's id has"},
		"a path":                {change(func(in *Incoming) { in.Name = "../x" }), `name: "../x" is not a name for a backup`},
		"a long name":           {change(func(in *Incoming) { in.Name = strings.Repeat("a", 199) }), "is not a name for a backup"},
	} {
		t.Run(name, func(t *testing.T) {
			a, dir := openArchives(t, ArchivesOptions{Most: 1 << 20, Limits: archive.Limits{Bytes: 1 << 30, List: 64 << 10}})
			began := time.Now()
			_, err := a.Receive(t.Context(), test.in)
			if err == nil || !strings.Contains(err.Error(), test.want) || len(err.Error()) > 4096 {
				t.Errorf("got %v, want %s", err, test.want)
			}
			var input *InputError
			if name != "cut short on its way" && !errors.As(err, &input) {
				t.Errorf("it is no fault of what came: %v", err)
			}
			if names := inFolder(t, dir); len(names) > 0 {
				t.Errorf("the vault holds %v", names)
			}
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("it took %s", took)
			}
		})
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func slicesJoin(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// hostile is an archive that no Writer writes.
func hostile(t testing.TB, h tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	z, err := zstd.NewWriter(&b)
	if err != nil {
		t.Fatal(err)
	}
	w := tar.NewWriter(z)
	h.Mode, h.Format = 0o644, tar.FormatPAX
	if err := errors.Join(w.WriteHeader(&h), w.Flush(), z.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// bomb is an archive of one file of so many zeros, in a few hundred kilobytes.
func bomb(t testing.TB, size int64) []byte {
	t.Helper()
	var b bytes.Buffer
	z, err := zstd.NewWriter(&b)
	if err != nil {
		t.Fatal(err)
	}
	header := &tar.Header{Typeflag: tar.TypeReg, Name: "state/zeros", Size: size, Mode: 0o644, Format: tar.FormatPAX}
	if err := errors.Join(tar.NewWriter(z).WriteHeader(header), z.Close()); err != nil {
		t.Fatal(err)
	}
	return append(b.Bytes(), zerosFrame(size)...)
}

// zerosFrame is a zstd frame of blocks that each say one byte 128 KiB times.
func zerosFrame(size int64) []byte {
	const block = 128 << 10
	frame := []byte{0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x38} // no size, a window of 128 KiB
	for left := size; left > 0; left -= block {
		head := uint32(block)<<3 | 1<<1 // a repeated byte
		if left <= block {
			head |= 1 // the last
		}
		frame = append(binary.LittleEndian.AppendUint32(frame, head)[:len(frame)+3], 0)
	}
	return frame
}

// TestVaultThatLies: what cannot be read back as it came is not kept, and what cannot be
// read at all is not called an archive's fault.
func TestVaultThatLies(t *testing.T) {
	body := packed(t, true, "ten for the cake")
	broken := errors.New("input/output error")
	for name, test := range map[string]struct {
		read func([]byte) ([]byte, error)
		want string
		left int
	}{
		"another":      {func([]byte) ([]byte, error) { return packed(t, true, "nothing for the cake"), nil }, "the vault gives back something else than it was given", 0},
		"damaged":      {func(b []byte) ([]byte, error) { return b[:len(b)/2], nil }, "the backup is not whole", 0},
		"a broken one": {func(b []byte) ([]byte, error) { return b[:len(b)/2], broken }, "input/output error", 1},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			vault, err := archive.FolderVault(dir)
			if err != nil {
				t.Fatal(err)
			}
			a, _ := openArchives(t, ArchivesOptions{Vault: lyingVault{vault, test.read}})
			_, err = a.Receive(t.Context(), incoming(body))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %s", err, test.want)
			}
			if names := inFolder(t, dir); len(names) != test.left {
				t.Errorf("the vault holds %v", names)
			}
			if test.left == 0 {
				return
			}
			honest, _ := openArchives(t, ArchivesOptions{Vault: vault})
			if _, err := honest.Receive(t.Context(), incoming(body)); err != nil {
				t.Errorf("when the disk is well again: %v", err)
			}
		})
	}
}

type lyingVault struct {
	archive.Vault
	read func([]byte) ([]byte, error)
}

func (v lyingVault) Get(ctx context.Context, name string) (io.ReadCloser, error) {
	file, err := v.Vault.Get(ctx, name)
	if err != nil {
		return nil, err
	}
	all, err := io.ReadAll(file)
	if err := errors.Join(err, file.Close()); err != nil {
		return nil, err
	}
	says, fails := v.read(all)
	if fails == nil {
		return io.NopCloser(bytes.NewReader(says)), nil
	}
	return io.NopCloser(io.MultiReader(bytes.NewReader(says), failing{fails})), nil
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// TestOneOfTwoThatComeAtOnceIsKept: neither replaces the other, and a third waits.
func TestOneOfTwoThatComeAtOnceIsKept(t *testing.T) {
	a, _ := openArchives(t, ArchivesOptions{})
	one, other := incoming(packed(t, false, "one")), incoming(packed(t, false, "other"))
	begun, more := make(chan struct{}), make(chan struct{})
	one.Body = io.MultiReader(gate{begun, more}, one.Body)
	done := make(chan error, 1)
	go func() {
		_, err := a.Receive(t.Context(), one)
		done <- err
	}()
	<-begun
	third := other
	other.Body = io.MultiReader(readFunc(func([]byte) (int, error) { // while both are on their way
		var busy *BusyError
		if _, err := a.Receive(t.Context(), third); !errors.As(err, &busy) {
			t.Errorf("a third: %v", err)
		}
		return 0, io.EOF
	}), other.Body)
	if _, err := a.Receive(t.Context(), other); err != nil {
		t.Errorf("the one that was done first: %v", err)
	}
	close(more)
	var busy *BusyError
	if err := <-done; !errors.As(err, &busy) {
		t.Errorf("the one that was done last: %v", err)
	}
	one.Body = strings.NewReader("")
	if _, err := a.Receive(t.Context(), one); !conflicts(err) {
		t.Errorf("asked again: %v", err)
	}
	if len(a.coming) != 0 || a.space != 0 || len(a.naming) != 0 {
		t.Errorf("it remembers %v %d %v", a.coming, a.space, a.naming)
	}
}

type readFunc func([]byte) (int, error)

func (f readFunc) Read(p []byte) (int, error) { return f(p) }

// A gate says that it is reached, and ends when it is opened.
type gate struct{ reached, opened chan struct{} }

func (g gate) Read([]byte) (int, error) {
	close(g.reached)
	<-g.opened
	return 0, io.EOF
}

// TestFullDiskIsSaidBefore anything is read, and what is on its way counts.
func TestFullDiskIsSaidBefore(t *testing.T) {
	body := packed(t, false, "one")
	free := int64(100 + 2*len(body))
	a, _ := openArchives(t, ArchivesOptions{Free: func() (int64, error) { return free, nil }, Spare: 100})
	first := incoming(body)
	first.Body = io.MultiReader(readFunc(func([]byte) (int, error) {
		next := incoming(packed(t, false, "another that is longer"))
		next.Instance, next.Body = "fair-3", nil
		var busy *BusyError
		if _, err := a.Receive(t.Context(), next); !errors.As(err, &busy) || !strings.Contains(err.Error(), "the disk of the console's vault is full") {
			t.Errorf("while another is on its way: %v", err)
		}
		return 0, io.EOF
	}), first.Body)
	if _, err := a.Receive(t.Context(), first); err != nil {
		t.Error(err)
	}
}

// TestPurgeAndPrune leave what is another's, and the final one.
func TestPurgeAndPrune(t *testing.T) {
	a, dir := openArchives(t, ArchivesOptions{})
	var kept []Archive
	for i, final := range []bool{false, true, false, true, false, false} {
		in := incoming(packed(t, final, strings.Repeat("x", i)))
		in.Name = fmt.Sprintf("%d.tar.zst", i)
		k, err := a.Receive(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		k.Verified = aDay.Add(time.Duration(i) * time.Hour)
		kept = append(kept, k)
	}
	if err := os.WriteFile(filepath.Join(dir, "fair-10.x.tar.zst"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	removed, err := a.Prune(t.Context(), kept, 2)
	if err != nil || len(removed) != 3 || removed[0].Name != "2.tar.zst" || removed[2].Name != "0.tar.zst" {
		t.Errorf("it removed %+v, %v", removed, err)
	}
	want := []string{"fair-1.3.tar.zst", "fair-1.4.tar.zst", "fair-1.5.tar.zst", "fair-10.x.tar.zst"}
	if names := inFolder(t, dir); strings.Join(names, " ") != strings.Join(want, " ") {
		t.Errorf("the vault holds %v", names)
	}
	for range 2 {
		if err := errors.Join(a.Remove(t.Context(), "fair-1", "4.tar.zst"), a.Purge(t.Context(), "fair-1")); err != nil {
			t.Error(err)
		}
	}
	if names := inFolder(t, dir); len(names) != 1 || names[0] != "fair-10.x.tar.zst" {
		t.Errorf("after a purge the vault holds %v", names)
	}
	if err := a.Purge(t.Context(), ""); err == nil {
		t.Error("nobody's archives were purged")
	}
}

// TestReceiveThatIsCancelled leaves what verifies, and asks for it again.
func TestReceiveThatIsCancelled(t *testing.T) {
	a, dir := openArchives(t, ArchivesOptions{})
	ctx, cancel := context.WithCancel(t.Context())
	in := incoming(packed(t, true, "ten for the cake"))
	in.Body = io.MultiReader(io.LimitReader(in.Body, 10), readFunc(func([]byte) (int, error) { cancel(); return 0, io.EOF }), in.Body)
	if _, err := a.Receive(ctx, in); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if names := inFolder(t, dir); len(names) > 0 {
		t.Errorf("the vault holds %v", names)
	}
	if _, err := a.Receive(t.Context(), incoming(packed(t, true, "ten for the cake"))); err != nil {
		t.Error(err)
	}
}
