// Package archive is the format of a backup of an app's state, and the vaults that
// backups are kept in.
//
// An archive is a tar stream, compressed with zstd. Its entries are the files,
// folders and symbolic links of the state, below "state/", and at last
// "manifest.json", which lists them with their sums: an archive without it is cut
// short. Owners are not kept, for they differ from machine to machine; hard links
// become files of their own.
package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"
)

const (
	statePrefix  = "state/"
	manifestName = "manifest.json"
	// manifestVersion is the version this build writes, and the newest it reads.
	manifestVersion = 1
	// mostManifest bounds the list of sums: a million entries of ordinary length.
	mostManifest = 256 << 20
	// mostWindow bounds the memory that reading an archive may be asked to take.
	mostWindow = 8 << 20
)

// ErrCorrupt is in the error of Verify and Read when an archive is damaged, cut
// short or no archive at all: an older one may be whole.
var ErrCorrupt = errors.New("the backup is not whole")

// A Manifest is what an archive holds.
type Manifest struct {
	Version  int       `json:"version"`
	App      string    `json:"app,omitempty"`
	Instance string    `json:"instance,omitempty"`
	Taken    time.Time `json:"taken"`
	Final    bool      `json:"final,omitempty"` // taken at the end, after the last write
	Entries  []Entry   `json:"entries"`         // a folder before what is in it
	LeftOut  []LeftOut `json:"left_out,omitempty"`
	// Notes are sentences about what is less good than it could be.
	Notes []string `json:"notes,omitempty"`
	// Secrets are values that the instance made for its app, and that what is in the
	// state may depend on. They are only in archives that are encrypted.
	Secrets Secrets `json:"secrets,omitempty"`
}

// Secrets are values by name. Only JSON says them.
type Secrets map[string]string

// String tells how many there are.
func (s Secrets) String() string { return fmt.Sprintf("%d secrets", len(s)) }

// GoString is like String.
func (s Secrets) GoString() string { return s.String() }

// Changed are the files that were written to while they were read.
func (m Manifest) Changed() []Name {
	var names []Name
	for _, e := range m.Entries {
		if e.Changed {
			names = append(names, e.Path)
		}
	}
	return names
}

// What an Entry may be.
const (
	KindFile   = "file"
	KindFolder = "folder"
	KindLink   = "link" // a symbolic one, to somewhere within the state
)

// An Entry is one file, folder or link of the state.
type Entry struct {
	Path     Name      `json:"path"`
	Kind     string    `json:"kind"`
	Mode     Mode      `json:"mode,omitzero"`     // of files and folders
	Modified time.Time `json:"modified,omitzero"` // of files and folders
	Size     int64     `json:"size,omitempty"`    // of files, in bytes
	SHA256   string    `json:"sha256,omitempty"`  // of files
	Target   Name      `json:"target,omitempty"`  // of links
	// Changed says that the file, or one of its database, was written to during
	// every attempt to read it: what is kept may be of no single moment.
	Changed bool `json:"changed,omitempty"`
	// Database says that the file is an SQLite database or beside one: such files
	// were read in one go, and belong to one moment when none is Changed.
	Database bool `json:"database,omitempty"`
}

// A LeftOut is something in the state that an archive does not hold.
type LeftOut struct {
	Path Name   `json:"path"`
	Why  string `json:"why"` // "a socket"
}

// A Name is a path or a link's target, as the file system has it: any bytes. In
// JSON, bytes that are not UTF-8, and the percent sign, are written like %FF.
type Name string

// MarshalText escapes what JSON cannot hold.
func (n Name) MarshalText() ([]byte, error) {
	var b strings.Builder
	for rest := string(n); rest != ""; {
		r, size := utf8.DecodeRuneInString(rest)
		if r == '%' || r == utf8.RuneError && size == 1 {
			fmt.Fprintf(&b, "%%%02X", rest[0])
		} else {
			b.WriteString(rest[:size])
		}
		rest = rest[size:]
	}
	return []byte(b.String()), nil
}

// UnmarshalText reads what MarshalText wrote.
func (n *Name) UnmarshalText(text []byte) error {
	var b strings.Builder
	for rest := string(text); rest != ""; {
		if rest[0] != '%' {
			b.WriteByte(rest[0])
			rest = rest[1:]
			continue
		}
		if len(rest) < 3 {
			return fmt.Errorf("name %q ends within a %%", text)
		}
		c, err := strconv.ParseUint(rest[1:3], 16, 8)
		if err != nil {
			return fmt.Errorf("name %q has a %% without two hexadecimal digits", text)
		}
		b.WriteByte(byte(c))
		rest = rest[3:]
	}
	*n = Name(b.String())
	return nil
}

// A Mode is the permissions of a file, in JSON like "0644".
type Mode fs.FileMode

// MarshalText writes the octal digits.
func (m Mode) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%04o", uint32(m)), nil }

// UnmarshalText reads them.
func (m *Mode) UnmarshalText(text []byte) error {
	bits, err := strconv.ParseUint(string(text), 8, 32)
	if err != nil || fs.FileMode(bits)&^fs.ModePerm != 0 {
		return fmt.Errorf("mode %q is not permissions", text)
	}
	*m = Mode(bits)
	return nil
}

// goodPath says whether name is the one way to write a path below a folder.
func goodPath(name string) bool {
	return name != "." && filepath.IsLocal(name) && path.Clean(name) == name && !strings.ContainsRune(name, 0)
}

// StaysInside says whether a link at name to target leads to somewhere below the
// folder that name is below.
func StaysInside(name, target string) bool {
	return target != "" && !path.IsAbs(target) && filepath.IsLocal(path.Join(path.Dir(name), target))
}

// Explain makes a sentence of a full disk, and leaves other errors as they are.
func Explain(err error, where string) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("the disk of %s is full; free some space and try again (%w)", where, err)
	}
	return err
}

// Within reads r until ctx is over.
func Within(ctx context.Context, r io.Reader) io.Reader { return reader{ctx, r} }

type reader struct {
	ctx context.Context //nolint:containedctx // it lives as long as one call
	r   io.Reader
}

func (r reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}
