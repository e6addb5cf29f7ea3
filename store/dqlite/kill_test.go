//go:build dqlite

package dqlite

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

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
			c, err := n.app.FindLeader(ctx)
			check(t, err)
			c.Transfer(ctx, m.ID) // the next look tells
			c.Close()
		}
	}
}

// TestTheLeaderIsKilled writes at one of three nodes while another, which leads, is
// killed and comes back, again and again.
func TestTheLeaderIsKilled(t *testing.T) {
	t.Parallel()
	const rounds = 2
	const stable = 8 * time.Second // as long as three voters need until one may be lost
	a := authority(t)
	o := options(t, a)
	o.Latency = 20 * time.Millisecond
	n := started(t, o)
	var others []*process
	for range 2 {
		p := &process{o: options(t, a, o.Address)}
		p.o.Latency, p.o.Listen = o.Latency, p.o.Address
		p.start(t)
		others = append(others, p)
	}
	voting(t, n)
	s := on(t, n)[0]

	type ack struct {
		id string
		at time.Time
	}
	var acks []ack
	refused := 0
	stopped := make(chan struct{})
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	go func() {
		defer close(stopped)
		for i := 0; ctx.Err() == nil; i++ {
			id := fmt.Sprint(i)
			if err := s.Update(t.Context(), func(tx console.Tx) error {
				if err := tx.Audit(console.AuditEntry{Action: "put", Object: id}); err != nil {
					return err
				}
				return tx.Put(console.Record{Kind: "thing", ID: id})
			}); err != nil {
				t.Logf("write %s: %v", id, err)
				refused++
				continue
			}
			acks = append(acks, ack{id, time.Now()})
		}
	}()
	var kills []time.Time
	for range rounds {
		p := lead(t, n, others)
		<-time.After(stable)
		kills = append(kills, time.Now())
		p.kill()
		<-time.After(3 * time.Second)
		p.start(t)
		voting(t, n)
	}
	stop()
	<-stopped

	for _, kill := range kills {
		next := slices.IndexFunc(acks, func(a ack) bool { return a.at.After(kill) })
		if next < 1 {
			t.Fatalf("nothing was written before, or after, %v", kill)
		}
		gap := acks[next].at.Sub(acks[next-1].at)
		for i := next; i < len(acks) && acks[i].at.Before(kill.Add(3*time.Second)); i++ { // one that was on its way may have come through
			gap = max(gap, acks[i].at.Sub(acks[i-1].at))
		}
		t.Logf("no write for %v", gap.Round(time.Millisecond))
	}
	lost := 0
	for _, a := range acks {
		if !has(t.Context(), s, a.id) {
			lost++
		}
	}
	t.Logf("%d writes were acknowledged, %d may have happened, %d are lost", len(acks), refused, lost)
	newest, err := store.VerifyAudit(t.Context(), s)
	if err != nil || lost > 0 || newest.Seq < int64(len(acks)) || newest.Seq > int64(len(acks)+refused) {
		t.Errorf("the audit log has %d entries, %v", newest.Seq, err)
	}
}
