package storetest

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"popup/console"
	"popup/store"
)

func auditIsAChain(t *testing.T, s console.Store) {
	if newest, err := store.VerifyAudit(t.Context(), s); err != nil || newest.Seq != 0 {
		t.Errorf("an empty audit log ends with %v, %v", newest, err)
	}
	start := time.Now()
	given := console.AuditEntry{Seq: 77, At: noon.Add(time.Microsecond), Actor: "u1", Action: "end", Object: "event e1", Detail: "by hand",
		Prev: []byte("x"), Hash: []byte("y")}
	update(t, s, func(tx console.Tx) {
		check(t, tx.Audit(given))
		check(t, tx.Audit(console.AuditEntry{Detail: "a stranger's \xff\x00"}))
	})
	for range 2 {
		update(t, s, func(tx console.Tx) {
			for range 750 {
				check(t, tx.Audit(console.AuditEntry{Action: "look"}))
			}
		})
	}
	newest, err := store.VerifyAudit(t.Context(), s)
	if err != nil || newest.Seq != 1502 || len(newest.Hash) != 32 {
		t.Errorf("the audit log ends with %v, %v, want entry 1502", newest, err)
	}
	view(t, s, func(tx console.Tx) {
		for _, c := range []struct {
			before   int64
			limit    int
			from, to int64
		}{{0, 3, 1502, 1500}, {1500, 2, 1499, 1498}, {0, 0, 1502, 503}, {503, 5000, 502, 1}, {5000, 1, 1502, 1502}} {
			log, err := tx.AuditLog(c.before, c.limit)
			if err != nil || len(log) == 0 || log[0].Seq != c.from || log[len(log)-1].Seq != c.to || int64(len(log)) != c.from-c.to+1 {
				t.Errorf("%d entries before %d: %d of them, %v, want %d to %d", c.limit, c.before, len(log), err, c.from, c.to)
			}
		}
		log, err := tx.AuditLog(3, 0)
		check(t, err)
		stranger, first := log[0], log[1]
		if stranger.At.Before(start.Truncate(time.Millisecond)) || stranger.At.After(time.Now()) || !bytes.Equal(stranger.Prev, first.Hash) {
			t.Errorf("an entry without a time is %v", stranger)
		}
		if stranger.Detail != "a stranger's \uFFFD\uFFFD" {
			t.Errorf("what is no text is kept as %q", stranger.Detail)
		}
		if first.Seq != 1 || len(first.Prev) != 0 || !first.At.Equal(noon) || first.Actor != given.Actor || first.Action != given.Action ||
			first.Object != given.Object || first.Detail != given.Detail {
			t.Errorf("an entry is kept as %v", first)
		}
		if none, err := tx.AuditLog(1, 0); err != nil || len(none) != 0 {
			t.Errorf("before the first come %v, %v", none, err)
		}
	})
}

// tampered is a store whose audit log somebody changed behind its back.
type tampered struct {
	console.Store
	change func([]console.AuditEntry) []console.AuditEntry
}

type tamperedTx struct {
	console.Tx
	change func([]console.AuditEntry) []console.AuditEntry
}

func (s tampered) View(ctx context.Context, fn func(console.Tx) error) error {
	return s.Store.View(ctx, func(tx console.Tx) error { return fn(tamperedTx{tx, s.change}) })
}

// AuditLog changes the whole log, and then takes the page.
func (t tamperedTx) AuditLog(before int64, limit int) ([]console.AuditEntry, error) {
	log, err := t.Tx.AuditLog(0, 0)
	log = slices.DeleteFunc(t.change(log), func(e console.AuditEntry) bool { return before != 0 && e.Seq >= before })
	return log[:min(len(log), 3)], err
}

