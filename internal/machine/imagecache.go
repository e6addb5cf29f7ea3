package machine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// keptImages is how many images a cache keeps, those used last; an image is
	// about 1 GB.
	keptImages = 3
	// tmpPrefix begins the name of what is being built.
	tmpPrefix = "tmp-"
	lockName  = "lock"
	lockEvery = 250 * time.Millisecond
)

// An imageCache is a folder of images under their keys. What is under its key
// is whole: it is built aside and renamed. The lock is held while something is
// built or removed, so that two programs never build the same image twice.
type imageCache struct{ dir string }

// DefaultCache is the folder of images where none is named.
func DefaultCache() (string, error) {
	user, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the cache folder: %w; name one", err)
	}
	return filepath.Join(user, "popup", "machine"), nil
}

func openImageCache(dir string) (imageCache, error) {
	if dir == "" {
		var err error
		if dir, err = DefaultCache(); err != nil {
			return imageCache{}, err
		}
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return imageCache{}, fmt.Errorf("find the cache folder: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return imageCache{}, fmt.Errorf("make the cache folder: %w", err)
	}
	return imageCache{dir: dir}, nil
}

// image returns the image under key, built first when it is not there.
func (c imageCache) image(ctx context.Context, key string, build func(ctx context.Context, dir string) error) (_ *Image, err error) {
	path := filepath.Join(c.dir, key)
	lockPath := filepath.Join(c.dir, lockName)
	once, cancel := context.WithCancel(ctx)
	cancel()
	lock, err := lockFile(once, lockPath, unix.LOCK_EX)
	if errors.Is(err, context.Canceled) {
		if image, err := OpenImage(path); err == nil { // who builds another need not be waited for
			return image, nil
		}
		lock, err = lockFile(ctx, lockPath, unix.LOCK_EX)
	}
	if err != nil {
		return nil, fmt.Errorf("lock the cache folder: %w", err)
	}
	defer func() { err = errors.Join(err, lock.Close()) }()

	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		if err := c.make(ctx, path, build); err != nil {
			return nil, err
		}
	} else if err != nil {
		return nil, err
	}
	now := time.Now()
	if err := os.Chtimes(path, now, now); err != nil {
		return nil, fmt.Errorf("mark the image as used: %w", err)
	}
	held, err := lockFile(ctx, path, unix.LOCK_SH)
	if err != nil {
		return nil, fmt.Errorf("hold the image: %w", err)
	}
	if err := c.prune(); err != nil {
		return nil, errors.Join(fmt.Errorf("remove old images: %w", err), held.Close())
	}
	return &Image{dir: path, lock: held}, nil
}

// make builds an image aside and gives it its name. What a build that was
// killed left behind is removed first: the lock says that nobody is building.
func (c imageCache) make(ctx context.Context, path string, build func(ctx context.Context, dir string) error) error {
	entries, err := os.ReadDir(c.dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), tmpPrefix) {
			if err := removeTree(filepath.Join(c.dir, entry.Name())); err != nil {
				return fmt.Errorf("remove an unfinished image: %w", err)
			}
		}
	}
	tmp, err := os.MkdirTemp(c.dir, tmpPrefix)
	if err != nil {
		return err
	}
	if err := os.Chmod(tmp, 0o755); err != nil {
		return err
	}
	if err := build(ctx, tmp); err != nil {
		return errors.Join(err, removeTree(tmp))
	}
	return os.Rename(tmp, path)
}

// prune removes all but the images used last. One that is in use, or is needed, stays.
func (c imageCache) prune() error {
	entries, err := os.ReadDir(c.dir)
	if err != nil {
		return err
	}
	type image struct {
		path string
		used time.Time
	}
	var images []image
	for _, entry := range entries {
		if !entry.IsDir() || strings.HasPrefix(entry.Name(), tmpPrefix) {
			continue
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		images = append(images, image{filepath.Join(c.dir, entry.Name()), info.ModTime()})
	}
	slices.SortFunc(images, func(a, b image) int { return b.used.Compare(a.used) })
	for _, old := range images[min(keptImages, len(images)):] {
		if err := removeUnused(old.path); err != nil {
			return err
		}
	}
	return nil
}

// usersName is the folder, beside an image's files, of links to the links of those that
// need the image also while none of them runs.
const usersName = "users"

// KeepFor keeps the image from being removed for as long as there is, at path, a link to
// it: what a machine wrote is worth nothing without it. It is called before the link is
// made, while the image is open.
func (i *Image) KeepFor(path string) error {
	sum := sha256.Sum256([]byte(path))
	users := filepath.Join(i.dir, usersName)
	if err := os.Mkdir(users, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("keep machine image: %w", err)
	}
	if err := os.Symlink(path, filepath.Join(users, hex.EncodeToString(sum[:8]))); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("keep machine image: %w", err)
	}
	return nil
}

// isKept says whether somebody's link still leads to an image.
func isKept(path string) (bool, error) {
	users := filepath.Join(path, usersName)
	entries, err := os.ReadDir(users)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	for _, entry := range entries {
		link, err := os.Readlink(filepath.Join(users, entry.Name()))
		if err != nil {
			return false, err
		}
		if to, err := os.Readlink(link); err == nil && to == path {
			return true, nil
		}
	}
	return false, nil
}

// removeUnused removes an image nobody holds or needs.
func removeUnused(path string) (err error) {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil
	}
	if err != nil {
		return err
	}
	if kept, err := isKept(path); err != nil || kept {
		return err
	}
	// Renamed first: a half-removed image must not be found under its name.
	aside := filepath.Join(filepath.Dir(path), tmpPrefix+filepath.Base(path))
	if err := os.Rename(path, aside); err != nil {
		return err
	}
	return removeTree(aside)
}

// removeTree removes a folder, unless something is still mounted in it: a build
// that was killed may have left this machine's /dev there.
func removeTree(path string) error {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(mounts)) {
		if field := strings.Fields(line); len(field) > 4 && strings.HasPrefix(field[4], path+"/") {
			return fmt.Errorf("%s is still mounted: umount it", field[4])
		}
	}
	return os.RemoveAll(path)
}

// lockFile opens path, a folder or a file that is made when it is missing, and
// waits for its lock.
func lockFile(ctx context.Context, path string, how int) (*os.File, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		f, err = os.OpenFile(path, os.O_RDONLY|os.O_CREATE, 0o600)
	}
	if err != nil {
		return nil, err
	}
	tick := time.NewTicker(lockEvery)
	defer tick.Stop()
	for {
		err := unix.Flock(int(f.Fd()), how|unix.LOCK_NB)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			return nil, errors.Join(err, f.Close())
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), f.Close())
		case <-tick.C:
		}
	}
}
