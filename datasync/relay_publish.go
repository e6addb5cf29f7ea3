package datasync

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"popup/internal/atomicfile"
	"popup/internal/git"
	"popup/internal/tree"
	"popup/internal/wire"
)

const (
	defaultChanges = 5         // that a relay offers
	relayLinger    = time.Hour // an archive that the head no longer names is kept: somebody may be reading it
)

// RelayConfig says what a Relay publishes, and where.
type RelayConfig struct {
	Source wire.Source   // a git repository or a folder
	To     string        // a folder that a web server serves, or s3://bucket/prefix
	Work   string        // a folder of this Relay alone
	Keep   int           // how many revisions a change is offered from; 0: 5
	Every  time.Duration // between two looks at the source, for Follow; 0: it is looked at when Publish is called
	// Options are of the source; its logger is the Relay's.
	Options SourceOptions
	Now     func() time.Time // nil: time.Now
}

// A Relay writes the newest revision of a source as static files, for instances to
// fetch it from instead. Its methods are used by one goroutine.
type Relay struct {
	config    RelayConfig
	source    Source
	store     relayStore
	lock      *os.File
	publisher *Publisher
	syncer    *Syncer
}

// A RelayReport is what a pass came to.
type RelayReport struct {
	Revision Revision `json:"revision"`
	Changed  bool     `json:"changed"`
	To       string   `json:"to"`
	Snapshot int64    `json:"snapshot"` // bytes of it
	Changes  int      `json:"changes"`  // how many revisions a change is offered from
	Requests int64    `json:"requests"` // of the source, since the Relay was opened
	BytesIn  int64    `json:"bytes_in"`
	BytesOut int64    `json:"bytes_out"`
}

