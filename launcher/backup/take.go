package backup

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"
)

// TakeOptions say what an archive says of itself.
type TakeOptions struct {
	App      string
	Instance string
	At       time.Time // when it is taken; zero: now
}

// Take writes everything below state to w, as an archive. Sockets, pipes, devices,
// and links that lead out of state are left out and named in the manifest.
//
// A file that is written to while it is read is read again; one that never holds
// still, or is too big to be read again, is kept and marked as changed. An SQLite
// database and its journals count as one file. That is safe while nothing writes;
// a backup of a database that is written to all the time needs SQLite's own means,
// which the app's pre_backup script can use.
//
// After an error, what was written to w is no archive. Take does not close w.
func Take(ctx context.Context, state *os.Root, w io.Writer, opts TakeOptions) (Manifest, error) {
	if opts.At.IsZero() {
		opts.At = time.Now()
	}
	compressed, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(mostWindow/2))
	if err != nil {
		return Manifest{}, fmt.Errorf("take backup: %w", err)
	}
	t := &taker{
		state: state,
		out:   tar.NewWriter(compressed),
		done:  map[string]bool{},
		manifest: Manifest{
			Version: manifestVersion, App: opts.App, Instance: opts.Instance, Taken: opts.At.UTC(), Entries: []Entry{},
		},
	}
	if err := errors.Join(t.folder(ctx, "."), ctx.Err()); err != nil {
		return Manifest{}, fmt.Errorf("take backup: %w", err)
	}
	if err := errors.Join(t.finish(), compressed.Close()); err != nil {
		return Manifest{}, fmt.Errorf("take backup: %w", explain(err, "the vault"))
	}
	return t.manifest, nil
}

// A taker is one Take.
type taker struct {
	state    *os.Root
	out      *tar.Writer
	manifest Manifest
	done     map[string]bool // files that were taken together with another
}

// errGone says that something is no longer there. It is not an error from the
// vault, which may miss things of its own.
var errGone = errors.New("it is gone")

func gone(verb, name string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return errGone
	}
	return fmt.Errorf("%s %q: %w", verb, name, err)
}

// folder takes what is in a folder. What vanishes meanwhile was never there.
func (t *taker) folder(ctx context.Context, name string) error {
	entries, err := t.list(name)
	if err != nil {
		return gone("list", name, err)
	}
	for _, entry := range entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := t.entry(ctx, path.Join(name, entry.Name()))
		if err != nil && !errors.Is(err, errGone) {
			return err
		}
	}
	return nil
}

func (t *taker) list(name string) ([]fs.DirEntry, error) {
	dir, err := t.state.Open(name)
	if err != nil {
		return nil, err
	}
	entries, err := dir.ReadDir(-1)
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries, errors.Join(err, dir.Close())
}

func (t *taker) entry(ctx context.Context, name string) error {
	if t.done[name] {
		return nil
	}
	info, err := t.state.Lstat(name)
	if err != nil {
		return gone("look at", name, err)
	}
	switch info.Mode().Type() {
	case 0:
		return t.file(ctx, name)
	case fs.ModeDir:
		if err := t.add(folderEntry(name, info)); err != nil {
			return err
		}
		return t.folder(ctx, name)
	case fs.ModeSymlink:
		return t.link(name)
	case fs.ModeSocket:
		t.leaveOut(name, "a socket")
	case fs.ModeNamedPipe:
		t.leaveOut(name, "a pipe")
	default:
		t.leaveOut(name, "a device")
	}
	return nil
}

func folderEntry(name string, info fs.FileInfo) Entry {
	return Entry{Path: Name(name), Kind: KindFolder, Mode: Mode(info.Mode().Perm()), Modified: info.ModTime().UTC()}
}

func (t *taker) link(name string) error {
	target, err := t.state.Readlink(name)
	if err != nil {
		return gone("read link", name, err)
	}
	if !staysInside(name, target) {
		t.leaveOut(name, fmt.Sprintf("a link that leads out, to %q", target))
		return nil
	}
	return t.add(Entry{Path: Name(name), Kind: KindLink, Target: Name(target)})
}

func (t *taker) leaveOut(name, why string) {
	t.manifest.LeftOut = append(t.manifest.LeftOut, LeftOut{Path: Name(name), Why: why})
}

// add writes the header of e. The contents of a file follow it.
func (t *taker) add(e Entry) error {
	if len(t.manifest.Entries) == DefaultMostEntries {
		return fmt.Errorf("the state has more than %d files and folders; have the app clean up", DefaultMostEntries)
	}
	t.manifest.Entries = append(t.manifest.Entries, e)
	header := &tar.Header{Format: tar.FormatPAX, Name: statePrefix + string(e.Path), Mode: int64(e.Mode), ModTime: e.Modified}
	switch e.Kind {
	case KindFile:
		header.Typeflag, header.Size = tar.TypeReg, e.Size
	case KindFolder:
		header.Typeflag = tar.TypeDir
		header.Name += "/"
	case KindLink:
		header.Typeflag, header.Linkname = tar.TypeSymlink, string(e.Target)
	}
	if err := t.out.WriteHeader(header); err != nil {
		return fmt.Errorf("write %q: %w", e.Path, explain(err, "the vault"))
	}
	return nil
}

// finish writes the manifest, which makes an archive of what was written.
func (t *taker) finish() error {
	list, err := json.Marshal(t.manifest)
	if err != nil {
		return fmt.Errorf("write the list of sums: %w", err)
	}
	if len(list) > mostManifest {
		return errors.New("the state has so many files that their list is over 256 MiB; have the app clean up")
	}
	header := &tar.Header{
		Format: tar.FormatPAX, Typeflag: tar.TypeReg, Name: manifestName, Mode: 0o600,
		Size: int64(len(list)), ModTime: t.manifest.Taken,
	}
	if err := t.out.WriteHeader(header); err != nil {
		return err
	}
	if _, err := t.out.Write(list); err != nil {
		return err
	}
	return t.out.Close()
}
