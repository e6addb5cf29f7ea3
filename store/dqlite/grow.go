package dqlite

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"popup/console"
	"popup/internal/archive"
	"popup/internal/atomicfile"
	"popup/store"
	"popup/store/sqlite"
)

const (
	authorityFile = "authority.json" // of the first node: whoever has it may let others in
	identityFile  = "identity.json"
	infoFile      = "info.yaml"   // the engine's: who the node is
	joinedFile    = "joined.json" // the addresses of the members that let this one in
	keptSuffix    = ".before-cluster"
)

// Grow opens the first node of a cluster, with an authority of its own, and takes the
// store of the console that was alone until then into it; that one's folder is kept
// beside, under another name. A node that is there already, or that joined, is opened.
// It may be killed and called again at any moment. o.Join and o.Identity are left out.
func Grow(ctx context.Context, o Options, alone string) (_ *Cluster, err error) {
	if !built {
		return nil, ErrMissing
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Identity, err = ownIdentity(o.Dir, o.Address); err != nil {
		return nil, fmt.Errorf("open the cluster's store: %w", err)
	}
	if err := readFile(filepath.Join(o.Dir, joinedFile), &o.Join); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("open the cluster's store: %w", err)
	}
	c, err := Open(ctx, o)
	if err != nil {
		return nil, err
	}
	if err = c.takeIn(ctx, o.Dir, alone, o.Log); err == nil {
		err = c.enter(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// ownIdentity is that of the node in a folder, made where it is missing. One that never was
// at its address gets another: that was not to be listened on.
func ownIdentity(dir, address string) (i Identity, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return i, err
	}
	if _, err := AddressOf(dir); errors.Is(err, fs.ErrNotExist) {
		if err := os.Remove(filepath.Join(dir, identityFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return i, err
		}
	}
	var a Authority
	if err := kept(filepath.Join(dir, authorityFile), &a, NewAuthority); err != nil {
		return i, err
	}
	return i, kept(filepath.Join(dir, identityFile), &i, func() (Identity, error) { return a.Issue(address) })
}

// kept reads a file, or makes it.
func kept[T any](path string, into *T, make func() (T, error)) error {
	err := readFile(path, into)
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if *into, err = make(); err != nil {
		return err
	}
	return writeFile(path, into)
}

// readFile reads a file of JSON, and writeFile writes one that is ours alone.
func readFile(path string, into any) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	return nil
}

func writeFile(path string, doc any) error {
	text, err := json.Marshal(doc)
	if err != nil {
		return err
	}
	return atomicfile.Write(path, text, 0o600)
}

// roomBeside is what a node wants on its disk beside what it keeps, in bytes.
const roomBeside = 64 << 20

// hasRoom says in a sentence where a store would not go onto a node's disk: it comes twice,
// in the log and as a snapshot. The engine itself says nothing that helps.
func hasRoom(into, dir string) error {
	var size int64
	files, err := os.ReadDir(dir)
	for _, f := range files {
		info, failed := f.Info()
		if err = errors.Join(err, failed); failed == nil {
			size += info.Size()
		}
	}
	if err != nil {
		return err
	}
	free, err := archive.FreeSpace(into)
	if err != nil {
		return err
	}
	if wants := 2*size + roomBeside; free < wants {
		return fmt.Errorf("the disk of %s is full, or almost: %d MB are free, and it wants %d MB; the store stays where it is", into, free>>20, wants>>20)
	}
	return nil
}

// takeIn imports the store in a folder, if there is one, and moves it aside.
func (c *Cluster) takeIn(ctx context.Context, into, dir string, log *slog.Logger) (err error) {
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	alone, err := sqlite.Open(ctx, dir)
	if err != nil {
		return err
	}
	defer func() {
		if err = errors.Join(err, alone.Close()); err == nil {
			err = os.Rename(dir, dir+keptSuffix)
		}
	}()
	newest, err := store.VerifyAudit(ctx, alone)
	if err != nil {
		return err
	}
	done, err := c.has(ctx, newest)
	if err != nil || done {
		return err
	}
	if err := hasRoom(into, dir); err != nil {
		return fmt.Errorf("take %s into the cluster: %w", dir, err)
	}
	rows, err := c.Import(ctx, alone)
	if err != nil {
		return fmt.Errorf("take %s into the cluster: %w", dir, err)
	}
	log.Info("took the store into the cluster", "from", dir, "kept", dir+keptSuffix, "rows", rows)
	return nil
}

// has says whether a store whose audit log ends with an entry was imported. One without
// any belonged to nobody yet.
func (c *Cluster) has(ctx context.Context, e console.AuditEntry) (found bool, err error) {
	err = c.View(ctx, func(tx console.Tx) error {
		newest, err := tx.Newest()
		if err != nil || e.Seq == 0 {
			found = newest > 0
			return err
		}
		log, err := tx.AuditLog(e.Seq+1, 1)
		found = len(log) == 1 && bytes.Equal(log[0].Hash, e.Hash)
		return err
	})
	return found, err
}