// OpenRelay takes the work folder for this process, until Close.
func OpenRelay(config RelayConfig) (*Relay, error) {
	config.Keep = cmp.Or(config.Keep, defaultChanges)
	if config.Keep < 0 || config.Keep > mostChanges {
		return nil, fmt.Errorf("open relay: changes from %d revisions cannot be kept; keep between 1 and %d", config.Keep, mostChanges)
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	if config.Options.Logger == nil {
		config.Options.Logger = slog.New(slog.DiscardHandler)
	}
	r := &Relay{config: config}
	var err error
	if r.source, err = NewSource(config.Source, config.Options); err != nil {
		return nil, err
	}
	if err := vouches(r.source); err != nil {
		return nil, fmt.Errorf("open relay: %w", err)
	}
	if r.store, err = openRelayStore(config.To, config.Options); err != nil {
		return nil, fmt.Errorf("open relay: %w", err)
	}
	var schedule Schedule
	if config.Every > 0 {
		host, _ := os.Hostname() // what is spread alike is only less spread
		if schedule, err = ParseSchedule("@every "+config.Every.String(), "", host+" "+config.To, 0); err != nil {
			return nil, fmt.Errorf("open relay: %w", err)
		}
	}
	return r, r.openWork(schedule)
}

// vouches says why a relay can do nothing for a source.
func vouches(source Source) error {
	switch source.(type) {
	case *gitSource, *folderSource:
		return nil
	}
	return fmt.Errorf("%s needs no relay: it is static storage itself, and its revisions do not vouch for their contents; leave out the relay, or name a repository", source)
}

// openWork opens the folder that the source is fetched to.
func (r *Relay) openWork(schedule Schedule) (err error) {
	if err := os.MkdirAll(r.config.Work, 0o700); err != nil {
		return fmt.Errorf("open relay: %w", err)
	}
	if r.lock, err = os.OpenFile(filepath.Join(r.config.Work, "lock"), os.O_CREATE|os.O_RDWR, 0o600); err != nil {
		return fmt.Errorf("open relay: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.lock.Close())
		}
	}()
	err = syscall.Flock(int(r.lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return fmt.Errorf("open relay: another popup publish runs in %s; stop it, or give this one another --work", r.config.Work)
	}
	if err != nil {
		return fmt.Errorf("lock %s: %w", r.config.Work, err)
	}
	if err := atomicfile.Sweep(r.config.Work); err != nil {
		return err
	}
	r.publisher, err = OpenPublisher(filepath.Join(r.config.Work, "revisions"),
		PublisherOptions{Retain: r.config.Keep + 1, Linger: time.Nanosecond, Share: true, Now: r.config.Now})
	if err != nil {
		return err
	}
	r.syncer = NewSyncer(Config{Source: r.source, Publisher: r.publisher, Schedule: schedule, Logger: r.config.Options.Logger, Now: r.config.Now,
		Limits: Limits{Bytes: r.config.Options.MaxBytes, Files: r.config.Options.MaxFiles}})
	return nil
}

// Close lets go of the work folder.
func (r *Relay) Close() error { return errors.Join(r.publisher.Close(), r.lock.Close()) }

// Publish looks at the source once. What the relay's head names is whole, whenever
// this ends.
func (r *Relay) Publish(ctx context.Context) (RelayReport, error) {
	report := RelayReport{To: r.store.String()}
	rev, _, err := r.syncer.Stage(ctx)
	if err == nil {
		err = r.announce(ctx, rev, &report)
	}
	if err == nil {
		err = errors.Join(r.syncer.Publish(rev), r.publisher.Prune(nil))
	}
	cost := r.syncer.cost()
	report.Requests, report.BytesIn, report.BytesOut = cost.Requests, cost.BytesIn, cost.BytesOut
	return report, errors.Join(err, r.sweep(ctx))
}

// Follow publishes whenever the time has come, until ctx ends. tell is told what
// each pass came to.
func (r *Relay) Follow(ctx context.Context, tell func(RelayReport, error)) error {
	return r.syncer.Follow(ctx, func(ctx context.Context) error {
		report, err := r.Publish(ctx)
		tell(report, err)
		return err
	})
}

// head is what the relay says now; no revision: nothing.
func (r *Relay) head(ctx context.Context) (relayHead, error) {
	text, err := r.store.Head(ctx)
	if errors.Is(err, fs.ErrNotExist) {
		return relayHead{}, nil
	}
	if err != nil {
		return relayHead{}, err
	}
	h, err := parseRelayHead(text)
	if err != nil {
		return h, fmt.Errorf("write to %s: %w; move it away, or publish somewhere else", r.store, err)
	}
	return h, nil
}

// announce makes rev what the relay says is newest: its archives first, and what
// names them last.
func (r *Relay) announce(ctx context.Context, rev Revision, report *RelayReport) error {
	h, err := r.head(ctx)
	if err != nil {
		return err
	}
	files, err := r.store.List(ctx)
	if err != nil {
		return err
	}
	if h.Revision != rev || h.Period != r.period() || !h.whole(files) {
		if h, err = r.write(ctx, rev); err != nil {
			return err
		}
		report.Changed = true
	}
	report.Revision, report.Snapshot, report.Changes = rev, h.Snapshot.Size, len(h.Changes)
	return nil
}

func (r *Relay) period() int64 { return int64(r.config.Every / time.Second) }

// archives are all that the head names.
func (h relayHead) archives() []relayArchive { return append([]relayArchive{h.Snapshot}, h.Changes...) }

// whole says whether all that the head names is there.
func (h relayHead) whole(files map[string]int64) bool {
	for _, a := range h.archives() {
		if size, ok := files[a.Name]; !ok || size != a.Size {
			return false
		}
	}
	return true
}

func (r *Relay) write(ctx context.Context, rev Revision) (relayHead, error) {
	h := relayHead{Version: relayVersion, Revision: rev, Published: r.config.Now().UTC().Truncate(time.Second), Period: r.period()}
	if repository, ok := r.source.(*gitSource); ok {
		history, err := repository.remote.History(ctx, git.Commit(rev), "")
		if err != nil {
			return h, asMoved(err)
		}
		h.Commit = history.Raw
	}
	x, err := r.publisher.Index(rev)
	if err != nil {
		return h, err
	}
	h.Tree = x.Root().String()
	if h.Snapshot, err = r.archive(ctx, rev, x, "", math.MaxInt64); err != nil {
		return h, err
	}
	if h.Changes, err = r.changes(ctx, rev, x, h.Snapshot.Size); err != nil {
		return h, err
	}
	if err := h.check(); err != nil {
		return h, fmt.Errorf("publish %s: %w", rev.Short(), err)
	}
	text, err := json.Marshal(h)
	if err != nil {
		return h, err
	}
	if len(text) >= mostRelayHead {
		return h, fmt.Errorf("publish %s: its commit is larger than the %s that a relay can tell; write a shorter message", rev.Short(), tree.Bytes(mostRelayHead/2))
	}
	return h, r.store.Put(ctx, relayHeadName, bytes.NewReader(append(text, '\n')))
}

// changes writes what is new against the revisions before, where that is less than all.
func (r *Relay) changes(ctx context.Context, rev Revision, x *tree.Index, most int64) ([]relayArchive, error) {
	before, err := r.publisher.List()
	if err != nil {
		return nil, err
	}
	var all []relayArchive
	for _, from := range before {
		if from == rev || len(all) == r.config.Keep {
			continue
		}
		a, err := r.archive(ctx, rev, x, from, most)
		if err != nil {
			return nil, err
		}
		if a.Size > 0 {
			all = append(all, a)
		}
	}
	return all, nil
}

// archive makes an archive and puts it there. One that would have most bytes or more,
// or is of a change from what is not known, is not made and has no size.
func (r *Relay) archive(ctx context.Context, rev Revision, x *tree.Index, from Revision, most int64) (a relayArchive, err error) {
	a = relayArchive{From: from, Name: snapshotName(rev)}
	var before *tree.Index
	if from != "" {
		a.Name = changeName(from, rev)
		if before, err = r.publisher.Index(from); err != nil {
			return a, nil // an index that is damaged is of no use, and of no harm
		}
	}
	temp, err := os.CreateTemp(r.config.Work, atomicfile.TempPrefix)
	if err != nil {
		return a, err
	}
	defer func() { err = diskFull(r.config.Work, errors.Join(err, temp.Close(), os.Remove(temp.Name()))) }()
	sum := sha256.New()
	err = inRoot(r.publisher.Path(rev), func(root *os.Root) error {
		return writeRelayArchive(ctx, io.MultiWriter(temp, sum), root, x, before)
	})
	var damaged *tree.DamagedError
	if errors.As(err, &damaged) {
		r.publisher.markDamaged(rev) // and made anew by the next pass
	}
	if err != nil {
		return a, fmt.Errorf("publish %s: %w", rev.Short(), err)
	}
	size, err := temp.Seek(0, io.SeekCurrent)
	if err != nil || size >= most {
		return a, err
	}
	if _, err := temp.Seek(0, io.SeekStart); err != nil {
		return a, err
	}
	a.Size, a.SHA256 = size, hex.EncodeToString(sum.Sum(nil))
	return a, r.store.Put(ctx, a.Name, temp)
}

// unnamedFile, in the work folder, says since when the relay's head does not name the
// archives that are there besides.
const unnamedFile = "unnamed.json"

// sweep removes archives that the head has not named for an hour, and what was half
// written. Other files are left alone.
func (r *Relay) sweep(ctx context.Context) error {
	h, err := r.head(ctx)
	if err != nil {
		return nil // it was said by announce, and what it named is not known
	}
	files, err := r.store.List(ctx)
	if err != nil {
		return err
	}
	for _, a := range h.archives() {
		delete(files, a.Name)
	}
	path := filepath.Join(r.config.Work, unnamedFile)
	since := map[string]time.Time{}
	if text, err := os.ReadFile(path); err == nil && json.Unmarshal(text, &since) != nil {
		since = map[string]time.Time{} // counted anew
	}
	unnamed := map[string]time.Time{}
	now := r.config.Now().UTC()
	for name := range files {
		if !isRelayArchive(name) && !isRelayLeftover(name) {
			continue
		}
		first, known := since[name]
		if !known {
			first = now
		}
		if now.Sub(first) < relayLinger {
			unnamed[name] = first
			continue
		}
		if err := r.store.Remove(ctx, name); err != nil {
			return err
		}
	}
	if len(unnamed)+len(since) == 0 {
		return nil
	}
	text, err := json.Marshal(unnamed)
	if err != nil {
		return err
	}
	return atomicfile.Write(path, text, 0o600)
}

// isRelayLeftover says whether a file of that name is one of a relay's, half written.
func isRelayLeftover(name string) bool {
	rest, ok := strings.CutPrefix(name, atomicfile.TempPrefix)
	i := strings.LastIndexByte(rest, '-')
	return ok && i > 0 && (rest[:i] == relayHeadName || isRelayArchive(rest[:i]))
}
