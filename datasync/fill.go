package datasync

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"popup/internal/tree"
)

// fill fetches rev, makes of it what is published, and holds that against the gates.
func (s *Syncer) fill(ctx context.Context, rev Revision) error {
	began := s.config.Now()
	var err error
	if s.config.Extract == "" && s.config.Prepare == nil {
		err = s.stageUpon(ctx, s.config.Publisher, rev, func(ctx context.Context, a *aside) (*tree.Index, error) {
			index, err := s.fetch(ctx, rev, a)
			if err != nil {
				return nil, err
			}
			return index, s.admit(ctx, rev, a.dir, index)
		})
	} else {
		err = s.fillFromSource(ctx, rev)
	}
	if err != nil {
		return err
	}
	s.config.Logger.Info("fetched", "repo", s.config.Source.String(), "commit", rev.Short(), "took", s.config.Now().Sub(began))
	s.noteMended(rev)
	s.mu.Lock()
	known := s.memory.Extract == s.config.Extract
	s.mu.Unlock()
	if known {
		return nil
	}
	return s.remember(func(m memory) memory { m.Extract = s.config.Extract; return m })
}

// stageUpon makes rev in p by fill, and once more where a relay sent something else.
func (s *Syncer) stageUpon(ctx context.Context, p *Publisher, rev Revision, fill filler) error {
	err := p.stageUpon(ctx, rev, fill)
	var fault *relayFault
	if !errors.As(err, &fault) {
		return err
	}
	if ctx.Err() != nil {
		return ctx.Err() // the revision is not to blame
	}
	s.config.Logger.Warn("fetch without the relay", "repo", s.config.Source.String(), "commit", rev.Short(), "err", err)
	fault.distrust()
	return p.stageUpon(ctx, rev, fill)
}

// fetch writes the source's own tree, upon what is here.
func (s *Syncer) fetch(ctx context.Context, rev Revision, a *aside) (index *tree.Index, err error) {
	w := a.writer(s.fetchLimits())
	defer func() { err = errors.Join(err, w.Close()) }()
	if err := s.config.Source.Fetch(ctx, rev, a.have, w); err != nil {
		return nil, asGate(rev, GateContent, err)
	}
	index, err = w.Finish()
	return index, asGate(rev, GateContent, err)
}

// fetchLimits bound what is fetched: the source's own, where an archive in it may
// hold more or less.
func (s *Syncer) fetchLimits() tree.Limits {
	if bounded, ok := s.config.Source.(interface{ bounds() tree.Limits }); ok {
		return bounded.bounds()
	}
	return s.config.Limits.tree()
}

// fillFromSource keeps what was fetched beside what is published, which is made of
// it: so the next fetch has something whole to build upon.
func (s *Syncer) fillFromSource(ctx context.Context, rev Revision) error {
	sources, err := OpenPublisher(filepath.Join(s.config.Publisher.Dir(), sourceDir),
		PublisherOptions{Retain: 1, Linger: time.Nanosecond, Share: true, Now: s.config.Now})
	if err != nil {
		return err
	}
	if sources.Has(rev) {
		if err := sources.Verify(ctx, rev); ctx.Err() != nil { // one that was damaged is fetched again
			return err
		}
	}
	err = s.stageUpon(ctx, sources, rev, func(ctx context.Context, a *aside) (*tree.Index, error) { return s.fetch(ctx, rev, a) })
	var full *DiskFullError
	if errors.As(err, &full) {
		full.Dir = s.config.Publisher.Dir()
	}
	if err != nil {
		return err
	}
	fetched, err := sources.Index(rev)
	if err != nil {
		return err
	}
	stage := s.config.Publisher.stage
	if s.config.Prepare == nil { // what a build may write is shared with nothing
		stage = s.config.Publisher.stageUpon
	}
	err = inRoot(sources.Path(rev), func(from *os.Root) error {
		return stage(ctx, rev, func(ctx context.Context, a *aside) (*tree.Index, error) {
			return s.convert(ctx, rev, &tree.Base{Root: from, Index: fetched}, a)
		})
	})
	return errors.Join(err, sources.Prune(nil))
}

