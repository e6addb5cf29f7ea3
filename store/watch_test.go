package store

import (
	"path/filepath"
	"testing"
	"time"

	"popup/console"
)

// shared is a database that two stores may write to.
func shared(t *testing.T) string {
	return filepath.Join(t.TempDir(), "db") + "?_pragma=journal_mode(WAL)&_pragma=busy_timeout(10000)"
}

// TestWatchHearsOfOthers: two stores on one database are as two consoles of a cluster.
func TestWatchHearsOfOthers(t *testing.T) {
	path := shared(t)
	other, err := with(t, path, Options{}, migrations)
	check(t, err)
	check(t, put(other, "before"))
	s, err := with(t, path, Options{Watch: time.Millisecond}, migrations)
	check(t, err)
	for _, id := range []string{"a", "b", "c"} {
		changed := s.Changed()
		check(t, put(s, "own "+id))
		select {
		case <-changed:
		default:
			t.Error("a commit of its own is heard of late")
		}
		changed = s.Changed()
		select {
		case <-changed:
			t.Error("it tells of what it told of already")
		case <-time.After(50 * time.Millisecond):
		}
		check(t, put(other, id))
		select {
		case <-changed:
		case <-time.After(30 * time.Second):
			t.Fatal("what another wrote is not heard of")
		}
	}
	check(t, s.Close())
	check(t, put(other, "after"))
}

func TestNobodyWatchesUnasked(t *testing.T) {
	path := shared(t)
	other, err := with(t, path, Options{}, migrations)
	check(t, err)
	s, err := with(t, path, Options{}, migrations)
	check(t, err)
	changed := s.Changed()
	check(t, other.Update(t.Context(), func(tx console.Tx) error { return tx.Put(console.Record{Kind: "thing", ID: "a"}) }))
	select {
	case <-changed:
		t.Error("it looks for what others wrote")
	case <-time.After(50 * time.Millisecond):
	}
}
