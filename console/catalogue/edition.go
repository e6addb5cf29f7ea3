package catalogue

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"popup/apps"
	"popup/datasync"
	"popup/internal/tree"
)

// An edition is what a catalogue shows. It does not change.
type edition struct {
	commit   string
	apps     []App // by name
	problems []Problem
}

// commits are those that apps are shown of.
func (e edition) commits() map[string]bool {
	used := map[string]bool{e.commit: true}
	for _, app := range e.apps {
		used[app.Commit] = true
	}
	return used
}

// reload shows what is kept.
func (c *Catalogue) reload(ctx context.Context) error {
	commit := ""
	if c.publisher == nil {
		index, err := tree.Scan(ctx, apps.ShippedCatalogue(), tree.Limits{})
		if err != nil {
			return fmt.Errorf("read the apps that ship with popup: %w", err)
		}
		commit = "tree-" + index.Root().String()
	} else if rev, ok := c.publisher.Current(); ok {
		commit = string(rev)
	}
	if commit == "" {
		return nil // nothing was fetched yet
	}
	next, err := c.read(commit)
	if err != nil {
		return fmt.Errorf("read the catalogue at %s: %w", short(commit), err)
	}
	for _, p := range next.problems {
		c.opts.Log.Warn("an app of the catalogue is not shown as it is", "app", p.App, "commit", short(commit), "err", p.Message)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.shown = next
	return nil
}

// inCommit calls use with the tree of a commit. The caller is the one that prunes, or
// holds c.files.
func (c *Catalogue) inCommit(commit string, use func(fs.FS) error) (err error) {
	if c.publisher == nil {
		return use(apps.ShippedCatalogue())
	}
	root, err := os.OpenRoot(c.publisher.Path(datasync.Revision(commit)))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	return use(root.FS())
}

// read reads the apps of a commit. One that is broken stays as it was last good.
func (c *Catalogue) read(commit string) (edition, error) {
	e := edition{commit: commit}
	var broken []Problem
	err := c.inCommit(commit, func(folder fs.FS) error {
		ids, err := idsIn(folder)
		if err != nil {
			return err
		}
		if len(ids) > maxApps {
			e.problems = append(e.problems, Problem{Commit: commit, Message: fmt.Sprintf("it holds %d apps, and the first %d are shown; part it in two", len(ids), maxApps)})
			ids = ids[:maxApps]
		}
		for _, id := range ids {
			app, err := c.readApp(folder, id, commit)
			if err != nil {
				broken = append(broken, problemOf(id, commit, err))
				continue
			}
			e.add(app, commit)
		}
		return nil
	})
	if err != nil {
		return e, err
	}
	for _, p := range broken {
		if app, ok := c.lastGood(p.App, commit); ok {
			p.Kept = app.Commit
			e.add(app, app.Commit)
		}
		e.problems = append(e.problems, p)
	}
	slices.SortFunc(e.apps, func(a, b App) int {
		return cmp.Or(cmp.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)), cmp.Compare(a.ID, b.ID))
	})
	return e, nil
}

// add adds an app, and what is wrong with its pictures.
func (e *edition) add(app App, commit string) {
	if app.flaw != nil {
		e.problems = append(e.problems, Problem{App: app.ID, Commit: commit, Kept: commit, Message: app.flaw.Error()})
	}
	e.apps = append(e.apps, app)
}

func problemOf(id apps.AppID, commit string, err error) Problem {
	p := Problem{App: id, Commit: commit, Message: err.Error()}
	if errors.As(err, &p.Details) {
		p.Message = fmt.Sprintf("its %s is not valid: %v", apps.FileName, p.Details[0])
	}
	return p
}

// lastGood is an app as it was in the newest commit here that has it right.
func (c *Catalogue) lastGood(id apps.AppID, not string) (app App, ok bool) {
	commits, err := c.Commits()
	if err != nil || c.publisher == nil {
		return app, false
	}
	for _, commit := range commits {
		if commit == not {
			continue
		}
		err := c.inCommit(commit, func(folder fs.FS) (err error) {
			app, err = c.readApp(folder, id, commit)
			return err
		})
		if err == nil {
			return app, true
		}
	}
	return App{}, false
}

// idsIn are the folders with a manifest in them.
func idsIn(folder fs.FS) ([]apps.AppID, error) {
	entries, err := fs.ReadDir(folder, ".")
	if err != nil {
		return nil, err
	}
	var ids []apps.AppID
	for _, entry := range entries {
		if !entry.IsDir() || strings.HasPrefix(entry.Name(), ".") {
			continue
		}
		if _, err := fs.Stat(folder, path.Join(entry.Name(), apps.FileName)); err == nil {
			ids = append(ids, apps.AppID(entry.Name()))
		}
	}
	return ids, nil
}

// holdsApps is the gate of what is followed: a commit without a single app was hardly meant.
func holdsApps(_ context.Context, dir string) (err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	ids, err := idsIn(root.FS())
	if err == nil && len(ids) == 0 {
		err = fmt.Errorf("it holds no app: a catalogue has one folder an app, with an %s in it", apps.FileName)
	}
	return err
}

// readManifest reads a manifest as it was written. Its error is apps.Problems where that is at fault.
func (c *Catalogue) readManifest(folder fs.FS, id apps.AppID) (apps.Manifest, error) {
	file := fileOf(id)
	text, err := apps.ReadBounded(folder, file, apps.MaxSize)
	if err != nil {
		return apps.Manifest{}, err
	}
	m, err := c.from.parse(file, text)
	if err == nil && m.ID != id {
		err = apps.Problems{{File: file, Field: "id", Message: fmt.Sprintf("is %s, and its folder is named %s", m.ID, id), Hint: "give both the same name"}}
	}
	return m, err
}

// short is a commit as it is shown to people.
func short(commit string) string { return datasync.Revision(commit).Short() }
