// Package launcher lives one instance's life: it fetches, installs, starts,
// checks, flips, watches, backs up and ends.
//
// What is served is a pair: one release of the service and one revision of its
// data. Whatever changes the pair (boot, update, rollback, crash) goes through
// activate, and whoever calls activate holds the change lock. So two changes
// never meet, and there is one place where a reader's next page is decided.
package launcher

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"popup/apps"
	"popup/datasync"
	"popup/internal/atomicfile"
	"popup/internal/process"
	"popup/internal/sandbox"
	"popup/internal/wire"
	"popup/launcher/front"
)

// appUser is the name of the user that a stranger's code runs as where popup is root.
const appUser = "popup-app"

// Options are what an appliance is started with.
type Options struct {
	Root      string                          // every path is below it; "/" on a machine
	Listen    string                          // HOST:PORT; empty: what the plan says, or :80
	Plan      wire.Plan                       //
	Version   string                          // of this build, shown in the status
	Logger    *slog.Logger                    //
	Stdout    io.Writer                       // gets one line: listening on http://HOST:PORT
	Catalogue func(id string) (fs.FS, error)  // the apps that ship in this binary
	PowerOff  func(ctx context.Context) error // turns the machine off at its end; nil: the program just ends
	Drain     time.Duration                   // how long a stop waits for requests under way; 0: 20 s
	Hurry     <-chan struct{}                 // closed: a stop under way waits for nothing more; nil: never
	// CopyDatabase is the argv of internal/sqlitecopy's verb; nil: databases are backed up
	// like other files.
	CopyDatabase []string
}

// A pair is what is served: a release and, for an app with data, a revision.
type pair struct{ Release, Revision datasync.Revision }

// An update is a change of release.
type update struct {
	from, to datasync.Revision
	at       time.Time
}

// An Appliance is one instance. Run runs it; the other methods may be called
// from any goroutine while it runs.
type Appliance struct {
	opts      Options
	log       *slog.Logger
	at        layout
	journal   *Journal
	memory    *memory
	board     *board
	front     *front.Front
	views     *views
	user      *sandbox.User // nil: the app runs as we do
	sockets   string        // where the app's sockets are
	socketDir string        // where all sockets are
	url       string
	started   time.Time
	ctx       context.Context // ends when the appliance is told to stop
	rush      context.Context // ends when a stop is to wait for nothing more
	hurry     func()          // ends rush
	giveUp    func(error)     // ends a bake that does not come on; nil: an app is served, and nothing is given up

	prepared chan struct{} // closed when the trees below are open

	service *stream
	data    *stream // nil: the app has no data
	backups datasync.Schedule

	making  sync.Mutex    // held while secrets are made
	trying  bool          // the app is given the secrets of a backup; guarded by making
	change  chan struct{} // holds one token: who has it may change what is served
	jobs    sync.WaitGroup
	unlock  func() error // gives the root back
	control *control
	cache   *front.Cache // of what static files hash and compress to
	https   *https       // nil: the plan names no domains
	console *link        // nil: the plan names no console

	packagesSet   sync.Once
	packagesReady chan struct{} // closed when a build may begin
	stateDisk
	stateReady chan struct{} // closed when the state is what it is to begin with
	restoring  sync.Mutex    // held by the one restore there is
	state      sync.RWMutex  // held while the state is replaced, and by whoever backs it up

	restarts  atomic.Int64
	mu        sync.Mutex // guards what follows
	current   *running
	since     time.Time
	update    update // the newest change of release
	healthErr error
	readOnly  bool // for one of these reasons:
	frozen    bool // the end asks for it
	shut      bool // the console does, until it takes that back
	drained   bool // a command of the console's did, until popup is started again
	end       *EndStatus
	ended     bool // the end has come and everything it asks for was done
	baked     *wire.Baked
	notes     []string
}

