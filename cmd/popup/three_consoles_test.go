//go:build dqlite

package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"popup/internal/testutil"
)

const withEngine = true

// A clustered is one of several consoles, which runs in this process by its verb.
type clustered struct {
	t     *testing.T
	dir   string
	ended chan int
	log   *testutil.Buffer
	stop  func()
}

// say runs a verb beside it, and fails where that does.
func (c *clustered) say(args ...string) string {
	c.t.Helper()
	var out, log bytes.Buffer
	if code := run(c.t.Context(), append(append([]string{"console"}, args...), "--data-dir", c.dir), &out, &log); code != exitDone {
		c.t.Fatalf("%q exits %d: %s", args, code, log.String())
	}
	return strings.TrimSpace(out.String())
}

// cluster starts popup console on a folder, and waits until it listens.
func cluster(t *testing.T, dir string, args ...string) *clustered {
	t.Helper()
	c := &clustered{t: t, dir: dir, ended: make(chan int, 1), log: &testutil.Buffer{}}
	ctx, cancel := context.WithCancel(t.Context())
	out, in := io.Pipe()
	go func() {
		code := run(ctx, append([]string{"console", "--listen", "127.0.0.1:0", "--url", "http://console.test", "--cloud", "manual", "--data-dir", dir}, args...), in, c.log)
		in.Close()
		c.ended <- code
		close(c.ended)
	}()
	c.stop = func() { cancel(); <-c.ended }
	t.Cleanup(c.stop)
	lines := bufio.NewScanner(out)
	if !lines.Scan() || lines.Text() != "listening on http://console.test" {
		t.Fatalf("the console ended with %d: %s", <-c.ended, c.log.String())
	}
	go io.Copy(io.Discard, out)
	return c
}

var lastPort atomic.Int32

// free is a port at an address of the loopback that nobody but this process takes.
func free() string {
	pid := os.Getpid()
	return fmt.Sprintf("127.83.%d.%d:%d", pid/250%250+1, pid%250+1, 9000+lastPort.Add(1))
}

// voters waits until so many have a say in what is kept.
func (c *clustered) voters(n int) {
	c.t.Helper()
	again := time.NewTicker(200 * time.Millisecond)
	defer again.Stop()
	for end := time.Now().Add(time.Minute); ; <-again.C {
		is := c.say("cluster")
		if strings.Count(is, "  voter  ") == n {
			return
		}
		if time.Now().After(end) {
			c.t.Fatalf("there are no %d voters: %s", n, is)
		}
	}
}

func wants(t *testing.T, text string, words ...string) {
	t.Helper()
	for _, word := range words {
		if !strings.Contains(text, word) {
			t.Errorf("it says %q, want it to say %q", text, word)
		}
	}
}

// refuses starts a console that must not come up.
func refuses(t *testing.T, says string, args ...string) {
	t.Helper()
	var out, log bytes.Buffer
	if code := run(t.Context(), append([]string{"console", "--listen", "127.0.0.1:0", "--url", "http://console.test", "--cloud", "manual"}, args...), &out, &log); code == exitDone || !strings.Contains(log.String(), says) {
		t.Errorf("%q exits %d and says %q, want it to say %q", args, code, log.String(), says)
	}
}

// TestThreeConsolesByTheirCommands: one grows, two join, one leaves and joins again at another
// address, one is lost and removed.
func TestThreeConsolesByTheirCommands(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	dir := func(name string) string { return filepath.Join(root, name) }
	first, second, third := free(), free(), free()
	alone := cluster(t, dir("a"))
	wants(t, alone.say("cluster"), "tolerates no failure: this console keeps its store alone")
	alone.stop()

	a := cluster(t, dir("a"), "--cluster-address", first)
	wants(t, a.say("cluster"), first, "leads, this one", "the only console of its cluster")
	b := cluster(t, dir("b"), "--cluster-address", second, "--join", a.say("cluster-token"))
	file := filepath.Join(root, "token")
	if err := os.WriteFile(file, []byte(b.say("cluster-token", "--for", "10m")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := cluster(t, dir("c"), "--cluster-address", third, "--join", file)
	c.voters(3)
	wants(t, c.say("cluster"), first, second, third)
	wants(t, c.say("cluster", "--json"), `"behind": `, `"tolerates": `)
	for _, name := range []string{"b", "c"} {
		is, err := os.ReadFile(filepath.Join(dir(name), "secrets.key"))
		was, err2 := os.ReadFile(filepath.Join(dir("a"), "secrets.key"))
		if err != nil || err2 != nil || !bytes.Equal(is, was) {
			t.Errorf("the secrets key of %s is %q, and not %q", name, is, was)
		}
	}
	refuses(t, "used already", "--data-dir", dir("d"), "--cluster-address", free(), "--join", file)
	refuses(t, "start this one with --url http://console.test", "--data-dir", dir("d"), "--cluster-address", free(), "--join", a.say("cluster-token"), "--url", "http://other.test")

	b.stop()
	refuses(t, "the other consoles know this one as "+second, "--data-dir", dir("b"), "--cluster-address", free())
	refuses(t, "--url http://console.test", "--data-dir", dir("b"), "--url", "http://other.test")
	b = cluster(t, dir("b")) // its address is remembered
	wants(t, b.say("cluster", "leave"), "it left, and ends")
	if code := <-b.ended; code != exitDone {
		t.Errorf("it left, and exits %d: %s", code, b.log.String())
	}
	refuses(t, "left its cluster", "--data-dir", dir("b"))
	second = free()
	b = cluster(t, dir("b"), "--cluster-address", second, "--join", c.say("cluster-token"))
	wants(t, b.say("cluster"), first, second, third)
	c.stop()
	wants(t, a.say("cluster"), third, "does not answer")
	wants(t, a.say("cluster", "remove", third), "removed "+third+"; it tolerates no failure")
	refuses(t, "not in its cluster any more", "--data-dir", dir("c"))
}
