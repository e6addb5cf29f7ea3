package datasync

import (
	"context"
	"errors"
	"io"
	"syscall"

	"popup/internal/git"
	"popup/internal/tree"
)

// A download is an archive while it is sent. It is bounded, and keeps the first
// error of the network, which the readers of archives take for one of the archive.
type download struct {
	from  io.Reader
	left  int64
	limit int64
	err   error
}

func (d *download) Read(p []byte) (int, error) {
	n, err := d.from.Read(p)
	if d.left -= int64(n); d.left < 0 {
		err = &tree.LimitError{What: "bytes", Limit: d.limit}
	}
	if err != nil && err != io.EOF && d.err == nil {
		d.err = err
	}
	return n, err
}

// readArchive unpacks an archive while it is sent. What is wrong with the archive
// itself is git.Content.
func readArchive(ctx context.Context, from io.Reader, w *tree.Writer, limits tree.Limits) error {
	d := &download{from: from, left: limits.Bytes + overheadEach*int64(limits.Files) + overheadWhole, limit: limits.Bytes}
	err := unpack(ctx, d, w, limits)
	var limit *tree.LimitError
	var entry *tree.EntryError
	var disk syscall.Errno
	switch {
	case err == nil, ctx.Err() != nil:
		return errors.Join(err, ctx.Err())
	case d.err != nil:
		return d.err
	case errors.As(err, &limit), errors.As(err, &entry), errors.As(err, &disk):
		return err
	}
	return &git.Error{Class: git.Content, Err: explainArchive(err)}
}
