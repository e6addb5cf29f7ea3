package datasync

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strconv"

	"github.com/klauspost/compress/zstd"
	"popup/internal/tree"
)

// relayTrees is the first member of a relay's archive: git's tree objects, the root's
// first, each after its length. They lead from the revision's id to that of every
// file, so that nothing is written which the id does not vouch for. An archive of a
// change leaves out the trees and the files that its reader has.
const relayTrees = ".popup-trees"

// mostTrees bounds that member.
const mostTrees = 64 << 20

// relayWindow is the memory that reading an archive takes, and mostHints what its
// reader knows beforehand at most.
const (
	relayWindow = 8 << 20
	mostHints   = 4 << 20
)

// relayHints are what a reader who has the tree x knows beforehand, as a dictionary of
// zstd: the ids in a folder do not compress, but for those that it had before.
func relayHints(x *tree.Index) (id uint32, hints []byte) {
	hints = encodeTrees(x, nil)
	return 1, hints[:min(len(hints), mostHints)]
}

// writeRelayArchive writes the tree x below root, but for what from has; nil: has
// nothing. The same trees make the same bytes.
func writeRelayArchive(ctx context.Context, to io.Writer, root *os.Root, x, from *tree.Index) (err error) {
	opts := []zstd.EOption{zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedBetterCompression), zstd.WithWindowSize(relayWindow)}
	if from != nil {
		opts = append(opts, zstd.WithEncoderDictRaw(relayHints(from)))
	}
	z, err := zstd.NewWriter(to, opts...)
	if err != nil {
		return err
	}
	w := tar.NewWriter(z)
	trees := encodeTrees(x, from)
	err = w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: relayTrees, Mode: 0o444, Size: int64(len(trees))})
	if err == nil {
		_, err = w.Write(trees)
	}
	for e := range x.All() {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			break
		}
		if e.Mode != tree.Folder && !holds(from, e) {
			err = writeRelayEntry(w, root, e)
		}
	}
	return errors.Join(err, w.Close(), z.Close())
}

// encodeTrees is the content of relayTrees.
func encodeTrees(x, from *tree.Index) []byte {
	var out []byte
	seen := map[tree.ID]bool{}
	add := func(id tree.ID) {
		if from != nil {
			if _, has := from.Tree(id); has {
				return
			}
		}
		content, ok := x.Tree(id)
		if !ok || seen[id] {
			return
		}
		seen[id] = true
		out = append(binary.AppendUvarint(out, uint64(len(content))), content...)
	}
	add(x.Root())
	for e := range x.All() {
		if e.Mode == tree.Folder {
			add(e.ID)
		}
	}
	return out
}

// holds says whether one who has the tree x finds the entry there, by tree.Writer.Reuse.
func holds(x *tree.Index, e tree.Entry) bool {
	if x == nil {
		return false
	}
	if there, ok := x.Lookup(e.Path); ok && there.ID == e.ID && there.Mode == e.Mode {
		return true
	}
	there, ok := x.Find(e.ID)
	return ok && there.Mode == e.Mode
}

func writeRelayEntry(w *tar.Writer, root *os.Root, e tree.Entry) error {
	h := &tar.Header{Typeflag: tar.TypeReg, Name: e.Path, Mode: 0o444, Size: e.Size}
	switch e.Mode {
	case tree.Module:
		return &tree.EntryError{Name: e.Path, Why: "is a submodule, whose commit a relay cannot vouch for; put its files into the repository, or publish without a relay"}
	case tree.Link:
		target, err := root.Readlink(e.Path)
		if err != nil {
			return err
		}
		if tree.ObjectID("blob", []byte(target)) != e.ID {
			return &tree.DamagedError{Path: e.Path, Why: "leads elsewhere"}
		}
		h.Typeflag, h.Mode, h.Linkname, h.Size = tar.TypeSymlink, 0o777, target, 0
		return w.WriteHeader(h)
	case tree.Program:
		h.Mode = 0o555
	}
	if err := w.WriteHeader(h); err != nil {
		return err
	}
	return copyVerified(w, root, e)
}

