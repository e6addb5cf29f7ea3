package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"popup/console"
)

func changesAreNumbered(t *testing.T, s console.Store) {
	if newest(t, s) != 0 {
		t.Errorf("a new store has change %d", newest(t, s))
	}
	start := time.Now()
	put(t, s, console.Record{Kind: thing, ID: "a", Topic: "t"}, console.Record{Kind: "other", ID: "b"})
	update(t, s, func(tx console.Tx) { check(t, tx.Delete(thing, "a")) })
	fill(t, s, 1500, func(i int) console.Record { return console.Record{Kind: thing, ID: named(i)} })
	view(t, s, func(tx console.Tx) {
		changes, err := tx.Changes(0, 3)
		check(t, err)
		if len(changes) != 3 {
			t.Fatalf("3 changes are %v", changes)
		}
		for i, want := range []console.Change{{Kind: thing, ID: "a", Topic: "t"}, {Kind: "other", ID: "b"}, {Kind: thing, ID: "a", Topic: "t", Removed: true}} {
			c := changes[i]
			if c.At.Before(start.Truncate(time.Millisecond)) || c.At.After(time.Now()) {
				t.Errorf("change %d is of %v", c.Seq, c.At)
			}
			if c.Seq <= 0 || i > 0 && c.Seq <= changes[i-1].Seq {
				t.Errorf("change %d comes after %d", c.Seq, changes[max(0, i-1)].Seq)
			}
			c.Seq, c.At = 0, time.Time{}
			if c != want {
				t.Errorf("change %d is %v, want %v", i, c, want)
			}
		}
		rest, err := tx.Changes(changes[2].Seq, 5000)
		check(t, err)
		last, err := tx.Changes(rest[len(rest)-1].Seq, 0)
		check(t, err)
		if len(rest) != 1000 || len(last) != 500 || last[499].ID != named(1499) {
			t.Errorf("1500 changes come as %d and %d", len(rest), len(last))
		}
		none, err := tx.Changes(last[499].Seq, 0)
		if newest, nerr := tx.Newest(); err != nil || nerr != nil || len(none) != 0 || newest != last[499].Seq {
			t.Errorf("after the newest come %v, %v; the newest is %d", none, err, newest)
		}
	})
}

// A follower reads changes as they come.
type follower struct {
	store console.Store
	after int64
	seen  map[string]int // how often each record changed
}

// follow goes on until enough(f), and checks that each change is seen with what it changed.
func (f *follower) follow(ctx context.Context, enough func() bool) error {
	for {
		changed := f.store.Changed() // before looking, so that nothing comes in between
		more := true
		for more {
			err := f.store.View(ctx, func(tx console.Tx) error {
				changes, err := tx.Changes(f.after, 10)
				more = len(changes) > 0
				for _, c := range changes {
					r, rerr := tx.Get(c.Kind, c.ID)
					if rerr != nil || c.Seq <= f.after || r.Change < c.Seq {
						err = errors.Join(err, rerr, fmt.Errorf("change %d after %d: its record was written by %d", c.Seq, f.after, r.Change))
						return err
					}
					f.after = c.Seq
					f.seen[c.ID]++
				}
				return err
			})
			if err != nil {
				return err
			}
		}
		if enough() {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("after change %d: %w", f.after, ctx.Err())
		}
	}
}

