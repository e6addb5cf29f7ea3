package backup

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"popup/internal/archive"
)

// oldAndNew is a state with an archive of another one beside it.
func oldAndNew(t *testing.T) (state *os.Root, old, received map[string]string) {
	t.Helper()
	other := openRoot(t, t.TempDir())
	check(t, other.Mkdir("photos", 0o750))
	write(t, other, "photos/new", "new")
	write(t, other, "both", "new")
	received = describe(t, other)
	packed, _ := take(t, other)
	state = openRoot(t, t.TempDir())
	check(t, state.Mkdir("photos", 0o700))
	write(t, state, "photos/old", "old")
	write(t, state, "both", "old")
	check(t, state.Mkdir(lostAndFound, 0o700))
	old = describe(t, state)
	received["/"+lostAndFound] = old["/"+lostAndFound]
	_, err := Receive(t.Context(), bytes.NewReader(packed), state, archive.Limits{}, nil)
	check(t, err)
	return state, old, received
}

func is(t *testing.T, state *os.Root, want map[string]string, why string) {
	t.Helper()
	if diff := cmp.Diff(want, describe(t, state)); diff != "" {
		t.Errorf("%s: %s", why, diff)
	}
}

func TestReplace(t *testing.T) {
	state, old, _ := oldAndNew(t)
	var packed bytes.Buffer
	m, err := Take(t.Context(), state, &packed, TakeOptions{})
	check(t, err)
	for _, e := range m.Entries {
		if strings.HasPrefix(string(e.Path), ".popup") {
			t.Errorf("the archive holds %s", e.Path)
		}
	}
	check(t, Replace(state))
	check(t, Settle(state))
	is(t, state, old, "replaced, and gone back on")

	state, old, _ = oldAndNew(t)
	check(t, Replace(state))
	write(t, state, "written", "by what was restored")
	check(t, Settle(state))
	is(t, state, old, "written to, and gone back on")

	state, _, received := oldAndNew(t)
	check(t, Replace(state))
	if Kept(state) {
		t.Error("it is kept before Keep")
	}
	check(t, Keep(state))
	if !Kept(state) {
		t.Error("it is not kept")
	}
	check(t, Settle(state))
	is(t, state, received, "replaced, and kept")
	if Kept(state) {
		t.Error("it is kept, and settled")
	}
	check(t, Settle(state))
	is(t, state, received, "settled again")
}

// errKilled stands for the end of the machine, at any step.
var errKilled = errors.New("killed")

// killed runs the first steps alone.
func killed(steps []func() error, after int) error {
	if after >= len(steps) {
		return run(steps)
	}
	if err := run(steps[:after]); err != nil {
		return err
	}
	return errKilled
}

// TestReplaceIsKilled after any step, also in the middle of a move, and so is what goes
// back on it, twice: the old state is there, or after Keep the new one, and nothing else.
func TestReplaceIsKilled(t *testing.T) {
	for k := 0; k <= 7; k++ {
		for s := 0; s <= 7; s++ {
			for _, half := range []bool{false, true} {
				name := fmt.Sprintf("after %d steps, and %d of going back (in the middle of a move: %v)", k, s, half)
				state, old, _ := oldAndNew(t)
				_ = killed(replacing(state), k) // it is
				if half {
					halfMove(t, state)
				}
				_ = killed(settling(state), s)
				if half {
					halfMove(t, state)
				}
				_ = killed(settling(state), s)
				check(t, Settle(state))
				is(t, state, old, name)
			}
		}
	}
	for s := 0; s <= 2; s++ {
		state, _, received := oldAndNew(t)
		check(t, Replace(state))
		_ = killed([]func() error{rename(state, before, over)}, 1)
		_ = killed(settling(state), s)
		check(t, Settle(state))
		is(t, state, received, fmt.Sprintf("kept, and %d steps", s))
	}
}

// halfMove does what a move that was killed had done: one name of the next one.
func halfMove(t *testing.T, state *os.Root) {
	t.Helper()
	switch {
	case there(state, before): // in the middle of going back, of what was restored
		if _, err := state.Lstat("both"); err == nil {
			check(t, state.MkdirAll(arriving, 0o700))
			check(t, state.Rename("both", arriving+"/both"))
		} else if _, err := state.Lstat(arriving + "/both"); err == nil {
			check(t, state.Rename(arriving+"/both", "both"))
		}
	case there(state, leaving):
		if _, err := state.Lstat(leaving + "/both"); err == nil {
			check(t, state.Rename(leaving+"/both", "both"))
		} else {
			check(t, state.Rename("both", leaving+"/both"))
		}
	}
}

func TestReceiveThatFailsLeavesNothing(t *testing.T) {
	state := openRoot(t, t.TempDir())
	write(t, state, "a", "old")
	before := describe(t, state)
	packed, _ := take(t, sampleState(t))
	if _, err := Receive(t.Context(), bytes.NewReader(packed[:len(packed)/2]), state, archive.Limits{}, nil); !errors.Is(err, archive.ErrCorrupt) {
		t.Errorf("got %v", err)
	}
	is(t, state, before, "a damaged one")
	no := errors.New("no")
	if _, err := Receive(t.Context(), bytes.NewReader(packed), state, archive.Limits{}, func(*os.Root) error { return no }); !errors.Is(err, no) {
		t.Errorf("got %v", err)
	}
	is(t, state, before, "one that cannot be given away")
	check(t, state.Symlink("/etc", arriving)) // by an app
	_, err := Receive(t.Context(), bytes.NewReader(packed), state, archive.Limits{}, nil)
	check(t, err)
	if empty, err := IsEmpty(state); err != nil || empty {
		t.Errorf("it is empty: %v, %v", empty, err)
	}
}

func TestIsEmpty(t *testing.T) {
	state := openRoot(t, t.TempDir())
	for _, name := range []string{lostAndFound, arriving, before} {
		check(t, state.Mkdir(name, 0o700))
		if empty, err := IsEmpty(state); err != nil || !empty {
			t.Errorf("with %s: %v, %v", name, empty, err)
		}
	}
	write(t, state, ".popup-notes", "the app's own")
	if empty, err := IsEmpty(state); err != nil || empty {
		t.Errorf("with a file: %v, %v", empty, err)
	}
}
