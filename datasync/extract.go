package datasync

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/klauspost/compress/zstd"
	"popup/internal/tree"
)

// extract unpacks the one archive of from that pattern names, a path or a glob. What
// it holds is held against limits while it is written.
func extract(ctx context.Context, from *os.Root, pattern string, w *tree.Writer, limits tree.Limits) (index *tree.Index, err error) {
	name, err := pickArchive(from.FS(), pattern)
	if err != nil {
		return nil, err
	}
	f, err := from.Open(name)
	if err != nil {
		return nil, fmt.Errorf("extract %s: %w", name, err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err = unpack(ctx, f, w, limits.OrDefault()); err == nil {
		index, err = w.Finish()
	}
	if err != nil {
		return nil, fmt.Errorf("extract %s: %w", name, explainArchive(err))
	}
	return index, nil
}

// pickArchive finds the one file that pattern matches.
func pickArchive(from fs.FS, pattern string) (string, error) {
	clean, err := tree.Clean(pattern)
	if err != nil {
		return "", fmt.Errorf("find archive: %w", err)
	}
	names := []string{clean}
	if strings.ContainsAny(clean, `*?[\`) {
		if names, err = fs.Glob(from, clean); err != nil {
			return "", fmt.Errorf("find archive: %s is not a pattern: %w", strconv.Quote(pattern), err)
		}
	}
	switch info, err := statOne(from, names); {
	case len(names) > 1:
		return "", fmt.Errorf("find archive: %s matches %d files (%s); write a pattern that only one matches",
			strconv.Quote(pattern), len(names), someNames(names))
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("find archive: nothing is called %s there%s", strconv.Quote(pattern), candidates(from, path.Dir(clean)))
	case err != nil:
		return "", fmt.Errorf("find archive: %w", err)
	case !info.Mode().IsRegular():
		return "", fmt.Errorf("find archive: %s is not a file", strconv.Quote(names[0]))
	}
	return names[0], nil
}

func statOne(from fs.FS, names []string) (fs.FileInfo, error) {
	if len(names) == 0 {
		return nil, fs.ErrNotExist
	}
	return fs.Stat(from, names[0])
}

// candidates says which files there are instead.
func candidates(from fs.FS, dir string) string {
	entries, err := fs.ReadDir(from, dir)
	if err != nil {
		return ""
	}
	var names []string
	for _, e := range entries {
		if e.Type().IsRegular() {
			names = append(names, e.Name())
		}
	}
	if len(names) == 0 {
		return ""
	}
	return "; there are: " + someNames(names)
}

func someNames(names []string) string {
	slices.Sort(names)
	const most = 5
	text := make([]string, 0, most)
	for _, n := range names[:min(len(names), most)] {
		text = append(text, strconv.Quote(n))
	}
	if len(names) > most {
		text = append(text, fmt.Sprintf("and %d more", len(names)-most))
	}
	return strings.Join(text, ", ")
}

var (
	errNotArchive = errors.New("it is not an archive that is read here; make it a tar, tar.gz, tar.zst or zip")
	errTruncated  = errors.New("the archive is truncated: it ends in the middle; make and upload it again")
)

// maxWindow is the memory a zstd stream may ask for.
const maxWindow = 64 << 20

// unpack reads an archive of any kind, told by its first bytes.
func unpack(ctx context.Context, from io.Reader, w *tree.Writer, limits tree.Limits) error {
	r := bufio.NewReaderSize(from, 64<<10)
	start, err := r.Peek(blockSize)
	if err != nil && err != io.EOF {
		return err
	}
	has := func(magic string) bool { return bytes.HasPrefix(start, []byte(magic)) }
	switch {
	case len(start) == 0:
		return errors.New("it is empty")
	case has("PK\x03\x04"), has("PK\x05\x06"):
		return unzipStream(ctx, from, r, w)
	case has("\x1f\x8b"):
		z, err := gzip.NewReader(r)
		if err != nil {
			return err
		}
		return untar(ctx, z, w, limits) // to close it tells nothing that reading did not
	case has("\x28\xb5\x2f\xfd"):
		z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return err
		}
		defer z.Close()
		return untar(ctx, z, w, limits)
	case has("\xfd7zXZ\x00"), has("BZh"):
		return errors.New("it is compressed by xz or bzip2, which is not read here; make it a tar.gz or tar.zst")
	case len(start) >= 262 && string(start[257:262]) == "ustar":
		return untar(ctx, r, w, limits)
	}
	return errNotArchive
}

// explainArchive says in words what the readers of archives say in terms.
func explainArchive(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return errTruncated
	}
	var corrupt flate.CorruptInputError
	if errors.As(err, &corrupt) || errors.Is(err, gzip.ErrHeader) || errors.Is(err, gzip.ErrChecksum) {
		return fmt.Errorf("the archive is damaged: %w", err)
	}
	return err
}
