package datasync

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"popup/internal/meter"
	"popup/internal/signature"
	"popup/internal/tree"
	"popup/internal/wire"
)

// How a relay is held against the source it stands for.
const (
	patience      = 30 * time.Minute // it may be behind for so long, where it does not say its period
	patientTimes  = 3                // its periods
	mostPatience  = 24 * time.Hour
	inspectPeriod = 24 * time.Hour // the source is asked, whatever the relay says: one that stopped says that nothing is new
)

// What a relaySource may have used last, as Status tells.
const (
	viaRelay  = "relay"
	viaOrigin = "origin"
)

// A relaySource fetches the revisions of its origin from a relay. What the relay
// sends is held against the revision's id, and whether a new revision is the origin's
// newest is asked of the origin, once, or told by its signature. Where the relay is
// not reached, lies, or stays behind for too long, the origin does it.
type relaySource struct {
	origin Source
	relay  *relayClient
	trust  trust
	limits tree.Limits
	opts   SourceOptions
	gap    time.Duration // between two polls of the origin
	now    func() time.Time

	mu      sync.Mutex
	head    relayHead // what the relay said last; no revision: nothing
	fault   error     // why it is not used; nil: it is
	via     string
	next    time.Time // when the origin may be polled again
	inspect time.Time // when it is, whatever the relay says
	answer  Revision  // what it said last
	told    time.Time // when that was
	refusal error     // why it said nothing since
	about   Revision  // the relay's revision that it was asked about
	behind  time.Time // since when the relay has another one; zero: it has not
	bad     Revision  // what the relay sent for it was something else
	signed  time.Time // when the last commit of the relay's that was admitted was made
}

// withRelay has a source be fetched by way of a relay, where spec names one.
func withRelay(origin Source, spec wire.Source, opts SourceOptions) (Source, error) {
	if spec.Relay == "" {
		return origin, nil
	}
	if err := vouches(origin); err != nil {
		return nil, fmt.Errorf("open source: %w", err)
	}
	s := &relaySource{origin: origin, opts: opts, gap: max(minPeriod, share(opts.Fleet)), now: time.Now}
	switch from := origin.(type) {
	case *gitSource:
		s.trust, s.limits = from.trust, from.limits.OrDefault()
	case *folderSource:
		s.limits = from.limits.OrDefault()
	}
	var err error
	if s.relay, err = newRelayClient(spec.Relay, opts); err != nil {
		return nil, fmt.Errorf("open source: %w", err)
	}
	s.inspect = s.now().Add(spread(opts.Instance, inspectPeriod))
	return s, nil
}

func (s *relaySource) String() string { return s.origin.String() }

func (s *relaySource) bounds() tree.Limits { return s.limits }

func (s *relaySource) rules(current Revision) string { return s.trust.rules(current) }

// Cost is what was asked of both.
func (s *relaySource) Cost() Cost {
	cost := s.relay.cost()
	if counts, ok := s.origin.(interface{ Cost() meter.Cost }); ok {
		more := counts.Cost()
		cost.Requests, cost.BytesIn, cost.BytesOut = cost.Requests+more.Requests, cost.BytesIn+more.BytesIn, cost.BytesOut+more.BytesOut
	}
	return cost
}

// used says which of the two was used last, and why not the relay.
func (s *relaySource) used() (via string, fault error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.via, s.fault
}

func (s *relaySource) use(via string, fault error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.via, s.fault = via, fault
}

// A BehindError says that a relay has another revision than the source it stands
// for. It passes by itself.
type BehindError struct {
	Relay       string
	Has, Newest Revision
	Until       time.Time // when the source is fetched from instead
}

func (e *BehindError) Error() string {
	return fmt.Sprintf("the relay %s has %s where the source has %s: it is behind, or of something else; what is served stays until it has that, or until %s, when the source itself is fetched from",
		e.Relay, e.Has.Short(), e.Newest.Short(), e.Until.UTC().Format("15:04 UTC"))
}

// Transient says that it passes.
func (e *BehindError) Transient() bool { return true }

// Head asks the relay. The origin is polled where the relay is of no use, and no more
// often than it bears.
func (s *relaySource) Head(ctx context.Context) (Revision, error) {
	head, err := s.relay.head(ctx)
	if ctx.Err() != nil {
		return "", errors.Join(ctx.Err(), err)
	}
	if err == nil {
		err = s.compare(ctx, head)
	}
	if err == nil {
		s.use(viaRelay, nil)
		return head.Revision, nil
	}
	s.noteFault(err)
	rev, asked, originErr := s.poll(ctx, "")
	switch {
	case originErr != nil:
		return "", originErr
	case !asked && rev == "":
		return "", err
	}
	s.use(viaOrigin, err)
	return rev, nil
}

