//go:build dqlite

package dqlite

import (
	"context"
	"database/sql"
	sqldriver "database/sql/driver"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"github.com/canonical/go-dqlite/v3/app"
	"github.com/canonical/go-dqlite/v3/client"
	"github.com/canonical/go-dqlite/v3/driver"

	"popup/store"
)

const (
	databaseName = "console.db"
	// A reader sees the last commit while another is being written.
	mostReaders = 4

	// busyTime is how long a writer waits for one of another console before it tries again.
	busyTime = time.Second
	// rolesPeriod is how often the leader looks whether nodes have the right roles.
	rolesPeriod = 5 * time.Second
	// watchPeriod is how late this console hears of what another one wrote.
	watchPeriod = 250 * time.Millisecond
	// handTime bounds the handing over of a leader that ends.
	handTime = 5 * time.Second
)

const built = true

// A node is the engine in this process.
type node struct {
	dir   string
	app   *app.App
	link  *link
	log   *slog.Logger
	asked asked

	witnesses witnesses

	stop func() // looking out
	all  sync.WaitGroup
}

func open(ctx context.Context, o Options) (*Cluster, error) {
	n, err := start(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("open the cluster's store: %w", err)
	}
	r := run(n, o.Log)
	s, err := n.store(ctx, databaseName, r.Close)
	if err != nil {
		return nil, errors.Join(err, n.Close())
	}
	r.begin(s)
	return &Cluster{s, r}, nil
}

// start starts a node, and waits until it is let in.
func start(ctx context.Context, o Options) (*node, error) {
	n, err := begin(ctx, o)
	if errors.Is(err, errJoined) {
		if err := wasLetIn(o.Dir); err != nil {
			return nil, err
		}
		return begin(ctx, o)
	}
	return n, err
}

func begin(ctx context.Context, o Options) (*node, error) {
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, err
	}
	if err := sweep(o.Dir); err != nil {
		return nil, err
	}
	if err := mend(o.Dir); err != nil {
		return nil, err
	}
	if err := isLeftOut(ctx, o.Dir, o.Address, o.Identity); err != nil {
		return nil, err
	}
	link, err := listen(ctx, o)
	if err != nil {
		return nil, err
	}
	none := make(chan net.Conn) // link takes what comes in
	close(none)
	engine, err := app.New(o.Dir, app.WithAddress(o.Address), app.WithCluster(o.Join), app.WithExternalConn(link.dialLater, none), app.WithUnixSocket(link.socket),
		app.WithNetworkLatency(o.Latency), app.WithBusyTimeout(busyTime), app.WithRolesAdjustmentFrequency(rolesPeriod),
		app.WithAutoRecovery(false), // it would remove what it cannot read
		app.WithLogFunc(logTo(o.Log)))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", o.Dir, err), link.Close())
	}
	n := &node{dir: o.Dir, app: engine, link: link, log: o.Log, asked: asked{all: map[*answered]struct{}{}},
		witnesses: witnesses{idle: map[string][]*asker{}, failed: map[string]time.Time{}}}
	looking, stop := context.WithCancel(context.Background())
	n.stop = stop
	n.all.Go(func() { n.lookOut(looking) })
	if err := n.isLetIn(ctx); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return n, nil
}

// store opens a database of the cluster; closed is called after it was closed.
func (n *node) store(ctx context.Context, name string, closed func() error) (*store.Store, error) {
	c := connector{n, name}
	writer, readers := sql.OpenDB(c), sql.OpenDB(c)
	writer.SetMaxOpenConns(1)
	readers.SetMaxOpenConns(mostReaders)
	readers.SetMaxIdleConns(mostReaders)
	s, err := store.New(ctx, writer, store.Options{
		Readers: readers,
		Retry:   passes,
		Watch:   watchPeriod,
		Explain: explain,
		Backup:  n.backup(name),
		Close:   closed,
	})
	if err != nil {
		return nil, errors.Join(err, readers.Close(), writer.Close())
	}
	return s, nil
}

// Close hands over what this node leads, and ends it.
func (n *node) Close() error {
	n.stop()
	n.all.Wait()
	n.witnesses.close()
	ctx, cancel := context.WithTimeout(context.Background(), handTime)
	defer cancel()
	if n.leads(ctx) {
		if err := n.app.Handover(ctx); err != nil {
			n.log.Warn("hand over the cluster; another node takes it up by itself", "err", err)
		}
	}
	return errors.Join(n.app.Close(), n.link.Close())
}

// leads says whether this node takes itself for the leader.
func (n *node) leads(ctx context.Context) bool {
	leader, err := n.leaderOf(ctx, n.link.address)
	return err == nil && leader == n.link.address
}

func (n *node) nodes() nodeFile { return nodeFile(nodesOf(n.dir)) }

// A nodeFile is where the engine keeps the addresses of the nodes it heard of.
type nodeFile string

func (f nodeFile) Get(ctx context.Context) ([]client.NodeInfo, error) {
	nodes, err := client.NewYamlNodeStore(string(f))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", f, err)
	}
	return nodes.Get(ctx)
}

func (f nodeFile) Set(context.Context, []client.NodeInfo) error {
	return fmt.Errorf("write %s: the engine does", f)
}

// What the engine says of a leader that stops leading while it is asked.
const (
	errInterrupted = 9
	errDisk        = 10 // or its disk is full, and another one leads instead
)

// passes says which errors go away by themselves: another console writes, or the leader
// is gone, and its transactions with it.
func passes(err error) bool {
	var e driver.Error
	if errors.As(err, &e) {
		code := e.Code & 0xff
		return code == driver.ErrBusy || code == errInterrupted || code == errDisk
	}
	return brokeOff(err) || errors.Is(err, driver.ErrNoAvailableLeader)
}

// brokeOff says whether a connection ended: also in the middle of what its other end said,
// which the driver does not know.
func brokeOff(err error) bool {
	return errors.Is(err, sqldriver.ErrBadConn) || errors.Is(err, io.ErrUnexpectedEOF)
}

// explain says what to try.
func explain(err error) error {
	switch {
	case errors.Is(err, driver.ErrNoAvailableLeader):
		return fmt.Errorf("no node leads the cluster: look whether most of the nodes run and reach each other; what was acknowledged is kept: %w", err)
	case brokeOff(err):
		return fmt.Errorf("the node that leads the cluster was lost: try again: %w", err)
	}
	return err
}

// logTo has the engine's words in a log. What it warns of is how it looks for a leader.
func logTo(log *slog.Logger) client.LogFunc {
	return func(level client.LogLevel, format string, args ...any) {
		to := slog.LevelDebug
		if level >= client.LogError {
			to = slog.LevelWarn
		}
		if log.Enabled(context.Background(), to) {
			log.Log(context.Background(), to, "dqlite: "+fmt.Sprintf(format, args...))
		}
	}
}
