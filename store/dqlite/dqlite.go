// Package dqlite keeps what consoles know on several machines at once, by the engine of
// that name: what was acknowledged is on the disks of most of them. It is linked into
// release builds, which are made with the tag dqlite; what is built without it says so.
package dqlite

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"popup/store"
)

// ErrMissing says that this program was built without dqlite.
var ErrMissing = errors.New("this popup was built without dqlite, which keeps a console on several machines: take a release, or build one with make release")

// Options say which node of a cluster is opened.
type Options struct {
	// Dir is the node's folder; it is made where it is missing.
	Dir string
	// Address is the HOST:PORT at which the others reach this node. It is also who it is:
	// it stays the same for the life of Dir.
	Address string
	// Listen is the HOST:PORT that is listened on; empty: Address.
	Listen string
	// Join are addresses of nodes that are there already. Empty: this is the first node of
	// a new cluster. It only counts for a new Dir.
	Join []string
	// Identity is what the nodes of a cluster know each other by. There is no way without.
	Identity Identity
	// Latency is what a message takes from one node to another. A leader that is not heard of
	// for 15 to 30 times that long is replaced. 0: 20 ms.
	Latency time.Duration
	// Log is told what goes wrong between nodes. Nil: nobody is.
	Log *slog.Logger
}

func (o Options) validate() error {
	var wrong error
	if o.Dir == "" {
		wrong = errors.New("say in which folder it is kept")
	}
	for _, address := range append([]string{o.Address}, o.Join...) {
		if host, port, err := net.SplitHostPort(address); err != nil || host == "" || port == "" || port == "0" {
			wrong = errors.Join(wrong, fmt.Errorf("%q is no address of a node: give HOST:PORT, as the others reach it", address))
		}
	}
	if wrong != nil {
		return fmt.Errorf("open the cluster's store: %w", wrong)
	}
	return nil
}

// A Role is what a node does for the others.
type Role string

const (
	Voter   Role = "voter"    // keeps all, and has a say in what is acknowledged
	StandBy Role = "stand-by" // keeps all, to become a voter
	Spare   Role = "spare"    // keeps nothing
)

// A Member is a node as the one that is asked sees it.
type Member struct {
	ID      uint64
	Address string
	Role    Role // empty: there is no leader to say
	Leads   bool
	// Answers says whether it did within a second, and Follows whom it takes for the leader
	// then; empty: nobody.
	Answers bool
	Follows string
}

// A Cluster is a store that this process keeps together with others.
type Cluster struct {
	*store.Store
	members func(context.Context) ([]Member, error)
	serve   func(http.Handler)
	client  *http.Client
	log     *slog.Logger
}

// Open opens a node and the store on it. It waits for a leader, and for a new node to be
// let in, as long as ctx does; most of the nodes have to be there. Who called it closes
// the cluster, which hands over what the node leads.
func Open(ctx context.Context, o Options) (*Cluster, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	if o.Listen == "" {
		o.Listen = o.Address
	}
	if o.Latency == 0 {
		o.Latency = 20 * time.Millisecond
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return open(ctx, o)
}

// Members lists the nodes, by address. Without a leader these are the ones that this
// node heard of last.
func (c *Cluster) Members(ctx context.Context) ([]Member, error) { return c.members(ctx) }

// Serve has a handler answer what other members ask this one over HTTP; MemberOf says
// which. Until then they are told to come again. It answers until the cluster is closed.
func (c *Cluster) Serve(h http.Handler) { c.serve(h) }

// Client reaches any member at https://ADDRESS/, over mutual TLS. Nothing in it bounds how
// long an answer may take, but one whose member is gone ends in seconds.
func (c *Cluster) Client() *http.Client { return c.client }

// MemberOf is the address of the member that asks: what its certificate says.
func MemberOf(r *http.Request) string {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return ""
	}
	return r.TLS.PeerCertificates[0].Subject.CommonName
}
