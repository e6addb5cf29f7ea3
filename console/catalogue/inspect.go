package catalogue

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"popup/apps"
	"popup/datasync"
	"popup/internal/tree"
	"popup/internal/wire"
	"popup/userdata"
)

// What bounds a look at a stranger's repository.
const (
	inspectBytes   = 128 << 20
	inspectFiles   = 20_000
	inspectTimeout = time.Minute
	maxInspecting  = 4 // at once; who comes then waits
)

// A Proposal is what would run, were a repository launched.
type Proposal struct {
	Loaded     apps.Loaded
	Repository string // its address, without #REF
	Commit     string // of it, as it was looked at; of a folder the id of its tree
	Origin     userdata.Origin
	// Code is where the service comes from, at the very commit. It is another repository
	// where the manifest says so. Empty where whoever launches it has to say it.
	Code     wire.Source
	Content  *wire.Source // nil: there is no data, or whoever launches it has to say which
	Original *Original    // nil: it looks like no app of the catalogue
	Notes    []string     // sentences that whoever launches it should read
}

// Overrides are what a launch of the proposal begins with. They are pinned: what is
// launched is the commit that was shown. With Here for a folder of this machine.
func (p Proposal) Overrides() userdata.Overrides {
	o := userdata.Overrides{Origin: p.Origin}
	if p.Origin.Folder == "" && p.Code.URL != "" {
		o.Service = p.Code.URL + "#" + p.Code.Ref
	}
	return o
}

// inspectDir is where strangers' repositories are fetched to.
func (c *Catalogue) inspectDir() string { return filepath.Join(c.opts.Dir, "inspect") }

// Inspect fetches any repository, by URL[#REF], and says what would run. Nothing of it
// is run. Its errors: *InputError for the address and what is there, apps.Problems, with
// lines, for a manifest that is at fault; others are the console's own.
func (c *Catalogue) Inspect(ctx context.Context, repository string) (Proposal, error) {
	at, err := c.parseTarget(repository)
	if err != nil {
		return Proposal{}, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, inspectTimeout, errSlow)
	defer cancel()
	select {
	case c.inspecting <- struct{}{}:
		defer func() { <-c.inspecting }()
	case <-ctx.Done():
		return Proposal{}, refusal(ctx, ctx.Err())
	}
	dir, err := c.newInspectDir()
	if err != nil {
		return Proposal{}, err
	}
	defer func() {
		if err := os.RemoveAll(dir); err != nil {
			c.opts.Log.Error("remove what was looked at", "err", err)
		}
	}()
	commit, err := c.fetch(ctx, at, dir)
	if err != nil {
		return Proposal{}, refusal(ctx, err)
	}
	return c.propose(ctx, at, checkout{dir, commit})
}

func (c *Catalogue) newInspectDir() (string, error) {
	if err := os.MkdirAll(c.inspectDir(), 0o700); err != nil {
		return "", fmt.Errorf("make a folder to look into: %w", err)
	}
	dir, err := os.MkdirTemp(c.inspectDir(), "tmp-")
	if err != nil {
		return "", fmt.Errorf("make a folder to look into: %w", err)
	}
	return dir, nil
}

// A target is the address of a repository that somebody gave.
type target struct{ url, ref string }

// parseTarget refuses what is fetched from nowhere, before anything is opened.
func (c *Catalogue) parseTarget(given string) (target, error) {
	var at target
	at.url, at.ref, _ = strings.Cut(given, "#")
	if at.url == "" {
		return at, &InputError{Field: repositoryField, Message: "is empty", Try: "write an address like https://example.org/owner/name.git"}
	}
	if err := apps.CheckRepository(at.url); err != nil {
		return at, badRepository(err)
	}
	if err := checkRef(at.ref); err != nil {
		return at, badRepository(fmt.Errorf("what follows the # is no branch, tag or commit: %w", err))
	}
	local := !apps.IsRemote(at.url) || apps.IsLocal(at.url)
	switch {
	case !local:
	case !c.opts.AllowLocal:
		return at, &InputError{Field: repositoryField, Message: "is on this machine, and a console looks only at repositories that are elsewhere", Try: "push it to a server and give its https address"}
	case !apps.IsRemote(at.url) && !filepath.IsAbs(at.url):
		return at, &InputError{Field: repositoryField, Message: "is a relative folder, and it is not clear of what", Try: "write the whole path"}
	}
	return at, nil
}

// source opens what a stranger named.
func (c *Catalogue) source(spec wire.Source) (datasync.Source, error) {
	return datasync.NewSource(spec, datasync.SourceOptions{
		DialContext: c.opts.Dial, MaxBytes: inspectBytes, MaxFiles: inspectFiles, Logger: c.opts.Log,
	})
}

