package bench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cgi"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"popup/datasync"
)

// Cost is what the server counted so far.
type cost struct {
	Git      time.Duration // CPU of the git processes that answered
	Own      time.Duration // CPU of the server itself
	Requests int64
	Asked    int64 // those of the requests that are the origin's to answer
	Down, Up int64 // bytes on the wire, as the client sees it
}

func (c cost) minus(o cost) cost {
	return cost{c.Git - o.Git, c.Own - o.Own, c.Requests - o.Requests, c.Asked - o.Asked, c.Down - o.Down, c.Up - o.Up}
}

// server is the server's process, as its clients know it.
type server struct {
	Plain string // http
	TLS   string // https
	Asked string // where to ask what it cost so far
	Rest  string // where to have it end connections that are idle, as servers do after a minute
}

// startServer serves the repositories below dir until the test is over.
func startServer(t testing.TB, dir string, certificate certificate) *server {
	t.Helper()
	cmd := role(t, "server", "BENCH_DIR="+dir, "BENCH_CERT="+certificate.cert, "BENCH_KEY="+certificate.key)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); cmd.Wait() })
	s := &server{}
	if err := json.NewDecoder(bufio.NewReader(out)).Decode(s); err != nil {
		t.Fatalf("start server: %v", err)
	}
	return s
}

// cost is read once nothing is being answered any more.
func (s *server) cost(t testing.TB) (c cost) {
	t.Helper()
	res, err := http.Get(s.Asked)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(&c); err != nil {
		t.Fatal(err)
	}
	return c
}

// counter counts what goes through connections, and what is being answered.
type counter struct {
	down, up        atomic.Int64
	requests, asked atomic.Int64
	answering       sync.RWMutex
	idle            sync.Map // the connections that are
}

func (c *counter) state(conn net.Conn, state http.ConnState) {
	if state == http.StateIdle {
		c.idle.Store(conn, nil)
	} else {
		c.idle.Delete(conn)
	}
}

func (c *counter) rest(http.ResponseWriter, *http.Request) {
	c.idle.Range(func(conn, _ any) bool {
		conn.(net.Conn).Close()
		return true
	})
}

type countedListener struct {
	net.Listener
	*counter
}

func (l countedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return countedConn{c, l.counter}, err
}

type countedConn struct {
	net.Conn
	*counter
}

func (c countedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.up.Add(int64(n))
	return n, err
}

func (c countedConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.down.Add(int64(n))
	return n, err
}

func (c *counter) count(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.answering.RLock()
		defer c.answering.RUnlock()
		c.requests.Add(1)
		next.ServeHTTP(w, r)
	})
}

// origin counts what gets to the origin.
func (c *counter) origin(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.asked.Add(1)
		next.ServeHTTP(w, r)
	})
}

func (c *counter) cost(w http.ResponseWriter, _ *http.Request) {
	c.answering.Lock()
	defer c.answering.Unlock()
	total := cost{cpu(syscall.RUSAGE_CHILDREN), cpu(syscall.RUSAGE_SELF), c.requests.Load(), c.asked.Load(), c.down.Load(), c.up.Load()}
	json.NewEncoder(w).Encode(total)
}

// cpu is what this process, or its children, have used so far.
func cpu(who int) time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(who, &used); err != nil {
		panic(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// serve is the server's process. It ends with its standard input.
func serve(context.Context) error {
	c := &counter{}
	backend, err := backend(os.Getenv("BENCH_DIR"))
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/", c.origin(backend))
	for _, name := range []string{"days", "many"} {
		mux.Handle("/relay/"+name+"/", datasync.RelayHandler(filepath.Join(os.Getenv("BENCH_DIR"), "relay", name)))
	}
	mux.Handle("/fast/", c.origin(http.HandlerFunc(fast)))
	handler := c.count(mux)
	questions := http.NewServeMux()
	questions.HandleFunc("/", c.cost)
	questions.HandleFunc("/rest", c.rest)
	control := &http.Server{Handler: questions}
	var s server
	var starts errs
	starts.add(listen(&http.Server{Handler: handler, ConnState: c.state}, &s.Plain, c, false))
	starts.add(listen(&http.Server{Handler: handler, ConnState: c.state}, &s.TLS, c, true))
	starts.add(listen(control, &s.Asked, &counter{}, false))
	s.Rest = s.Asked + "/rest"
	if starts != nil {
		return errors.Join(starts...)
	}
	if err := json.NewEncoder(os.Stdout).Encode(s); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

type errs []error

func (e *errs) add(err error) {
	if err != nil {
		*e = append(*e, err)
	}
}

// listen serves on a free port, for as long as the process lives.
func listen(s *http.Server, url *string, c *counter, secure bool) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	counted := countedListener{l, c}
	if !secure {
		*url = "http://" + l.Addr().String()
		go s.Serve(counted)
		return nil
	}
	*url = "https://" + l.Addr().String()
	go s.ServeTLS(counted, os.Getenv("BENCH_CERT"), os.Getenv("BENCH_KEY"))
	return nil
}

// fast answers a poll as git http-backend does, without a process: for more polls
// than this machine could start processes.
func fast(w http.ResponseWriter, r *http.Request) {
	asked, err := io.ReadAll(io.LimitReader(r.Body, 64<<10))
	if err != nil || !bytes.Contains(asked, []byte("command=ls-refs")) {
		http.Error(w, "only ls-refs is answered here", http.StatusBadRequest)
		return
	}
	line := strings.Repeat("0123456789", 4) + " refs/heads/main\n"
	w.Header().Set("Content-Type", "application/x-git-upload-pack-result")
	w.Header().Set("Cache-Control", "no-cache, max-age=0, must-revalidate")
	fmt.Fprintf(w, "%04x%s0000", len(line)+4, line)
}

// backend is real git http-backend for the repositories below dir.
func backend(dir string) (http.Handler, error) {
	programs, err := exec.Command("git", "--exec-path").Output()
	if err != nil {
		return nil, fmt.Errorf("find git: %w", err)
	}
	env := []string{"GIT_PROJECT_ROOT=" + dir, "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null",
		"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*"}
	return &cgi.Handler{Path: filepath.Join(strings.TrimSpace(string(programs)), "git-http-backend"), Env: env, Stderr: io.Discard}, nil
}
