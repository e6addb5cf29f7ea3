package console

import (
	"context"
	"errors"
	"strings"
	"testing"
)

// A departure is a cluster that counts who left.
type departure struct {
	Cluster
	left int
}

func (d *departure) Leave(context.Context) error { d.left++; return nil }

// TestLeavingTakesNoBackup: whoever leaves has others keep what they have not, also where
// two leave at once; where nobody takes it, it stays.
func TestLeavingTakesNoBackup(t *testing.T) {
	trio := newTrio(t)
	out := &departure{}
	for _, c := range trio.consoles {
		c.opts.Cluster = out
	}
	_, machines := party(t, trio.consoles[0], "fair", "otto", 1)
	m := machines[0].live(t)
	trio.away["b"], trio.away["c"] = true, true
	m.mustPut(t, "one", m.backup(t, false, "one"))
	err := trio.consoles[0].Leave(t.Context(), anOwner)
	if conflict := (*ConflictError)(nil); !errors.As(err, &conflict) || !strings.Contains(err.Error(), "backups that are on this console alone: 1") || out.left != 0 {
		t.Fatalf("the only copy left with its console: %v", err)
	}
	delete(trio.away, "b")
	if err := trio.consoles[0].Leave(t.Context(), anOwner); err != nil || out.left != 1 || trio.kept(t, m) != "one|one|" {
		t.Fatalf("another one answers: %v, they have %s", err, trio.kept(t, m))
	}
	clear(trio.away)
	trio.away["a"] = true // as it ended
	if err := trio.consoles[1].Leave(t.Context(), anOwner); err != nil || out.left != 2 || trio.kept(t, m) != "one|one|one" {
		t.Errorf("a second one leaves right behind: %v, they have %s", err, trio.kept(t, m))
	}
}
