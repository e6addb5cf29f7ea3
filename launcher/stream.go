package launcher

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"popup/apps"
	"popup/datasync"
)

// A stream is one of the two things that keep changing: the releases of the
// service, or the revisions of the data. Its lock keeps two fetches of the same
// stream apart; the two streams fetch side by side.
type stream struct {
	publisher *datasync.Publisher
	syncer    *datasync.Syncer
	schedule  datasync.Schedule
	fetching  sync.Mutex

	config        datasync.Config // of syncer
	sourceOptions datasync.SourceOptions
}

// stage fetches the newest id that may be served, and reports whether it is not current.
func (s *stream) stage(ctx context.Context) (datasync.Revision, bool, error) {
	s.fetching.Lock()
	defer s.fetching.Unlock()
	return s.syncer.Stage(ctx)
}

// openTrees opens the published trees and what follows their sources.
func (a *Appliance) openTrees() error {
	releases, err := a.openPublisher(a.at.releases(), datasync.PublisherOptions{})
	if err != nil {
		return err
	}
	opts := a.sourceOptions()
	source, err := datasync.NewSource(a.opts.Plan.Service, opts)
	if err != nil {
		return err
	}
	schedule, err := a.parseSchedule("service", a.opts.Plan.Manifest.Service.Update.Schedule, a.readers())
	if err != nil {
		return err
	}
	config := datasync.Config{Source: source, Publisher: releases, Prepare: a.build, Schedule: schedule, Logger: a.log}
	a.service = &stream{publisher: releases, syncer: datasync.NewSyncer(config), schedule: schedule, config: config, sourceOptions: opts}
	if err := a.openData(); err != nil {
		return err
	}
	if state := a.opts.Plan.Manifest.State; state != nil {
		if a.backups, err = a.parseSchedule("backup", state.Backup.Schedule, 0); err != nil {
			return err
		}
	}
	// A view may share the release's files only with an app that cannot write them.
	a.views, err = openViews(a.at.views(), a.shielded())
	return err
}

// openPublisher opens published trees, and says what was lost when the machine went down.
func (a *Appliance) openPublisher(dir string, opts datasync.PublisherOptions) (*datasync.Publisher, error) {
	p, err := datasync.OpenPublisher(dir, opts)
	if err != nil {
		return nil, err
	}
	for _, lost := range p.Lost() {
		a.log.Error("remove what was damaged", "err", lost)
		a.record(Entry{Event: "damaged", Message: lost.Error()})
	}
	return p, nil
}

// closeTrees says on disk that all was in order: the next start need not read all of it.
func (a *Appliance) closeTrees() error {
	var err error
	for _, s := range []*stream{a.service, a.data} {
		if s != nil {
			err = errors.Join(err, s.publisher.Close())
		}
	}
	return err
}

func (a *Appliance) openData() error {
	m, plan := a.opts.Plan.Manifest, a.opts.Plan.Data
	if m.Data == nil || plan == nil {
		return nil
	}
	revisions, err := a.openPublisher(a.at.data(), datasync.PublisherOptions{Share: a.shielded()})
	if err != nil {
		return err
	}
	d := m.WithDefaults().Data
	opts := a.sourceOptions()
	opts.MaxBytes, opts.MaxFiles = int64(d.Limits.Size), d.Limits.Files
	source, err := datasync.NewSource(*plan, opts)
	if err != nil {
		return err
	}
	schedule, err := a.parseSchedule("data", d.Sync.Schedule, a.dataReaders())
	if err != nil {
		return err
	}
	config := datasync.Config{
		Source: source, Publisher: revisions, Logger: a.log, Extract: d.Extract, Schema: a.readsSchema,
		Limits: datasync.Limits{Bytes: int64(d.Limits.Size), Files: d.Limits.Files, Shrink: int(d.Limits.Shrink)},
		Check:  a.checkData, Schedule: schedule,
	}
	a.data = &stream{publisher: revisions, syncer: datasync.NewSyncer(config), schedule: schedule, config: config, sourceOptions: opts}
	return nil
}

// dataReaders is how many share what polls of the data cost its host. Where signatures
// tell what is new, a relay's polls cost it nothing; where the relay fails, its source
// keeps to the fleet by itself.
func (a *Appliance) dataReaders() int {
	if data := a.opts.Plan.Data; data.Relay != "" && data.Verify != nil {
		return 1
	}
	return a.readers()
}

// parseSchedule reads a line of the manifest; an empty one never runs. What runs
// at the same time elsewhere is spread by the instance and by what it is; readers
// is how many share what it asks, 0 where it asks nobody.
func (a *Appliance) parseSchedule(what, line string, readers int) (datasync.Schedule, error) {
	if line == "" {
		return datasync.Schedule{}, nil
	}
	s, err := datasync.ParseSchedule(line, "", a.memory.get().Instance+" "+what, readers)
	if err != nil {
		return s, fmt.Errorf("read the schedule of %s: %w", what, err)
	}
	return s, nil
}

