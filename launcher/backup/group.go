package backup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"

	"popup/internal/archive"
)

const (
	// attempts is how often files are read that change meanwhile.
	attempts = 3
	// mostInMemory is how many bytes of files that belong together are read before
	// any is written, so that they can be read again. More are read once.
	mostInMemory = 8 << 20
	// fresh is the age below which a file may have been written to twice without
	// its time of modification telling: file systems count in steps of up to 10 ms.
	fresh = 20 * time.Millisecond
	// pause is how long a file that was written to just now is left alone.
	pause = 50 * time.Millisecond
)

// sqliteHeader begins every SQLite database.
const sqliteHeader = "SQLite format 3\x00"

// sqliteShared is the end of the name of a file that holds nothing but locks and
// an index, and that SQLite makes anew.
const sqliteShared = "-shm"

// journals are the ends of the names of files that a database may need.
var journals = []string{"-wal", "-journal", sqliteShared}

// A group is files that belong to one moment: a file alone, or a database with its
// journals.
type group struct {
	opened   time.Time
	members  []member
	database bool
}

type member struct {
	name    string
	file    *os.File
	info    fs.FileInfo // before it was read
	content []byte      // when read in memory
}

// file takes a regular file, and with a database what belongs to it.
func (t *taker) file(ctx context.Context, name string) error {
	for attempt := 1; ; attempt++ {
		g, err := t.open(name)
		if err != nil {
			return gone("open", name, err)
		}
		again := false
		taken, err := t.database(ctx, g)
		if err == nil && !taken {
			again, err = t.take(ctx, g, attempt == attempts)
		}
		g.close()
		if err != nil || !again {
			return err
		}
		if err := wait(ctx, pause); err != nil {
			return err
		}
	}
}

// take writes a group, or asks to be called again because it was written to.
func (t *taker) take(ctx context.Context, g *group, last bool) (again bool, err error) {
	if g.size() > mostInMemory {
		if g.isFresh() && !last {
			return true, nil
		}
		return false, t.stream(ctx, g)
	}
	for i := range g.members {
		m := &g.members[i]
		m.content, err = io.ReadAll(io.LimitReader(archive.Within(ctx, m.file), m.info.Size()))
		if err != nil {
			return false, fmt.Errorf("read %q: %w", m.name, err)
		}
	}
	changed := g.isFresh() || t.changed(g)
	if changed && !last {
		return true, nil
	}
	for _, m := range g.members {
		e := m.entry(g.database)
		e.Size, e.Changed = int64(len(m.content)), changed
		if err := t.out.Add(e, bytes.NewReader(m.content)); err != nil {
			return false, err
		}
		t.done[m.name] = true
	}
	return false, nil
}

// stream writes a group that is too big for memory, and learns afterwards whether
// it held still. A file that became shorter is filled up with zeros: its length
// had been written.
func (t *taker) stream(ctx context.Context, g *group) error {
	first := len(t.out.Manifest.Entries)
	for _, m := range g.members {
		e := m.entry(g.database)
		e.Size = m.info.Size()
		if err := t.out.Add(e, io.MultiReader(archive.Within(ctx, m.file), zeros{})); err != nil {
			return err
		}
		t.done[m.name] = true
	}
	changed := g.isFresh() || t.changed(g)
	for i := first; i < len(t.out.Manifest.Entries); i++ {
		t.out.Manifest.Entries[i].Changed = changed
	}
	return nil
}

// open opens the file at name, and what belongs to it when it is a database.
func (t *taker) open(name string) (*group, error) {
	g := &group{opened: time.Now()}
	if err := t.join(g, name); err != nil {
		return nil, err
	}
	start := make([]byte, len(sqliteHeader))
	if n, _ := g.members[0].file.ReadAt(start, 0); string(start[:n]) != sqliteHeader {
		return g, nil
	}
	g.database = true
	for _, end := range journals {
		if err := t.join(g, name+end); err != nil && !errors.Is(err, fs.ErrNotExist) {
			g.close()
			return nil, err
		}
	}
	return g, nil
}

// join opens a regular file. Anything else at its name counts as nothing there.
func (t *taker) join(g *group, name string) error {
	// A pipe that took the file's place meanwhile must not block.
	file, err := t.state.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fs.ErrNotExist
	}
	if err != nil {
		return errors.Join(err, file.Close())
	}
	g.members = append(g.members, member{name: name, file: file, info: info})
	return nil
}

func (g *group) close() {
	for _, m := range g.members {
		m.file.Close() //nolint:errcheck // it was only read
	}
}

func (g *group) size() (total int64) {
	for _, m := range g.members {
		total += m.info.Size()
	}
	return total
}

// isFresh says whether a member was written to so shortly before it was opened
// that a write since might have left no trace.
func (g *group) isFresh() bool {
	for _, m := range g.members {
		if g.opened.Sub(m.info.ModTime()).Abs() < fresh {
			return true
		}
	}
	return false
}

// changed says whether a member is another than when it was opened, or a journal
// has come or gone.
func (t *taker) changed(g *group) bool {
	names := map[string]bool{}
	for _, m := range g.members {
		names[m.name] = true
		if g.database && m.name == g.members[0].name+sqliteShared {
			continue
		}
		now, err := t.state.Lstat(m.name)
		if err != nil || !os.SameFile(now, m.info) || now.Size() != m.info.Size() || !now.ModTime().Equal(m.info.ModTime()) {
			return true
		}
	}
	if !g.database {
		return false
	}
	for _, end := range journals {
		name := g.members[0].name + end
		if _, err := t.state.Lstat(name); err == nil && !names[name] && end != sqliteShared {
			return true
		}
	}
	return false
}

func (m member) entry(database bool) archive.Entry {
	return archive.Entry{
		Path: archive.Name(m.name), Kind: archive.KindFile, Mode: archive.Mode(m.info.Mode().Perm()), Modified: m.info.ModTime().UTC(), Database: database,
	}
}

// wait waits for d, or until ctx is over.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