// compare takes in what the relay says. Its error is that it was behind for too long.
func (s *relaySource) compare(ctx context.Context, head relayHead) error {
	now := s.now()
	s.mu.Lock()
	s.head = head
	due := !now.Before(s.inspect)
	s.mu.Unlock()
	asked := false
	if due {
		var err error
		_, asked, err = s.poll(ctx, "")
		asked = asked && err == nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if asked {
		s.inspect = now.Add(inspectPeriod)
	}
	switch {
	case s.answer == head.Revision:
		s.behind = time.Time{}
	case asked && s.behind.IsZero():
		s.behind = now
	}
	if until := s.until(); !s.behind.IsZero() && !now.Before(until) {
		return &BehindError{s.relay.String(), head.Revision, s.answer, until}
	}
	return nil
}

// until is how long a relay that is behind is waited for.
func (s *relaySource) until() time.Time {
	wait := patience
	if s.head.Period > 0 {
		wait = min(max(patientTimes*time.Duration(s.head.Period)*time.Second, patientTimes*minPeriod), mostPatience)
	}
	return s.behind.Add(wait)
}

// noteFault keeps a large fleet, whose relay fails all of it at once, from coming to
// the origin all at once.
func (s *relaySource) noteFault(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fault == nil && s.head.Revision != "" && s.gap > minPeriod {
		if first := s.now().Add(spread(s.opts.Instance, s.gap)); first.After(s.next) {
			s.next = first
		}
	}
	s.fault = err
}

// poll asks the origin for its newest revision. Where that would be too often, it
// returns what it said a moment ago, or nothing; but what the relay newly says is
// asked about at once.
func (s *relaySource) poll(ctx context.Context, about Revision) (rev Revision, asked bool, err error) {
	now := s.now()
	s.mu.Lock()
	if now.Before(s.next) && (about == "" || about == s.about || about == s.answer) {
		defer s.mu.Unlock()
		if now.Sub(s.told) > s.gap || s.refusal != nil {
			return "", false, s.refusal
		}
		return s.answer, false, nil
	}
	s.next, s.about = now.Add(s.gap), about
	s.mu.Unlock()
	rev, err = s.origin.Head(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refusal = err; err != nil {
		return "", true, err
	}
	s.answer, s.told = rev, now
	return rev, true, nil
}

// Admit says whether rev may be fetched. Of a revision that the origin itself named,
// only its own rules are asked.
func (s *relaySource) Admit(ctx context.Context, rev, current Revision) error {
	head, ours := s.offered(rev)
	rules, ruled := s.origin.(admitter)
	if !ours && ruled {
		return rules.Admit(ctx, rev, current)
	}
	if !ours {
		return nil
	}
	follows := ruled && s.trust.rewind && current != ""
	newer, unsigned := s.vouched(head)
	if !newer || follows {
		if err := s.confirm(ctx, rev); err != nil {
			return err
		}
	}
	switch {
	case errors.Is(unsigned, signature.ErrClock):
		return fmt.Errorf("check who signed %s: %w", rev.Short(), unsigned)
	case unsigned != nil:
		return &GateError{rev, GateSignature, unsigned}
	case follows:
		if err := rules.Admit(ctx, rev, current); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.signed = commitTime(head.Commit)
	return nil
}

// offered is the relay's head, when that is rev.
func (s *relaySource) offered(rev Revision) (relayHead, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.head, s.via == viaRelay && s.head.Revision == rev
}

// vouched says whether the commit's own signature says that it is newer than the one
// that was admitted before; else the origin must be asked: an old one may have been
// sent again. The error is that of a signature that is not good, where one is asked for.
func (s *relaySource) vouched(head relayHead) (newer bool, err error) {
	if s.trust.signers == nil {
		return false, nil
	}
	if _, err := signature.Verify(head.Commit, *s.trust.signers); err != nil {
		return false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.signed.IsZero() && !commitTime(head.Commit).Before(s.signed), nil
}

// commitTime is when a commit was made, by its committer; zero: it does not say.
func commitTime(raw []byte) time.Time {
	for line := range bytes.Lines(raw) {
		if len(bytes.TrimSpace(line)) == 0 {
			break
		}
		fields := bytes.Fields(line)
		if len(fields) < 3 || string(fields[0]) != "committer" {
			continue
		}
		if seconds, err := strconv.ParseInt(string(fields[len(fields)-2]), 10, 64); err == nil {
			return time.Unix(seconds, 0)
		}
	}
	return time.Time{}
}

// confirm asks the origin whether rev is its newest. Its error is a *BehindError, or
// the origin's.
func (s *relaySource) confirm(ctx context.Context, rev Revision) error {
	if _, _, err := s.poll(ctx, rev); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.answer == rev {
		s.behind = time.Time{}
		return nil
	}
	if s.behind.IsZero() {
		s.behind = s.now()
	}
	s.fault = &BehindError{s.relay.String(), rev, s.answer, s.until()}
	return s.fault
}

// A relayFault says that what a relay sent for a revision is not its tree. Whoever
// finds that calls distrust, and fetches it once more, with another Writer.
type relayFault struct {
	source *relaySource
	rev    Revision
	err    error
}

func (e *relayFault) Error() string { return e.err.Error() }

func (e *relayFault) Unwrap() error { return e.err }

// distrust has the revision be fetched from the origin from now on.
func (e *relayFault) distrust() {
	e.source.mu.Lock()
	defer e.source.mu.Unlock()
	e.source.bad, e.source.via, e.source.fault = e.rev, viaOrigin, e
}

// Fetch writes the tree of rev. An error that is the relay's fault is a *relayFault.
func (s *relaySource) Fetch(ctx context.Context, rev, have Revision, w *tree.Writer) error {
	s.mu.Lock()
	head, bad := s.head, s.bad
	s.mu.Unlock()
	if head.Revision != rev || bad == rev {
		return s.origin.Fetch(ctx, rev, have, w)
	}
	if w.Base() == nil {
		have = ""
	}
	op := "fetch " + rev.Short() + " from the relay"
	w.Expect(head.root(), &relayFault{s, rev, fmt.Errorf("%s %s: what it sent is not the tree of the revision", op, s.relay)})
	err := s.relay.fetch(ctx, head, have, w, s.limits)
	var damaged *tree.DamagedError
	if err == nil || ctx.Err() != nil || errors.As(err, &damaged) || isDiskFull(err) {
		return err
	}
	return &relayFault{s, rev, explainHTTP(ctx, op, s.relay.String(), err)}
}
