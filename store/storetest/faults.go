package storetest

import (
	"context"
	"strings"
	"syscall"
	"testing"
)

// A Fault is what becomes of a system call that takes room on a disk, or syncs one.
type Fault func(sync bool) syscall.Errno

// Under runs a program, and decides about its system calls.
type Under func(ctx context.Context, argv, env []string, decide Fault) ([]byte, error)

// RunFaults fills the disk while a process writes, and makes room again.
func RunFaults(t *testing.T, open Open, under Under) {
	const writes = 40
	run := func(t *testing.T, decide Fault) (kept map[string]bool, refused []string) {
		dir := t.TempDir()
		argv, env := child(dir, "f", writes)
		out, err := under(t.Context(), argv, env, decide)
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		kept = map[string]bool{}
		for line := range strings.Lines(string(out)) {
			if line = strings.TrimSpace(line); strings.HasPrefix(line, "error") {
				refused = append(refused, line)
			} else {
				kept[line] = true
			}
		}
		if len(kept)+len(refused) != writes {
			t.Fatalf("%d writes were acknowledged and %d refused, of %d: %s", len(kept), len(refused), writes, out)
		}
		Whole(t, open, dir, kept)
		return kept, refused
	}
	calls, syncs := 0, 0
	t.Run("none", func(t *testing.T) {
		_, refused := run(t, func(sync bool) syscall.Errno {
			if calls++; sync {
				syncs++
			}
			return 0
		})
		if len(refused) > 0 || syncs < writes {
			t.Errorf("%d writes were refused, and of %d system calls %d were syncs, want one a write", len(refused), calls, syncs)
		}
	})
	for _, fault := range []struct {
		name  string
		errno syscall.Errno
		sync  bool
		says  string // a word of the sentence
	}{
		{"disk full", syscall.ENOSPC, false, "full"},
		{"disk broken", syscall.EIO, true, "disk"},
	} {
		t.Run(fault.name, func(t *testing.T) {
			all := 0
			for from := calls / 4; from < calls*3/4; from += calls/8 + 1 {
				n := 0
				_, refused := run(t, func(sync bool) syscall.Errno {
					if n++; n >= from && n < from+20 && sync == fault.sync {
						return fault.errno
					}
					return 0
				})
				all += len(refused)
				for _, line := range refused {
					if !strings.Contains(line, fault.says) || strings.HasPrefix(line, "error 39") {
						t.Errorf("from call %d on: %s; want a sentence with %q, and none when there is room again", from, line, fault.says)
					}
				}
			}
			if t.Logf("%d writes were refused", all); all == 0 {
				t.Error("want some")
			}
		})
	}
}
