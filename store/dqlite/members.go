//go:build dqlite

package dqlite

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/canonical/go-dqlite/v3/client"

	"popup/console"
)

// askTime bounds what is asked of one node.
const askTime = time.Second

// members asks the leader who there is, and each of them whom it follows.
func (n *node) members(ctx context.Context) ([]Member, error) {
	members, err := n.known(ctx)
	if err != nil {
		return nil, err
	}
	var all sync.WaitGroup
	for i := range members {
		m := &members[i]
		all.Go(func() {
			leader, err := n.leaderOf(ctx, m.Address)
			m.Answers, m.Follows = err == nil, leader
		})
	}
	all.Wait()
	slices.SortFunc(members, func(a, b Member) int { return cmp.Compare(a.Address, b.Address) })
	return members, ctx.Err()
}

// known are the members by the leader's word, or else those heard of last.
func (n *node) known(ctx context.Context) ([]Member, error) {
	asked, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	var leader string
	nodes, err := func() ([]client.NodeInfo, error) {
		c, err := n.leader(asked)
		if err != nil {
			return nil, err
		}
		defer c.Close() //nolint:errcheck // it was only asked
		info, err := c.Leader(asked)
		if err != nil {
			return nil, err
		}
		leader = info.Address
		return c.Cluster(asked)
	}()
	if err == nil {
		var members []Member
		for _, info := range nodes {
			members = append(members, Member{ID: info.ID, Member: console.Member{Address: info.Address, Self: info.Address == n.link.address, Role: roles[info.Role], Leads: info.Address == leader, Behind: -1}})
		}
		return members, nil
	}
	nodes, err = n.nodes().Get(ctx)
	var members []Member
	for _, info := range nodes {
		members = append(members, Member{ID: info.ID, Member: console.Member{Address: info.Address, Self: info.Address == n.link.address, Behind: -1}})
	}
	return members, err
}

var roles = map[client.NodeRole]console.MemberRole{client.Voter: console.Voter, client.StandBy: console.StandBy, client.Spare: console.Spare}

// leaderOf asks a node whom it takes for the leader; empty: nobody.
func (n *node) leaderOf(ctx context.Context, address string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	c, err := client.New(ctx, address, client.WithDialFunc(n.link.dial))
	if err != nil {
		return "", err
	}
	defer c.Close() //nolint:errcheck // it was only asked
	leader, err := c.Leader(ctx)
	if err != nil {
		return "", err
	}
	return leader.Address, nil
}
