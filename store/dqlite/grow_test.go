//go:build dqlite

package dqlite

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"popup/console"
	"popup/store"
	"popup/store/sqlite"
)

// written fills a store, and says what its audit log ends with.
func written(t *testing.T, s console.Store, from, to int) []byte {
	t.Helper()
	for i := from; i < to; i++ {
		check(t, s.Update(t.Context(), func(tx console.Tx) error {
			id := fmt.Sprint(i)
			return errors.Join(tx.Put(console.Record{Kind: "thing", ID: id, Name: "n" + id, Doc: bytes.Repeat([]byte{byte(i)}, 3000)}),
				tx.Audit(console.AuditEntry{Action: "put", Object: id}))
		}))
	}
	newest, err := store.VerifyAudit(t.Context(), s)
	check(t, err)
	if newest.Seq != int64(to) {
		t.Fatalf("the audit log has %d entries, want %d", newest.Seq, to)
	}
	return newest.Hash
}

func things(t *testing.T, s console.Store) (all []console.Record) {
	t.Helper()
	check(t, s.View(t.Context(), func(tx console.Tx) (err error) {
		all, err = tx.List(console.Query{Kind: "thing"})
		return err
	}))
	return all
}

func same(a, b console.Record) bool {
	return a.ID == b.ID && a.Name == b.Name && bytes.Equal(a.Doc, b.Doc) && a.Change == b.Change
}

// TestThereAndBack: alone, grown, grown again as after a kill, backed up, alone again.
func TestThereAndBack(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	folder := filepath.Join(dir, "store")
	alone, err := sqlite.Open(t.Context(), folder)
	check(t, err)
	hash := written(t, alone, 0, 60)
	was := things(t, alone)
	check(t, alone.Close())

	o := options(t, authority(t))
	o.Dir = filepath.Join(dir, "cluster")
	c, err := Grow(waiting(t), o, folder)
	check(t, err)
	if is := things(t, c); !slices.EqualFunc(was, is, same) {
		t.Errorf("of %d records %d came into the cluster as they were", len(was), len(is))
	}
	if newest, err := store.VerifyAudit(t.Context(), c); err != nil || !bytes.Equal(newest.Hash, hash) {
		t.Errorf("the audit log ends with %v, %v", newest, err)
	}
	check(t, c.Close())

	// Killed between the import and the rename.
	check(t, os.Rename(folder+keptSuffix, folder))
	c, err = Grow(waiting(t), o, folder)
	check(t, err)
	defer c.Close()
	if _, err := os.Stat(folder + keptSuffix); err != nil {
		t.Errorf("the folder is not kept: %v", err)
	}
	hash = written(t, c, 60, 70)
	was = things(t, c)
	var backup bytes.Buffer
	check(t, c.Backup(t.Context(), &backup))
	if left, err := filepath.Glob(filepath.Join(o.Dir, tempPrefix+"*")); err != nil || len(left) > 0 {
		t.Errorf("a backup leaves %v, %v", left, err)
	}

	again := filepath.Join(dir, "again")
	check(t, sqlite.Restore(t.Context(), again, &backup))
	alone, err = sqlite.Open(t.Context(), again)
	check(t, err)
	defer alone.Close()
	if is := things(t, alone); len(is) != 70 || !slices.EqualFunc(was, is, same) {
		t.Errorf("of %d records %d came back as they were", len(was), len(is))
	}
	if newest, err := store.VerifyAudit(t.Context(), alone); err != nil || !bytes.Equal(newest.Hash, hash) {
		t.Errorf("the audit log ends with %v, %v", newest, err)
	}
}

// TestAnotherStoreIsNotTakenIn: what the cluster has is not mixed with something else.
func TestAnotherStoreIsNotTakenIn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	o := options(t, authority(t))
	folder := filepath.Join(dir, "store")
	c, err := Grow(waiting(t), o, folder)
	check(t, err)
	written(t, c, 0, 3)
	check(t, c.Close())
	alone, err := sqlite.Open(t.Context(), folder)
	check(t, err)
	written(t, alone, 0, 2)
	check(t, alone.Close())
	_, err = Grow(waiting(t), o, folder)
	says(t, err, "into the cluster", folder, "only an empty one")
	alone, err = sqlite.Open(t.Context(), folder)
	check(t, err)
	defer alone.Close()
	if is := things(t, alone); len(is) != 2 {
		t.Errorf("%d records are left in the folder that was refused", len(is))
	}
}

// TestAnAddressThatWasNoneIsForgotten: nothing is known by it yet.
func TestAnAddressThatWasNoneIsForgotten(t *testing.T) {
	t.Parallel()
	o := newMember(t)
	right := o.Address
	for _, wrong := range []string{"nosuch.invalid:9000", "192.0.2.1:9000"} {
		o.Address = wrong
		_, err := Grow(waiting(t), o, filepath.Join(filepath.Dir(o.Dir), "store"))
		says(t, err, "listen on "+wrong)
		if is, err := AddressOf(o.Dir); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("it is known at %q, %v", is, err)
		}
	}
	o.Address = right
	grown(t, o)
	if is, err := AddressOf(o.Dir); err != nil || is != right {
		t.Errorf("it is known at %q, %v", is, err)
	}
}
