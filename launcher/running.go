package launcher

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"popup/apps"
	"popup/internal/process"
	"popup/launcher/front"
)

// settleTime is how long an app that is only files, or PHP, may answer wrongly
// before that counts. A program of its own has its grace_period.
const settleTime = 5 * time.Second

// A running is one started pair: what answers its requests, and what must be
// ended when it no longer does.
type running struct {
	pair
	manifest apps.Manifest
	root     string // the service as it sees itself: root_dir of the release, or of its view
	handler  http.Handler
	process  *process.Process // nil: nothing runs, the front reads files
	view     string           // the name of its view; empty: it has none
	closers  []func() error
	pinned   bool // it sees its own revision, also where the app follows its data
	stopped  sync.Once
	app      *Appliance
}

// pinned starts a program on one revision, though it would follow its data.
const pinned = true

// start brings p up beside what is served. Nobody reaches it before it is
// flipped to. On an error nothing of it is left.
func (a *Appliance) start(ctx context.Context, p pair, pin bool) (_ *running, err error) {
	m, err := a.manifest(p.Release)
	if err != nil {
		return nil, &phaseError{PhaseStart, plainCause(err), err}
	}
	// Again at each start: whoever loads the machine's firewall anew drops the rule.
	if err := a.closeMetadata(); err != nil {
		return nil, &phaseError{PhaseStart, "the instance metadata cannot be closed to the app", err}
	}
	r := &running{pair: p, manifest: m, app: a, pinned: pin}
	defer func() {
		if err != nil {
			r.stop(context.WithoutCancel(ctx))
		}
	}()
	switch m.Serve.Type {
	case apps.ServeStatic:
		err = a.startStatic(r)
	case apps.ServePHP:
		err = a.startPHP(ctx, r)
	case apps.ServeCommand:
		err = a.startCommand(ctx, r)
	default:
		err = fmt.Errorf("serve type %q is not one of static, php and command", m.Serve.Type)
	}
	if err != nil {
		return nil, &phaseError{PhaseStart, plainCause(err), err}
	}
	return r, nil
}

// startStatic joins the release and the revision in the front: there is nothing to run.
func (a *Appliance) startStatic(r *running) error {
	r.root = filepath.Join(a.service.publisher.Path(r.Release), r.manifest.Service.RootDir)
	release, err := r.openRoot(r.root)
	if err != nil {
		return err
	}
	mounts, err := r.frontMounts()
	if err != nil {
		return err
	}
	r.handler, err = front.Static(front.StaticOptions{
		Release: release, PublishPath: r.manifest.Serve.PublishPath, Index: r.manifest.Serve.Index, Mounts: mounts, Cache: a.cache,
	})
	return err
}

// frontMounts opens what the front serves itself from outside the release.
func (r *running) frontMounts() ([]front.Mount, error) {
	var mounts []front.Mount
	for _, m := range r.app.mounts(r.pair, r.manifest, "") {
		root, err := r.openRoot(m.target)
		if err != nil {
			return nil, err
		}
		mounts = append(mounts, front.Mount{Path: m.at, Root: root, Kind: m.kind})
	}
	return mounts, nil
}

func (r *running) openRoot(path string) (*os.Root, error) {
	root, err := os.OpenRoot(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("open %s: the release or the data has no such folder; check root_dir, publish_path and in_subdir in app.yaml", filepath.Base(path))
	}
	if err != nil {
		return nil, err
	}
	r.closers = append(r.closers, root.Close)
	return root, nil
}

// mounts lists what is mounted over the release of p; their places are below base,
// the service's root_dir in a view, or the service's root itself.
func (a *Appliance) mounts(p pair, m apps.Manifest, base string) []mount {
	var mounts []mount
	if m.Data != nil && m.Data.Mount != "" && p.Revision != "" {
		mounts = append(mounts, mount{at: filepath.Join(base, m.Data.Mount), target: a.dataPath(p, m), kind: front.MountData})
	}
	if m.State != nil && m.State.Mount != "" {
		mounts = append(mounts, mount{at: filepath.Join(base, m.State.Mount), target: a.at.state(), kind: front.MountState})
	}
	return mounts
}

// dataPath is the folder of the revision that the app is shown.
func (a *Appliance) dataPath(p pair, m apps.Manifest) string {
	return filepath.Join(a.data.publisher.Path(p.Revision), m.Data.InSubdir)
}

// makeView sets the pair's release aside with its mounts and returns the service's root in it.
func (a *Appliance) makeView(ctx context.Context, r *running, mounts []mount) error {
	r.view = viewName(r.pair)
	if r.followsData() {
		r.view = r.Release.Short() + "-live"
	}
	r.view = a.views.name(r.view)
	path, err := a.views.make(ctx, r.view, a.service.publisher.Path(r.Release), mounts)
	if err != nil {
		return err
	}
	r.root = filepath.Join(path, r.manifest.Service.RootDir)
	return nil
}

