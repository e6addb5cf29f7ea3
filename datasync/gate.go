package datasync

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/goccy/go-yaml"
	"popup/internal/git"
	"popup/internal/tree"
)

// Limits bound what a revision may be.
type Limits struct {
	Bytes  int64 // of all its files; 0: 1 GiB
	Files  int   // entries: files, folders and links; 0: 100,000
	Shrink int   // percent of its bytes a revision may lose against the current one; 0: any
}

func (l Limits) tree() tree.Limits { return tree.Limits{Bytes: l.Bytes, Files: l.Files} }

// The gates a revision passes before it may be published.
const (
	GateArchive = "archive" // the archive is there, whole, and holds nothing that is refused
	GateContent = "content" // so does the source's own tree
	GateSize    = "size"
	GateEmpty   = "empty"
	GateShrink  = "shrink"
	GateSchema  = "schema"
	GateCheck   = "check"

	GateSignature = "signature" // somebody who may, signed the commit
	GateRewind    = "rewind"    // it follows what is served
)

// A GateError says which gate a revision did not pass, and why.
type GateError struct {
	Revision Revision
	Gate     string
	Err      error
}

func (e *GateError) Error() string {
	return fmt.Sprintf("revision %s is not published: %v", e.Revision.Short(), e.Err)
}

func (e *GateError) Unwrap() error { return e.Err }

// gate holds the tree in dir against the limits.
func (s *Syncer) gate(ctx context.Context, rev Revision, dir string, index *tree.Index) error {
	size := index.Size()
	refuse := func(gate string, err error) error { return &GateError{rev, gate, err} }
	limits := s.config.Limits.tree().OrDefault()
	switch {
	case size.Files == 0:
		return refuse(GateEmpty, errors.New("it holds no file at all; if it is really meant to be empty, put a file in it"))
	case size.Bytes > limits.Bytes:
		return refuse(GateSize, &tree.LimitError{What: "bytes", Limit: limits.Bytes})
	case size.Entries > limits.Files:
		return refuse(GateSize, &tree.LimitError{What: "entries", Limit: int64(limits.Files)})
	}
	if err := s.checkShrink(ctx, size); err != nil {
		return refuse(GateShrink, err)
	}
	schema, err := readSchema(dir)
	if err != nil {
		return refuse(GateSchema, err)
	}
	if reads := s.schema(); reads > 0 && schema > reads {
		return refuse(GateSchema, fmt.Errorf("its schema is %d and the service reads up to %d; it waits for a service that reads it", schema, reads))
	}
	return nil
}

// checkShrink refuses a tree that lost too much against the current one.
func (s *Syncer) checkShrink(ctx context.Context, size tree.Size) error {
	current, ok := s.config.Publisher.Current()
	if !ok || s.config.Limits.Shrink <= 0 {
		return nil
	}
	before, err := s.config.Publisher.size(ctx, current)
	if err != nil {
		return nil // nothing to hold it against
	}
	if lost := before.Bytes - size.Bytes; lost*100 > int64(s.config.Limits.Shrink)*before.Bytes {
		return fmt.Errorf("it has %s where what is served has %s: it lost %d%%, and %d%% is the limit; if that is right, raise limits.shrink",
			tree.Bytes(size.Bytes), tree.Bytes(before.Bytes), lost*100/before.Bytes, s.config.Limits.Shrink)
	}
	return nil
}

// SchemaFile is the file at the root of data that says which schema it has.
const SchemaFile = ".popup-data.yaml"

// maxSchemaFile bounds that file.
const maxSchemaFile = 64 << 10

// readSchema reads the schema that the data in dir has; 0: it does not say.
func readSchema(dir string) (_ int, err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	info, err := root.Stat(SchemaFile)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxSchemaFile {
		return 0, fmt.Errorf("%s must be a file of at most %s", SchemaFile, tree.Bytes(maxSchemaFile))
	}
	f, err := root.Open(SchemaFile)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	text, err := io.ReadAll(io.LimitReader(f, maxSchemaFile))
	if err != nil {
		return 0, err
	}
	return parseSchema(text)
}

// parseSchema reads the text of a SchemaFile. Other keys are left to newer versions.
func parseSchema(text []byte) (int, error) {
	var file struct {
		Schema int `yaml:"schema"`
	}
	if err := yaml.Unmarshal(text, &file); err != nil || file.Schema < 0 {
		return 0, fmt.Errorf("%s does not say its schema; write one line like schema: 3", SchemaFile)
	}
	return file.Schema, nil
}

// contentFault says whether err is the fault of what a revision holds, so that the
// same revision would fail again. What says itself that it may not, is none.
func contentFault(err error) bool {
	var limit *tree.LimitError
	var entry *tree.EntryError
	var gate *GateError
	var known *git.Error
	return errors.As(err, &limit) || errors.As(err, &entry) || errors.As(err, &gate) ||
		errors.As(err, &known) && !known.Retry && (known.Class == git.TooLarge || known.Class == git.Content)
}