func auditShowsTampering(t *testing.T, s console.Store) {
	update(t, s, func(tx console.Tx) {
		for i := range 10 {
			check(t, tx.Audit(console.AuditEntry{Actor: "ab", Action: "c", Object: named(i), Detail: "d"}))
		}
	})
	at := func(seq int, change func(*console.AuditEntry)) func([]console.AuditEntry) []console.AuditEntry {
		return func(log []console.AuditEntry) []console.AuditEntry { change(&log[10-seq]); return log }
	}
	rehash := func(e *console.AuditEntry) { e.Actor, e.Hash = "x", nil; e.Hash = store.AuditHash(*e) }
	for name, c := range map[string]struct {
		change func([]console.AuditEntry) []console.AuditEntry
		want   int64 // 0: intact
	}{
		"nothing":            {func(log []console.AuditEntry) []console.AuditEntry { return log }, 0},
		"time":               {at(5, func(e *console.AuditEntry) { e.At = e.At.Add(time.Millisecond) }), 5},
		"actor":              {at(4, func(e *console.AuditEntry) { e.Actor = "x" }), 4},
		"action":             {at(1, func(e *console.AuditEntry) { e.Action = "x" }), 1},
		"object":             {at(10, func(e *console.AuditEntry) { e.Object = "x" }), 10},
		"detail":             {at(7, func(e *console.AuditEntry) { e.Detail = "" }), 7},
		"moved border":       {at(5, func(e *console.AuditEntry) { e.Actor, e.Action = "a", "bc" }), 5},
		"hash":               {at(6, func(e *console.AuditEntry) { e.Hash = bytes.Repeat([]byte{1}, 32) }), 6},
		"previous":           {at(6, func(e *console.AuditEntry) { e.Prev = nil }), 6},
		"hashed again":       {at(6, rehash), 7}, // that entry itself is sound
		"two":                {func(log []console.AuditEntry) []console.AuditEntry { log[1].Actor, log[6].Actor = "x", "x"; return log }, 4},
		"one left out":       {func(log []console.AuditEntry) []console.AuditEntry { return slices.Delete(log, 4, 5) }, 7},
		"first left out":     {func(log []console.AuditEntry) []console.AuditEntry { return log[:9] }, 2},
		"first three gone":   {func(log []console.AuditEntry) []console.AuditEntry { return log[:7] }, 4},
		"swapped":            {at(5, func(e *console.AuditEntry) { e.Object = named(3) }), 5},
		"the newest cut off": {func(log []console.AuditEntry) []console.AuditEntry { return log[1:] }, 0}, // as VerifyAudit says
	} {
		_, err := store.VerifyAudit(t.Context(), tampered{s, c.change})
		var broken *store.BrokenAudit
		if c.want == 0 && err != nil || c.want != 0 && (!errors.As(err, &broken) || broken.Seq != c.want) {
			t.Errorf("%s: %v, want it broken at %d", name, err, c.want)
		}
	}
}

func backupWhileWriting(t *testing.T, s console.Store) {
	fill(t, s, 1000, func(i int) console.Record {
		return console.Record{Kind: thing, ID: named(i), Doc: bytes.Repeat([]byte("x"), 200)}
	})
	ctx, cancel := context.WithCancel(t.Context())
	wrote := make(chan int)
	started := make(chan struct{})
	go func() {
		n := 0
		for ; ctx.Err() == nil; n++ {
			if err := s.Update(t.Context(), func(tx console.Tx) error { return add(tx, "counter") }); err != nil {
				t.Error(err)
				break
			}
			if n == 0 {
				close(started)
			}
		}
		wrote <- n
	}()
	<-started
	var copied bytes.Buffer
	err := s.Backup(t.Context(), &copied)
	cancel()
	n := <-wrote
	check(t, err)
	if copied.Len() < 200_000 {
		t.Errorf("a backup of 1000 records has %d bytes", copied.Len())
	}
	if r := get(t, s, "counter"); string(r.Doc) == "" || n < 2 {
		t.Errorf("beside a backup, %d writes were made", n)
	}
	mine := errors.New("mine")
	want(t, s.Backup(t.Context(), refusing{mine}), mine)
	check(t, s.Backup(t.Context(), &copied))
}

type refusing struct{ err error }

func (r refusing) Write([]byte) (int, error) { return 0, r.err }
