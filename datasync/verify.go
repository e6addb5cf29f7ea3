package datasync

import (
	"context"
	"errors"
	"fmt"

	"popup/internal/git"
	"popup/internal/signature"
	"popup/internal/wire"
)

// An admitter is a Source that tells of a revision whether it may be fetched at all,
// before it is. current is what is served; empty: nothing is. Its errors are
// *GateError where the revision is at fault.
type admitter interface {
	Admit(ctx context.Context, rev, current Revision) error
}

// A trust is what a plan says of whom to believe. The zero value believes everybody.
type trust struct {
	signers *signature.Allowed // nil: a commit need not be signed
	text    string             // what signers were read from
	rewind  bool               // a commit must follow what is served
}

func newTrust(spec wire.Source) (t trust, err error) {
	if err := spec.CheckTrust(); err != nil {
		return trust{}, fmt.Errorf("open source: %w", err)
	}
	if spec.Verify != nil {
		signers, err := signature.ParseAllowed(spec.Verify.AllowedSigners)
		if err != nil {
			return trust{}, fmt.Errorf("open source: %w", err)
		}
		t.signers, t.text = &signers, spec.Verify.AllowedSigners
	}
	t.rewind = spec.Rewind == wire.RewindRefuse
	return t, nil
}

// with has a source ask of each revision what the plan wants to know.
func (t trust) with(source Source) (Source, error) {
	if t.signers == nil && !t.rewind {
		return source, nil
	}
	repository, ok := source.(*gitSource)
	if !ok {
		return nil, fmt.Errorf("open source: %s is no git repository, and only commits can be signed and follow each other; leave out verify and rewind, or name a repository", source)
	}
	repository.trust = t
	return repository, nil
}

// rules names what is asked of a revision, for what is remembered of its answers.
func (t trust) rules(current Revision) string {
	if t.rewind {
		return t.text + " after " + string(current)
	}
	return t.text
}

func (s *gitSource) rules(current Revision) string { return s.trust.rules(current) }

// Admit asks for commits alone, and not for what is in them.
func (s *gitSource) Admit(ctx context.Context, rev, current Revision) error {
	if s.trust.signers == nil && (!s.trust.rewind || current == "") {
		return nil
	}
	held := s.trust.rewind && current != ""
	since := git.Commit("")
	if held {
		since = git.Commit(current)
	}
	history, err := s.remote.History(ctx, git.Commit(rev), since)
	if err != nil {
		return asMoved(err)
	}
	if s.trust.signers != nil {
		_, err := signature.Verify(history.Raw, *s.trust.signers)
		if errors.Is(err, signature.ErrClock) {
			return fmt.Errorf("check who signed %s: %w", rev.Short(), err)
		}
		if err != nil {
			return &GateError{rev, GateSignature, err}
		}
	}
	if !held || history.Follows {
		return nil
	}
	return &GateError{rev, GateRewind, notFollowing(current, history.Cut)}
}

func notFollowing(current Revision, cut string) error {
	const hint = "what is served stays; if it is right, set rewind: allow in the plan"
	if cut != "" {
		return fmt.Errorf("whether it follows %s, which is served, cannot be told: %s; %s", current.Short(), cut, hint)
	}
	return fmt.Errorf("it does not follow %s, which is served: the branch was moved back or begun anew, or is of another repository; %s", current.Short(), hint)
}

// asMoved tells a commit that is no longer to be had from other errors.
func asMoved(err error) error {
	var known *git.Error
	if errors.As(err, &known) && known.Class == git.Moved {
		return fmt.Errorf("%w: %w", ErrMoved, err)
	}
	return err
}

// admitted asks the source whether rev may be fetched.
func (s *Syncer) admitted(ctx context.Context, rev Revision) error {
	source, ok := s.config.Source.(admitter)
	current, _ := s.config.Publisher.Current()
	if !ok || current == rev {
		return nil
	}
	return source.Admit(ctx, rev, current)
}