// fetch writes the tree of the newest commit into dir.
func (c *Catalogue) fetch(ctx context.Context, at target, dir string) (commit string, err error) {
	source, err := c.source(wire.Source{URL: at.url, Ref: at.ref})
	if err != nil {
		return "", badRepository(err)
	}
	rev, err := source.Head(ctx)
	if err != nil {
		return "", err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	w := tree.NewWriter(root, tree.WriterOptions{Writable: true, Limits: tree.Limits{Bytes: inspectBytes, Files: inspectFiles}}) // it is removed again
	defer func() { err = errors.Join(err, w.Close()) }()
	if err := source.Fetch(ctx, rev, "", w); err != nil {
		return "", err
	}
	_, err = w.Finish()
	return string(rev), err
}

// A checkout is the tree of a commit in a folder.
type checkout struct{ dir, commit string }

// propose reads what would run out of a checkout.
func (c *Catalogue) propose(ctx context.Context, at target, from checkout) (Proposal, error) {
	loaded, err := c.load(at, from.dir)
	if err != nil {
		return Proposal{}, err
	}
	p := Proposal{Loaded: loaded, Repository: at.url, Commit: from.commit}
	p.Loaded.Dir = "" // it will be gone
	if p.Original, err = c.originalOf(loaded, at.url); err != nil {
		return Proposal{}, err
	}
	if strings.HasPrefix(from.commit, "tree-") {
		p.Origin.Folder = strings.TrimPrefix(at.url, "file://")
	} else {
		p.Origin.Repository = at.url + "#" + from.commit
	}
	if err := c.locate(ctx, &p, at); err != nil {
		return Proposal{}, err
	}
	if loaded.Detected != "" {
		p.Notes = append(p.Notes, loaded.Detected)
	}
	return p, nil
}

// load reads the manifest of a checkout. For a fork that has none, it is the one that
// the catalogue has for its original.
func (c *Catalogue) load(at target, dir string) (apps.Loaded, error) {
	loaded, err := apps.LoadCheckout(dir, at.url, apps.Given{})
	var problems apps.Problems
	if unclear := errors.As(err, &problems) || loaded.Detected != "" && loaded.Shipped == ""; unclear && !hasManifest(dir) {
		if app, ok := c.namedLike(at.url); ok {
			loaded, err = app.Loaded, nil
			loaded.Service.Repository = "" // the fork's own
			if !isCodeOf(app, at.url) {
				loaded.Service.Branch = ""
			}
			loaded.Detected = fmt.Sprintf("the repository has no %s; the catalogue's manifest %s is taken, for a repository of the same name", apps.FileName, app.ID)
		}
	}
	if err != nil {
		return apps.Loaded{}, problemsOnly(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return apps.Loaded{}, err
	}
	err = loaded.CheckFiles(root.FS(), at.url)
	return loaded, errors.Join(err, root.Close())
}

// problemsOnly makes what a checkout holds instead of a manifest a fault of the address.
func problemsOnly(err error) error {
	if errors.As(err, new(apps.Problems)) {
		return err
	}
	return &InputError{Field: repositoryField, Message: "its " + apps.FileName + " cannot be read", Try: "make it a plain file of the repository", Err: err}
}

func hasManifest(dir string) bool {
	_, err := os.Lstat(filepath.Join(dir, apps.FileName))
	return !errors.Is(err, fs.ErrNotExist)
}

// locate finds out where service and data come from, and at which commit that is now.
func (c *Catalogue) locate(ctx context.Context, p *Proposal, at target) error {
	if m := p.Loaded.Manifest; p.Origin.Repository != "" && p.Loaded.Detected == "" {
		placed := beside(m, besideOptions{wire.Source{URL: at.url, Ref: at.ref}, p.Commit, ""})
		if placed.Data != m.Data { // what is launched is no longer what an app.yaml there says
			p.Loaded.Manifest, p.Origin = placed, userdata.Origin{}
		}
	}
	p.Code, p.Content = sources(p.Loaded, p.Overrides())
	if err := c.pin(ctx, p, at); err != nil {
		return err
	}
	return c.lookAtData(ctx, p)
}

// pin says at which commit the code is. It asks for that where it is not the one that
// the manifest was read at: of another branch, or in another repository.
func (c *Catalogue) pin(ctx context.Context, p *Proposal, at target) error {
	same := apps.SameRepository(p.Code.URL, at.url)
	branch := p.Loaded.Service.Branch
	switch {
	case p.Code.URL == "":
		p.Notes = append(p.Notes, "its "+apps.FileName+" does not say where the code is; that has to be given")
		return nil
	case p.Code.Kind == apps.SourceFolder:
		return nil
	case same && (at.ref != "" || branch == "" || branch == p.Commit):
		p.Code.Ref = p.Commit
		return nil
	case same:
		p.Code.Ref = branch
		p.Notes = append(p.Notes, fmt.Sprintf("its %s names the branch %s for the code", apps.FileName, branch))
	default:
		p.Notes = append(p.Notes, fmt.Sprintf("its %s names the code in %s, so that is launched and not what is in %s", apps.FileName, p.Code.URL, at.url))
	}
	source, err := c.source(p.Code)
	if err != nil {
		return badRepository(err)
	}
	rev, err := source.Head(ctx)
	if err != nil {
		return elsewhere("the code", p.Code.URL, refusal(ctx, err))
	}
	p.Code.Ref = string(rev)
	return nil
}

// lookAtData asks for the newest revision of the data. A bucket is not asked: that
// would be with the console's own credentials.
func (c *Catalogue) lookAtData(ctx context.Context, p *Proposal) error {
	d := p.Content
	if d == nil {
		if p.Loaded.Data != nil {
			p.Notes = append(p.Notes, "its "+apps.FileName+" does not say where data is that another machine can read; that has to be given")
		}
		return nil
	}
	if d.Kind == apps.SourceFolder || d.Kind == apps.SourceS3 {
		return nil
	}
	source, err := c.source(*d)
	if err != nil {
		return badRepository(err)
	}
	if _, err = source.Head(ctx); err != nil {
		return elsewhere("the data", d.URL, refusal(ctx, err))
	}
	return nil
}

// elsewhere says of an error that it is of another address than the one that was given.
func elsewhere(what, address string, err error) error {
	var input *InputError
	if !errors.As(err, &input) {
		return err
	}
	input.Message = fmt.Sprintf("its %s names %s in %s, and that cannot be looked at: %s", apps.FileName, what, address, input.Message)
	return input
}
