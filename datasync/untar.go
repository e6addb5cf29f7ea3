package datasync

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"popup/internal/tree"
)

// Each entry may take this many bytes of a tar besides its content, and the whole this many more.
const (
	overheadEach  = 4 << 10
	overheadWhole = 1 << 20
)

// untar writes what a tar holds, as tar x would.
func untar(ctx context.Context, from io.Reader, w *tree.Writer, limits tree.Limits) error {
	stream := &tarStream{from: from, left: limits.Bytes + overheadEach*int64(limits.Files) + overheadWhole, limit: limits.Bytes}
	for r := tar.NewReader(stream); ; {
		if err := ctx.Err(); err != nil {
			return err
		}
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return badTar(err)
		}
		if err := writeTarEntry(h, r, w); err != nil {
			return badTar(err)
		}
	}
	// What follows the end says whether the stream was whole: a compressed one has
	// its checksum there.
	if _, err := io.Copy(io.Discard, stream); err != nil {
		return err
	}
	if stream.zeros < blockSize {
		return errTruncated
	}
	return nil
}

func writeTarEntry(h *tar.Header, content io.Reader, w *tree.Writer) error {
	switch h.Typeflag {
	case tar.TypeReg:
		return w.File(h.Name, tree.FileMode(fs.FileMode(h.Mode)), h.Size, content)
	case tar.TypeDir:
		return w.Dir(h.Name)
	case tar.TypeSymlink:
		return w.Symlink(h.Name, h.Linkname)
	case tar.TypeLink:
		return w.Link(h.Name, h.Linkname)
	case tar.TypeXGlobalHeader: // a note to the reader of the archive
		return nil
	case tar.TypeChar, tar.TypeBlock:
		return &tree.EntryError{Name: h.Name, Why: "is a device; an archive of data holds files, folders and links"}
	case tar.TypeFifo:
		return &tree.EntryError{Name: h.Name, Why: "is a named pipe; an archive of data holds files, folders and links"}
	}
	return &tree.EntryError{Name: h.Name, Why: fmt.Sprintf("is of the unknown kind %q; an archive of data holds files, folders and links", h.Typeflag)}
}

func badTar(err error) error {
	if errors.Is(err, tar.ErrHeader) || errors.Is(err, tar.ErrFieldTooLong) {
		return fmt.Errorf("the archive is damaged: %w", err)
	}
	return err
}

const blockSize = 512

// A tarStream bounds what a stream unpacks to, and counts the zero bytes it ends with:
// a tar ends with blocks of them.
type tarStream struct {
	from  io.Reader
	left  int64
	limit int64
	zeros int
}

func (m *tarStream) Read(p []byte) (int, error) {
	n, err := m.from.Read(p)
	if m.left -= int64(n); m.left < 0 {
		return n, &tree.LimitError{What: "bytes", Limit: m.limit}
	}
	trailing := 0
	for trailing < n && p[n-1-trailing] == 0 {
		trailing++
	}
	if trailing < n {
		m.zeros = 0
	}
	m.zeros = min(m.zeros+trailing, blockSize)
	return n, err
}
