package datasync

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"popup/internal/atomicfile"
)

// What a relay's files are served as: who reads the head asks whether it is still the
// same, and an archive never changes.
const (
	relayHeadCaching    = "no-cache"
	relayArchiveCaching = "public, max-age=31536000, immutable"
	relayArchiveMedia   = "application/zstd"
)

func relayCaching(name string) (mediaType, caching string) {
	if name == relayHeadName {
		return "application/json", relayHeadCaching
	}
	return relayArchiveMedia, relayArchiveCaching
}

// A relayStore is where a relay's files lie.
type relayStore interface {
	// Head is the content of relayHeadName; its error is fs.ErrNotExist where there is none.
	Head(ctx context.Context) ([]byte, error)
	// Put puts a file there, whole, in the place of one of that name.
	Put(ctx context.Context, name string, content io.ReadSeeker) error
	// List is what is there, with sizes. What lies below folders is left out.
	List(ctx context.Context) (map[string]int64, error)
	// Remove removes a file. One that is not there is fine.
	Remove(ctx context.Context, name string) error
	String() string
}

// openRelayStore opens a folder, or s3://bucket/prefix.
func openRelayStore(address string, opts SourceOptions) (relayStore, error) {
	if strings.HasPrefix(address, "s3://") {
		return newRelayBucket(address, opts)
	}
	path, local := localPath(address)
	if !local {
		return nil, errors.New("a relay is written to a folder of this machine, or to s3://bucket/prefix; give one of these, and have a web server serve it")
	}
	path, err := filepath.Abs(path)
	return relayFolder(path), err
}

// A relayFolder is a folder that a web server serves.
type relayFolder string

func (f relayFolder) String() string { return string(f) }

func (f relayFolder) path(name string) string { return filepath.Join(string(f), name) }

func (f relayFolder) Head(context.Context) (_ []byte, err error) {
	file, err := os.Open(f.path(relayHeadName))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	return io.ReadAll(io.LimitReader(file, mostRelayHead+1))
}

// Put writes beside, and renames what is durable.
func (f relayFolder) Put(ctx context.Context, name string, content io.ReadSeeker) error {
	if err := os.MkdirAll(string(f), 0o755); err != nil {
		return err
	}
	temp, err := os.CreateTemp(string(f), atomicfile.TempPrefix+name+"-")
	if err != nil {
		return err
	}
	_, err = io.Copy(temp, content)
	if err == nil {
		err = temp.Chmod(0o644)
	}
	if err == nil {
		err = temp.Sync()
	}
	err = errors.Join(err, temp.Close(), ctx.Err())
	if err == nil {
		err = os.Rename(temp.Name(), f.path(name))
	}
	if err != nil {
		return diskFull(string(f), errors.Join(err, os.Remove(temp.Name())))
	}
	return atomicfile.SyncDir(string(f))
}

func (f relayFolder) List(context.Context) (map[string]int64, error) {
	entries, err := os.ReadDir(string(f))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	files := map[string]int64{}
	for _, e := range entries {
		info, err := e.Info()
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return nil, err
		case info.Mode().IsRegular():
			files[e.Name()] = info.Size()
		}
	}
	return files, nil
}

func (f relayFolder) Remove(_ context.Context, name string) error {
	err := os.Remove(f.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
