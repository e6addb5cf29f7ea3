package archive

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// Verify reads an archive to its end and checks every sum. Its error holds
// ErrCorrupt when the archive is not whole.
func Verify(ctx context.Context, r io.Reader, limits Limits) (Manifest, error) {
	manifest, err := Read(ctx, r, limits, nil)
	if err != nil {
		return Manifest{}, fmt.Errorf("verify backup: %w", err)
	}
	return manifest, nil
}

// The limits that hold where none are given.
const (
	DefaultMostEntries = 1_000_000
	DefaultMostBytes   = 1 << 40
)

// Limits bound what an archive may unfold to.
type Limits struct {
	Entries int   // files, folders and links; 0: DefaultMostEntries
	Bytes   int64 // the contents of all files; 0: DefaultMostBytes
	List    int64 // the bytes of the list of sums, which is read into memory; 0: 256 MiB, which is also the most
}

// Each is given every entry in turn, with the contents of a file. What it does not
// read of them is read for it.
type Each func(e Entry, contents io.Reader) error

// Read reads an archive to its end, whatever fn reads of it, and checks every sum: only
// a nil error says that what fn was given is right. A nil fn only checks.
func Read(ctx context.Context, r io.Reader, limits Limits, fn Each) (Manifest, error) {
	if limits.Entries == 0 {
		limits.Entries = DefaultMostEntries
	}
	if limits.Bytes == 0 {
		limits.Bytes = DefaultMostBytes
	}
	if limits.List == 0 {
		limits.List = mostManifest
	}
	limits.List = min(limits.List, mostManifest)
	source := &watched{r: Within(ctx, r)}
	plain, err := zstd.NewReader(source, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(mostWindow))
	if err != nil {
		return Manifest{}, err
	}
	defer plain.Close()
	s := &scan{in: tar.NewReader(plain), limits: limits, fn: fn, seen: map[Name]int{}}
	manifest, err := s.run()
	if err == nil {
		err = s.ended(plain)
	}
	if source.err != nil { // not the archive's fault
		return Manifest{}, fmt.Errorf("read it: %w", source.err)
	}
	return manifest, err
}

// A scan is one pass over an archive.
type scan struct {
	in      *tar.Reader
	limits  Limits
	fn      Each
	entries []Entry
	seen    map[Name]int // its place in entries
	bytes   int64
	names   int64 // bytes of names, all of which the list repeats
}

func (s *scan) run() (Manifest, error) {
	for {
		header, err := s.in.Next()
		if err != nil {
			return Manifest{}, s.broken(err)
		}
		if header.Name == manifestName {
			return s.manifest(header)
		}
		if err := s.entry(header); err != nil {
			return Manifest{}, err
		}
	}
}

func (s *scan) entry(header *tar.Header) error {
	e, err := entryOf(header)
	if err != nil {
		return err
	}
	if err := s.admit(e); err != nil {
		return err
	}
	contents, sum := &watched{r: s.in}, sha256.New()
	summed := io.TeeReader(contents, sum)
	if s.fn != nil {
		err = s.fn(e, summed)
	}
	if err == nil {
		_, err = io.Copy(io.Discard, summed)
	}
	if contents.err != nil {
		return fmt.Errorf("%w: it is damaged in %q (%w)", ErrCorrupt, e.Path, contents.err)
	}
	if e.Kind == KindFile {
		e.SHA256 = hexSum(sum)
	}
	s.seen[e.Path] = len(s.entries)
	s.entries = append(s.entries, e)
	return err
}

// entryOf reads a header, and refuses what a Writer never writes.
func entryOf(header *tar.Header) (Entry, error) {
	name, below := strings.CutPrefix(header.Name, statePrefix)
	if header.Typeflag == tar.TypeDir {
		name = strings.TrimSuffix(name, "/")
	}
	if !below || !goodPath(name) {
		return Entry{}, fmt.Errorf("%w: it holds %q, which is not a path within the state", ErrCorrupt, header.Name)
	}
	e := Entry{Path: Name(name), Mode: Mode(header.Mode) & Mode(fs.ModePerm), Modified: header.ModTime.UTC()}
	switch header.Typeflag {
	case tar.TypeReg:
		e.Kind, e.Size = KindFile, header.Size
	case tar.TypeDir:
		e.Kind = KindFolder
	case tar.TypeSymlink:
		if !StaysInside(name, header.Linkname) {
			return Entry{}, fmt.Errorf("%w: its link %q leads out of the state, to %q", ErrCorrupt, name, header.Linkname)
		}
		e = Entry{Path: Name(name), Kind: KindLink, Target: Name(header.Linkname)}
	default:
		return Entry{}, fmt.Errorf("%w: %q is neither a file nor a folder nor a symbolic link", ErrCorrupt, name)
	}
	return e, nil
}

