//go:build dqlite

package dqlite

import (
	"fmt"
	"sync"
	"testing"

	"popup/console"
	"popup/store"
)

// TestThreeMigrateAtOnce: each step is taken once, whoever is first.
func TestThreeMigrateAtOnce(t *testing.T) {
	t.Parallel()
	nodes := three(t)
	for range 5 {
		name := fmt.Sprintf("test-%d.db", databases.Add(1))
		stores, errs := make([]*store.Store, len(nodes)), make([]error, len(nodes))
		var all sync.WaitGroup
		for i, n := range nodes {
			all.Go(func() { stores[i], errs[i] = n.store(waiting(t), name, nil) })
		}
		all.Wait()
		for i, s := range stores {
			check(t, errs[i])
			check(t, s.Fits(t.Context(), store.Steps()))
			check(t, s.Update(t.Context(), func(tx console.Tx) error {
				return tx.Put(console.Record{Kind: "thing", ID: fmt.Sprint(i)})
			}))
			check(t, s.Close())
		}
	}
}