// convert makes what is published of what was fetched: what its archive holds, or a
// copy that Prepare may change.
func (s *Syncer) convert(ctx context.Context, rev Revision, from *tree.Base, a *aside) (index *tree.Index, err error) {
	if s.config.Extract != "" {
		index, err = s.extract(ctx, rev, from.Root, a)
	} else {
		index, err = copyTree(from, a)
	}
	if err != nil {
		return nil, err
	}
	if s.config.Prepare == nil {
		return index, s.admit(ctx, rev, a.dir, index)
	}
	if err := s.gate(ctx, rev, a.dir, index); err != nil {
		return nil, err
	}
	if err := s.config.Prepare(ctx, a.dir); err != nil {
		return nil, err
	}
	if err := s.check(ctx, rev, a.dir); err != nil {
		return nil, err
	}
	return a.scan(ctx)
}

func (s *Syncer) extract(ctx context.Context, rev Revision, from *os.Root, a *aside) (index *tree.Index, err error) {
	limits := s.config.Limits.tree()
	w := tree.NewWriter(a.root, tree.WriterOptions{Limits: limits, Base: a.base, Spare: a.spare, Writable: s.config.Prepare != nil})
	defer func() { err = errors.Join(err, w.Close()) }()
	index, err = extract(ctx, from, s.config.Extract, w, limits)
	if err == nil || ctx.Err() != nil || isDiskFull(err) {
		return index, err
	}
	return nil, &GateError{rev, GateArchive, err}
}

func copyTree(from *tree.Base, a *aside) (index *tree.Index, err error) {
	size := from.Index.Size()
	w := tree.NewWriter(a.root, tree.WriterOptions{Base: from, Writable: true, Limits: tree.Limits{Bytes: size.Bytes + 1, Files: size.Entries + 1}})
	defer func() { err = errors.Join(err, w.Close()) }()
	if _, err := w.Reuse(".", tree.Folder, from.Index.Root()); err != nil {
		return nil, err
	}
	return w.Finish()
}

// admit holds a tree against the gates, and has the app's own check look at it.
func (s *Syncer) admit(ctx context.Context, rev Revision, dir string, index *tree.Index) error {
	if err := s.gate(ctx, rev, dir, index); err != nil {
		return err
	}
	return s.check(ctx, rev, dir)
}

func (s *Syncer) check(ctx context.Context, rev Revision, dir string) error {
	if s.config.Check == nil {
		return nil
	}
	err := s.config.Check(ctx, dir)
	if err == nil || ctx.Err() != nil {
		return err
	}
	return &GateError{rev, GateCheck, err}
}

// asGate makes a GateError of an error that is the content's fault.
func asGate(rev Revision, gate string, err error) error {
	var limit *tree.LimitError
	switch {
	case !contentFault(err):
		return err
	case errors.As(err, &limit):
		gate = GateSize
	}
	return &GateError{rev, gate, err}
}

func inRoot(dir string, use func(*os.Root) error) (err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	return use(root)
}

// checkEvery is how often what is served is looked at on disk, when nothing new came.
const checkEvery = time.Hour

// edited says whether somebody changed what is served on disk, so that it must be
// made anew. It looks once an hour.
func (s *Syncer) edited(ctx context.Context, rev Revision) bool {
	now := s.config.Now()
	s.mu.Lock()
	due := now.Sub(s.checked) >= checkEvery
	if due {
		s.checked = now
	}
	s.mu.Unlock()
	if !due {
		return s.config.Publisher.isDamaged(rev)
	}
	err := s.config.Publisher.Check(ctx, rev)
	if err != nil && ctx.Err() == nil {
		s.config.Logger.Warn("mend what was changed on disk", "commit", rev.Short(), "err", err)
	}
	return s.config.Publisher.isDamaged(rev)
}

// Recheck has the next Stage look on disk at what is served, whenever that was last done.
func (s *Syncer) Recheck() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.checked = time.Time{}
}

// noteMended remembers that the current revision was made anew under its name, until
// it is published.
func (s *Syncer) noteMended(rev Revision) {
	if current, ok := s.config.Publisher.Current(); ok && current == rev {
		s.mu.Lock()
		s.mended = rev
		s.mu.Unlock()
	}
}

func (s *Syncer) isMended(rev Revision) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mended == rev
}
