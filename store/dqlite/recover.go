//go:build dqlite

package dqlite

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/canonical/go-dqlite/v3"
	"github.com/canonical/go-dqlite/v3/client"
	"github.com/goccy/go-yaml"
	"golang.org/x/sys/unix"

	"popup/console"
	"popup/internal/atomicfile"
	"popup/store"
)

const (
	asideSuffix = ".before-recovery"
	madeSuffix  = ".tmp-recovery"
	// newestFile is in a folder that was recovered, until that is told.
	newestFile = "recovered"
)

func backupStopped(ctx context.Context, dir string, to io.Writer) (err error) {
	free, err := notRunning(ctx, dir)
	if err != nil {
		return err
	}
	defer free()
	made, err := os.MkdirTemp(dir, tempPrefix)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(made)) }()
	c, err := openCopy(ctx, dir, made)
	if err != nil {
		return err
	}
	return errors.Join(c.Backup(ctx, to), c.Close())
}

func recoverAlone(ctx context.Context, dir string) (r Recovered, err error) {
	made := dir + madeSuffix
	r.Aside = dir + asideSuffix
	moved := !isMissing(r.Aside)
	if moved && !(isNew(dir) && isMissing(made)) { // else it was killed when all was done but to tell
		return r, fmt.Errorf("%s is there already, of an earlier recovery: move it away first", r.Aside)
	}
	free, err := notRunning(ctx, dir)
	if err != nil {
		return r, err
	}
	defer free()
	if !moved {
		if err := change(ctx, dir, made, r.Aside); err != nil {
			return r, err
		}
	}
	text, err := os.ReadFile(filepath.Join(dir, newestFile))
	if err == nil && len(text) > 0 {
		r.Newest, err = time.Parse(time.RFC3339Nano, string(text))
	}
	return r, errors.Join(err, os.Remove(filepath.Join(dir, newestFile)))
}

// change has a folder that is made anew take the place of the node's, which goes aside.
func change(ctx context.Context, dir, made, aside string) error {
	if !isNew(dir) || isNew(made) || isMissing(made) { // else it was killed when they had changed places
		if err := noneAnswers(ctx, dir); err != nil {
			return err
		}
		if err := remake(ctx, dir, made); err != nil {
			return err
		}
		if err := unix.Renameat2(unix.AT_FDCWD, made, unix.AT_FDCWD, dir, unix.RENAME_EXCHANGE); err != nil {
			return fmt.Errorf("have %s and %s change places: %w", made, dir, err)
		}
	}
	if err := os.Rename(made, aside); err != nil {
		return err
	}
	return atomicfile.SyncDir(filepath.Dir(dir))
}

// isNew says whether a folder is one that a recovery makes, or made and has not told of yet.
func isNew(dir string) bool { return !isMissing(filepath.Join(dir, newestFile)) }

func isMissing(path string) bool {
	_, err := os.Lstat(path)
	return errors.Is(err, fs.ErrNotExist)
}

// remake makes the folder that takes the place of the node's.
func remake(ctx context.Context, dir, made string) error {
	if err := os.RemoveAll(made); err != nil {
		return err
	}
	c, err := openCopy(ctx, dir, made)
	if err != nil {
		return err
	}
	err = look(ctx, c, filepath.Join(made, newestFile))
	if err = errors.Join(err, c.Close()); err != nil {
		return err
	}
	return atomicfile.SyncFS(made)
}

// look verifies what was recovered, and writes down when its newest change was made.
// Whoever followed the changes begins anew: some of the numbers that were given out may
// be void.
func look(ctx context.Context, c *Cluster, file string) error {
	if _, err := store.VerifyAudit(ctx, c); err != nil {
		return err
	}
	var last []console.Change
	err := c.View(ctx, func(tx console.Tx) error {
		newest, err := tx.Newest()
		if err == nil && newest > 0 {
			last, err = tx.Changes(newest-1, 1)
		}
		if errors.Is(err, console.ErrForgotten) {
			return nil
		}
		return err
	})
	if err != nil {
		return err
	}
	text := ""
	if len(last) == 1 {
		text = last[0].At.Format(time.RFC3339Nano)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return err
	}
	return c.BeginAnew(ctx)
}

