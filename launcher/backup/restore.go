package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"popup/internal/archive"
)

// Restore writes an archive into state, which must be empty, checks every sum, and
// syncs. After an error state is empty again. Give it a folder aside, and put that
// in the state's place when Restore is done. Everything belongs to the user that
// runs it.
func Restore(ctx context.Context, r io.Reader, state *os.Root, limits archive.Limits) (archive.Manifest, error) {
	if left, err := names(state); err != nil {
		return archive.Manifest{}, fmt.Errorf("restore backup: %w", err)
	} else if len(left) > 0 {
		return archive.Manifest{}, fmt.Errorf("restore backup: %s is not empty; give an empty folder", state.Name())
	}
	rs := restorer{state}
	manifest, err := archive.Read(ctx, r, limits, rs.entry)
	if err == nil {
		err = rs.finish(manifest)
	}
	if err != nil {
		err = errors.Join(archive.Explain(err, state.Name()), rs.undo())
		return archive.Manifest{}, fmt.Errorf("restore backup: %w", err)
	}
	return manifest, nil
}

type restorer struct{ state *os.Root }

func (rs restorer) entry(e archive.Entry, contents io.Reader) error {
	switch e.Kind {
	case archive.KindFolder:
		return rs.state.Mkdir(string(e.Path), 0o700) // its own mode when it is full
	case archive.KindLink:
		return rs.state.Symlink(string(e.Target), string(e.Path))
	}
	return rs.file(e, contents)
}

func (rs restorer) file(e archive.Entry, contents io.Reader) (err error) {
	file, err := rs.state.OpenFile(string(e.Path), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if _, err := io.Copy(file, contents); err != nil {
		return err
	}
	if err := file.Chmod(fs.FileMode(e.Mode)); err != nil {
		return err
	}
	return rs.state.Chtimes(string(e.Path), time.Time{}, e.Modified)
}

// finish gives folders their modes and times, the innermost first, and syncs.
func (rs restorer) finish(m archive.Manifest) error {
	for _, e := range slices.Backward(m.Entries) {
		if e.Kind != archive.KindFolder {
			continue
		}
		if err := rs.state.Chtimes(string(e.Path), time.Time{}, e.Modified); err != nil {
			return err
		}
		if err := rs.state.Chmod(string(e.Path), fs.FileMode(e.Mode)); err != nil {
			return err
		}
	}
	dir, err := rs.state.Open(".")
	if err != nil {
		return err
	}
	if err := unix.Syncfs(int(dir.Fd())); err != nil {
		return errors.Join(fmt.Errorf("sync %s: %w", rs.state.Name(), err), dir.Close())
	}
	return dir.Close()
}

// undo empties the folder.
func (rs restorer) undo() error {
	left, err := names(rs.state)
	for _, name := range left {
		err = errors.Join(err, rs.state.RemoveAll(name))
	}
	if err != nil {
		return fmt.Errorf("empty %s again: %w", rs.state.Name(), err)
	}
	return nil
}

func names(dir *os.Root) ([]string, error) {
	file, err := dir.Open(".")
	if err != nil {
		return nil, err
	}
	names, err := file.Readdirnames(-1)
	return names, errors.Join(err, file.Close())
}
