package volume

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestNothingIsFormattedThatHoldsAnything: one byte is enough, wherever it is read.
func TestNothingIsFormattedThatHoldsAnything(t *testing.T) {
	r, ok := newRig(t, true)
	if !ok {
		return
	}
	tail := int64(diskSize - probedTail)
	for _, at := range []int64{0, 1, 511, 1023, 4095, 64<<10 - 1, 64 << 10, 1<<20 + 3, probedHead - 1, tail, tail + 64<<10 - 1, tail + 64<<10, diskSize - 4097, diskSize - 1} {
		r.write(at, "\x01")
		r.refused("a byte", "it holds data that is no file system, which is not what popup makes")
		r.write(at, "\x00")
	}
	for _, s := range signatures {
		if s.is == holdsExt4 {
			continue
		}
		r.write(s.at, s.mark)
		for _, r.Fresh = range []bool{true, false} {
			r.refused(s.is, "it holds "+s.is)
		}
		r.write(s.at, strings.Repeat("\x00", len(s.mark)))
	}
	r.Fresh = false
	r.refused("blank, and not new", "it is blank, though it should hold the state of an earlier instance")
	r.Fresh = true
	r.mount() // or all of this was refused for nothing
}

// oneByte is a disk of zeros but for one.
type oneByte struct{ at int64 }

func (b oneByte) ReadAt(p []byte, off int64) (int, error) {
	clear(p)
	if i := b.at - off; i >= 0 && i < int64(len(p)) {
		p[i] = 1
	}
	return len(p), nil
}

func TestProbeSeesEveryByte(t *testing.T) {
	const size = 10<<20 + 512
	random := rand.New(rand.NewPCG(1, 2))
	see := func(at int64, want string) {
		t.Helper()
		if holds, err := probe(oneByte{at}, size); err != nil || holds != want {
			t.Errorf("with a byte at %d it holds %q, %v", at, holds, err)
		}
	}
	for _, part := range []struct{ from, to int64 }{{0, probedHead}, {size - probedTail, size}} {
		for at := part.from; at < part.to; at += 32 << 10 {
			for _, at := range []int64{at, at + 1, at + random.Int64N(32<<10), at + 32<<10 - 1} {
				see(min(at, part.to-1), holdsData)
			}
		}
	}
	see(4<<20-1, holdsData)
	see(size-1<<20, holdsData)
	see(probedHead, holdsNothing) // nobody formats a disk with that alone
	see(size-probedTail-1, holdsNothing)
	broken := errors.New("an I/O error")
	if _, err := probe(failing{broken}, size); !errors.Is(err, broken) {
		t.Errorf("a disk that cannot be read: %v", err)
	}
}

type failing struct{ err error }

func (f failing) ReadAt(p []byte, off int64) (int, error) {
	if off < probedHead {
		return len(p), nil
	}
	return 0, f.err
}

// TestKilledWhileFormatting: what that left is formatted again, and nothing else is.
func TestKilledWhileFormatting(t *testing.T) {
	r, ok := newRig(t, true)
	if !ok {
		return
	}
	mkfs(t, `printf 'half of it' | dd of=$7 bs=1 seek=70000 conv=notrunc,fsync status=none; kill -9 $$`)
	r.refusedAfter("it cannot be formatted: signal: killed")
	if text, err := os.ReadFile(r.Began); err != nil || string(text) != volumeID+"\n" {
		t.Errorf("it is written down as %q, %v", text, err)
	}
	mkfs(t, `echo no space >&2; exit 1`)
	r.refusedAfter("it cannot be formatted: exit status 1: no space")

	r.write(0, "XFSB")
	r.refused("another's since", "it holds an XFS")
	r.write(0, "\x00\x00\x00\x00")
	other := r
	other.ID = "vol-other"
	other.name(r.path, "volother")
	other.refused("another volume's note", "it holds data that is no file system")
	r.name(r.path, "vol0123456789abcdef0")
	r.Fresh = false
	r.refused("not new", "it holds data that is no file system")
	r.Fresh = true
	t.Setenv("PATH", realPath)
	r.write(0x438, "\x53\xef") // mkfs came as far as that
	r.mount()

	// Killed after mkfs, before that was written down: nobody has written to it.
	r.unmount()
	if err := os.WriteFile(r.Began, []byte(volumeID), 0o600); err != nil {
		t.Fatal(err)
	}
	r.mount()
	r.put("kept")
	r.unmount()
	if err := os.WriteFile(r.Began, []byte(volumeID), 0o600); err != nil {
		t.Fatal(err)
	}
	r.Fresh = false
	r.mount()
	r.has("kept")
}

var realPath = os.Getenv("PATH")

// mkfs puts a script in the place of mkfs.ext4.
func mkfs(t *testing.T, script string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "mkfs.ext4"), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+realPath)
}

func (r rig) refusedAfter(want string) {
	r.t.Helper()
	if err := r.Mount(r.t.Context()); err == nil || !strings.Contains(err.Error(), want) {
		r.t.Errorf("%v; want %q", err, want)
	}
}

func TestFormatEndsWhenItIsTold(t *testing.T) {
	r, ok := newRig(t, true)
	if !ok {
		return
	}
	child := filepath.Join(t.TempDir(), "child")
	mkfs(t, `sleep 1000 & echo $! >`+child+`; wait`)
	told := errors.New("popup stops")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 200*time.Millisecond, told)
	defer cancel()
	begun := time.Now()
	if err := r.Mount(ctx); !errors.Is(err, told) || time.Since(begun) > 20*time.Second {
		t.Errorf("it ended after %s: %v", time.Since(begun), err)
	}
	pid, err := os.ReadFile(child)
	if err != nil {
		t.Fatal(err)
	}
	for tick := time.NewTicker(10 * time.Millisecond); ; <-tick.C { // whoever reaps it may be slow
		state, err := os.ReadFile("/proc/" + strings.TrimSpace(string(pid)) + "/stat")
		if err != nil || strings.Contains(string(state), ") Z ") {
			break
		}
		if time.Since(begun) > 20*time.Second {
			t.Fatalf("what mkfs started goes on: %s", state)
		}
	}
	t.Setenv("PATH", t.TempDir())
	r.refusedAfter("there is no mkfs.ext4 on this machine; install e2fsprogs")
	t.Setenv("PATH", realPath)
	r.mount()
	// A file system of the same kind that somebody else made is as good.
	r.unmount()
	if out, err := exec.CommandContext(t.Context(), "mkfs.ext4", "-F", "-q", "-L", "theirs", r.path).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	r.Fresh = false
	r.mount()
	r.unmount()
	r.write(0x400+0x60, "\xff\xff\xff\xff") // features nobody knows
	r.refusedAfter("its file system cannot be mounted: ")
}
