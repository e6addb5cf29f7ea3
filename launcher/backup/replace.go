package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	"popup/internal/archive"
)

// A state is replaced within its folder, which may be a disk of its own:
//
//	receive   what is restored comes into arriving, all of it
//	replace   what there was goes into leaving, which is then called before; and what
//	          came moves up
//	keep      before is called over, from which moment what came is the state
//	settle    what a crash left is gone back on, or, after that moment, finished
//
// They are in no archive.
const (
	arriving = ".popup-arriving"
	leaving  = ".popup-leaving"
	before   = ".popup-before"
	over     = ".popup-over"
)

// isOurs says whether a name at the top of a state is for replacing it.
func isOurs(name string) bool {
	return name == arriving || name == leaving || name == before || name == over
}

// IsEmpty says whether a state holds nothing of an app's. What a file system has of
// itself does not count.
func IsEmpty(state *os.Root) (bool, error) {
	left, err := names(state)
	if err != nil {
		return false, fmt.Errorf("look at the state: %w", err)
	}
	for _, name := range left {
		if !isOurs(name) && name != lostAndFound {
			return false, nil
		}
	}
	return true, nil
}

// lostAndFound is at the top of a disk, and its file system's.
const lostAndFound = "lost+found"

// Receive restores an archive beside a state, for Replace; owner, when it is not nil, is
// given the folder before. After an error nothing of it is there.
func Receive(ctx context.Context, r io.Reader, state *os.Root, limits archive.Limits, own func(*os.Root) error) (m archive.Manifest, err error) {
	if err := remove(state, arriving); err != nil {
		return m, fmt.Errorf("restore backup: %w", err)
	}
	if err := state.Mkdir(arriving, 0o700); err != nil {
		return m, fmt.Errorf("restore backup: %w", archive.Explain(err, state.Name()))
	}
	aside, err := openOwn(state, arriving)
	if err != nil {
		return m, fmt.Errorf("restore backup: %w", err)
	}
	m, err = Restore(ctx, r, aside, limits)
	if err == nil && own != nil {
		err = own(aside)
	}
	err = errors.Join(err, aside.Close())
	if err != nil {
		return archive.Manifest{}, errors.Join(err, remove(state, arriving))
	}
	return m, nil
}

// openOwn opens a folder that was made just now. The app can rename it, for the state is
// the app's, but not make another that belongs to whoever runs this.
func openOwn(state *os.Root, name string) (*os.Root, error) {
	dir, err := state.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	info, err := dir.Stat(".")
	if err == nil {
		if sys, ok := info.Sys().(*syscall.Stat_t); !ok || sys.Uid != uint32(os.Geteuid()) || info.Mode().Perm() != 0o700 {
			err = fmt.Errorf("%s is not the folder that was made for it", name)
		}
	}
	if err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	return dir, nil
}

// Replace puts what Receive restored in the place of the state, which is kept beside it
// for Settle, until Keep. Nobody may use the state meanwhile.
func Replace(state *os.Root) error {
	if err := run(replacing(state)); err != nil {
		return errors.Join(fmt.Errorf("replace the state: %w", err), Settle(state))
	}
	return nil
}

// Keep makes what Replace put there the state, for good.
func Keep(state *os.Root) error {
	if err := run([]func() error{rename(state, before, over), synced(state)}); err != nil {
		return fmt.Errorf("keep the restored state: %w", err)
	}
	return nil
}

// Kept says whether Keep was the last that happened to a state.
func Kept(state *os.Root) bool { return there(state, over) }

// Settle finishes what was kept, and goes back on what was not. A state that was not
// being replaced stays as it is.
func Settle(state *os.Root) error {
	if err := run(settling(state)); err != nil {
		return fmt.Errorf("settle the state: %w", err)
	}
	return nil
}

// What happens, one rename at a time: after each the machine may stop.

func replacing(state *os.Root) []func() error {
	return []func() error{
		func() error { return state.Mkdir(leaving, 0o700) },
		func() error { return move(state, ".", leaving) },
		synced(state),
		rename(state, leaving, before),
		func() error { return move(state, arriving, ".") },
		synced(state),
		func() error { return remove(state, arriving) },
	}
}

// settling has the old state in leaving and at the top together before any of it moves
// up, so that it does not matter how often it is begun.
func settling(state *os.Root) (steps []func() error) {
	if there(state, over) {
		return []func() error{func() error { return remove(state, arriving) }, func() error { return remove(state, over) }}
	}
	if there(state, before) {
		steps = []func() error{
			func() error { return move(state, ".", arriving) },
			synced(state),
			rename(state, before, leaving),
		}
	}
	return append(steps,
		func() error { return move(state, leaving, ".") },
		synced(state),
		func() error { return remove(state, leaving) },
		func() error { return remove(state, arriving) },
	)
}

func run(steps []func() error) error {
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func there(state *os.Root, name string) bool {
	info, err := state.Lstat(name)
	return err == nil && info.IsDir()
}

func rename(state *os.Root, from, to string) func() error {
	return func() error { return state.Rename(from, to) }
}

func synced(state *os.Root) func() error {
	return func() error {
		dir, err := state.Open(".")
		if err != nil {
			return err
		}
		return errors.Join(dir.Sync(), dir.Close())
	}
}

// move moves what is of the app's from one folder of the state to another.
func move(state *os.Root, from, to string) error {
	dir, err := state.OpenRoot(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	all, err := names(dir)
	if err := errors.Join(err, dir.Close()); err != nil {
		return err
	}
	if err := state.Mkdir(to, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	for _, name := range all {
		if isOurs(name) || name == lostAndFound {
			continue
		}
		if err := state.Rename(from+"/"+name, to+"/"+name); err != nil {
			return err
		}
	}
	return nil
}

func remove(state *os.Root, name string) error {
	err := state.RemoveAll(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
