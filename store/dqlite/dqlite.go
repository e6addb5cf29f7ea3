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
	"strings"
	"time"

	"popup/console"
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
		wrong = errors.Join(wrong, isAddress(address))
	}
	if wrong != nil {
		return fmt.Errorf("keep a store with others: %w", wrong)
	}
	return nil
}

func isAddress(address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil || host == "" || port == "" || port == "0" {
		return fmt.Errorf("%q is no address of a node: give HOST:PORT, as the others reach it", address)
	}
	if net.ParseIP(host).IsUnspecified() {
		return fmt.Errorf("%q is no address of a node: it leads each of the others to itself; give the one of this machine at which they reach it", address)
	}
	return nil
}

// A Member is a node as the one that is asked sees it.
type Member struct {
	console.Member
	ID uint64
}

// A Cluster is a store that this process keeps together with others.
type Cluster struct {
	*store.Store
	engine
}

// engine is what a node does beside keeping the store.
type engine interface {
	console.Cluster
	// Members lists the nodes, by address, and asks each for its leader. Without a leader
	// these are the ones that this node heard of last.
	Members(ctx context.Context) ([]Member, error)
	// Serve has a handler answer what other members ask this one over HTTP, but what begins
	// with /cluster/; MemberOf says which member asks. Until then they are told to come
	// again. It answers until the cluster is closed.
	Serve(h http.Handler)
	// Client reaches any member at https://ADDRESS/, over mutual TLS. Nothing in it bounds
	// how long an answer may take, but one whose member is gone ends in seconds.
	Client() *http.Client
	// Admit lets others join from now on. Its error says what keeps this console from
	// standing beside the others: it is reached at another URL.
	Admit(ctx context.Context, h Host) error
	// Left is closed once this console has left the cluster.
	Left() <-chan struct{}

	enter(ctx context.Context) error
}

var _ console.Cluster = (*Cluster)(nil)

// A Host is what a console has for others that join.
type Host struct {
	// URL is at which browsers and instances reach the consoles, all of them.
	URL     string
	Version string // of this popup
	// Files are what each console needs and the store does not keep, by a name.
	Files func() (map[string][]byte, error)
}

// tokenPrefix begins what lets a console join.
const tokenPrefix = "popup-cluster-"

// IsToken says whether a line is meant to be a token, and not the name of a file.
func IsToken(line string) bool { return strings.HasPrefix(line, tokenPrefix) }

// Joining is what a console says that joins others, and what it does with what they give it.
type Joining struct {
	Token string // the line that a member printed
	// URL is at which browsers and instances are to reach it: the same as the others.
	URL     string
	Version string // of this popup
	// Take keeps what a Host's Files gave. It may be called again with the same.
	Take func(files map[string][]byte) error
}

// Join gets what a new node needs of the members of a cluster, and makes o.Dir of it, which
// Grow opens. Where that is of the same cluster already, nothing is left to do. It may be
// killed and called again, for as long as the token holds. o.Join and o.Identity are left out.
func Join(ctx context.Context, o Options, j Joining) error {
	if err := o.validate(); err != nil {
		return err
	}
	if o.Listen == "" {
		o.Listen = o.Address
	}
	if err := join(ctx, o, j); err != nil {
		return fmt.Errorf("join a cluster: %w", err)
	}
	return nil
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

// MemberOf is the address of the member that asks: what its certificate says.
func MemberOf(r *http.Request) string {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return ""
	}
	return r.TLS.PeerCertificates[0].Subject.CommonName
}
