package storetest

import (
	"testing"
	"time"

	"popup/console"
)

// fill puts records 0 to n-1, a thousand in a transaction.
func fill(t testing.TB, s console.Store, n int, record func(i int) console.Record) {
	t.Helper()
	for i := 0; i < n; {
		update(t, s, func(tx console.Tx) {
			for end := min(i+1000, n); i < end; i++ {
				check(t, tx.Put(record(i)))
			}
		})
	}
}

// pages lists everything, and counts how often each id came.
func pages(t testing.TB, s console.Store, q console.Query, each func(last, r console.Record)) map[string]int {
	t.Helper()
	seen := map[string]int{}
	view(t, s, func(tx console.Tx) {
		var last console.Record
		for {
			page, err := tx.List(q)
			check(t, err)
			if len(page) == 0 {
				return
			}
			if len(page) > q.Limit {
				t.Fatalf("a page has %d records, want at most %d", len(page), q.Limit)
			}
			for _, r := range page {
				seen[r.ID]++
				each(last, r)
				last = r
			}
			q.After = &page[len(page)-1]
		}
	})
	return seen
}

func allOnce(t testing.TB, seen map[string]int, n int) {
	t.Helper()
	if len(seen) != n {
		t.Errorf("the pages hold %d records, want %d", len(seen), n)
	}
	for id, times := range seen {
		if times != 1 {
			t.Fatalf("%s is on %d pages", id, times)
		}
	}
}

func listPages(t *testing.T, s console.Store) {
	const n = 10_000
	fill(t, s, n, func(i int) console.Record {
		// Ids come in another order than records are written; most share their Sort.
		r := console.Record{Kind: thing, ID: named(i * 7919 % n), Sort: "same"}
		if i%100 == 0 {
			r.Sort = named(i)
		}
		return r
	})
	ordered := func(last, r console.Record) {
		if last.ID != "" && (last.Sort > r.Sort || last.Sort == r.Sort && last.ID >= r.ID) {
			t.Fatalf("%s %s comes after %s %s", r.Sort, r.ID, last.Sort, last.ID)
		}
	}
	allOnce(t, pages(t, s, console.Query{Kind: thing, Limit: 137}, ordered), n)
	for _, limit := range []int{0, 1000, 5000, -1} {
		view(t, s, func(tx console.Tx) {
			if page, err := tx.List(console.Query{Kind: thing, Limit: limit}); err != nil || len(page) != 1000 {
				t.Errorf("limit %d lists %d, %v, want 1000", limit, len(page), err)
			}
		})
	}
}

func listDue(t *testing.T, s console.Store) {
	const n = 600
	fill(t, s, n, func(i int) console.Record {
		r := console.Record{Kind: thing, ID: named(i * 101 % n), Sort: "x" + named(n-i)}
		if i%2 == 0 {
			r.Due = noon.Add(time.Duration(i/50) * time.Millisecond) // 25 at a time
		}
		return r
	})
	ordered := func(last, r console.Record) {
		if last.ID != "" && (last.Due.After(r.Due) || last.Due.Equal(r.Due) && last.ID >= r.ID) {
			t.Fatalf("%v %s comes after %v %s", r.Due, r.ID, last.Due, last.ID)
		}
	}
	for _, c := range []struct {
		by   time.Time
		want int
	}{
		{noon.Add(-time.Nanosecond), 0},
		{noon, 25},
		{noon.Add(time.Millisecond - 1), 25},
		{noon.Add(time.Millisecond), 50},
		{noon.Add(time.Hour), n / 2},
	} {
		allOnce(t, pages(t, s, console.Query{Kind: thing, Due: c.by, Limit: 7}, ordered), c.want)
	}
}
