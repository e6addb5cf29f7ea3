//go:build dqlite

package dqlite

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"popup/console"
	"popup/internal/atomicfile"
	"popup/store"
	"popup/store/sqlite"
)

// A member is a node in a process that may end, and come again.
type member struct {
	Options
	*Cluster
}

func (m *member) start(t *testing.T) {
	t.Helper()
	var err error
	m.Cluster, err = Open(waiting(t), m.Options)
	check(t, err)
}

// members are three that vote, each with its certificate in its folder, as a console has it.
func members(t *testing.T) (all []*member) {
	t.Helper()
	a := authority(t)
	for i := range 3 {
		m := &member{Options: options(t, a)}
		m.Dir = filepath.Join(m.Dir, "cluster")
		check(t, os.Mkdir(m.Dir, 0o700))
		text, err := json.Marshal(m.Identity)
		check(t, err)
		check(t, atomicfile.Write(filepath.Join(m.Dir, identityFile), text, 0o600))
		if i > 0 {
			m.Join = []string{all[0].Address}
		}
		m.start(t)
		all = append(all, m)
	}
	for _, m := range all {
		m.hasHeard(t)
	}
	return all
}

// hasHeard waits until a node has written down that three vote.
func (m *member) hasHeard(t *testing.T) {
	t.Helper()
	ctx := waiting(t)
	for voters := 0; voters < 3; {
		nodes, err := nodeFile(nodesOf(m.Dir)).Get(ctx)
		check(t, err)
		voters = 0
		for _, each := range nodes {
			if roles[each.Role] == console.Voter {
				voters++
			}
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			t.Fatalf("node %s has heard of %+v", m.Address, nodes)
		}
	}
}

// hasAll waits until a node has on its disk what another one has: two of three are enough
// for a write, and it may be the third.
func (m *member) hasAll(t *testing.T, of *member) {
	t.Helper()
	for ctx := waiting(t); lastEntry(m.Dir) < lastEntry(of.Dir); {
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			t.Fatalf("node %s has %d entries of %d", m.Address, lastEntry(m.Dir), lastEntry(of.Dir))
		}
	}
}

// hashOf is what the audit log of a backup ends with, by way of a console alone.
func hashOf(t *testing.T, backup *bytes.Buffer) (hash []byte, count int) {
	t.Helper()
	dir := t.TempDir()
	check(t, sqlite.Restore(t.Context(), dir, backup))
	s, err := sqlite.Open(t.Context(), dir)
	check(t, err)
	defer s.Close()
	newest, err := store.VerifyAudit(t.Context(), s)
	check(t, err)
	return newest.Hash, len(things(t, s))
}

// TestTwoAreLost: the one that is left goes on with what it has, and the lost ones do not
// come back.
func TestTwoAreLost(t *testing.T) {
	t.Parallel()
	all := members(t)
	hash := written(t, all[0], 0, 30)
	left, lost := all[1], []*member{all[0], all[2]}
	left.hasAll(t, all[0])
	_, err := Recover(waiting(t), left.Dir)
	says(t, err, "a console runs at "+left.Address, "stop it first")
	says(t, BackupStopped(waiting(t), left.Dir, &bytes.Buffer{}), "a console runs at")
	check(t, left.Close())
	_, err = Recover(waiting(t), left.Dir)
	says(t, err, "the console at", "runs", "majority", "loses nothing")
	for _, m := range lost {
		check(t, m.Close())
	}

	var backup bytes.Buffer
	check(t, BackupStopped(waiting(t), left.Dir, &backup))
	if is, count := hashOf(t, &backup); !bytes.Equal(is, hash) || count != 30 {
		t.Errorf("the backup of a node that is stopped has %d records", count)
	}
	r, err := Recover(waiting(t), left.Dir)
	check(t, err)
	if age := time.Since(r.Newest); age < 0 || age > 10*time.Minute || r.Aside != left.Dir+asideSuffix {
		t.Errorf("it says %+v", r)
	}
	_, err = Recover(waiting(t), left.Dir)
	says(t, err, r.Aside+" is there already", "move it away")

	left.Cluster, err = Grow(waiting(t), left.Options, filepath.Join(t.TempDir(), "none"))
	check(t, err)
	defer func() { check(t, left.Close()) }()
	if newest, err := store.VerifyAudit(t.Context(), left); err != nil || !bytes.Equal(newest.Hash, hash) {
		t.Errorf("the audit log ends with %v, %v", newest, err)
	}
	check(t, left.View(t.Context(), func(tx console.Tx) error {
		if _, err := tx.Changes(30, 0); err != console.ErrForgotten {
			t.Errorf("whoever followed does not begin anew: %v", err)
		}
		return nil
	}))
	written(t, left, 30, 40)
	for _, m := range lost {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		_, err := Open(ctx, m.Options)
		says(t, err, "the console at "+left.Address, "is of another cluster by now", m.Dir, "join anew")
	}
	if is, err := left.Members(t.Context()); err != nil || len(is) != 1 || !is[0].Leads {
		t.Errorf("the members are %+v, %v", is, err)
	}
}

// TestRecoveryIsKilled: at each of its steps it is done again from the beginning.
func TestRecoveryIsKilled(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "cluster")
	o := Options{Dir: dir, Address: freeAddress()}
	c, err := Grow(waiting(t), o, filepath.Join(t.TempDir(), "none"))
	check(t, err)
	hash := written(t, c, 0, 5)
	check(t, c.Close())
	for _, c := range []struct {
		name   string
		killed func()
	}{
		{"making", func() {
			check(t, os.Mkdir(dir+madeSuffix, 0o700))
			check(t, os.WriteFile(filepath.Join(dir+madeSuffix, infoFile), []byte("ID: 7"), 0o600))
		}},
		{"whole", func() {
			check(t, os.CopyFS(dir+madeSuffix, os.DirFS(dir)))
			check(t, os.WriteFile(filepath.Join(dir+madeSuffix, newestFile), nil, 0o600))
		}},
		{"all but telling", func() {
			check(t, os.CopyFS(dir+asideSuffix, os.DirFS(dir)))
			check(t, os.WriteFile(filepath.Join(dir, newestFile), nil, 0o600))
		}},
		{"in their places", func() {
			check(t, os.CopyFS(dir+madeSuffix, os.DirFS(dir)))
			check(t, os.WriteFile(filepath.Join(dir, newestFile), nil, 0o600))
		}},
	} {
		name := c.name
		c.killed()
		r, err := Recover(waiting(t), dir)
		check(t, err)
		if !isMissing(filepath.Join(r.Aside, newestFile)) || isMissing(filepath.Join(r.Aside, infoFile)) {
			t.Errorf("%s: what was there before is not kept", name)
		}
		c, err := Grow(waiting(t), o, filepath.Join(t.TempDir(), "none"))
		check(t, err)
		if newest, err := store.VerifyAudit(t.Context(), c); err != nil || !bytes.Equal(newest.Hash, hash) {
			t.Errorf("%s: the audit log ends with %v, %v", name, newest, err)
		}
		check(t, c.Close())
		check(t, os.RemoveAll(r.Aside))
		if !isMissing(dir+madeSuffix) || isNew(dir) {
			t.Errorf("%s: something half made is left", name)
		}
	}
	_, err = Recover(waiting(t), t.TempDir())
	says(t, err, "recover the cluster", infoFile)
}