// copyVerified writes a file, and says when it is no longer what it was: a reader
// would only throw it away.
func copyVerified(w io.Writer, root *os.Root, e tree.Entry) (err error) {
	f, err := root.Open(e.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return &tree.DamagedError{Path: e.Path, Why: "is gone"}
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	sum := tree.NewHash("blob", e.Size)
	n, err := io.Copy(io.MultiWriter(w, sum), io.LimitReader(f, e.Size))
	if err == nil && (n != e.Size || tree.ID(sum.Sum(nil)) != e.ID) {
		err = &tree.DamagedError{Path: e.Path, Why: "has other contents"}
	}
	return err
}

// A relayReader writes the tree of one archive, and takes from what is here what the
// archive leaves out.
type relayReader struct {
	w     *tree.Writer
	tar   *tar.Reader
	trees map[tree.ID][]byte
	small bytes.Buffer // a file that goes through memory
}

// smallFile is the largest such one.
const smallFile = 256 << 10

// readRelayArchive writes the tree root by w. What an archive holds besides is not
// looked at, and what it lacks is an error.
func readRelayArchive(ctx context.Context, from io.Reader, root tree.ID, w *tree.Writer, limits tree.Limits) error {
	opts := []zstd.DOption{zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(relayWindow)}
	if base := w.Base(); base != nil {
		opts = append(opts, zstd.WithDecoderDictRaw(relayHints(base.Index)))
	}
	z, err := zstd.NewReader(from, opts...)
	if err != nil {
		return err
	}
	defer z.Close()
	left := limits.Bytes + overheadEach*int64(limits.Files) + overheadWhole + mostTrees
	stream := &tarStream{from: z, left: left, limit: limits.Bytes}
	r := &relayReader{w: w, tar: tar.NewReader(stream)}
	h, err := r.tar.Next()
	if err != nil {
		return badTar(err)
	}
	if h.Name != relayTrees || h.Typeflag != tar.TypeReg || h.Size > mostTrees {
		return fmt.Errorf("the archive does not begin with %s", relayTrees)
	}
	if r.trees, err = decodeTrees(io.LimitReader(r.tar, mostTrees)); err != nil {
		return err
	}
	if err := r.folder(ctx, ".", root); err != nil {
		return badTar(err)
	}
	_, err = io.Copy(io.Discard, stream)
	return err
}

var errTrees = errors.New("the archive's list of folders is damaged")

// decodeTrees reads what encodeTrees made, by the ids that the contents have.
func decodeTrees(from io.Reader) (map[tree.ID][]byte, error) {
	all, err := io.ReadAll(from)
	if err != nil {
		return nil, err
	}
	trees := map[tree.ID][]byte{}
	for len(all) > 0 {
		size, n := binary.Uvarint(all)
		if n <= 0 || size > uint64(len(all)-n) {
			return nil, errTrees
		}
		content := all[n : n+int(size)]
		trees[tree.ObjectID("tree", content)] = content
		all = all[n+int(size):]
	}
	return trees, nil
}

// folder writes what a folder holds, in the order of the archive.
func (r *relayReader) folder(ctx context.Context, dir string, id tree.ID) error {
	if here, err := r.w.Reuse(dir, tree.Folder, id); here || err != nil {
		return err
	}
	content, ok := r.trees[id]
	if !ok {
		return fmt.Errorf("the archive lacks the folder %s", strconv.Quote(dir))
	}
	if err := r.w.Dir(dir); err != nil {
		return err
	}
	for len(content) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		e, rest, err := nextEntry(content)
		if err != nil {
			return err
		}
		content = rest
		name := path.Join(dir, e.Path)
		if e.Mode == tree.Folder {
			err = r.folder(ctx, name, e.ID)
		} else {
			err = r.entry(name, e)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// nextEntry reads the first entry of a tree object, and returns the others. Its Path
// is a name without a slash, and may be one that no file can have.
func nextEntry(content []byte) (e tree.Entry, rest []byte, err error) {
	mode, after, _ := bytes.Cut(content, []byte(" "))
	name, after, _ := bytes.Cut(after, []byte{0})
	bits, err := strconv.ParseUint(string(mode), 8, 32)
	if err != nil || len(after) < len(e.ID) || len(name) == 0 || bytes.IndexByte(name, '/') >= 0 || string(name) == "." || string(name) == ".." {
		return e, nil, errTrees
	}
	e.Path, e.Mode = string(name), tree.Mode(bits)
	return e, after[copy(e.ID[:], after):], nil
}

// entry writes a file or a link. That its content has the id shows when the tree is
// finished, whose root's id follows from it.
func (r *relayReader) entry(name string, e tree.Entry) error {
	if here, err := r.w.Reuse(name, e.Mode, e.ID); here || err != nil {
		return err
	}
	h, err := r.seek(name)
	switch {
	case err != nil:
		return err
	case e.Mode == tree.Link && h.Typeflag == tar.TypeSymlink:
		return r.w.Symlink(name, h.Linkname)
	case e.Mode&^0o7777 == 0o100000 && h.Typeflag == tar.TypeReg:
		return r.file(name, e, h.Size)
	}
	return &tree.EntryError{Name: name, Why: "is another kind of thing in the archive than in the tree"}
}

func (r *relayReader) file(name string, e tree.Entry, size int64) error {
	if size > smallFile {
		return r.w.File(name, e.Mode, size, r.tar)
	}
	r.small.Reset()
	if _, err := r.small.ReadFrom(r.tar); err != nil {
		return err
	}
	if tree.ObjectID("blob", r.small.Bytes()) != e.ID {
		return &tree.EntryError{Name: name, Why: "has other contents in the archive than in the tree"}
	}
	return r.w.Put(name, e.Mode, e.ID, r.small.Bytes())
}

// seek goes on to the member of that name. It stands behind all that were found before.
func (r *relayReader) seek(name string) (*tar.Header, error) {
	for {
		h, err := r.tar.Next()
		if err == io.EOF {
			return nil, fmt.Errorf("the archive lacks %s", strconv.Quote(name))
		}
		if err != nil || h.Name == name {
			return h, err
		}
	}
}
