package datasync

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"slices"
	"sync"
	"time"

	"popup/internal/tree"
)

// Config is what a Syncer is made of. Source and Publisher must be set.
type Config struct {
	Source    Source
	Publisher *Publisher
	Extract   string // the archive in the source whose contents are published, a path or a glob; empty: the source's own tree
	Limits    Limits
	Schema    func() int // the newest data schema that is read now, 0 for any; nil: any
	Schedule  Schedule   // when Stage is called, for Status to tell; zero: it does not
	// Prepare makes what was fetched what is published, as a build does; an error of
	// its is not remembered. Nil: nothing is done.
	Prepare func(ctx context.Context, dir string) error
	// Check is the app's own gate. Nil: none.
	Check  func(ctx context.Context, dir string) error
	Logger *slog.Logger     // nil: nothing is logged
	Now    func() time.Time // nil: time.Now
}

// A Syncer brings the newest good revision of a source into a Publisher. Its
// methods may be called from several goroutines.
type Syncer struct {
	config  Config
	staging chan struct{} // holds one token: Stage runs once at a time

	mu      sync.Mutex // guards what follows
	memory  memory
	status  Status
	opened  time.Time
	planned time.Time // when a failed try is made again; zero: when the schedule says so
	checked time.Time // when what is served was last looked at on disk
	mended  Revision  // was made anew under its name
}

// NewSyncer reads what an earlier one remembered: what is held and what is refused.
func NewSyncer(config Config) *Syncer {
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	s := &Syncer{config: config, staging: make(chan struct{}, 1), opened: config.Now()}
	remembered, err := readMemory(config.Publisher.Dir())
	if err != nil {
		config.Logger.Error("forget what was held and refused", "repo", config.Source.String(), "err", err)
	}
	s.memory = remembered
	for _, r := range remembered.Refused {
		config.Publisher.reject(r.Revision)
	}
	if remembered.Extract != config.Extract {
		config.Publisher.distrust() // the same revision is something else now
	}
	return s
}

// A RefusedError says that the newest revision is one that was refused before. It
// is not fetched again until the source goes on to another.
type RefusedError struct{ Refusal Refusal }

func (e *RefusedError) Error() string {
	until := "until the source goes on"
	if !e.Refusal.Until.IsZero() {
		until += ", or until " + e.Refusal.Until.UTC().Format("2006-01-02 15:04")
	}
	return fmt.Sprintf("revision %s was refused at %s and is not tried again %s: %s",
		e.Refusal.Revision.Short(), e.Refusal.At.UTC().Format("2006-01-02 15:04"), until, e.Refusal.Why)
}

// unprovenLasts is how long a gate's refusal is believed where nothing but the source's
// word tells what a revision holds, or how large it is: what was wrong may have been
// done on the way.
const unprovenLasts = 24 * time.Hour

// movedTries is how often Stage asks again when the source moves under it.
const movedTries = 3

// Stage asks for the newest revision and, if it is not here, fetches it, extracts
// it, and holds it against the gates. It returns the revision to serve, and
// whether it is not the current one, or was made anew because somebody had changed
// it on disk. Nothing is published: Publish does that. While a revision is held,
// that one is returned.
//
// Its errors: *GateError and *RefusedError when the revision is at fault,
// *DiskFullError, those of the source (*git.Error), of Prepare, or of ctx.
func (s *Syncer) Stage(ctx context.Context) (rev Revision, changed bool, err error) {
	select {
	case s.staging <- struct{}{}:
		defer func() { <-s.staging }()
	case <-ctx.Done():
		return "", false, ctx.Err()
	}
	began := s.config.Now()
	for range movedTries {
		if rev, err = s.stageNewest(ctx); !errors.Is(err, ErrMoved) {
			break
		}
	}
	s.note(began, err)
	asked := err == nil
	if held, ok := s.held(); ok {
		rev, err = held, nil
	}
	if err != nil {
		return "", false, err
	}
	current, ok := s.config.Publisher.Current()
	changed = !ok || current != rev || s.isMended(rev)
	if asked && !changed {
		s.confirm()
	}
	return rev, changed, nil
}

// confirm notes that what is served is what is wanted.
func (s *Syncer) confirm() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status.Confirmed = s.config.Now()
}

// note keeps how the last try went.
func (s *Syncer) note(began time.Time, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status.LastTry, s.status.LastError = began, ""
	s.status.ErrorClass, s.status.ErrorKind = ErrorClass(err), errorKind(err)
	if err != nil {
		s.status.LastError = err.Error()
		return
	}
	s.status.LastSuccess = s.config.Now()
}

// held is the revision that is held, if it is still here.
func (s *Syncer) held() (Revision, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.memory.Held, s.memory.Held != "" && s.config.Publisher.Has(s.memory.Held)
}

// stageNewest makes sure that the newest revision is here, unless one is held.
func (s *Syncer) stageNewest(ctx context.Context) (Revision, error) {
	rev, err := s.config.Source.Head(ctx)
	if err != nil {
		return "", err
	}
	s.mu.Lock()
	s.status.Wanted = rev
	refusal, refused := s.memory.refused(rev, s.fingerprint(), s.config.Now())
	s.mu.Unlock()
	if held, ok := s.held(); ok {
		if s.edited(ctx, held) {
			return rev, s.fill(ctx, held)
		}
		return rev, nil
	}
	if current, ok := s.config.Publisher.Current(); ok && current == rev && !s.edited(ctx, rev) {
		return rev, nil
	}
	if refused {
		return "", &RefusedError{refusal}
	}
	if err = s.admitted(ctx, rev); err == nil {
		err = s.fill(ctx, rev)
	}
	if err == nil {
		return rev, nil
	}
	if contentFault(err) && s.worthRemembering(err) {
		s.refuse(rev, err, s.fingerprint())
	}
	return "", err
}

