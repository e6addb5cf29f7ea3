package backup

import (
	"context"
	"fmt"
	"io"
	"time"

	"popup/internal/archive"
)

// A CopyDatabase hands use a copy of the SQLite database at name, a path below the
// state, as of one moment, however much is written to it. An error that is not from use
// says in a sentence why it cannot.
type CopyDatabase func(ctx context.Context, name string, use func(size int64, content io.Reader) error) error

// databaseTime is how long one database may take. After one that took longer, the others
// are read like files: whoever made them may do so on purpose.
const databaseTime = 15 * time.Minute

// database takes a database by way of its copier. Without one, and where that cannot,
// taken is false, and what is at its name is read like any file.
func (t *taker) database(ctx context.Context, g *group) (taken bool, err error) {
	db, used := g.members[0], false
	if t.copy == nil || !g.database || t.asFile == db.name {
		return false, nil
	}
	t.asFile = db.name // unless it is taken now, it is not tried again
	within, cancel := context.WithTimeoutCause(ctx, databaseTime, fmt.Errorf("it took more than %s", databaseTime))
	defer cancel()
	err = t.copy(within, db.name, func(size int64, content io.Reader) error {
		used = true
		e := db.entry(g.database)
		e.Size = size
		counted := &counter{r: archive.Within(within, content)}
		if err := t.out.Add(e, io.MultiReader(quiet{counted}, zeros{})); err != nil {
			return err
		}
		if counted.n < size { // its length had been written
			t.out.Manifest.Entries[len(t.out.Manifest.Entries)-1].Changed = true
			t.note("the copy of database %q broke off after %d of %d bytes", db.name, counted.n, size)
		}
		return nil
	})
	switch {
	case ctx.Err() != nil:
		return false, ctx.Err()
	case used:
		t.journalsDone(db.name)
		return true, err
	case within.Err() != nil:
		t.copy = nil
		err = context.Cause(within)
	}
	t.note("database %q was read like any file, since SQLite could not copy it: %v", db.name, err)
	return false, nil
}

// journalsDone passes over what a copy holds already, also where it comes back
// meanwhile: beside the copy, it would undo what is newer.
func (t *taker) journalsDone(name string) {
	t.done[name] = true
	for _, end := range journals {
		if info, err := t.state.Lstat(name + end); err != nil || info.Mode().IsRegular() {
			t.done[name+end] = true
		}
	}
}

// mostNotes bounds the sentences that a state can have its archive say.
const mostNotes = 100

func (t *taker) note(format string, args ...any) {
	if notes := &t.out.Manifest.Notes; len(*notes) < mostNotes {
		*notes = append(*notes, fmt.Sprintf(format, args...))
	}
}

// counter counts what is read.
type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// quiet ends where reading fails.
type quiet struct{ r io.Reader }

func (q quiet) Read(p []byte) (int, error) {
	n, err := q.r.Read(p)
	if err != nil {
		err = io.EOF
	}
	return n, err
}
