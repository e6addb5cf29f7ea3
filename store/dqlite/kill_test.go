//go:build dqlite

package dqlite

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"popup/console"
	"popup/store"
)

// nodeEnv tells a process to be a node, and which.
const nodeEnv = "DQLITE_TEST_NODE"

// beNode is called by TestMain, and returns where this process is to run tests. A node
// says that it is ready, and ends with its standard input.
func beNode() {
	text := os.Getenv(nodeEnv)
	if text == "" {
		return
	}
	var o Options
	err := json.Unmarshal([]byte(text), &o)
	o.Log = slog.New(slog.DiscardHandler)
	if err == nil {
		_, err = start(context.Background(), o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("ready")
	io.Copy(io.Discard, os.Stdin)
	os.Exit(0)
}

// A process is a node that can be killed.
type process struct {
	o   Options
	cmd *exec.Cmd
}

func (p *process) start(t *testing.T) {
	t.Helper()
	p.o.Log = nil
	text, err := json.Marshal(p.o)
	check(t, err)
	p.cmd = exec.CommandContext(t.Context(), os.Args[0])
	p.cmd.Env = append(os.Environ(), nodeEnv+"="+string(text))
	p.cmd.Stderr = os.Stderr
	_, err = p.cmd.StdinPipe()
	check(t, err)
	out, err := p.cmd.StdoutPipe()
	check(t, err)
	check(t, p.cmd.Start())
	t.Cleanup(func() { p.kill() })
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "ready\n" {
		t.Fatalf("a node says %q, %v", line, err)
	}
}

func (p *process) kill() {
	p.cmd.Process.Kill()
	p.cmd.Wait()
}

// stall stops it, and waits until all of its threads have stopped.
func (p *process) stall(t *testing.T) {
	t.Helper()
	check(t, p.cmd.Process.Signal(syscall.SIGSTOP))
	check(t, unix.Waitid(unix.P_PID, p.cmd.Process.Pid, nil, unix.WSTOPPED|unix.WNOWAIT, nil))
}

// lead has one of the others lead, and says which.
func lead(t *testing.T, n *node, others []*process) *process {
	t.Helper()
	ctx := waiting(t)
	for ; ; <-time.After(50 * time.Millisecond) {
		members, err := n.members(ctx)
		check(t, err)
		for _, m := range members {
			i := slices.IndexFunc(others, func(p *process) bool { return p.o.Address == m.Address })
			if m.Leads && i >= 0 {
				return others[i]
			}
			if i < 0 || !n.leads(ctx) {
				continue
			}
			c, err := n.leader(ctx)
			check(t, err)
			c.Transfer(ctx, m.ID) // the next look tells
			c.Close()
		}
	}
}

// rounds is how often a leader is lost in a test: KILLS, or 2.
func rounds(t *testing.T) int {
	t.Helper()
	n, err := strconv.Atoi(cmp.Or(os.Getenv("KILLS"), "2"))
	check(t, err)
	return n
}

// TestALeaderIsLost writes at one of three nodes while another, which leads, is lost and
// comes back, again and again: killed, which is heard at once, or stalled, which is not.
func TestALeaderIsLost(t *testing.T) {
	for name, lose := range map[string]func(*testing.T, *process) (back func()){
		"killed": func(t *testing.T, p *process) func() {
			p.kill()
			return func() { p.start(t) }
		},
		"stalled": func(t *testing.T, p *process) func() {
			p.stall(t)
			return func() { check(t, p.cmd.Process.Signal(syscall.SIGCONT)) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			isLost(t, lose)
		})
	}
}

func isLost(t *testing.T, lose func(*testing.T, *process) (back func())) {
	const stable = 8 * time.Second // as long as three voters need until one may be lost
	n, others := oneAndTwo(t)
	s := on(t, n)[0]
	w := writes(t, s)
	for range rounds(t) {
		p := lead(t, n, others)
		<-time.After(stable)
		w.begin()
		back := lose(t, p)
		another := func(m Member) bool { return m.Leads && m.Address != p.o.Address }
		for ctx := waiting(t); ; <-time.After(50 * time.Millisecond) {
			members, err := n.members(ctx)
			if err == nil && slices.ContainsFunc(members, another) {
				break
			}
			if ctx.Err() != nil {
				t.Fatalf("without %s, which led, the members are %+v, %v", p.o.Address, members, err)
			}
		}
		check(t, s.Update(waiting(t), func(tx console.Tx) error { // while it is away
			return tx.Put(console.Record{Kind: "round", ID: p.o.Address})
		}))
		back()
		voting(t, n)
		t.Logf("no write for %v", w.end().Round(time.Millisecond)) // how long is for e2e/cluster, on a machine that has time
	}
	w.stop()
	w.verify(t, s)
}

// oneAndTwo are a node of this process, and two in processes of their own.
func oneAndTwo(t *testing.T) (n *node, others []*process) {
	t.Helper()
	a := authority(t)
	o := options(t, a)
	o.Latency = 20 * time.Millisecond
	n = started(t, o)
	for range 2 {
		p := &process{o: options(t, a, o.Address)}
		p.o.Latency, p.o.Listen = o.Latency, p.o.Address
		p.start(t)
		others = append(others, p)
	}
	voting(t, n)
	return n, others
}

// A writer writes one record after the other, and notes what was acknowledged.
type writer struct {
	stop    func()
	mu      sync.Mutex
	acks    []string
	refused int
	last    time.Time
	gap     time.Duration // the longest since begin
}

func writes(t *testing.T, s console.Store) *writer {
	w := &writer{}
	ctx, stop := context.WithCancel(t.Context())
	var writing sync.WaitGroup
	writing.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			id := fmt.Sprint(i)
			err := s.Update(context.WithoutCancel(ctx), func(tx console.Tx) error {
				if err := tx.Audit(console.AuditEntry{Action: "put", Object: id}); err != nil {
					return err
				}
				return tx.Put(console.Record{Kind: "thing", ID: id})
			})
			if err != nil {
				t.Logf("write %s: %v", id, err)
			}
			w.note(id, err)
		}
	})
	w.stop = func() { stop(); writing.Wait() }
	t.Cleanup(w.stop)
	return w
}

func (w *writer) note(id string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		w.refused++
		return
	}
	now := time.Now()
	w.acks, w.gap, w.last = append(w.acks, id), max(w.gap, now.Sub(w.last)), now
}

func (w *writer) begin() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.gap = 0
}

// end is for how long nothing was acknowledged.
func (w *writer) end() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return max(w.gap, time.Since(w.last))
}

// verify looks for all that was acknowledged, and for it once.
func (w *writer) verify(t *testing.T, s console.Store) {
	t.Helper()
	lost := 0
	for _, id := range w.acks {
		if !has(t.Context(), s, id) {
			lost++
		}
	}
	t.Logf("%d writes were acknowledged, %d may have happened, %d are lost", len(w.acks), w.refused, lost)
	newest, err := store.VerifyAudit(t.Context(), s)
	if acks := int64(len(w.acks)); err != nil || lost > 0 || newest.Seq < acks || newest.Seq > acks+int64(w.refused) {
		t.Errorf("the audit log has %d entries, %v", newest.Seq, err)
	}
}