func (a *Appliance) sourceOptions() datasync.SourceOptions {
	return datasync.SourceOptions{Catalogue: a.opts.Catalogue, Logger: a.log, Instance: a.memory.get().Instance, Fleet: a.readers()}
}

// build makes a fetched commit a release. It waits for the packages, since what
// builds is among them.
func (a *Appliance) build(ctx context.Context, dir string) error {
	if a.serving() == nil {
		a.board.done(PhaseService)
	}
	if err := a.awaitPackages(ctx); err != nil {
		return err
	}
	m, err := a.manifestIn(dir)
	if err != nil {
		return &phaseError{PhaseBuild, "the release's app.yaml cannot be used", err}
	}
	if err := requireFolder(dir, m.Service.RootDir, m.Serve.PublishPath); err != nil {
		return &phaseError{PhaseBuild, err.Error(), err}
	}
	if a.serving() != nil { // a first boot has its own phase for them
		if _, err := a.installPackages(ctx, m.Packages); err != nil {
			return err
		}
	}
	if m.BuildCommand == "" {
		return nil
	}
	if err := a.awaitSettings(ctx, m); err != nil {
		return err
	}
	if a.serving() == nil {
		a.board.running(PhaseBuild)
	}
	if err := a.giveTree(dir); err != nil {
		return &phaseError{PhaseBuild, "", fmt.Errorf("give the release to the app: %w", err)}
	}
	env, err := a.environment(&running{manifest: m, app: a}, "")
	if err != nil {
		return &phaseError{PhaseBuild, plainCause(err), err}
	}
	spec := appSpec{name: "build", dir: filepath.Join(dir, m.Service.RootDir), env: env, argv: shell(m.BuildCommand), writes: dir}
	if err := a.runScript(ctx, spec); err != nil {
		return &phaseError{PhaseBuild, "the build command failed", fmt.Errorf("run build_command: %w", err)}
	}
	if err := a.takeTree(dir); err != nil {
		return &phaseError{PhaseBuild, errForeignFile.Error(), err}
	}
	return nil
}

// awaitPackages waits until what builds and checks is installed, and the state is there,
// into which they may write.
func (a *Appliance) awaitPackages(ctx context.Context) error {
	for _, ready := range []<-chan struct{}{a.packagesReady, a.mounted} {
		select {
		case <-ready:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// requireFolder says which of the manifest's folders a release lacks.
func requireFolder(dir, rootDir, publishPath string) (err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	for _, f := range []struct{ key, path string }{
		{"service.root_dir", rootDir}, {"serve.publish_path", filepath.Join(rootDir, publishPath)},
	} {
		if f.path == "" || f.path == "." {
			continue
		}
		info, err := root.Stat(f.path)
		if err != nil || !info.IsDir() {
			return fmt.Errorf("%s: the release has no folder %s", f.key, f.path)
		}
	}
	return nil
}

// governing is the manifest that new data is held against: the served release's,
// and before there is one the plan's.
func (a *Appliance) governing() apps.Manifest {
	if r := a.serving(); r != nil {
		return r.manifest
	}
	return a.opts.Plan.Manifest.WithDefaults()
}

// readsSchema is the newest schema of data that the served release reads; 0: any.
func (a *Appliance) readsSchema() int {
	if m := a.governing(); m.Data != nil {
		return m.Data.Schema
	}
	return 0
}

// checkData runs the app's own gate in a revision that is not published.
func (a *Appliance) checkData(ctx context.Context, dir string) error {
	m := a.governing()
	if m.Data == nil {
		return nil
	}
	check := m.Data.Check
	if check.Command == "" {
		return nil
	}
	if err := a.awaitPackages(ctx); err != nil {
		return err
	}
	if err := a.awaitSettings(ctx, m); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(check.Timeout))
	defer cancel()
	env, err := a.environment(&running{manifest: m, app: a}, "")
	if err != nil {
		return err
	}
	if err := a.runScript(ctx, appSpec{name: "check", dir: dir, env: append(env, "DATA_DIR="+dir), argv: shell(check.Command)}); err != nil {
		return fmt.Errorf("the app's own check refused the data: %w", err)
	}
	return nil
}

// readConfined reads name in dir, at most limit bytes of it, and follows no link out of dir.
func readConfined(dir, name string, limit int64) (text []byte, err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	f, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	text, err = io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(text)) > limit {
		err = fmt.Errorf("it is larger than %d bytes", limit)
	}
	return text, err
}