// openCopy opens a copy of a node's folder as the only node of a new cluster.
func openCopy(ctx context.Context, dir, made string) (*Cluster, error) {
	self, err := infoOf(dir)
	if err != nil {
		return nil, err
	}
	if err := copyFolder(dir, made); err != nil {
		return nil, err
	}
	alone := []client.NodeInfo{{ID: self.ID, Address: self.Address, Role: client.Voter}}
	if err := dqlite.ReconfigureMembershipExt(made, alone); err != nil {
		return nil, fmt.Errorf("read %s: %w", dir, err)
	}
	nodes, err := client.NewYamlNodeStore(nodesOf(made))
	if err != nil {
		return nil, err
	}
	if err := nodes.Set(ctx, alone); err != nil {
		return nil, err
	}
	identity, err := ownIdentity(made, self.Address)
	if err != nil {
		return nil, err
	}
	return Open(ctx, Options{Dir: made, Address: self.Address, Listen: "127.0.0.1:0", Identity: identity})
}

func nodesOf(dir string) string { return filepath.Join(dir, nodesFile) }

// infoOf reads who the node in a folder is, as the engine keeps it.
func infoOf(dir string) (info struct {
	ID      uint64 `yaml:"ID"`
	Address string `yaml:"Address"`
}, err error) {
	file := filepath.Join(dir, infoFile)
	text, err := os.ReadFile(file)
	if err != nil {
		return info, err
	}
	if err = yaml.Unmarshal(text, &info); err != nil || info.Address == "" {
		return info, errors.Join(fmt.Errorf("%s does not say who this node is", file), err)
	}
	return info, nil
}

// copyFolder copies a node's files, but for what is half made, and what the others know it by.
func copyFolder(from, to string) error {
	if err := os.MkdirAll(to, 0o700); err != nil {
		return err
	}
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if name := e.Name(); name == authorityFile || name == identityFile || name == newestFile || strings.HasPrefix(name, tempPrefix) || !e.Type().IsRegular() {
			continue
		}
		if err := copyFile(filepath.Join(from, e.Name()), filepath.Join(to, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

func copyFile(from, to string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close() //nolint:errcheck // it was only read
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// notRunning holds the node's address, so that it does not start meanwhile. Where the
// address is not of this machine, the folder came from another one.
func notRunning(ctx context.Context, dir string) (free func(), err error) {
	self, err := infoOf(dir)
	if err != nil {
		return nil, err
	}
	held, err := (&net.ListenConfig{}).Listen(ctx, "tcp", self.Address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("a console runs at %s: stop it first", self.Address)
	}
	if err != nil {
		return func() {}, nil
	}
	return func() { held.Close() }, nil //nolint:errcheck // nobody was listened to
}

// noneAnswers says in a sentence that a node of the same cluster runs.
func noneAnswers(ctx context.Context, dir string) error {
	var identity Identity
	if err := readFile(filepath.Join(dir, identityFile), &identity); err != nil {
		return fmt.Errorf("read this node's certificate: %w", err)
	}
	self, err := infoOf(dir)
	if err != nil {
		return err
	}
	return eachOther(ctx, dir, self.Address, identity, func(address string, err error) error {
		if err != nil {
			return nil
		}
		return fmt.Errorf("the console at %s runs: together with this one it is a majority, and loses nothing. Start this one as ever; to recover is for when all others are lost for good", address)
	})
}

// isLeftOut says in a sentence that another node was recovered without this one.
func isLeftOut(ctx context.Context, dir, self string, identity Identity) error {
	return eachOther(ctx, dir, self, identity, func(address string, err error) error {
		if foreign := (x509.UnknownAuthorityError{}); !errors.As(err, &foreign) {
			return nil
		}
		return fmt.Errorf("the console at %s is of another cluster by now: if it was recovered, what is in %s is void; move that away, and let this console join anew", address, dir)
	})
}

// eachOther greets the other nodes that the one in a folder has heard of, side by side.
func eachOther(ctx context.Context, dir, self string, identity Identity, judge func(address string, err error) error) error {
	pair, pool, err := identity.keyPair()
	if err != nil {
		return err
	}
	nodes, err := nodeFile(nodesOf(dir)).Get(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	errs := make([]error, len(nodes))
	var all sync.WaitGroup
	for i, other := range nodes {
		if other.Address == self {
			continue
		}
		all.Go(func() {
			config := clientConfig(pair, pool)
			config.NextProtos = []string{memberProtocol}
			conn, err := greet(ctx, other.Address, config)
			if err == nil {
				err = conn.Close()
			}
			errs[i] = judge(other.Address, err)
		})
	}
	all.Wait()
	return errors.Join(errs...)
}
