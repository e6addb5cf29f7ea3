//go:build dqlite

package dqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"popup/console"
)

const (
	// leaveTime bounds what it takes to leave, or to remove another one.
	leaveTime = 30 * time.Second
	// departTime bounds writing that down.
	departTime = 30 * time.Second
)

// Remove implements console.Cluster. It may be cut short anywhere and called again.
func (r *running) Remove(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, leaveTime)
	defer cancel()
	members, err := r.Members(ctx)
	if err != nil {
		return fmt.Errorf("remove %s: %w", address, err)
	}
	i := slices.IndexFunc(members, func(m Member) bool { return m.Address == address })
	if i < 0 {
		if err := r.removeAbsent(ctx, members, address); err != nil {
			return fmt.Errorf("remove %s: %w", address, err)
		}
		return nil
	}
	switch m := members[i]; {
	case m.Self:
		return fmt.Errorf("remove %s: that is this console: run popup console cluster leave", address)
	case m.Answers:
		return fmt.Errorf("remove %s: it answers: run popup console cluster leave on its machine, or stop it first", address)
	}
	if err := goesOn(members, address); err != nil {
		return fmt.Errorf("remove %s: %w", address, err)
	}
	// First it is let in no more, then it is forgotten: the other way round, it might be
	// neither in nor out.
	if err := r.depart(ctx, address, "remove from cluster", "removed the console at "+address+", which did not answer"); err != nil {
		return fmt.Errorf("remove %s: %w", address, err)
	}
	if err := r.remove(ctx, members[i].ID); err != nil {
		return fmt.Errorf("remove %s: %w", address, err)
	}
	return nil
}

// Leave implements console.Cluster.
func (r *running) Leave(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, leaveTime)
	defer cancel()
	members, err := r.Members(ctx)
	if err != nil {
		return fmt.Errorf("leave the cluster: %w", err)
	}
	if len(members) == 1 {
		return errors.New("leave the cluster: this is its only console, and has all there is; to go on without a cluster, make a backup, and restore it into another folder")
	}
	if err := goesOn(members, r.node.link.address); err != nil {
		return fmt.Errorf("leave the cluster: %w", err)
	}
	if err := r.node.app.Handover(ctx); err != nil {
		return fmt.Errorf("leave the cluster: hand over to another console: %w", err)
	}
	if err := r.remove(ctx, r.node.app.ID()); err != nil {
		return fmt.Errorf("leave the cluster: %w", err)
	}
	// It is out. Where that is not written down, its certificate opens the link until it is
	// removed by its address.
	if err := r.depart(ctx, r.node.link.address, "leave cluster", "left the cluster, with the console at "+r.node.link.address); err != nil {
		r.log.Warn("write down that this console left the cluster; run popup console cluster remove "+r.node.link.address+" on another one", "err", err)
	}
	r.once.Do(func() { close(r.left) })
	return nil
}

// goesOn says in a sentence where those that answer cannot let a member go, or could not
// go on without it.
func goesOn(members []Member, without string) error {
	var voters, there, left, leftThere int
	var silent []string
	for _, m := range members {
		if !m.Answers && m.Address != without {
			silent = append(silent, m.Address)
		}
		if m.Role != console.Voter {
			continue
		}
		voters++
		if m.Answers {
			there++
		}
		if m.Address == without {
			continue
		}
		left++
		if m.Answers {
			leftThere++
		}
	}
	switch {
	case there <= voters/2:
		return errors.New("most of the consoles that have a say do not answer, and nothing can be written: start them again; " +
			"where they are lost for good, stop this one, and have it go on alone with popup console recover-cluster")
	case left > 0 && leftThere <= left/2 || left == 0 && len(silent) == len(members)-1:
		return fmt.Errorf("without it the others could not go on: %s does not answer; start that one first, or remove it where it is lost", strings.Join(silent, " and "))
	}
	return nil
}

func addresses(members []Member) string {
	var all []string
	for _, m := range members {
		all = append(all, m.Address)
	}
	return strings.Join(all, ", ")
}

// removeAbsent removes whoever was let in at an address and is none of the members: it left
// and did not write that down, or never came.
func (r *running) removeAbsent(ctx context.Context, members []Member, address string) error {
	var in bool
	err := r.store.View(ctx, func(tx console.Tx) error {
		all, err := tx.List(console.Query{Kind: kindMember, State: memberIn})
		in = slices.ContainsFunc(all, func(m console.Record) bool { return m.Sort == address })
		return err
	})
	if err != nil {
		return err
	}
	known := slices.ContainsFunc(members, func(m Member) bool { return m.Leads }) // else one that is there may be missing
	if !in || !known {
		return fmt.Errorf("there is no such console in the cluster; there are %s", addresses(members))
	}
	return r.depart(ctx, address, "remove from cluster", "removed the console at "+address+", which was let in, and is not there")
}

// depart writes down that whoever is at an address is a member no more. It has a time of
// its own: who asked for it may be gone, and may have waited for long.
func (r *running) depart(ctx context.Context, address, action, detail string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), departTime)
	defer cancel()
	return r.store.Update(ctx, func(tx console.Tx) error {
		return errors.Join(leave(tx, address, ""), note(tx, action, detail))
	})
}

// remove has the leader forget a node. One that is forgotten already is fine.
func (r *running) remove(ctx context.Context, id uint64) error {
	for {
		err := r.tryRemove(ctx, id)
		if err == nil {
			return nil
		}
		select {
		case <-time.After(askTime / 2): // another one may have to begin to lead
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		}
	}
}

func (r *running) tryRemove(ctx context.Context, id uint64) error {
	c, err := r.node.leader(ctx)
	if err != nil {
		return err
	}
	defer c.Close() //nolint:errcheck // it was only asked
	nodes, err := c.Cluster(ctx)
	if err != nil {
		return err
	}
	for _, n := range nodes {
		if n.ID == id {
			return c.Remove(ctx, id)
		}
	}
	return nil
}

// leftSuffix begins what the folder of a node is called that left.
const leftSuffix = ".left-"

// setAside keeps the folder of a node that left under another name.
func setAside(dir string) error {
	return os.Rename(dir, dir+leftSuffix+time.Now().UTC().Format("20060102-150405"))
}
