package sqlite

import (
	"context"
	"os"
	"testing"

	"popup/console"
	"popup/internal/testutil/faults"
	"popup/store/storetest"
)

func TestMain(m *testing.M) {
	faults.Shim()
	storetest.Child(reopen)
	os.Exit(m.Run())
}

func reopen(ctx context.Context, dir string) (console.Store, error) {
	s, err := Open(ctx, dir)
	if err != nil {
		return nil, err
	}
	return s, nil
}

func TestContract(t *testing.T) {
	storetest.Run(t, func(t *testing.T) console.Store {
		s, err := Open(t.Context(), t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}

func TestKill(t *testing.T) { storetest.RunDurable(t, reopen) }

func TestFaults(t *testing.T) {
	storetest.RunFaults(t, reopen, func(ctx context.Context, argv, env []string, decide storetest.Fault) ([]byte, error) {
		return faults.Run(ctx, argv, env, func(call faults.Call) faults.Verdict {
			if call.Kind != faults.Write && call.Kind != faults.Sync {
				return faults.Verdict{}
			}
			return faults.Verdict{Errno: decide(call.Kind == faults.Sync)}
		})
	})
}

func BenchmarkStore(b *testing.B) {
	storetest.Bench(b, func(b testing.TB) console.Store {
		s, err := Open(b.Context(), b.TempDir())
		if err != nil {
			b.Fatal(err)
		}
		return s
	})
}
