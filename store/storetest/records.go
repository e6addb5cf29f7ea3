package storetest

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"popup/console"
)

var noon = time.Date(2030, 5, 31, 12, 0, 0, 0, time.UTC)

func recordsAreKept(t *testing.T, s console.Store) {
	full := console.Record{Kind: thing, ID: "a", Name: "Schützenfest 🎯 '; --", Parent: "p", Topic: "t", State: "open", Sort: "s",
		Due: noon.Add(time.Millisecond + 999*time.Microsecond), Doc: []byte("{\"k\":\"\\u0000 ü\"}\n")}
	bare := console.Record{Kind: thing, ID: "b"}
	other := console.Record{Kind: "other", ID: "a", Name: full.Name, Doc: []byte("2")} // of another kind: in nobody's way
	old := console.Record{Kind: thing, ID: "old", Due: time.UnixMilli(-1), Doc: bytes.Repeat([]byte("x"), 1<<20)}
	put(t, s, full, bare, other, old)
	full.Due = noon.Add(time.Millisecond).In(time.FixedZone("", 7200)) // an instant, wherever it was said
	var last int64
	view(t, s, func(tx console.Tx) {
		for _, r := range []console.Record{full, bare, other, old} {
			got, err := tx.Get(r.Kind, r.ID)
			check(t, err)
			if got.Change <= last {
				t.Errorf("%s was written by change %d, not after %d", r.ID, got.Change, last)
			}
			last = got.Change
			alike(t, got, r)
			if r.Name != "" {
				got, err = tx.Find(r.Kind, r.Name)
				check(t, err)
				alike(t, got, r)
			}
		}
		_, err := tx.Find(thing, "")
		want(t, err, console.ErrNotFound)
		_, err = tx.Find(thing, "a")
		want(t, err, console.ErrNotFound)
		_, err = tx.Get("none", "a")
		want(t, err, console.ErrNotFound)
		_, err = tx.Get(thing, "a\x00b") // and not the one that is before the zero
		want(t, err, console.ErrNotFound)
	})
	full.Name, full.Parent, full.Topic, full.State, full.Sort, full.Due, full.Doc = "", "", "", "", "", time.Time{}, nil
	put(t, s, full)
	alike(t, get(t, s, "a"), full)
}

