//go:build dqlite

package dqlite

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"popup/console"
	"popup/store"
)

// watchEvery is how often it is looked who votes, and who is gone.
const watchEvery = 2 * time.Second

// running is a node with the store on it.
type running struct {
	node  *node
	store *store.Store
	rest  answering // what members ask that is no matter of this package
	log   *slog.Logger
	host  atomic.Pointer[Host]

	mu       sync.Mutex
	standing standing

	left chan struct{}
	once sync.Once // of left
	stop func()    // watching
	all  sync.WaitGroup
}

// run begins what a node does beside keeping the store.
func run(n *node, log *slog.Logger) *running {
	r := &running{node: n, log: log, left: make(chan struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+aboutPath, r.about)
	mux.Handle("/", &r.rest)
	n.link.members.serve(mux)
	return r
}

// begin has it look after a store.
func (r *running) begin(s *store.Store) {
	ctx, stop := context.WithCancel(context.Background())
	r.store, r.stop = s, stop
	r.all.Go(func() { r.watch(ctx) })
}

// Close ends the node, once nobody uses the store any more.
func (r *running) Close() error {
	if r.stop != nil {
		r.stop()
		r.all.Wait()
	}
	err := r.node.Close()
	select {
	case <-r.left:
		return errors.Join(err, setAside(r.node.dir))
	default:
		return err
	}
}

// Members implements engine.
func (r *running) Members(ctx context.Context) ([]Member, error) { return r.node.members(ctx) }

// Serve implements engine.
func (r *running) Serve(h http.Handler) { r.rest.serve(h) }

// Client implements engine.
func (r *running) Client() *http.Client { return r.node.link.http }

// Left implements engine.
func (r *running) Left() <-chan struct{} { return r.left }

// watch sees for how long things stand as they do, and who is gone, until ctx ends.
func (r *running) watch(ctx context.Context) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		if err := r.look(ctx); err != nil && ctx.Err() == nil {
			r.log.Debug("look at the cluster", "err", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (r *running) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	members, err := r.node.members(ctx)
	r.judge(members)
	if err != nil {
		return err
	}
	is, err := calledRoll(ctx, r.store) // whoever is a member was let in before
	if err == nil {
		r.node.link.bar(is.of(members), time.Now())
	}
	return err
}

func (r *running) judge(members []Member) (tolerates int, why string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.standing.judge(members, time.Now())
}

// State implements console.Cluster.
func (r *running) State(ctx context.Context) (s console.ClusterState, err error) {
	members, err := r.Members(ctx)
	if err != nil {
		return s, err
	}
	s.Tolerates, s.Why = r.judge(members)
	s.Members = r.abouts(ctx, members)
	return s, nil
}

// enter writes down who is at this node's address. Its error is errGone where that may not
// be any more.
func (r *running) enter(ctx context.Context) error {
	return r.store.Update(ctx, func(tx console.Tx) error { return enter(tx, r.node.link.id, r.node.link.address) })
}

var errGone = errors.New("this console is not in its cluster any more: it left, or was removed. Move its folder of the cluster away, and let it join anew with popup console --join")
