//go:build dqlite

package dqlite

import (
	"context"
	sqldriver "database/sql/driver"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/canonical/go-dqlite/v3/driver"
)

func TestStatementsAreSaidAgainAfterACheckpoint(t *testing.T) {
	t.Parallel()
	checkpoint := driver.Error{Code: driver.ErrBusy, Message: "checkpoint in progress"}
	for name, c := range map[string]struct {
		err  error
		says int
	}{
		"fine":           {nil, 1},
		"checkpoint":     {checkpoint, 4},
		"another writes": {driver.Error{Code: driver.ErrBusy, Message: "database is locked"}, 1},
		"broken":         {errors.New("broken"), 1},
	} {
		said := 0
		if _, err := afterCheckpoint(t.Context(), func() (int, error) {
			if said++; said == 4 {
				return 0, nil
			}
			return 0, c.err
		}); said != c.says || (err != nil) != (c.err != nil && c.says == 1) {
			t.Errorf("%s: said %d times, %v, want %d", name, said, err, c.says)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := afterCheckpoint(ctx, func() (int, error) { return 0, checkpoint }); !errors.Is(err, context.Canceled) {
		t.Errorf("without a context: %v", err)
	}
}

// TestAConnectionStaysWithItsLeader: what is asked whether it leads is what is spoken to.
func TestAConnectionStaysWithItsLeader(t *testing.T) {
	t.Parallel()
	nodes := three(t)
	c := connector{nodes[2], "test.db"}
	if made, err := c.to(nodes[1].link.address).Connect(waiting(t)); !errors.Is(err, driver.ErrNoAvailableLeader) {
		t.Errorf("one that follows is connected to: %v", err)
		if err == nil {
			check(t, made.Close())
		}
	}
	made, err := c.Connect(waiting(t))
	check(t, err)
	defer made.Close()
	made.(*conn).leads = func(ctx context.Context) error { return nodes[2].confirm(ctx, nodes[1].link.address) }
	if _, err := made.(*conn).ExecContext(waiting(t), "BEGIN IMMEDIATE", nil); !errors.Is(err, sqldriver.ErrBadConn) || !errors.Is(err, driver.ErrNoAvailableLeader) {
		t.Errorf("one that leads no more is not given up: %v", err)
	}
}

func TestGarbledErrorsAreALostLeader(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		query, message string
		want           bool
	}{
		{"SELECT seq, at FROM audit", "seq", true},
		{"SELECT max(value, (SELECT 1)) FROM marks", "max(value, (SELECT 1))", true},
		{"SELECT seq, at FROM audit", "no such table: audit", false},
		{"SELECT seq, at FROM audit", "at", false},
		{"SELECT seq, at FROM audit", "", false},
	} {
		if got := isGarbled(c.query, driver.Error{Code: 8, Message: c.message}); got != c.want {
			t.Errorf("%q to %q: %v", c.message, c.query, got)
		}
	}
	if isGarbled("SELECT seq", errors.New("seq")) || isGarbled("SELECT seq", nil) {
		t.Error("what is no error of the engine's is taken for one")
	}
}

func TestWhatPasses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err  error
		want bool
	}{
		{sqldriver.ErrBadConn, true},
		{driver.ErrNoAvailableLeader, true},
		{io.ErrUnexpectedEOF, true},
		{driver.Error{Code: driver.ErrBusy}, true},
		{driver.Error{Code: driver.ErrBusySnapshot}, true},
		{driver.Error{Code: 9, Message: "interrupted"}, true},
		{driver.Error{Code: 10, Message: "leader exec failed"}, true},
		{driver.Error{Code: 1, Message: "no such table: objects"}, false},
		{errors.New("broken"), false},
		{nil, false},
	} {
		if got := passes(fmt.Errorf("ask: %w", c.err)); got != c.want {
			t.Errorf("%v passes: %v", c.err, got)
		}
	}
}