func followerMissesNothing(t *testing.T, s console.Store) {
	const writers, each = 4, 50
	var all sync.WaitGroup
	for range 3 {
		f := follower{store: s, seen: map[string]int{}}
		all.Go(func() {
			total := func() (n int) {
				for _, times := range f.seen {
					n += times
				}
				return n
			}
			if err := f.follow(soon(t), func() bool { return total() >= writers*each }); err != nil {
				t.Error(err)
			}
			for w := range writers {
				if f.seen[named(w)] != each {
					t.Errorf("a follower sees %d changes of %d, want %d", f.seen[named(w)], w, each)
				}
			}
		})
	}
	for w := range writers {
		all.Go(func() {
			for range each {
				if err := s.Update(t.Context(), func(tx console.Tx) error { return add(tx, named(w)) }); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
}

func changedTellsOfCommits(t *testing.T, s console.Store) {
	first := s.Changed()
	if s.Changed() != first || isClosed(first) {
		t.Error("without a commit, Changed hands out another channel, or a closed one")
	}
	want(t, s.Update(t.Context(), func(tx console.Tx) error {
		return errors.Join(tx.Put(console.Record{Kind: thing, ID: "a"}), context.Canceled)
	}), context.Canceled)
	newest(t, s)
	if isClosed(first) {
		t.Error("Changed is closed by a rollback, or by a View")
	}
	for name, write := range map[string]func(console.Tx) error{
		"Put":    func(tx console.Tx) error { return tx.Put(console.Record{Kind: thing, ID: "b"}) },
		"Audit":  func(tx console.Tx) error { return tx.Audit(console.AuditEntry{}) },
		"Delete": func(tx console.Tx) error { return tx.Delete(thing, "c") },
	} {
		put(t, s, console.Record{Kind: thing, ID: "c"})
		before := s.Changed()
		check(t, s.Update(t.Context(), func(tx console.Tx) error {
			defer func() {
				if isClosed(before) {
					t.Errorf("%s: Changed is closed before the commit", name)
				}
			}()
			return write(tx)
		}))
		if !isClosed(before) || s.Changed() == before {
			t.Errorf("%s: Changed is not closed by a commit, or handed out again", name)
		}
	}
}

func forgottenIsSaid(t *testing.T, s console.Store) {
	after := func(seq int64) (changes []console.Change, err error) {
		view(t, s, func(tx console.Tx) { changes, err = tx.Changes(seq, 0) })
		return changes, err
	}
	forget := func(before time.Time) (n int64) {
		update(t, s, func(tx console.Tx) {
			var err error
			n, err = tx.Forget(before)
			check(t, err)
		})
		return n
	}
	fill(t, s, 10, func(i int) console.Record { return console.Record{Kind: thing, ID: named(i)} })
	old := newest(t, s)
	if n := forget(time.Now().Add(-time.Hour)); n != 0 {
		t.Errorf("%d changes of an hour ago are forgotten", n)
	}
	if changes, err := after(0); err != nil || len(changes) != 10 {
		t.Errorf("nothing was forgotten, and there are %v, %v", changes, err)
	}
	border := time.Now().Add(2 * time.Millisecond)
	for time.Now().Before(border) {
		<-time.After(time.Millisecond)
	}
	put(t, s, console.Record{Kind: thing, ID: "new"})
	if n := forget(border); n != 10 {
		t.Errorf("%d changes are forgotten, want 10", n)
	}
	for _, seq := range []int64{0, 1, old - 1, newest(t, s) + 1, 1 << 60, -1} {
		if changes, err := after(seq); !errors.Is(err, console.ErrForgotten) {
			t.Errorf("changes after %d: %v, %v, want ErrForgotten", seq, changes, err)
		}
	}
	if changes, err := after(old); err != nil || len(changes) != 1 || changes[0].ID != "new" {
		t.Errorf("what is kept is %v, %v", changes, err)
	}

	last := newest(t, s)
	if n := forget(time.Now().Add(time.Hour)); n != 1 || newest(t, s) != last {
		t.Errorf("%d changes are forgotten, want 1; the newest is %d, want %d", n, newest(t, s), last)
	}
	if changes, err := after(last); err != nil || len(changes) != 0 {
		t.Errorf("who saw all is told of %v, %v", changes, err)
	}
	put(t, s, console.Record{Kind: thing, ID: "newer"})
	if changes, err := after(last); err != nil || len(changes) != 1 || changes[0].Seq <= last {
		t.Errorf("after all was forgotten, a change is %v, %v; numbers up to %d are used", changes, err, last)
	}
	if r := get(t, s, named(3)); r.ID != named(3) {
		t.Errorf("with a change, its record was forgotten: %v", r)
	}
}