// alike fails where records differ in more than the change that wrote them.
func alike(t testing.TB, got, want console.Record) {
	t.Helper()
	if !got.Due.Equal(want.Due.Truncate(time.Millisecond)) || got.Due.IsZero() != want.Due.IsZero() || !bytes.Equal(got.Doc, want.Doc) {
		t.Errorf("%s: due %v with %.40q, want %v with %.40q", want.ID, got.Due, got.Doc, want.Due, want.Doc)
	}
	got.Due, got.Doc, got.Change, want.Due, want.Doc, want.Change = time.Time{}, nil, 0, time.Time{}, nil, 0
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func recordsAreOurOwn(t *testing.T, s console.Store) {
	doc := []byte("12")
	put(t, s, console.Record{Kind: thing, ID: "a", Doc: doc})
	doc[0] = 'x'
	r := get(t, s, "a")
	if string(r.Doc) != "12" {
		t.Fatalf("what was put changed with the caller's bytes: %q", r.Doc)
	}
	r.Doc[0] = 'x'
	if r := get(t, s, "a"); string(r.Doc) != "12" {
		t.Errorf("what was got changed with the caller's bytes: %q", r.Doc)
	}
}

func namesAreUnique(t *testing.T, s console.Store) {
	put(t, s, console.Record{Kind: thing, ID: "a", Name: "n"}, console.Record{Kind: thing, ID: "b"}, console.Record{Kind: thing, ID: "c"})
	before := newest(t, s)
	update(t, s, func(tx console.Tx) {
		want(t, tx.Put(console.Record{Kind: thing, ID: "b", Name: "n"}), console.ErrTaken)
		want(t, tx.Put(console.Record{Kind: thing, ID: "new", Name: "n"}), console.ErrTaken)
	})
	if newest(t, s) != before {
		t.Error("what was refused is a change")
	}
	update(t, s, func(tx console.Tx) { // a name that was given up is free, in the same transaction
		check(t, tx.Put(console.Record{Kind: thing, ID: "a", Name: "m"}))
		check(t, tx.Put(console.Record{Kind: thing, ID: "b", Name: "n"}))
		check(t, tx.Put(console.Record{Kind: thing, ID: "a", Name: "m", State: "its own name is no other's"}))
		check(t, tx.Delete(thing, "b"))
		check(t, tx.Put(console.Record{Kind: thing, ID: "c", Name: "n"}))
		check(t, tx.Put(console.Record{Kind: thing, ID: "d", Name: "N"})) // another name
	})
	view(t, s, func(tx console.Tx) {
		for name, id := range map[string]string{"m": "a", "n": "c", "N": "d"} {
			if r, err := tx.Find(thing, name); err != nil || r.ID != id {
				t.Errorf("%s is %s, %v, want %s", name, r.ID, err, id)
			}
		}
	})
}

func oneTakesAName(t *testing.T, s console.Store) {
	const racers = 8
	results := make(chan error, racers)
	var all sync.WaitGroup
	for i := range racers {
		all.Go(func() {
			results <- s.Update(t.Context(), func(tx console.Tx) error {
				return tx.Put(console.Record{Kind: thing, ID: named(i), Name: "n"})
			})
		})
	}
	all.Wait()
	won := 0
	for range racers {
		if err := <-results; err == nil {
			won++
		} else {
			want(t, err, console.ErrTaken)
		}
	}
	view(t, s, func(tx console.Tx) {
		if all, err := tx.List(console.Query{Kind: thing}); err != nil || won != 1 || len(all) != 1 {
			t.Errorf("%d took the name, and there are %v, %v", won, all, err)
		}
	})
}

func badRecordsAreRefused(t *testing.T, s console.Store) {
	update(t, s, func(tx console.Tx) {
		for _, r := range []console.Record{
			{},
			{Kind: thing},
			{ID: "a"},
			{Kind: thing, ID: "a\x00"},
			{Kind: thing, ID: "a", Name: "n\x00m"},
			{Kind: thing, ID: "a", Sort: "\xff"},
			{Kind: thing, ID: "a", Parent: strings.Repeat("\xc0", 3)},
			{Kind: thing, ID: "a", State: "\x00"},
			{Kind: thing, ID: "a", Topic: "\x80"},
		} {
			if err := tx.Put(r); err == nil || len(err.Error()) < 20 {
				t.Errorf("%+v is put: %v, want a sentence", r, err)
			}
		}
		check(t, tx.Put(console.Record{Kind: thing, ID: "good"}))
	})
	view(t, s, func(tx console.Tx) {
		if all, err := tx.List(console.Query{Kind: thing}); err != nil || len(all) != 1 {
			t.Errorf("there are %v, %v", all, err)
		}
	})
}

func deleteRemoves(t *testing.T, s console.Store) {
	put(t, s, console.Record{Kind: thing, ID: "a", Name: "n", Topic: "t"}, console.Record{Kind: "other", ID: "a"})
	before := newest(t, s)
	update(t, s, func(tx console.Tx) {
		check(t, tx.Delete(thing, "none"))
		check(t, tx.Delete("none", "a"))
	})
	if newest(t, s) != before {
		t.Error("removing what is not there is a change")
	}
	update(t, s, func(tx console.Tx) {
		check(t, tx.Delete(thing, "a"))
		check(t, tx.Delete(thing, "a"))
		_, err := tx.Get(thing, "a")
		want(t, err, console.ErrNotFound)
	})
	view(t, s, func(tx console.Tx) {
		_, err := tx.Find(thing, "n")
		want(t, err, console.ErrNotFound)
		_, err = tx.Get("other", "a")
		check(t, err)
		changes, err := tx.Changes(before, 0)
		if err != nil || len(changes) != 1 || !changes[0].Removed || changes[0].ID != "a" || changes[0].Kind != thing || changes[0].Topic != "t" {
			t.Errorf("a removal is noted as %v, %v", changes, err)
		}
	})
	put(t, s, console.Record{Kind: thing, ID: "a", Name: "n"})
}

func unchangedIsNoChange(t *testing.T, s console.Store) {
	r := console.Record{Kind: thing, ID: "a", Name: "n", Parent: "p", Topic: "t", State: "s", Sort: "o", Due: noon.Add(time.Microsecond), Doc: []byte("1")}
	put(t, s, r, console.Record{Kind: thing, ID: "bare"})
	before, was, changed := newest(t, s), get(t, s, "a"), s.Changed()
	r.Change = 99 // the store's, whatever is in it
	r.Due = r.Due.In(time.FixedZone("", 3600))
	put(t, s, r, was, console.Record{Kind: thing, ID: "bare", Doc: []byte{}})
	if newest(t, s) != before || get(t, s, "a").Change != was.Change || isClosed(changed) {
		t.Errorf("a record that is as it was is a change: %d, was %d", newest(t, s), before)
	}
	for i, change := range []func(*console.Record){
		func(r *console.Record) { r.Name = "m" }, func(r *console.Record) { r.Parent = "q" }, func(r *console.Record) { r.Topic = "u" },
		func(r *console.Record) { r.State = "v" }, func(r *console.Record) { r.Sort = "w" },
		func(r *console.Record) { r.Due = noon.Add(time.Millisecond) }, func(r *console.Record) { r.Due = time.Time{} },
		func(r *console.Record) { r.Due = time.UnixMilli(0) }, func(r *console.Record) { r.Doc = []byte("2") },
	} {
		before := newest(t, s)
		change(&r)
		put(t, s, r)
		got := get(t, s, "a")
		alike(t, got, r)
		if newest(t, s) != before+1 || got.Change != before+1 {
			t.Errorf("field %d: change %d of %d was noted for a record that differs, want %d", i, got.Change, newest(t, s), before+1)
		}
	}
}

func quietIsNoChange(t *testing.T, s console.Store) {
	put(t, s, console.Record{Kind: thing, ID: "a", Doc: []byte("1"), Quiet: true})
	is, before, changed := get(t, s, "a"), newest(t, s), s.Changed()
	if is.Quiet || is.Change != before || before == 0 {
		t.Errorf("a record that is new is told of, quiet or not: %+v, the newest change is %d", is, before)
	}
	put(t, s, console.Record{Kind: thing, ID: "a", State: "s", Doc: []byte("2"), Quiet: true})
	if got := get(t, s, "a"); string(got.Doc) != "2" || got.State != "s" || got.Change != is.Change || newest(t, s) != before || isClosed(changed) {
		t.Errorf("quietly it became %+v, and the newest change %d, was %d; told: %v", got, newest(t, s), before, isClosed(changed))
	}
	put(t, s, console.Record{Kind: thing, ID: "a", Doc: []byte("3"), Quiet: true}, console.Record{Kind: thing, ID: "b"})
	if got := get(t, s, "a"); string(got.Doc) != "3" || got.Change != is.Change || newest(t, s) != before+1 || !isClosed(changed) {
		t.Errorf("beside another one it became %+v, and the newest change %d, was %d; told: %v", got, newest(t, s), before, isClosed(changed))
	}
	put(t, s, console.Record{Kind: thing, ID: "a", Doc: []byte("4")})
	if got := get(t, s, "a"); got.Change != before+2 {
		t.Errorf("and then it is told of as change %d, want %d", got.Change, before+2)
	}
}

func listNarrows(t *testing.T, s console.Store) {
	all := []console.Record{
		{Kind: thing, ID: "3", Sort: "a", Parent: "p", State: "open"},
		{Kind: thing, ID: "1", Sort: "b", Parent: "p", State: "ended"},
		{Kind: thing, ID: "2", Sort: "b", Parent: "q", State: "open", Due: noon},
		{Kind: thing, ID: "0", Sort: "ä", Parent: "p", State: "open", Due: noon.Add(-time.Hour)},
		{Kind: "other", ID: "9", Sort: "a", Parent: "p", State: "open", Due: noon},
	}
	put(t, s, all...)
	view(t, s, func(tx console.Tx) {
		for _, c := range []struct {
			q    console.Query
			want string
		}{
			{console.Query{Kind: thing}, "3120"},
			{console.Query{Kind: "other"}, "9"},
			{console.Query{Kind: "none"}, ""},
			{console.Query{Kind: thing, Limit: 2}, "31"},
			{console.Query{Kind: thing, Parent: "p"}, "310"},
			{console.Query{Kind: thing, State: "open"}, "320"},
			{console.Query{Kind: thing, State: "open", Parent: "p"}, "30"},
			{console.Query{Kind: thing, Except: "open"}, "1"},
			{console.Query{Kind: thing, Except: "ended", Due: noon}, "02"},
			{console.Query{Kind: thing, State: "open", Parent: "p", After: &all[0]}, "0"},
			{console.Query{Kind: thing, After: &console.Record{Sort: "b", ID: "1"}}, "20"},
			{console.Query{Kind: thing, After: &console.Record{Sort: "aa"}}, "120"}, // that none has it is fine
			{console.Query{Kind: thing, Due: noon}, "02"},
			{console.Query{Kind: thing, Due: noon, Parent: "q", State: "open"}, "2"},
		} {
			found, err := tx.List(c.q)
			check(t, err)
			var ids string
			for _, r := range found {
				ids += r.ID
				i := slices.IndexFunc(all, func(w console.Record) bool { return w.ID == r.ID })
				alike(t, r, all[i])
			}
			if ids != c.want {
				t.Errorf("%+v lists %q, want %q", c.q, ids, c.want)
			}
		}
		if _, err := tx.List(console.Query{}); err == nil {
			t.Error("records of no kind are listed")
		}
	})
}