// admit refuses an entry that is too much, or has no place.
func (s *scan) admit(e Entry) error {
	if len(s.entries) == s.limits.Entries {
		return fmt.Errorf("it holds more than the %d files and folders that are allowed", s.limits.Entries)
	}
	if e.Size > s.limits.Bytes-s.bytes {
		return fmt.Errorf("it holds more than the %d bytes that are allowed, at %q", s.limits.Bytes, e.Path)
	}
	s.bytes += e.Size
	if s.names += int64(len(e.Path) + len(e.Target)); s.names > s.limits.List {
		return errLongList(s.limits.List)
	}
	if _, twice := s.seen[e.Path]; twice {
		return fmt.Errorf("%w: it holds %q twice", ErrCorrupt, e.Path)
	}
	if parent := Name(path.Dir(string(e.Path))); parent != "." {
		if i, ok := s.seen[parent]; !ok || s.entries[i].Kind != KindFolder {
			return fmt.Errorf("%w: it holds %q, but no folder %q before it", ErrCorrupt, e.Path, parent)
		}
	}
	return nil
}

func errLongList(most int64) error {
	return fmt.Errorf("its list of sums has more than the %d bytes that are allowed", most)
}

// manifest reads the list of sums and holds what was read against it.
func (s *scan) manifest(header *tar.Header) (Manifest, error) {
	if header.Size > s.limits.List {
		return Manifest{}, errLongList(s.limits.List)
	}
	text, err := io.ReadAll(s.in)
	if err != nil {
		return Manifest{}, fmt.Errorf("%w: it is damaged in its list of sums (%w)", ErrCorrupt, err)
	}
	var m Manifest
	if err := json.Unmarshal(text, &m); err != nil {
		return Manifest{}, fmt.Errorf("%w: its list of sums cannot be read (%w)", ErrCorrupt, err)
	}
	if m.Version != manifestVersion {
		return Manifest{}, fmt.Errorf("it is of version %d, and this popup reads version %d: use the popup that made it", m.Version, manifestVersion)
	}
	for i, want := range m.Entries {
		if i == len(s.entries) {
			return Manifest{}, fmt.Errorf("%w: %q is missing", ErrCorrupt, want.Path)
		}
		got := s.entries[i]
		got.Changed, got.Database = want.Changed, want.Database
		if got != want {
			return Manifest{}, fmt.Errorf("%w: %q is not what its list of sums says", ErrCorrupt, got.Path)
		}
	}
	if len(m.Entries) < len(s.entries) {
		return Manifest{}, fmt.Errorf("%w: %q is not in its list of sums", ErrCorrupt, s.entries[len(m.Entries)].Path)
	}
	return m, nil
}

// ended refuses anything after the manifest.
func (s *scan) ended(plain io.Reader) error {
	if _, err := s.in.Next(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: it does not end after its list of sums", ErrCorrupt)
	}
	if n, err := io.Copy(io.Discard, io.LimitReader(plain, 1)); err != nil || n > 0 {
		return fmt.Errorf("%w: it does not end after its list of sums", ErrCorrupt)
	}
	return nil
}

// broken says how an archive ends that has no manifest.
func (s *scan) broken(err error) error {
	where := "at its beginning"
	if n := len(s.entries); n > 0 {
		where = fmt.Sprintf("after %q", s.entries[n-1].Path)
	}
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%w: it is cut short %s", ErrCorrupt, where)
	case errors.Is(err, zstd.ErrMagicMismatch) && len(s.entries) == 0:
		return fmt.Errorf("%w: it is not an archive that popup made", ErrCorrupt)
	}
	return fmt.Errorf("%w: it is damaged %s (%w)", ErrCorrupt, where, err)
}

// watched remembers that reading failed, whoever else gets to see it.
type watched struct {
	r   io.Reader
	err error
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		w.err = err
	}
	return n, err
}
