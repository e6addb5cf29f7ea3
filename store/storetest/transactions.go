package storetest

import (
	"context"
	"errors"
	"io"
	"runtime"
	"sync"
	"testing"
	"time"

	"popup/console"
)

func updateIsAllOrNothing(t *testing.T, s console.Store) {
	put(t, s, console.Record{Kind: thing, ID: "kept", Doc: []byte("1")})
	before := newest(t, s)
	mine := errors.New("mine")
	err := s.Update(t.Context(), func(tx console.Tx) error {
		check(t, tx.Put(console.Record{Kind: thing, ID: "new"}))
		check(t, tx.Put(console.Record{Kind: thing, ID: "kept", Doc: []byte("2")}))
		check(t, tx.Audit(console.AuditEntry{Action: "put"}))
		if r, err := tx.Get(thing, "kept"); err != nil || string(r.Doc) != "2" {
			t.Errorf("a transaction reads %q, %v after writing 2", r.Doc, err)
		}
		return mine
	})
	if err != mine {
		t.Errorf("Update returns %v, want the function's own error", err)
	}
	absent(t, s, "new")
	if r := get(t, s, "kept"); string(r.Doc) != "1" || newest(t, s) != before {
		t.Errorf("after a rollback: %q, newest change %d, want 1, %d", r.Doc, newest(t, s), before)
	}
	view(t, s, func(tx console.Tx) {
		if log, err := tx.AuditLog(0, 0); err != nil || len(log) != 0 {
			t.Errorf("after a rollback the audit log holds %d entries, %v", len(log), err)
		}
	})
	// What a function was told and went on from breaks nothing.
	update(t, s, func(tx console.Tx) {
		check(t, tx.Put(console.Record{Kind: thing, ID: "a", Name: "n"}))
		want(t, tx.Put(console.Record{Kind: thing, ID: "b", Name: "n"}), console.ErrTaken)
		_, err := tx.Get(thing, "none")
		want(t, err, console.ErrNotFound)
	})
	if r := get(t, s, "a"); r.Name != "n" {
		t.Errorf("after ErrTaken the rest is not there: %v", r)
	}
}

func panicRollsBack(t *testing.T, s console.Store) {
	for name, leave := range map[string]func(){"panic": func() { panic("mine") }, "goexit": runtime.Goexit} {
		done := make(chan any)
		go func() {
			defer func() { done <- recover() }()
			s.Update(t.Context(), func(tx console.Tx) error { //nolint:errcheck // it does not return
				if err := tx.Put(console.Record{Kind: thing, ID: name}); err != nil {
					t.Error(err)
				}
				leave()
				return nil
			})
			t.Errorf("%s: Update returns", name)
		}()
		if got := <-done; (got == "mine") != (name == "panic") {
			t.Errorf("%s: the function's panic came out as %v", name, got)
		}
		absent(t, s, name)
	}
	put(t, s, console.Record{Kind: thing, ID: "after"})
}

func nestedIsRefused(t *testing.T, s console.Store) {
	ctx := soon(t)
	nothing := func(console.Tx) error { return nil }
	outer := map[string]func(context.Context, func(console.Tx) error) error{"Update": s.Update, "View": s.View}
	inner := map[string]func() error{
		"Update": func() error { return s.Update(ctx, nothing) },
		"View":   func() error { return s.View(ctx, nothing) },
		"Backup": func() error { return s.Backup(ctx, io.Discard) },
		"Close":  func() error { return s.Close() },
	}
	for in, enter := range outer {
		for name, call := range inner {
			check(t, enter(ctx, func(console.Tx) error {
				if err := call(); err == nil || ctx.Err() != nil {
					t.Errorf("%s within %s: %v, want a refusal at once", name, in, err)
				}
				return nil
			}))
		}
	}
	put(t, s, console.Record{Kind: thing, ID: "after"})
}

func txAfterItsEnd(t *testing.T, s console.Store) {
	var kept console.Tx
	keep := func(tx console.Tx) { kept = tx }
	for name, end := range map[string]func(){
		"Update": func() { update(t, s, keep) },
		"View":   func() { view(t, s, keep) },
		"failed Update": func() {
			s.Update(t.Context(), func(tx console.Tx) error { kept = tx; return io.EOF }) //nolint:errcheck // as above
		},
	} {
		end()
		if err := kept.Put(console.Record{Kind: thing, ID: "late"}); err == nil {
			t.Errorf("a record is put after the end of %s", name)
		}
		if _, err := kept.List(console.Query{Kind: thing}); err == nil {
			t.Errorf("records are listed after the end of %s", name)
		}
	}
	absent(t, s, "late")
}

