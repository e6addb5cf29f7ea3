//go:build dqlite

package dqlite

import (
	"context"
	"crypto/x509"
	"encoding/json"
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

	"github.com/canonical/go-dqlite/v3"
	"github.com/canonical/go-dqlite/v3/client"
	"github.com/goccy/go-yaml"

	"popup/console"
	"popup/internal/atomicfile"
	"popup/store"
)

const (
	asideSuffix = ".before-recovery"
	madeSuffix  = ".tmp-recovery"
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

func recoverAlone(ctx context.Context, dir string) (_ Recovered, err error) {
	made, aside := dir+madeSuffix, dir+asideSuffix
	if _, err := os.Stat(aside); err == nil {
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
			return Recovered{}, errors.Join(fmt.Errorf("%s is there already, of an earlier recovery: move it away first", aside), err)
		}
		if err := os.Rename(aside, dir); err != nil { // killed between two renames
			return Recovered{}, err
		}
	}
	free, err := notRunning(ctx, dir)
	if err != nil {
		return Recovered{}, err
	}
	defer free()
	if err := noneAnswers(ctx, dir); err != nil {
		return Recovered{}, err
	}
	if err := os.RemoveAll(made); err != nil {
		return Recovered{}, err
	}
	c, err := openCopy(ctx, dir, made)
	if err != nil {
		return Recovered{}, err
	}
	r := Recovered{Aside: aside}
	err = r.look(ctx, c)
	if err = errors.Join(err, c.Close()); err == nil {
		err = atomicfile.SyncFS(made)
	}
	if err == nil {
		err = os.Rename(dir, aside)
	}
	if err == nil {
		err = os.Rename(made, dir)
	}
	if err == nil {
		err = atomicfile.SyncDir(filepath.Dir(dir))
	}
	return r, err
}

// look verifies what was recovered. Whoever followed the changes begins anew: some of the
// numbers that were given out may be void.
func (r *Recovered) look(ctx context.Context, c *Cluster) error {
	if _, err := store.VerifyAudit(ctx, c); err != nil {
		return err
	}
	err := c.View(ctx, func(tx console.Tx) error {
		newest, err := tx.Newest()
		if err != nil || newest == 0 {
			return err
		}
		last, err := tx.Changes(newest-1, 1)
		if errors.Is(err, console.ErrForgotten) {
			return nil
		}
		if len(last) == 1 {
			r.Newest = last[0].At
		}
		return err
	})
	if err != nil {
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

func nodesOf(dir string) string { return filepath.Join(dir, "cluster.yaml") }

// infoOf reads who the node in a folder is, as the engine keeps it.
func infoOf(dir string) (info struct {
	ID      uint64 `yaml:"ID"`
	Address string `yaml:"Address"`
}, err error) {
	text, err := os.ReadFile(filepath.Join(dir, "info.yaml"))
	if err != nil {
		return info, err
	}
	if err = yaml.Unmarshal(text, &info); err != nil || info.Address == "" {
		return info, errors.Join(fmt.Errorf("%s does not say who this node is", filepath.Join(dir, "info.yaml")), err)
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
		if name := e.Name(); name == authorityFile || name == identityFile || strings.HasPrefix(name, tempPrefix) || !e.Type().IsRegular() {
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
	text, err := os.ReadFile(filepath.Join(dir, identityFile))
	if err == nil {
		err = json.Unmarshal(text, &identity)
	}
	if err != nil {
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