// Run lives the instance's life. It returns nil when ctx ends or the instance
// is over, after the app was stopped and requests under way were answered.
func Run(ctx context.Context, opts Options) (err error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	a, err := open(ctx, opts)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.close()) }()

	heeded := make(chan struct{})
	go func() { defer close(heeded); a.heedHurry() }()
	defer func() { a.hurry(); <-heeded }()
	listener, err := a.listen()
	if err != nil {
		return err
	}
	if a.https, err = a.openHTTPS(listener.Addr()); err != nil {
		return errors.Join(err, listener.Close())
	}
	defer func() { err = errors.Join(err, a.https.close()) }()
	if err := a.openControl(); err != nil {
		return errors.Join(err, listener.Close())
	}
	a.console.start(ctx)
	defer a.console.close()
	served := make(chan error, 1)
	server := &http.Server{Handler: a.https.plain(a.front), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute,
		ErrorLog: slog.NewLogLogger(a.log.Handler(), slog.LevelDebug)}
	server.RegisterOnShutdown(a.front.EndStreams)
	go func() { served <- server.Serve(listener) }()
	a.log.Info("listening", "address", a.url)
	fmt.Fprintf(opts.Stdout, "listening on %s\n", a.url)

	if err := a.prepare(); err != nil {
		return errors.Join(err, server.Close())
	}
	lived := make(chan error, 1)
	go func() { lived <- a.live(ctx) }()
	select {
	case err = <-lived:
	case err = <-served:
		stop()
		err = errors.Join(fmt.Errorf("serve %s: %w", a.url, err), <-lived)
	}
	stop()
	a.console.close() // a command under way may still start an app
	return errors.Join(err, a.leave(server), a.powerOff())
}

// open takes the root and reads what it remembers. Nothing slow happens here:
// the listener waits for it.
func open(ctx context.Context, opts Options) (a *Appliance, err error) {
	a = &Appliance{opts: opts, log: opts.Logger, at: layout{root: opts.Root}, ctx: ctx, started: time.Now().UTC(),
		change: make(chan struct{}, 1), packagesReady: make(chan struct{}), stateDisk: stateDisk{mounted: make(chan struct{})}, stateReady: make(chan struct{}), prepared: make(chan struct{}), cache: front.NewCache(0)}
	a.rush, a.hurry = context.WithCancel(context.WithoutCancel(ctx))
	if err := a.at.create(); err != nil {
		return nil, err
	}
	release, err := a.at.acquire()
	if err != nil {
		return nil, err
	}
	a.unlock = release
	for _, dir := range []string{a.at.journal(), filepath.Dir(a.at.config())} {
		if err := atomicfile.Sweep(dir); err != nil {
			return nil, errors.Join(err, release())
		}
	}
	if a.journal, err = OpenJournal(a.at.journal()); err != nil {
		return nil, errors.Join(err, release())
	}
	if a.memory, err = openMemory(a.at.journal(), opts.Plan.Instance); err != nil {
		return nil, errors.Join(err, a.journal.Close(), release())
	}
	if a.volume, err = a.volumeOf(); err != nil {
		return nil, errors.Join(err, a.journal.Close(), release())
	}
	if a.console, err = a.openLink(); err != nil {
		return nil, errors.Join(err, a.journal.Close(), release())
	}
	a.end = endAt(a.plannedEnd())
	a.front = front.New(front.Options{Logger: a.log, Name: opts.Plan.Manifest.Name})
	a.board = newBoard(a.log, a.journal, a.showBoot, phasesOf(opts.Plan))
	if a.console != nil {
		a.refuseWrites(func() { a.shut = a.console.kept.get().wanted().ReadOnly }, 0)
	}
	return a, nil
}

// openControl answers on the control socket from here on.
func (a *Appliance) openControl() error {
	dir, err := socketDir(a.at, a.memory)
	if err != nil {
		return err
	}
	a.socketDir = dir
	folder, err := prepareSockets(filepath.Join(dir, "control"), -1, -1)
	if err != nil {
		return err
	}
	a.control, err = serveControl(filepath.Join(folder, "control.sock"), a)
	return err
}

