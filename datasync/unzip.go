package datasync

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"popup/internal/tree"
)

// unzipStream reads a zip from a file, or from what is written to one first: a zip's
// list of contents stands at its end. buffered reads all of from.
func unzipStream(ctx context.Context, from, buffered io.Reader, w *tree.Writer) (err error) {
	if f, ok := from.(*os.File); ok {
		info, err := f.Stat()
		if err != nil {
			return err
		}
		return unzip(ctx, f, info.Size(), w)
	}
	f, _, err := w.Temp()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	size, err := io.Copy(f, buffered)
	if err != nil {
		return err
	}
	return unzip(ctx, f, size, w)
}

// unzip writes what a zip holds. The sizes it says of itself are not believed.
func unzip(ctx context.Context, from io.ReaderAt, size int64, w *tree.Writer) error {
	z, err := zip.NewReader(from, size)
	if errors.Is(err, zip.ErrFormat) {
		return errTruncated // its list of contents stands at its end
	}
	if err != nil {
		return err
	}
	for _, f := range z.File {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := writeZipEntry(f, w); err != nil {
			return err
		}
	}
	return nil
}

func writeZipEntry(f *zip.File, w *tree.Writer) (err error) {
	mode := f.Mode()
	if mode.IsDir() {
		return w.Dir(f.Name)
	}
	if !mode.IsRegular() && mode&fs.ModeSymlink == 0 {
		return &tree.EntryError{Name: f.Name, Why: "is neither a file, a folder nor a symlink"}
	}
	if f.Flags&1 != 0 {
		return &tree.EntryError{Name: f.Name, Why: "is encrypted; make the archive without a password"}
	}
	content, err := f.Open()
	if errors.Is(err, zip.ErrAlgorithm) {
		return &tree.EntryError{Name: f.Name, Why: fmt.Sprintf("is compressed by method %d, which is not read here; use deflate", f.Method)}
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, content.Close()) }()
	if mode.IsRegular() {
		return w.File(f.Name, tree.FileMode(mode), int64(f.UncompressedSize64), content)
	}
	target, err := io.ReadAll(io.LimitReader(content, 1<<16))
	if err != nil {
		return err
	}
	return w.Symlink(f.Name, string(target))
}
