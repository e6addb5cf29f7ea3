package storetest

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"popup/console"
	"popup/store"
)

// Open opens the store that is kept in a folder, new or not.
type Open func(ctx context.Context, dir string) (console.Store, error)

// What a child process is told by its environment.
const (
	childDir    = "STORETEST_DIR"
	childRound  = "STORETEST_ROUND"
	childWrites = "STORETEST_WRITES" // each worker's; 0: until it is killed
)

// Child is to be called first in TestMain, and returns where this process is no child
// of RunDurable's. A child writes, and says on its standard output, a line each, what
// was acknowledged.
func Child(open Open) {
	if os.Getenv(childDir) == "" {
		return
	}
	if err := write(open); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func write(open Open) error {
	s, err := open(context.Background(), os.Getenv(childDir))
	if err != nil {
		return err
	}
	writes, err := strconv.Atoi(os.Getenv(childWrites))
	if err != nil {
		return err
	}
	workers := 4
	if writes > 0 {
		workers = 1 // so that calls come in the same order each time
	}
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() {
			for i := 0; writes == 0 || i < writes; i++ {
				id := fmt.Sprintf("%s-%d-%d", os.Getenv(childRound), w, i)
				if err := s.Update(context.Background(), entry(id)); err != nil {
					id = fmt.Sprintf("error %d: %v", i, err)
				}
				os.Stdout.WriteString(id + "\n") //nolint:errcheck // without a reader nobody counts on it
			}
		})
	}
	all.Wait()
	return s.Close()
}

// entry writes a record, counts it, and enters it in the audit log.
func entry(id string) func(console.Tx) error {
	return func(tx console.Tx) error {
		if err := tx.Put(console.Record{Kind: "entry", ID: id, Sort: id, Doc: bytes.Repeat([]byte("x"), 2000)}); err != nil {
			return err
		}
		if err := add(tx, "counter"); err != nil {
			return err
		}
		return tx.Audit(console.AuditEntry{Action: "enter", Object: id})
	}
}

// child is a process that writes into a folder.
func child(dir, round string, writes int) (argv, env []string) {
	return []string{os.Args[0]}, []string{childDir + "=" + dir, childRound + "=" + round, childWrites + "=" + strconv.Itoa(writes)}
}

// RunDurable kills a process that writes, 20 times or as often as the environment's N
// says, at a random moment each. What it acknowledged has to be there.
func RunDurable(t *testing.T, open Open) {
	rounds := 20
	if n, err := strconv.Atoi(os.Getenv("N")); err == nil {
		rounds = n
	}
	dir, kept := t.TempDir(), map[string]bool{}
	for round := range rounds {
		for _, id := range killed(t, dir, strconv.Itoa(round)) {
			kept[id] = true
		}
		Whole(t, open, dir, kept)
	}
	if len(kept) < rounds {
		t.Errorf("only %d writes were acknowledged in %d rounds", len(kept), rounds)
	}
}

// killed starts a child and kills it after some writes, in the middle of the next.
func killed(t *testing.T, dir, round string) (acknowledged []string) {
	argv, env := child(dir, round, 0)
	cmd := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	check(t, err)
	check(t, cmd.Start())
	after := 1 + rand.IntN(30)
	lines := bufio.NewReader(out)
	for {
		line, err := lines.ReadString('\n')
		if err != nil { // it is dead; a line that it did not end was acknowledged to nobody
			break
		}
		acknowledged = append(acknowledged, strings.TrimSpace(line))
		if len(acknowledged) == after {
			time.AfterFunc(rand.N(5*time.Millisecond), func() { cmd.Process.Kill() }) //nolint:errcheck // Wait tells
		}
	}
	if err := cmd.Wait(); err == nil || cmd.ProcessState.Exited() {
		t.Fatalf("round %s: the child ended by itself: %v", round, err)
	}
	return acknowledged
}

// Whole opens what is left in a folder: the entries that are meant are there, and what
// was written with each is there exactly where it is.
func Whole(t *testing.T, open Open, dir string, kept map[string]bool) {
	t.Helper()
	s, err := open(t.Context(), dir)
	check(t, err)
	defer func() { check(t, s.Close()) }()
	there := pages(t, s, console.Query{Kind: "entry", Limit: 1000}, func(console.Record, console.Record) {})
	for id := range kept {
		if there[id] != 1 {
			t.Errorf("%s was acknowledged, and is there %d times", id, there[id])
		}
	}
	if counter := get(t, s, "counter"); string(counter.Doc) != strconv.Itoa(len(there)) {
		t.Errorf("%d entries are there, and %s were counted", len(there), counter.Doc)
	}
	newest, err := store.VerifyAudit(t.Context(), s)
	if err != nil || newest.Seq != int64(len(there)) {
		t.Errorf("the audit log has %d entries, %v, want %d", newest.Seq, err, len(there))
	}
	f := follower{store: s, seen: map[string]int{}}
	check(t, f.follow(t.Context(), func() bool { return true }))
	if len(f.seen) != len(there)+1 || f.seen["counter"] != len(there) {
		t.Errorf("the changes tell of %d records, and %d of the counter, want %d", len(f.seen), f.seen["counter"], len(there))
	}
}