// worthRemembering: the app's own check may fail for what is missing around it, as
// long as nothing was ever served here.
func (s *Syncer) worthRemembering(err error) bool {
	if errorKind(err) != GateCheck {
		return true
	}
	_, served := s.config.Publisher.Current()
	return served
}

// Publish makes a staged revision the current one.
func (s *Syncer) Publish(rev Revision) error {
	before, _ := s.config.Publisher.Current()
	if err := s.config.Publisher.Flip(rev); err != nil {
		return err
	}
	s.mu.Lock()
	wanted := s.status.Wanted
	s.mended = ""
	refused := slices.ContainsFunc(s.memory.Refused, func(r Refusal) bool { return r.Revision == rev })
	s.mu.Unlock()
	if rev == wanted && rev != before {
		s.confirm()
	}
	if refused { // it was tried again, or the gates are others by now
		return s.Forgive(rev)
	}
	return nil
}

// Refuse remembers that rev must not be served, and why, across restarts. It is
// not fetched again until the source goes on, and is not kept.
func (s *Syncer) Refuse(rev Revision, why error) { s.refuse(rev, why, "") }

func (s *Syncer) refuse(rev Revision, why error, gate string) {
	s.config.Logger.Warn("refuse", "repo", s.config.Source.String(), "commit", rev.Short(), "err", why)
	r := Refusal{Revision: rev, Why: why.Error(), Class: errorKind(why), At: s.config.Now().UTC(), Gate: gate}
	if _, unproven := s.config.Source.(interface{ unproven() }); gate != "" && (unproven || r.Class == GateSize) {
		r.Until = r.At.Add(unprovenLasts)
	}
	s.config.Publisher.reject(rev)
	if err := s.remember(func(m memory) memory { return m.with(r) }); err != nil {
		s.config.Logger.Error("remember refusal", "commit", rev.Short(), "err", err)
	}
}

// Hold keeps rev, which must be here, as the revision to serve until Release, also
// across restarts. A refusal of it is taken back.
func (s *Syncer) Hold(rev Revision) error {
	if !s.config.Publisher.Has(rev) {
		return fmt.Errorf("hold %s: it is not here", rev.Short())
	}
	if current, _ := s.config.Publisher.Current(); current == rev {
		s.confirm()
	}
	s.config.Publisher.accept(rev)
	return s.remember(func(m memory) memory {
		m = m.without(rev)
		m.Held = rev
		return m
	})
}

// Forgive takes the refusal of rev back: what was missing around it may be there now.
func (s *Syncer) Forgive(rev Revision) error {
	s.config.Publisher.accept(rev)
	return s.remember(func(m memory) memory { return m.without(rev) })
}

// Release lets what was held go forward again. It is fine when nothing was.
func (s *Syncer) Release() error {
	return s.remember(func(m memory) memory { m.Held = ""; return m })
}

// remember changes the memory, on disk as well. What cannot be written still holds
// until the next restart.
func (s *Syncer) remember(change func(memory) memory) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.memory = change(s.memory)
	if err := s.memory.write(s.config.Publisher.Dir()); err != nil {
		return fmt.Errorf("remember: %w", err)
	}
	return nil
}

// Status tells what is served and how the last try went.
func (s *Syncer) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	status := s.status
	status.Source = s.config.Source.String()
	status.Serving, _ = s.config.Publisher.Current()
	status.Since = s.config.Publisher.Since().UTC()
	status.Held, status.Refused = s.memory.Held, slices.Clone(s.memory.Refused)
	if status.Held != "" {
		status.Wanted = status.Held
	}
	cost := s.cost()
	status.Requests, status.BytesIn, status.BytesOut = cost.Requests, cost.BytesIn, cost.BytesOut
	if relayed, ok := s.config.Source.(*relaySource); ok {
		via, fault := relayed.used()
		if status.Via = via; fault != nil {
			status.RelayError = fault.Error()
		}
	}
	status.complete(s.config.Now(), s.opened, s.planned, s.config.Schedule)
	return status
}

// cost is what the source says it asked for; none where it does not count.
func (s *Syncer) cost() (cost Cost) {
	if counts, ok := s.config.Source.(interface{ Cost() Cost }); ok {
		cost = counts.Cost()
	}
	return cost
}

// schema is the newest data schema that is read; 0: any.
func (s *Syncer) schema() int {
	if s.config.Schema == nil {
		return 0
	}
	return s.config.Schema()
}

// fingerprint is of what the gates are set to.
func (s *Syncer) fingerprint() string {
	h := fnv.New64a()
	fmt.Fprint(h, s.config.Extract, s.config.Limits, s.schema())
	if bounded, ok := s.config.Source.(interface{ bounds() tree.Limits }); ok {
		fmt.Fprint(h, bounded.bounds())
	}
	if ruled, ok := s.config.Source.(interface{ rules(Revision) string }); ok {
		current, _ := s.config.Publisher.Current()
		fmt.Fprint(h, ruled.rules(current))
	}
	return fmt.Sprintf("%x", h.Sum64())
}