// startCommand runs the app's own program on a free port of the loopback.
func (a *Appliance) startCommand(ctx context.Context, r *running) error {
	mounts := a.mounts(r.pair, r.manifest, r.manifest.Service.RootDir)
	if r.followsData() {
		// One process sees many revisions: its mount is the pointer itself.
		for i, m := range mounts {
			if m.kind == front.MountData {
				mounts[i].target = a.livingData(r.manifest)
			}
		}
		// At the first boot the pointer leads nowhere yet, and the check needs the data.
		if err := a.data.syncer.Publish(r.Revision); err != nil {
			return err
		}
	}
	if err := a.makeView(ctx, r, mounts); err != nil {
		return err
	}
	port, err := freePort()
	if err != nil {
		return err
	}
	env, err := a.environment(r, fmt.Sprint(port))
	if err != nil {
		return err
	}
	r.process, err = a.runApp(ctx, appSpec{name: "app", dir: r.root, env: env, argv: shell(r.manifest.Serve.StartCommand)})
	if err != nil {
		return fmt.Errorf("start %q: %w", r.manifest.Serve.StartCommand, err)
	}
	r.handler = front.Proxy(net.JoinHostPort("127.0.0.1", fmt.Sprint(port)))
	return nil
}

// followsData reports whether the started program goes on when its data changes.
func (r *running) followsData() bool {
	return !r.pinned && r.manifest.Serve.Type == apps.ServeCommand && r.manifest.Data != nil &&
		r.manifest.Data.Sync.OnChange == apps.OnChangeNothing
}

// livingData is the path that always leads to the current revision.
func (a *Appliance) livingData(m apps.Manifest) string {
	return filepath.Join(a.at.data(), "current", m.Data.InSubdir)
}

// awaitHealthy checks r until it answers as its manifest says, or its time is
// over: grace_period, but for files and PHP, which have no warming up to do, only
// settleTime once they answer, and answer wrongly.
func (a *Appliance) awaitHealthy(ctx context.Context, r *running) error {
	began := time.Now()
	late := time.NewTimer(time.Duration(r.manifest.HealthCheck.GracePeriod))
	defer late.Stop()
	var wrong <-chan time.Time
	for wait := 20 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		err := r.check(ctx)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, front.ErrNoAnswer) || r.manifest.Serve.Type == apps.ServeCommand:
			wrong = nil
		case wrong == nil:
			wrong = time.After(settleTime)
		}
		again := time.NewTimer(wait)
		select {
		case <-again.C:
			continue
		case <-r.died():
			err = r.ended()
		case <-ctx.Done():
			err = ctx.Err()
		case <-late.C:
			err = r.notHealthy(began, err)
		case <-wrong:
			err = r.notHealthy(began, err)
		}
		again.Stop()
		return err
	}
}

// notHealthy says what the last check said, and what the app printed.
func (r *running) notHealthy(began time.Time, last error) error {
	return &phaseError{PhaseCheck, last.Error(), fmt.Errorf("not healthy after %s: %w%s", time.Since(began).Round(time.Second), last, r.tail())}
}

// check asks the app once, as the manifest's health_check says.
func (r *running) check(ctx context.Context) error {
	hc := r.manifest.HealthCheck
	return front.Check(ctx, r.handler, front.HealthCheck{
		Path: hc.HTTPPath, Status: hc.Status, Contains: hc.Contains, Timeout: time.Duration(hc.Timeout),
	})
}

// ended says how the app's process, which nobody stopped, came to its end.
func (r *running) ended() error {
	return &phaseError{PhaseStart, "the app ended by itself", fmt.Errorf("the app ended by itself: %w%s", r.process.Err(), r.tail())}
}

// died is closed when the app's process has ended; it never is for an app without one.
func (r *running) died() <-chan struct{} {
	if r.process == nil {
		return nil
	}
	return r.process.Done()
}

// tail is what the app printed last, for the status.
func (r *running) tail() string {
	if r.process == nil {
		return ""
	}
	if out := r.process.Tail(); out != "" {
		return "\nits output ends:\n" + out
	}
	return ""
}

// stop ends the app's process group and gives back what was open. It may be
// called again. An appliance in a hurry gives the app no time to end by itself.
func (r *running) stop(ctx context.Context) {
	r.stopped.Do(func() {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(r.app.rush, cancel)()
		r.end(ctx)
	})
}

func (r *running) end(ctx context.Context) {
	if r.process != nil {
		if err := r.process.Stop(ctx); err != nil {
			r.app.log.Error("stop app", "err", err)
		}
	}
	for _, c := range r.closers {
		if err := c(); err != nil {
			r.app.log.Error("close", "err", err)
		}
	}
	if r.view != "" {
		r.app.views.retire(r.view)
	}
}

// freePort returns a port of the loopback that was free a moment ago.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	return port, l.Close()
}

// shell runs a command line of the author's, as written. Nothing is ever put into it.
func shell(command string) []string { return []string{"/bin/sh", "-c", command} }
