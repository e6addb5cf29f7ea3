package tree

import (
	"crypto/sha1" // what git names objects by; ids are only ever compared with ids that were asked for
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"strconv"
)

// An ID is what git names a file's content, a link's target or a folder by.
type ID [sha1.Size]byte

// String is the id in 40 hex digits.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// ParseID reads 40 hex digits.
func ParseID(text string) (ID, error) {
	var id ID
	if len(text) != 2*len(id) {
		return id, fmt.Errorf("%s is no object id; it has 40 hex digits", shown(text))
	}
	if _, err := hex.Decode(id[:], []byte(text)); err != nil {
		return id, fmt.Errorf("%s is no object id; it has 40 hex digits", shown(text))
	}
	return id, nil
}

// A Mode is what an entry is, as git writes it.
type Mode uint32

// The modes that are written. Git knows some old ones besides: they are kept, since
// an id depends on them, and mean what their type says.
const (
	Folder  Mode = 0o040000
	Plain   Mode = 0o100644
	Program Mode = 0o100755
	Link    Mode = 0o120000
	Module  Mode = 0o160000 // a submodule: a folder whose id is that of a commit
)

const modeType Mode = 0o170000

func (m Mode) isFile() bool    { return m&modeType == Plain&modeType }
func (m Mode) isProgram() bool { return m.isFile() && m&0o111 != 0 }
func (m Mode) isFolder() bool  { return m == Folder || m == Module }
func (m Mode) isLink() bool    { return m == Link }
func (m Mode) alike(o Mode) bool { // on disk
	return m.isFile() == o.isFile() && m.isProgram() == o.isProgram() && m.isFolder() == o.isFolder()
}

func (m Mode) kind() string {
	switch {
	case m.isFolder():
		return "a folder"
	case m.isLink():
		return "a symlink"
	}
	return "a file"
}

// NewHash begins the id of an object of the kind "blob", "tree", "commit" or
// "tag" that has size bytes.
func NewHash(kind string, size int64) hash.Hash {
	h := sha1.New()
	h.Write(strconv.AppendInt(append([]byte(kind), ' '), size, 10)) // a hash takes everything
	h.Write([]byte{0})
	return h
}

// ObjectID is the id of an object.
func ObjectID(kind string, content []byte) ID {
	h := NewHash(kind, int64(len(content)))
	h.Write(content)
	return ID(h.Sum(nil))
}

// BlobID is the id of a file's content, which must have size bytes.
func BlobID(size int64, content io.Reader) (ID, error) {
	h := NewHash("blob", size)
	n, err := io.Copy(h, io.LimitReader(content, size+1))
	if err == nil && n != size {
		err = fmt.Errorf("hash: the content has not the %d bytes that were said", size)
	}
	return ID(h.Sum(nil)), err
}
