package storetest

import (
	"bytes"
	"testing"
	"time"

	"popup/console"
)

// Bench measures a store with ten thousand records in it.
func Bench(b *testing.B, open func(testing.TB) console.Store) {
	const n = 10_000
	doc := bytes.Repeat([]byte("x"), 500)
	record := func(i int) console.Record {
		return console.Record{Kind: thing, ID: named(i), Name: "name " + named(i), Parent: named(i % 100), Topic: "t", State: "open",
			Sort: named(n - i), Due: noon.Add(time.Duration(i) * time.Second), Doc: doc}
	}
	s := open(b)
	b.Cleanup(func() { check(b, s.Close()) })
	fill(b, s, n, record)
	next := n
	b.Run("Put", func(b *testing.B) { // one, committed
		for b.Loop() {
			next++
			put(b, s, record(next))
		}
	})
	b.Run("Put1000", func(b *testing.B) { // in one transaction
		for b.Loop() {
			fill(b, s, 1000, func(int) console.Record { next++; return record(next) })
		}
	})
	b.Run("Get", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			get(b, s, named(i%n))
		}
	})
	middle := record(n / 2)
	for name, q := range map[string]console.Query{
		"ListPage":       {Kind: thing, Limit: 50},
		"ListPageMiddle": {Kind: thing, Limit: 50, After: &middle},
		"ListPage1000":   {Kind: thing, Limit: 1000},
		"ListOfParent":   {Kind: thing, Parent: named(7), Limit: 50},
		"ListDue":        {Kind: thing, Due: noon.Add(time.Hour), Limit: 50},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				view(b, s, func(tx console.Tx) {
					if page, err := tx.List(q); err != nil || len(page) != q.Limit {
						b.Fatalf("a page of %d records, %v", len(page), err)
					}
				})
			}
		})
	}
}
