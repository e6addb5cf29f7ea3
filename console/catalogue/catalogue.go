// Package catalogue knows the apps that a console launches: those of the binary, of a
// folder, or of a git repository that is followed. It looks into any other repository
// for what would run, and tells what changed between two commits.
package catalogue

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"popup/apps"
	"popup/datasync"
	"popup/internal/guard"
)

// What bounds a catalogue.
const (
	maxBytes = 256 << 20
	maxFiles = 50_000
	maxApps  = 1000
	retained = 50 // commits, that Diff can tell apart
)

const defaultSchedule = "@every 5m"

// Options say where the apps come from.
type Options struct {
	// Source is a folder with <id>/app.yaml in it, by its absolute path, or a git
	// repository of such, as URL[#REF]. Empty: the apps that ship with popup.
	Source string
	Dir    string // what is fetched is kept here; this process owns it
	// Dial connects to what strangers named, not to Source. Nil: a guard.Dialer that
	// lets through the open internet alone.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// AllowLocal lets whoever launches name repositories and folders of this machine.
	AllowLocal bool
	Schedule   string           // when Source is looked at; empty: @every 5m
	Log        *slog.Logger     // nil: nothing is logged
	Now        func() time.Time // nil: time.Now

	retain int // commits that are kept; 0: retained
}

// A Catalogue is the apps of one source. Its methods may be called from several goroutines.
type Catalogue struct {
	opts       Options
	from       home
	publisher  *datasync.Publisher // nil: the apps of the binary, which do not change
	syncer     *datasync.Syncer
	inspecting chan struct{} // holds one token for each Inspect that may still begin

	syncing sync.Mutex
	files   sync.RWMutex // read-held by who reads a commit that is kept, and held by who removes some
	mu      sync.RWMutex // guards what follows
	shown   edition
}

// Open reads what was kept of the source, and does not fetch: Run does, or Sync. The
// caller closes the Catalogue when Run has returned.
func Open(ctx context.Context, opts Options) (*Catalogue, error) {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Dial == nil {
		opts.Dial = guard.New(guard.Options{}).DialContext
	}
	from, err := parseHome(opts.Source)
	if err != nil {
		return nil, fmt.Errorf("open catalogue: %w", err)
	}
	c := &Catalogue{opts: opts, from: from, inspecting: make(chan struct{}, maxInspecting)}
	if err := c.open(); err != nil {
		return nil, fmt.Errorf("open catalogue: %w", err)
	}
	return c, c.reload(ctx)
}

func (c *Catalogue) open() (err error) {
	if c.opts.Dir == "" {
		return errors.New("it has no folder to keep things in")
	}
	if err := os.RemoveAll(c.inspectDir()); err != nil { // of a console that was killed
		return err
	}
	if c.from.shipped() {
		return nil
	}
	line := cmp.Or(c.opts.Schedule, defaultSchedule)
	schedule, err := datasync.ParseSchedule(line, "", c.opts.Dir, 1)
	if err != nil {
		return err
	}
	source, err := datasync.NewSource(c.from.spec(), datasync.SourceOptions{MaxBytes: maxBytes, MaxFiles: maxFiles, Logger: c.opts.Log})
	if err != nil {
		return err
	}
	// What another source left is not shown as this one's.
	name := sha256.Sum256([]byte(c.opts.Source))
	dir := filepath.Join(c.opts.Dir, "followed-"+hex.EncodeToString(name[:6]))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	c.publisher, err = datasync.OpenPublisher(dir, datasync.PublisherOptions{Retain: cmp.Or(c.opts.retain, retained), Share: true, Now: c.opts.Now})
	if err != nil {
		return err
	}
	c.syncer = datasync.NewSyncer(datasync.Config{
		Source: source, Publisher: c.publisher, Limits: datasync.Limits{Bytes: maxBytes, Files: maxFiles},
		Schedule: schedule, Check: holdsApps, Logger: c.opts.Log, Now: c.opts.Now,
	})
	return nil
}

// Close says that all was well with what is kept.
func (c *Catalogue) Close() error {
	if c.publisher == nil {
		return nil
	}
	return c.publisher.Close()
}

// Run looks at the source at once, then whenever the schedule says so, and sooner after
// a failure, until ctx ends, whose error it returns.
func (c *Catalogue) Run(ctx context.Context) error {
	if c.syncer == nil {
		<-ctx.Done()
		return ctx.Err()
	}
	follow := func(ctx context.Context) error {
		err := c.Sync(ctx)
		if err != nil && ctx.Err() == nil {
			c.opts.Log.Warn("follow the catalogue", "repo", c.from.String(), "err", err)
		}
		return err
	}
	_ = follow(ctx) // it was logged, and is tried again
	return c.syncer.Follow(ctx, follow)
}

// Sync looks at the source now. On an error what was shown goes on.
func (c *Catalogue) Sync(ctx context.Context) error {
	if c.syncer == nil {
		return nil
	}
	c.syncing.Lock()
	defer c.syncing.Unlock()
	rev, changed, err := c.syncer.Stage(ctx)
	if err != nil {
		return fmt.Errorf("follow the catalogue: %w", err)
	}
	if changed {
		if err := c.syncer.Publish(rev); err != nil {
			return fmt.Errorf("follow the catalogue: %w", err)
		}
	}
	if !changed && c.Commit() == string(rev) {
		return nil
	}
	c.opts.Log.Info("the catalogue changed", "repo", c.from.String(), "commit", rev.Short())
	if err := c.reload(ctx); err != nil {
		return err
	}
	return c.prune()
}

// prune removes old commits, but not those that apps are still shown of.
func (c *Catalogue) prune() error {
	c.mu.RLock()
	used := c.shown.commits()
	c.mu.RUnlock()
	c.files.Lock()
	defer c.files.Unlock()
	return c.publisher.Prune(func(rev datasync.Revision) bool { return used[string(rev)] })
}

// Status tells how the source is followed. It is zero for the apps that ship with popup.
func (c *Catalogue) Status() datasync.Status {
	if c.syncer == nil {
		return datasync.Status{}
	}
	return c.syncer.Status()
}

// Source is where the apps come from, for people.
func (c *Catalogue) Source() string { return c.from.String() }

// Commit is what is shown: a commit, or the id of a folder's tree. Empty: nothing was
// fetched yet.
func (c *Catalogue) Commit() string {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.shown.commit
}

// Commits are those that Diff takes, the one that came last first.
func (c *Catalogue) Commits() ([]string, error) {
	if c.publisher == nil {
		return []string{c.Commit()}, nil
	}
	revs, err := c.publisher.List()
	if err != nil {
		return nil, err
	}
	commits := make([]string, len(revs))
	for i, rev := range revs {
		commits[i] = string(rev)
	}
	return commits, nil
}

// A Problem is why an app, or the whole source, is not shown as it is now.
type Problem struct {
	App     apps.AppID    `json:"app,omitempty"` // empty: the source
	Commit  string        `json:"commit,omitempty"`
	Kept    string        `json:"kept,omitempty"` // the commit whose version goes on; empty: none does
	Message string        `json:"message"`
	Details apps.Problems `json:"details,omitempty"` // of a manifest, with lines
}

// Problems is all that is wrong with what is shown, and with following the source.
func (c *Catalogue) Problems() []Problem {
	c.mu.RLock()
	problems := append([]Problem(nil), c.shown.problems...)
	commit := c.shown.commit
	c.mu.RUnlock()
	if said := c.Status().LastError; said != "" {
		problems = append([]Problem{{Kept: commit, Message: said}}, problems...)
	}
	return problems
}
