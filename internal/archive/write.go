package archive

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/klauspost/compress/zstd"
)

// A Writer writes an archive. It is used by one goroutine. Without Close, and after an
// error, what was written is no archive.
type Writer struct {
	// Manifest is what was written so far. What an entry says of a moment (Changed) may
	// still be set until Close.
	Manifest Manifest

	out        *tar.Writer
	compressed *zstd.Encoder
}

// NewWriter begins an archive that says of itself what m does. Version and entries of m
// are the writer's to set.
func NewWriter(w io.Writer, m Manifest) (*Writer, error) {
	compressed, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(mostWindow/2))
	if err != nil {
		return nil, err
	}
	m.Version, m.Entries, m.Taken = manifestVersion, []Entry{}, m.Taken.UTC()
	return &Writer{Manifest: m, out: tar.NewWriter(compressed), compressed: compressed}, nil
}

// Add writes an entry, of a file e.Size bytes of contents as well, and notes their sum.
// A folder comes before what is in it.
func (w *Writer) Add(e Entry, contents io.Reader) error {
	if len(w.Manifest.Entries) == DefaultMostEntries {
		return fmt.Errorf("the state has more than %d files and folders; have the app clean up", DefaultMostEntries)
	}
	if err := w.out.WriteHeader(headerOf(e)); err != nil {
		return fmt.Errorf("write %q: %w", e.Path, Explain(err, "the vault"))
	}
	if e.Kind == KindFile {
		sum := sha256.New()
		if _, err := io.CopyN(io.MultiWriter(w.out, sum), contents, e.Size); err != nil {
			return fmt.Errorf("copy %q: %w", e.Path, Explain(err, "the vault"))
		}
		e.SHA256 = hexSum(sum)
	}
	w.Manifest.Entries = append(w.Manifest.Entries, e)
	return nil
}

func headerOf(e Entry) *tar.Header {
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
	return header
}

// Close writes the list of sums, which makes an archive of what was written. It does
// not close what is written to.
func (w *Writer) Close() error {
	list, err := json.Marshal(w.Manifest)
	if err != nil {
		return fmt.Errorf("write the list of sums: %w", err)
	}
	if len(list) > mostManifest {
		return errors.New("the state has so many files that their list is over 256 MiB; have the app clean up")
	}
	header := &tar.Header{
		Format: tar.FormatPAX, Typeflag: tar.TypeReg, Name: manifestName, Mode: 0o600,
		Size: int64(len(list)), ModTime: w.Manifest.Taken,
	}
	if err := w.out.WriteHeader(header); err != nil {
		return Explain(err, "the vault")
	}
	if _, err := w.out.Write(list); err != nil {
		return Explain(err, "the vault")
	}
	return Explain(errors.Join(w.out.Close(), w.compressed.Close()), "the vault")
}

func hexSum(sum hash.Hash) string { return hex.EncodeToString(sum.Sum(nil)) }
