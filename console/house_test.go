package console

import (
	"bytes"
	"errors"
	"testing"
	"time"
)

func TestKeepHouse(t *testing.T) {
	c := newConsole(t, withKeys(t))
	party(t, c, "fair", "otto", 1)
	c.clock.mu.Lock()
	c.clock.now = time.Now() // the store's own clock says when a change was
	c.clock.mu.Unlock()
	changes := func() error {
		return c.store.View(t.Context(), func(tx Tx) error { _, err := tx.Changes(0, 1); return err })
	}
	if err := errors.Join(c.tidy(t.Context()), changes()); err != nil {
		t.Errorf("changes of today: %v", err)
	}
	c.clock.advance(changesKept + time.Minute)
	if err := c.tidy(t.Context()); err != nil || !errors.Is(changes(), ErrForgotten) {
		t.Errorf("changes of yesterday: %v, %v", err, changes())
	}
}

func TestBackup(t *testing.T) {
	c := newConsole(t, withKeys(t))
	party(t, c, "fair", "otto", 1)
	var out bytes.Buffer
	for name, a := range map[string]Actor{"a viewer": aViewer, "an organiser": anOrganiser, "nobody": aStranger} {
		if err := c.Backup(t.Context(), a, &out); err == nil || out.Len() > 0 {
			t.Errorf("%s has it: %v", name, err)
		}
	}
	if err := c.Backup(t.Context(), anOwner, &out); err != nil || out.Len() == 0 || bytes.Contains(out.Bytes(), []byte("hush")) {
		t.Errorf("%d bytes, %v", out.Len(), err)
	}
	if c.audited(t, "back up", "store") != 1 {
		t.Error("it is not in the audit log")
	}
}
