package sqlite

import (
	"testing"

	"popup/console"
	"popup/store/storetest"
)

func TestContract(t *testing.T) {
	storetest.Run(t, func(t *testing.T) console.Store {
		s, err := Open(t.Context(), t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}