func viewOnlyReads(t *testing.T, s console.Store) {
	put(t, s, console.Record{Kind: thing, ID: "a", Doc: []byte("1")})
	before := newest(t, s)
	view(t, s, func(tx console.Tx) {
		_, forget := tx.Forget(time.Now().Add(time.Hour))
		for what, err := range map[string]error{
			"Put":       tx.Put(console.Record{Kind: thing, ID: "a", Doc: []byte("2")}),
			"Delete":    tx.Delete(thing, "a"),
			"Audit":     tx.Audit(console.AuditEntry{Action: "look"}),
			"Forget":    forget,
			"Put again": tx.Put(console.Record{Kind: thing, ID: "b"}),
		} {
			if !errors.Is(err, console.ErrReadOnly) {
				t.Errorf("%s in a View: %v, want ErrReadOnly", what, err)
			}
		}
		if r, err := tx.Get(thing, "a"); err != nil || string(r.Doc) != "1" {
			t.Errorf("after it, the View reads %q, %v", r.Doc, err)
		}
	})
	if r := get(t, s, "a"); string(r.Doc) != "1" || newest(t, s) != before {
		t.Errorf("a View wrote: %q", r.Doc)
	}
	if err := s.View(t.Context(), func(console.Tx) error { return io.EOF }); err != io.EOF {
		t.Errorf("View returns %v, want the function's own error", err)
	}
}

func viewIsASnapshot(t *testing.T, s console.Store) {
	put(t, s, console.Record{Kind: thing, ID: "a", Doc: []byte("1")})
	view(t, s, func(tx console.Tx) {
		wrote := make(chan error)
		go func() {
			wrote <- s.Update(soon(t), func(tx console.Tx) error {
				return errors.Join(tx.Put(console.Record{Kind: thing, ID: "b"}), add(tx, "a"), tx.Audit(console.AuditEntry{}))
			})
		}()
		check(t, <-wrote) // nobody waits for who reads
		all, err := tx.List(console.Query{Kind: thing})
		check(t, err)
		if len(all) != 1 || string(all[0].Doc) != "1" {
			t.Errorf("a View sees what was written since it began: %v", all)
		}
		seq, err := tx.Newest()
		check(t, err)
		if log, err := tx.AuditLog(0, 0); err != nil || len(log) != 0 || seq != all[0].Change {
			t.Errorf("a View sees %d audit entries, %v, and change %d, from later", len(log), err, seq)
		}
	})
	if r := get(t, s, "a"); string(r.Doc) != "2" {
		t.Errorf("the next View reads %q, want 2", r.Doc)
	}
}

func countersAddUp(t *testing.T, s console.Store) {
	const writers, each = 8, 25
	var all sync.WaitGroup
	for range writers {
		all.Go(func() {
			for range each {
				if err := s.Update(t.Context(), func(tx console.Tx) error { return add(tx, "counter") }); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if r := get(t, s, "counter"); string(r.Doc) != "200" {
		t.Errorf("%d times %d is %s", writers, each, r.Doc)
	}
}

func cancelledContexts(t *testing.T, s console.Store) {
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	want(t, s.Update(gone, func(tx console.Tx) error { return tx.Put(console.Record{Kind: thing, ID: "a"}) }), context.Canceled)
	want(t, s.View(gone, func(tx console.Tx) error { _, err := tx.Newest(); return err }), context.Canceled)
	want(t, s.Backup(gone, io.Discard), context.Canceled)

	going, cancel := context.WithCancel(t.Context())
	want(t, s.Update(going, func(tx console.Tx) error {
		check(t, tx.Put(console.Record{Kind: thing, ID: "a"}))
		cancel()
		return nil // and would have it committed
	}), context.Canceled)
	absent(t, s, "a")

	// Who waits for another writer gives up in time, and that one is not disturbed.
	update(t, s, func(tx console.Tx) {
		waits, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		gaveUp := make(chan error)
		go func() {
			gaveUp <- s.Update(waits, func(tx console.Tx) error { return tx.Put(console.Record{Kind: thing, ID: "b"}) })
		}()
		want(t, <-gaveUp, context.DeadlineExceeded)
		check(t, tx.Put(console.Record{Kind: thing, ID: "c"}))
	})
	absent(t, s, "b")
	get(t, s, "c")
}

func closeWaits(t *testing.T, s console.Store) {
	inside, closed := make(chan struct{}), make(chan error, 1)
	go func() {
		<-inside
		closed <- s.Close()
	}()
	err := s.Update(t.Context(), func(tx console.Tx) error {
		close(inside)
		select {
		case err := <-closed:
			t.Errorf("Close returns %v while a transaction runs", err)
		case <-time.After(50 * time.Millisecond):
		}
		return tx.Put(console.Record{Kind: thing, ID: "a"})
	})
	check(t, err)
	check(t, <-closed)
	check(t, s.Close())
	for name, err := range map[string]error{
		"Update": s.Update(t.Context(), func(console.Tx) error { return nil }),
		"View":   s.View(t.Context(), func(console.Tx) error { return nil }),
		"Backup": s.Backup(t.Context(), io.Discard),
	} {
		if err == nil {
			t.Errorf("%s works after Close", name)
		}
	}
}