// prepare does the rest of the start: what a crash left is ended and swept, the
// app's user is there, and the trees are open.
func (a *Appliance) prepare() error {
	orphans, err := process.EndOrphans(a.at.records())
	if err != nil {
		return fmt.Errorf("end orphans: %w", err)
	}
	for _, o := range orphans {
		a.record(Entry{Event: "orphan", Message: o.String()})
	}
	a.record(Entry{Event: "boot", Message: a.opts.Version})
	if err := a.prepareUser(); err != nil {
		return err
	}
	if err := a.prepareState(); err != nil {
		return err
	}
	if err := a.openTrees(); err != nil {
		return err
	}
	uid, gid := a.ids()
	a.sockets, err = prepareSockets(filepath.Join(a.socketDir, "app"), uid, gid)
	if err != nil {
		return err
	}
	close(a.prepared)
	return nil
}

// isPrepared reports whether the trees are open. Before that there is nothing to
// sync, and a status holds phases alone.
func (a *Appliance) isPrepared() bool {
	select {
	case <-a.prepared:
		return true
	default:
		return false
	}
}

// live boots, then watches until ctx ends or the instance is over.
func (a *Appliance) live(parent context.Context) error {
	ctx, cancel := context.WithCancel(parent)
	defer cancel()
	ended := make(chan error, 1)
	a.jobs.Go(func() { ended <- a.watchEnd(ctx) })
	a.jobs.Go(func() {
		if a.boot(ctx) != nil {
			return // only when ctx ended
		}
		a.startSchedules(ctx)
		a.watch(ctx)
	})
	err := <-ended
	cancel()
	a.jobs.Wait()
	if err == nil && a.over() && a.opts.PowerOff == nil {
		if r := a.serving(); r != nil {
			r.stop(parent)
		}
		<-parent.Done() // what is over goes on saying so
	}
	return err
}

func (a *Appliance) close() error {
	var err error
	if a.control != nil {
		err = a.control.close(context.Background()) // again, where Run did not come that far
	}
	err = errors.Join(err, removeSockets(a.at, a.socketDir), a.closeTrees())
	a.record(Entry{Event: "stop"})
	return errors.Join(err, a.journal.Close(), a.unlock())
}

// record writes to the journal. A journal that cannot be written (a full disk)
// must not take the service down with it.
func (a *Appliance) record(e Entry) {
	if err := a.journal.Write(e); err != nil {
		a.log.Error("journal", "err", err)
	}
}

// note adds a sentence to the status about what works less well here.
func (a *Appliance) note(format string, args ...any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.notes = append(a.notes, fmt.Sprintf(format, args...))
}

// lockChange waits for the right to change what is served.
func (a *Appliance) lockChange(ctx context.Context) (unlock func(), err error) {
	select {
	case a.change <- struct{}{}:
		return func() { <-a.change }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (a *Appliance) serving() *running {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.current
}

// manifest is the one that governs release.
func (a *Appliance) manifest(release datasync.Revision) (apps.Manifest, error) {
	return a.manifestIn(a.service.publisher.Path(release))
}

// manifestIn is the one that governs the release in dir: its own app.yaml when
// the app's manifest lives in its repository, else the plan's.
func (a *Appliance) manifestIn(dir string) (apps.Manifest, error) {
	m := a.opts.Plan.Manifest
	if a.opts.Plan.ManifestFrom == wire.ManifestFromService {
		text, err := readConfined(dir, apps.FileName, maxManifest)
		switch {
		case errors.Is(err, fs.ErrNotExist): // the author removed it; what was launched still holds
		case err != nil:
			return m, fmt.Errorf("read the release's %s: %w", apps.FileName, err)
		default:
			if m, err = apps.Parse(apps.FileName, text); err != nil {
				return m, fmt.Errorf("read the release's manifest: %w", err)
			}
		}
	}
	return m.WithDefaults(), nil
}

// maxManifest bounds what is read of a release's app.yaml, in bytes.
const maxManifest = 256 << 10

func firstOf(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}
