package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// What a vault says no with.
var (
	// ErrNotFound is returned by Get for a name that is not in the vault.
	ErrNotFound = errors.New("there is no such backup")
	// ErrKept is returned where what is in a vault is its owner's alone to change.
	ErrKept = errors.New("it is kept as it is; only the owner of the vault changes or removes it")
)

// A Vault keeps archives by name. Its methods may be called from several
// goroutines at once, and give up when their context is over.
//
// A name has 1 to 200 letters, digits, dots, hyphens and underscores, and begins
// with a letter or a digit; other names are refused.
type Vault interface {
	// Put keeps what r has to say, in the place of what had the name before, or returns
	// ErrKept where that is another. It appears whole or not at all: after an error, one
	// from r included, the vault is as it was. Put may be called again with the same contents.
	Put(ctx context.Context, name string, r io.Reader) error
	// Get opens what was put, or returns ErrNotFound. The caller closes it.
	Get(ctx context.Context, name string) (io.ReadCloser, error)
	// List is everything in the vault, in the order of the names.
	List(ctx context.Context) ([]Item, error)
	// Delete removes a name, or returns ErrKept. One that is not there is no error.
	Delete(ctx context.Context, name string) error
}

// An Item is an archive in a vault.
type Item struct {
	Name     string
	Size     int64 // bytes
	Modified time.Time
}

// CheckName says what is wrong with a name that no vault takes.
func CheckName(name string) error {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	if name == "" || len(name) > 200 || strings.Trim(name, letters+"._-") != "" || !strings.Contains(letters, name[:1]) {
		if len(name) > 60 {
			name = name[:60] + "…"
		}
		return fmt.Errorf("%q is not a name for a backup; use up to 200 letters, digits, dots, hyphens and underscores", name)
	}
	return nil
}
