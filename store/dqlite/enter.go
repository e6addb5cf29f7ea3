//go:build dqlite

package dqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/canonical/go-dqlite/v3/client"
)

const (
	// The engine's files that say whom a node knows, and that it is to be let in.
	nodesFile = "cluster.yaml"
	joinFile  = "join"

	// patience is how long the others are waited for in silence.
	patience = 5 * time.Second
	// whyEvery is how often it is asked what keeps this node out.
	whyEvery = 2 * time.Second
)

// errJoined says that a node was let in, and killed before it wrote that down: it would
// ask for it for ever.
var errJoined = errors.New("this node was let in already")

// mend removes what a kill left of a node that was never started: the engine writes who it
// is, and then whom it knows, and refuses one without the other.
func mend(dir string) error {
	if _, err := os.Stat(filepath.Join(dir, nodesFile)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Remove(filepath.Join(dir, infoFile)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// wasLetIn writes down that a node was let in. The engine may have done so meanwhile.
func wasLetIn(dir string) error {
	if err := os.Remove(filepath.Join(dir, joinFile)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// isLetIn waits until the node is one of its cluster.
func (n *node) isLetIn(ctx context.Context) error {
	waiting, stop := context.WithCancelCause(ctx)
	var asking sync.WaitGroup
	asking.Go(func() { n.askWhy(waiting, stop) })
	err := n.app.Ready(waiting) // by what it knew when it stopped; so the leader is asked as well
	if err == nil {
		err = n.untilListed(waiting)
	}
	why := context.Cause(waiting)
	stop(nil)
	asking.Wait()
	switch {
	case errors.Is(why, errGone), errors.Is(why, errJoined):
		return why
	case err == nil, errors.Is(err, errGone):
		return err
	}
	return fmt.Errorf("no leader let this node in: look whether most of the nodes run and reach each other, and whether its certificate is of their cluster: %w", err)
}

// untilListed waits until a leader says who is in. Its error is errGone where this node is not.
func (n *node) untilListed(ctx context.Context) error {
	for {
		in, err := n.isListed(ctx)
		if err == nil && !in {
			return errGone
		}
		if err == nil {
			return nil
		}
		select {
		case <-time.After(seekPeriod):
		case <-ctx.Done():
			return err
		}
	}
}

// askWhy looks what keeps this node out, until ctx ends, and has stop say it.
func (n *node) askWhy(ctx context.Context, stop context.CancelCauseFunc) {
	began, told := time.Now(), false
	for tick := time.NewTicker(whyEvery); ; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			tick.Stop()
			return
		}
		if !told && time.Since(began) > patience {
			told = true
			n.log.Info("waiting for the other consoles of the cluster: most of them have to run", "others", n.others(ctx))
		}
		if _, err := os.Stat(filepath.Join(n.dir, joinFile)); err == nil {
			if in, err := n.isListed(ctx); err == nil && in {
				stop(errJoined)
			}
		}
		for _, address := range n.others(ctx) {
			if _, err := n.link.askAbout(ctx, address); errors.Is(err, errGone) {
				stop(errGone)
			}
		}
	}
}

// others are the addresses of the other nodes that this one heard of.
func (n *node) others(ctx context.Context) (all []string) {
	nodes, err := n.nodes().Get(ctx)
	if err != nil {
		return nil
	}
	for _, other := range nodes {
		if other.Address != n.link.address {
			all = append(all, other.Address)
		}
	}
	return all
}

// isListed says whether the leader lists this node.
func (n *node) isListed(ctx context.Context) (bool, error) {
	nodes, err := n.listed(ctx)
	for _, other := range nodes {
		if other.ID == n.app.ID() {
			return true, nil
		}
	}
	return false, err
}

func (n *node) listed(ctx context.Context) ([]client.NodeInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	c, err := n.leader(ctx)
	if err != nil {
		return nil, err
	}
	defer c.Close() //nolint:errcheck // it was only asked
	return c.Cluster(ctx)
}
