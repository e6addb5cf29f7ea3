package datasync

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// crashFiles is how many files a revision of the crash test has.
const crashFiles = 40

// A process that stages, flips and prunes without end is killed at any moment:
// whatever is under a revision's name is whole, and the next start goes on.
func TestKilledAtAnyMoment(t *testing.T) {
	if dir := os.Getenv("DATASYNC_CRASH"); dir != "" {
		publishForEver(t, dir)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := tempDir(t)
	last := 0
	for range 20 {
		cmd := exec.Command(exe, "-test.run=^TestKilledAtAnyMoment$")
		cmd.Env = append(os.Environ(), "DATASYNC_CRASH="+dir)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		began := last
		for deadline := time.Now().Add(30 * time.Second); began == last && time.Now().Before(deadline); { // it must have got somewhere
			time.Sleep(rand.N(20 * time.Millisecond))
			began = currentNumber(dir)
		}
		time.Sleep(rand.N(10 * time.Millisecond))
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // says that it was killed
		p := openPublisher(t, dir, PublisherOptions{})
		noLeftovers(t, dir)
		kept, err := p.List()
		if err != nil {
			t.Fatal(err)
		}
		for _, rev := range kept {
			wholeRevision(t, p.Path(rev), string(rev))
		}
		if _, ok := p.Current(); !ok {
			t.Fatal("nothing is current any more")
		}
		if now := currentNumber(dir); now < last {
			t.Errorf("current went from %d back to %d", last, now)
		} else {
			last = now
		}
	}
}

func currentNumber(dir string) int {
	target, err := os.Readlink(filepath.Join(dir, currentName))
	if err != nil {
		return 0
	}
	n, _ := strconv.Atoi(target[1:])
	return n
}

func wholeRevision(t *testing.T, path, rev string) {
	t.Helper()
	for n := range crashFiles {
		text, err := os.ReadFile(filepath.Join(path, fmt.Sprint("d", n%5), fmt.Sprint(n)))
		if err != nil || string(text) != rev {
			t.Errorf("revision %s is not whole: %q, %v", rev, text, err)
		}
	}
}

func publishForEver(t *testing.T, dir string) {
	p := openPublisher(t, dir, PublisherOptions{Retain: 1, Linger: time.Nanosecond})
	for n := currentNumber(dir) + 1; ; n++ {
		rev := Revision(fmt.Sprint("r", n))
		err := p.Stage(context.Background(), rev, func(_ context.Context, dir string) error {
			for i := range crashFiles {
				write(t, dir, map[string]string{filepath.Join(fmt.Sprint("d", i%5), fmt.Sprint(i)): string(rev)})
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Flip(rev); err != nil {
			t.Fatal(err)
		}
		if err := p.Prune(nil); err != nil {
			t.Fatal(err)
		}
	}
}
