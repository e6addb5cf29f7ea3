// Package storetest tells whether a driver keeps console.Store's contract. Run asks it
// of a store, and RunDurable of what is left of one whose process was killed, or whose
// disk was full. Both only know what the contract says.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"testing"
	"time"

	"popup/console"
)

// thing is what the records here are of.
const thing console.Kind = "thing"

// Run runs the suite; open returns a store with nothing in it, which the suite closes.
func Run(t *testing.T, open func(t *testing.T) console.Store) {
	for _, part := range []struct {
		name string
		test func(*testing.T, console.Store)
	}{
		{"UpdateIsAllOrNothing", updateIsAllOrNothing},
		{"PanicRollsBack", panicRollsBack},
		{"NestedIsRefused", nestedIsRefused},
		{"TxAfterItsEnd", txAfterItsEnd},
		{"ViewOnlyReads", viewOnlyReads},
		{"ViewIsASnapshot", viewIsASnapshot},
		{"CountersAddUp", countersAddUp},
		{"CancelledContexts", cancelledContexts},
		{"CloseWaits", closeWaits},

		{"RecordsAreKept", recordsAreKept},
		{"RecordsAreOurOwn", recordsAreOurOwn},
		{"NamesAreUnique", namesAreUnique},
		{"OneTakesAName", oneTakesAName},
		{"BadRecordsAreRefused", badRecordsAreRefused},
		{"DeleteRemoves", deleteRemoves},
		{"UnchangedIsNoChange", unchangedIsNoChange},
		{"QuietIsNoChange", quietIsNoChange},

		{"ListNarrows", listNarrows},
		{"ListPages", listPages},
		{"ListDue", listDue},

		{"ChangesAreNumbered", changesAreNumbered},
		{"FollowerMissesNothing", followerMissesNothing},
		{"ChangedTellsOfCommits", changedTellsOfCommits},
		{"ForgottenIsSaid", forgottenIsSaid},

		{"AuditIsAChain", auditIsAChain},
		{"AuditShowsTampering", auditShowsTampering},
		{"BackupWhileWriting", backupWhileWriting},
	} {
		t.Run(part.name, func(t *testing.T) {
			s := open(t)
			t.Cleanup(func() { check(t, s.Close()) })
			part.test(t, s)
		})
	}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// want fails where an error is not the one that is meant.
func want(t testing.TB, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Fatalf("the error is %v, want %v", err, target)
	}
}

func update(t testing.TB, s console.Store, fn func(console.Tx)) {
	t.Helper()
	check(t, s.Update(t.Context(), func(tx console.Tx) error { fn(tx); return nil }))
}

func view(t testing.TB, s console.Store, fn func(console.Tx)) {
	t.Helper()
	check(t, s.View(t.Context(), func(tx console.Tx) error { fn(tx); return nil }))
}

// put writes records in a transaction of their own.
func put(t testing.TB, s console.Store, records ...console.Record) {
	t.Helper()
	update(t, s, func(tx console.Tx) {
		for _, r := range records {
			check(t, tx.Put(r))
		}
	})
}

func get(t testing.TB, s console.Store, id string) (r console.Record) {
	t.Helper()
	view(t, s, func(tx console.Tx) {
		var err error
		r, err = tx.Get(thing, id)
		check(t, err)
	})
	return r
}

// absent fails where there is a record of that id.
func absent(t testing.TB, s console.Store, id string) {
	t.Helper()
	view(t, s, func(tx console.Tx) {
		_, err := tx.Get(thing, id)
		want(t, err, console.ErrNotFound)
	})
}

func newest(t testing.TB, s console.Store) (seq int64) {
	t.Helper()
	view(t, s, func(tx console.Tx) {
		var err error
		seq, err = tx.Newest()
		check(t, err)
	})
	return seq
}

// add counts a record's document up by one.
func add(tx console.Tx, id string) error {
	r, err := tx.Get(thing, id)
	if err != nil && !errors.Is(err, console.ErrNotFound) {
		return err
	}
	n := 0
	if len(r.Doc) > 0 {
		if n, err = strconv.Atoi(string(r.Doc)); err != nil {
			return err
		}
	}
	return tx.Put(console.Record{Kind: thing, ID: id, Doc: strconv.AppendInt(nil, int64(n+1), 10)})
}

func named(n int) string { return fmt.Sprintf("%06d", n) }

// soon bounds what must not take long, however loaded the machine is.
func soon(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// isClosed says whether a channel is, without waiting.
func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
