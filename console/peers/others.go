package peers

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"popup/console"
)

// knownFor is how long who is in a cluster is taken for known: to find out, each of them
// is asked.
const knownFor = 5 * time.Second

// Others lists the other consoles of a cluster: those that answer before those that do
// not, and of both those behind this one, so that all are asked by somebody first.
func Others(cluster console.Cluster) func(context.Context) ([]string, error) {
	o := &others{cluster: cluster}
	return o.list
}

type others struct {
	cluster console.Cluster

	mu    sync.Mutex
	known []string
	at    time.Time
}

func (o *others) list(ctx context.Context) ([]string, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.at.IsZero() && time.Since(o.at) < knownFor {
		return slices.Clone(o.known), nil
	}
	state, err := o.cluster.State(ctx)
	if err != nil {
		return nil, fmt.Errorf("find the other consoles: %w", err)
	}
	o.known, o.at = inOrder(state.Members), time.Now()
	return slices.Clone(o.known), nil
}

func inOrder(members []console.Member) (all []string) {
	self := slices.IndexFunc(members, func(m console.Member) bool { return m.Self })
	ring := slices.Concat(members[self+1:], members[:max(self, 0)])
	for _, answers := range []bool{true, false} {
		for _, m := range ring {
			if m.Answers == answers {
				all = append(all, m.Address)
			}
		}
	}
	return all
}
