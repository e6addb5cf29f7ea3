package console

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// A Cluster is the consoles that keep one store together, as one of them sees it.
type Cluster interface {
	// State says who is in, and what may be lost. It asks each member, and takes a second
	// or two where one does not answer.
	State(ctx context.Context) (ClusterState, error)
	// Token makes a line with which one other console joins, once, for as long as it holds.
	Token(ctx context.Context, holds time.Duration) (string, error)
	// Remove takes a member out for good that does not answer any more.
	Remove(ctx context.Context, address string) error
	// Leave takes this console out for good. It can do nothing afterwards but end.
	Leave(ctx context.Context) error
}

// A MemberRole is what a console does for the others of its cluster.
type MemberRole string

// The roles.
const (
	Voter   MemberRole = "voter"    // keeps all, and has a say in what is acknowledged
	StandBy MemberRole = "stand-by" // keeps all, to become a voter
	Spare   MemberRole = "spare"    // keeps nothing
)

// A Member is one of the consoles of a cluster.
type Member struct {
	Address string     // at which the others reach it; it is also who it is
	Self    bool       // it is the one that was asked
	Role    MemberRole // empty: nobody leads who could say
	Leads   bool
	// Answers says whether it did within a second, and Follows whom it takes for the leader
	// then; empty: nobody.
	Answers bool
	Follows string
	// Behind is how many entries of the store's log others have on their disks and it has
	// not; -1: it did not say. A few are on their way at any moment.
	Behind  int64
	Version string // of its popup; empty: it did not say
	URL     string // at which it says that browsers and instances reach the consoles
}

// A ClusterState is who keeps the store, and what may be lost.
type ClusterState struct {
	Members []Member // by address; none: this console has the store alone
	// Tolerates is how many of the members may be lost at once, and all goes on.
	Tolerates int
	// Why says in a sentence why it is no more than that, and what to do; empty: all is well.
	Why string
}

// String is a line for people.
func (s ClusterState) String() string {
	count := fmt.Sprint(s.Tolerates, " failures")
	switch s.Tolerates {
	case 0:
		count = "no failure"
	case 1:
		count = "one failure"
	}
	if s.Why == "" {
		return "tolerates " + count
	}
	return "tolerates " + count + ": " + s.Why
}

// ErrAlone says that this console keeps its store alone.
var ErrAlone = &ConflictError{"this console keeps its store alone: start it with --cluster-address HOST:PORT to keep it together with others"}

// ClusterState says who keeps the store, and what may be lost.
func (c *Console) ClusterState(ctx context.Context, a Actor) (ClusterState, error) {
	if err := authorise(a, Admin, target{}); err != nil {
		return ClusterState{}, err
	}
	if c.opts.Cluster == nil {
		return ClusterState{Why: "this console keeps its store alone, and who loses its disk loses all"}, nil
	}
	return c.opts.Cluster.State(ctx)
}

// ClusterToken makes the line with which one other console joins this one.
func (c *Console) ClusterToken(ctx context.Context, a Actor, holds time.Duration) (token string, err error) {
	err = c.withOthers(a, func(others Cluster) error {
		token, err = others.Token(ctx, holds)
		return err
	})
	return token, err
}

// RemoveMember takes a console out of the cluster for good that does not answer any more.
func (c *Console) RemoveMember(ctx context.Context, a Actor, address string) error {
	return c.withOthers(a, func(others Cluster) error { return others.Remove(ctx, address) })
}

// Leave takes this console out of its cluster for good, once another one has each backup
// that is here. Its error is a *ConflictError where nobody takes one of them.
func (c *Console) Leave(ctx context.Context, a Actor) error {
	return c.withOthers(a, func(others Cluster) error {
		if err := c.leaveCopies(ctx); err != nil {
			return err
		}
		return others.Leave(ctx)
	})
}

// leaveCopies has others keep what this console has and they have not. Two that leave one
// after the other take nothing with them: the second one finds that the first one's copy
// is gone.
func (c *Console) leaveCopies(ctx context.Context) error {
	a := c.opts.Archives
	if a == nil || a.opts.Peers == nil {
		return nil
	}
	m, err := newMender(c), error(nil)
	if m.others, err = a.opts.Peers.Others(ctx); err != nil || len(m.others) == 0 { // the last one cannot leave
		return err
	}
	own, err := a.opts.Vault.List(ctx)
	if err != nil {
		return err
	}
	known, err := c.allArchives(ctx)
	if err != nil {
		return err
	}
	elsewhere, answer := m.elsewhere(ctx, time.Now())
	alone := 0
	for _, item := range own {
		kept, is := known[item.Name]
		if _, copied := elsewhere[item.Name]; !is || copied {
			continue
		}
		if failed := a.copyToOne(ctx, answer, kept); failed != nil || len(answer) == 0 {
			alone++
			err = errors.Join(err, failed)
		}
	}
	if alone = max(alone, a.Alone()); alone == 0 {
		return nil
	}
	c.log.Warn("leave the cluster: a backup has no copy", "backups", alone, "err", err)
	return &ConflictError{fmt.Sprintf("leave the cluster: backups that are on this console alone: %d, and no other one takes a copy: wait until another one answers and has room, and try again; "+
		"to give them up, stop this console, and run popup console cluster remove with its address on another one", alone)}
}

func (c *Console) withOthers(a Actor, do func(Cluster) error) error {
	if err := authorise(a, Admin, target{}); err != nil {
		return err
	}
	if c.opts.Cluster == nil {
		return ErrAlone
	}
	return do(c.opts.Cluster)
}
