package catalogue

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"strings"

	"popup/apps"
	"popup/datasync"
	"popup/internal/tree"
)

// How an app, or a file, differs between two commits.
const (
	Added   = "added"
	Removed = "removed"
	Changed = "changed"
)

// maxFileChanges are listed of an app; the rest is counted.
const maxFileChanges = 200

// A Diff is what changed between two commits of the catalogue.
type Diff struct {
	From string    `json:"from"` // in full
	To   string    `json:"to"`
	Apps []AppDiff `json:"apps"` // by id; those that did not change are left out
}

// An AppDiff is what changed of an app.
type AppDiff struct {
	ID     apps.AppID    `json:"id"`
	Change string        `json:"change"`
	Fields []FieldChange `json:"fields,omitempty"` // of its manifest; of one that was added or removed, all
	// Files are those beside the manifest, like scripts that it runs.
	Files     []FileChange `json:"files,omitempty"`
	MoreFiles int          `json:"more_files,omitempty"` // are not listed
	// Problem is why a manifest of the two could not be read. Fields then say nothing of it.
	Problem string `json:"problem,omitempty"`
}

// A FileChange is a file that changed, by its path within the app's folder.
type FileChange struct {
	Path   string `json:"path"`
	Change string `json:"change"`
}

// Diff tells what changed between two commits, each in full or as much of it as is
// unique. They are among Commits: what the catalogue showed at some time. Its error is
// *InputError that names "from" or "to" for a commit that is not.
func (c *Catalogue) Diff(ctx context.Context, from, to string) (Diff, error) {
	c.files.RLock()
	defer c.files.RUnlock()
	commits, err := c.Commits()
	if err != nil {
		return Diff{}, err
	}
	var d Diff
	var fromErr, toErr error
	d.From, fromErr = findCommit(commits, "from", from)
	d.To, toErr = findCommit(commits, "to", to)
	if err := errors.Join(fromErr, toErr); err != nil || d.From == d.To {
		return d, err
	}
	before, err := c.state(d.From)
	if err != nil {
		return Diff{}, err
	}
	after, err := c.state(d.To)
	if err != nil {
		return Diff{}, err
	}
	all := maps.Clone(before.apps)
	maps.Copy(all, after.apps)
	for _, id := range slices.Sorted(maps.Keys(all)) {
		if err := ctx.Err(); err != nil {
			return Diff{}, err
		}
		app, err := compareApps(id, before, after)
		if err != nil {
			return Diff{}, err
		}
		if app.Change != "" {
			d.Apps = append(d.Apps, app)
		}
	}
	return d, nil
}

var commitForm = regexp.MustCompile(`^[0-9a-z-]{4,64}$`)

// findCommit finds the one commit that begins so.
func findCommit(commits []string, field, given string) (string, error) {
	const try = "write one of those that this console has shown"
	if !commitForm.MatchString(given) {
		return "", &InputError{Field: field, Message: "is not a commit", Try: "write its 40 hexadecimal digits, or at least the first 4"}
	}
	var found []string
	for _, commit := range commits {
		if strings.HasPrefix(commit, given) || strings.HasPrefix(strings.TrimPrefix(commit, "tree-"), given) {
			found = append(found, commit)
		}
	}
	switch len(found) {
	case 0:
		return "", &InputError{Field: field, Message: fmt.Sprintf("%s is no commit of the catalogue that is known here", given), Try: try + known(commits)}
	case 1:
		return found[0], nil
	}
	return "", &InputError{Field: field, Message: fmt.Sprintf("%s is the beginning of %d commits", given, len(found)), Try: "write more of it"}
}

// known names the newest commits.
func known(commits []string) string {
	if len(commits) == 0 {
		return ""
	}
	var names []string
	for _, commit := range commits[:min(len(commits), 5)] {
		names = append(names, short(commit))
	}
	return ", like " + strings.Join(names, " ")
}

// A state is what is compared of a commit.
type state struct {
	apps  map[apps.AppID]manifest
	index *tree.Index
}

// A manifest is one as it was written, or why it cannot be read.
type manifest struct {
	written *apps.Manifest
	problem string
}

func (c *Catalogue) state(commit string) (state, error) {
	s := state{apps: map[apps.AppID]manifest{}}
	err := c.inCommit(commit, func(folder fs.FS) (err error) {
		if s.index, err = c.publisher.Index(datasync.Revision(commit)); err != nil {
			return err
		}
		ids, err := idsIn(folder)
		for _, id := range ids {
			m, err := c.readManifest(folder, id)
			if err != nil {
				s.apps[id] = manifest{problem: fmt.Sprintf("at %s: %s", short(commit), problemOf(id, commit, err).Message)}
				continue
			}
			s.apps[id] = manifest{written: &m}
		}
		return err
	})
	if err != nil {
		return s, fmt.Errorf("read the catalogue at %s: %w", short(commit), err)
	}
	return s, nil
}

func compareApps(id apps.AppID, before, after state) (AppDiff, error) {
	d := AppDiff{ID: id}
	was, had := before.apps[id]
	is, has := after.apps[id]
	if d.Problem = strings.Trim(was.problem+"; "+is.problem, "; "); d.Problem == "" {
		var err error
		if d.Fields, err = compareManifests(was.written, is.written); err != nil {
			return d, err
		}
	}
	switch {
	case !had:
		d.Change = Added
	case !has:
		d.Change = Removed
	default:
		d.compareFiles(before.index, after.index)
		old, _ := before.index.Lookup(string(id))
		if now, _ := after.index.Lookup(string(id)); now.ID != old.ID {
			d.Change = Changed
		}
	}
	return d, nil
}

// compareFiles notes the files of the app that are not alike. Folders stand for nothing.
func (d *AppDiff) compareFiles(before, after *tree.Index) {
	dir := string(d.ID)
	note := func(e tree.Entry, change string) {
		name := strings.TrimPrefix(e.Path, dir+"/")
		switch {
		case e.Mode == tree.Folder || name == apps.FileName:
		case len(d.Files) == maxFileChanges:
			d.MoreFiles++
		default:
			d.Files = append(d.Files, FileChange{name, change})
		}
	}
	for e := range before.Below(dir) {
		if _, there := after.Lookup(e.Path); !there {
			note(e, Removed)
		}
	}
	for e := range after.Below(dir) {
		was, there := before.Lookup(e.Path)
		switch {
		case !there:
			note(e, Added)
		case was.ID != e.ID || was.Mode != e.Mode:
			note(e, Changed)
		}
	}
	slices.SortFunc(d.Files, func(a, b FileChange) int { return strings.Compare(a.Path, b.Path) })
}
