//go:build dqlite

package dqlite

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/canonical/go-dqlite/v3/client"
	"github.com/canonical/go-dqlite/v3/driver"
)

const (
	// seekPeriod is how often each node is asked while nobody is known to lead.
	seekPeriod = 20 * time.Millisecond
	// seekTime bounds one search, so that who waits for longer says so.
	seekTime = 2 * time.Second
	// lookPeriod is how late it is seen that another node leads.
	lookPeriod = 100 * time.Millisecond
	// blindTime is how long this node may know of no leader before all are asked: its own
	// engine may be what stalls.
	blindTime = time.Second
)

// seek finds the node that leads. All are asked side by side, again and again, until one
// says that it is it: one that is gone, or that says nothing, is waited for by nobody, and
// what one says of another may be old.
func (n *node) seek(ctx context.Context) (address string, err error) {
	ctx, cancel := context.WithTimeout(ctx, seekTime)
	defer cancel()
	nodes, err := n.nodes().Get(ctx)
	if err != nil {
		return "", err
	}
	found := make(chan string, len(nodes))
	var asking sync.WaitGroup
	defer asking.Wait()
	defer cancel()
	for _, node := range nodes {
		asking.Go(func() {
			if n.waitsToLead(ctx, node.Address) {
				found <- node.Address
			}
		})
	}
	select {
	case address := <-found:
		return address, nil
	case <-ctx.Done():
		return "", driver.ErrNoAvailableLeader
	}
}

// leader reaches the node that leads, and waits for one as long as ctx does. Who called
// it closes the client, whose questions end with their contexts alone.
func (n *node) leader(ctx context.Context) (*client.Client, error) {
	for {
		address, err := n.seek(ctx)
		if err == nil {
			var c *client.Client
			if c, err = client.New(ctx, address, client.WithDialFunc(n.link.dial)); err == nil {
				return c, nil
			}
		}
		if ctx.Err() != nil {
			return nil, errors.Join(ctx.Err(), err)
		}
	}
}

// waitsToLead asks a node until it leads, or ctx ends.
func (n *node) waitsToLead(ctx context.Context, address string) bool {
	a := asker{node: n, address: address}
	defer a.close()
	for {
		leader, err := a.ask(ctx)
		if err == nil && leader == address {
			return true
		}
		pause := seekPeriod
		if err != nil {
			pause = lookPeriod // each try greets it anew
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return false
		}
	}
}

// An asker asks a node whom it follows, over one connection for as long as it lasts.
type asker struct {
	node    *node
	address string
	client  *client.Client
	conn    net.Conn // of client's
}

// ask says whom the node takes for the leader; empty: nobody.
func (a *asker) ask(ctx context.Context) (leader string, err error) {
	err = a.question(ctx, func(ctx context.Context) error {
		info, err := a.client.Leader(ctx)
		if err == nil {
			leader = info.Address
		}
		return err
	})
	return leader, err
}

// members are the nodes by the word of this one, which may be behind.
func (a *asker) members(ctx context.Context) (all []client.NodeInfo, err error) {
	err = a.question(ctx, func(ctx context.Context) error {
		all, err = a.client.Cluster(ctx)
		return err
	})
	return all, err
}

// question bounds one, and ends the connection where there was no answer.
func (a *asker) question(ctx context.Context, put func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	if a.client == nil {
		c, err := client.New(ctx, a.address, client.WithDialFunc(func(ctx context.Context, address string) (_ net.Conn, err error) {
			a.conn, err = a.node.link.dial(ctx, address)
			return a.conn, err
		}))
		if err != nil {
			return err
		}
		a.client = c
	}
	conn := a.conn
	end := context.AfterFunc(ctx, func() { conn.Close() }) //nolint:errcheck // nothing else ends a question
	err := put(ctx)
	if end(); err != nil || ctx.Err() != nil {
		a.close()
		return errors.Join(err, ctx.Err())
	}
	return nil
}

func (a *asker) close() {
	if a.client != nil {
		a.client.Close() //nolint:errcheck // it was only asked
		a.client = nil
	}
}

// lookOut sees who leads until ctx ends, and hangs up on who did before: whether such a
// node stalls or is cut off, its connections may live on without an answer.
func (n *node) lookOut(ctx context.Context) {
	own := asker{node: n, address: n.link.address}
	defer own.close()
	var last string
	seen := time.Now()
	for tick := time.NewTicker(lookPeriod); ; {
		if members, err := own.members(ctx); err == nil {
			n.witnesses.learn(members)
		}
		leader, err := own.ask(ctx)
		if leader == "" && time.Since(seen) > blindTime {
			leader, err = n.seek(ctx)
		}
		if err == nil && leader != "" {
			seen = time.Now()
			if leader != last {
				n.asked.hangUp(leader)
			}
			last = leader
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			tick.Stop()
			return
		}
	}
}

// Asked are the connections on which answers are waited for.
type asked struct {
	mu  sync.Mutex
	all map[*answered]struct{}
}

// ask is dial for questions, which are answered in time or never.
func (n *node) ask(ctx context.Context, address string) (net.Conn, error) {
	conn, err := n.link.dial(ctx, address)
	if err != nil {
		return nil, err
	}
	a := &answered{Conn: conn, address: address, asked: &n.asked}
	n.asked.mu.Lock()
	defer n.asked.mu.Unlock()
	n.asked.all[a] = struct{}{}
	return a, nil
}

// hangUp ends those with all nodes but one.
func (a *asked) hangUp(but string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for conn := range a.all {
		if conn.address != but {
			conn.Conn.Close() //nolint:errcheck // whoever waits for an answer is told
		}
	}
}

// answered bounds the time from a question to its answer.
type answered struct {
	net.Conn
	address string
	asked   *asked
	bounded bool // by who asks
}

func (a *answered) SetDeadline(at time.Time) error {
	a.bounded = !at.IsZero()
	return a.Conn.SetDeadline(at)
}

func (a *answered) Write(p []byte) (int, error) {
	if !a.bounded {
		if err := a.Conn.SetDeadline(time.Now().Add(answerTime)); err != nil {
			return 0, hungUp(err)
		}
	}
	n, err := a.Conn.Write(p)
	return n, hungUp(err)
}

func (a *answered) Read(p []byte) (int, error) {
	n, err := a.Conn.Read(p)
	return n, hungUp(err)
}

func (a *answered) Close() error {
	a.asked.mu.Lock()
	delete(a.asked.all, a)
	a.asked.mu.Unlock()
	return a.Conn.Close()
}

// hungUp has a connection that was ended look like one that broke: the driver knows
// these for what they are, and says that another one may do.
func hungUp(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return &net.OpError{Op: "ask", Net: "tcp", Err: err}
	}
	return err
}
