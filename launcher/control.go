package launcher

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A control is the local socket on which status, sync and rollback are asked
// for. Only root and the user that popup runs as are answered: the folder is
// 0700, the socket 0600, and the peer's uid is read from the kernel besides.
// Where the plan says so, it answers with metrics on a listener of their own.
type control struct {
	server  *http.Server   // of the socket
	servers []*http.Server // it, and that of metrics
	done    chan error     // gets what each of them ended with
	closing sync.Once
	err     error
}

// serveControl answers on the socket at path until close is called.
func serveControl(path string, a *Appliance) (*control, error) {
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("listen on control socket: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("close control socket: %w", err), l.Close())
	}
	metrics, err := a.listenMetrics()
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", metricsHandler(a.now))
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, r *http.Request) {
		answer(w, a.Status(), nil)
	})
	mux.HandleFunc("POST /sync", func(w http.ResponseWriter, r *http.Request) {
		report, err := a.Sync(r.Context(), SyncOrder{Retry: r.FormValue("retry") == "true"})
		answer(w, report, err)
	})
	mux.HandleFunc("POST /rollback/{what}", func(w http.ResponseWriter, r *http.Request) {
		order := RollbackOrder{What: r.PathValue("what"), To: r.FormValue("to"), Release: r.FormValue("release") == "true"}
		report, err := a.Rollback(r.Context(), order)
		answer(w, report, err)
	})
	mux.HandleFunc("GET /state", func(w http.ResponseWriter, r *http.Request) {
		list, err := a.Backups(r.Context())
		answer(w, list, err)
	})
	mux.HandleFunc("POST /state/backup", func(w http.ResponseWriter, r *http.Request) {
		taken, err := a.BackUp(r.Context())
		answer(w, taken, err)
	})
	mux.HandleFunc("POST /state/prune", func(w http.ResponseWriter, r *http.Request) {
		keep, err := strconv.Atoi(r.FormValue("keep"))
		var removed []string
		if err == nil {
			removed, err = a.PruneBackups(r.Context(), keep)
		}
		answer(w, removed, err)
	})
	mux.HandleFunc("POST /state/restore", func(w http.ResponseWriter, r *http.Request) {
		var order RestoreOrder
		var restored Backup
		err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxOrder)).Decode(&order)
		if err == nil {
			restored, err = a.Restore(r.Context(), order)
		}
		answer(w, restored, err)
	})
	c := &control{done: make(chan error, 2), server: &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 5 * time.Second,
		BaseContext:       func(net.Listener) context.Context { return a.ctx },
	}}
	c.serve(c.server, peerListener{l})
	if metrics != nil {
		c.serve(a.metricsServer(), metrics)
	}
	return c, nil
}

// maxOrder bounds an order, in bytes.
const maxOrder = 1 << 20

func (c *control) serve(server *http.Server, l net.Listener) {
	c.servers = append(c.servers, server)
	go func() { c.done <- server.Serve(l) }()
}

// close waits for what was asked for until ctx ends. It may be called again.
func (c *control) close(ctx context.Context) error {
	c.closing.Do(func() {
		for _, server := range c.servers {
			c.err = errors.Join(c.err, server.Shutdown(ctx), server.Close())
		}
		for range c.servers {
			if served := <-c.done; !errors.Is(served, http.ErrServerClosed) {
				c.err = errors.Join(c.err, served)
			}
		}
	})
	return c.err
}

// answer writes v, or err as a sentence; the error comes with what was reached.
func answer(w http.ResponseWriter, v any, err error) {
	w.Header().Set("Content-Type", "application/json")
	reply := controlReply{}
	if err != nil {
		w.WriteHeader(http.StatusConflict)
		reply.Error = err.Error()
	}
	body, encodeErr := json.Marshal(v)
	if encodeErr != nil {
		reply.Error = encodeErr.Error()
	}
	reply.Body = body
	_ = json.NewEncoder(w).Encode(reply) // the peer went away: nobody is left to tell
}

type controlReply struct {
	Error string          `json:"error,omitempty"`
	Body  json.RawMessage `json:"body,omitempty"`
}

// peerListener closes connections of other users before a byte is read from them.
type peerListener struct{ net.Listener }

func (l peerListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if uid, err := peerUID(conn); err == nil && (uid == 0 || uid == uint32(os.Geteuid())) {
			return conn, nil
		}
		_ = conn.Close() // a stranger is owed nothing
	}
}

func peerUID(conn net.Conn) (uint32, error) {
	unixConn, ok := conn.(*net.UnixConn)
	if !ok {
		return 0, fmt.Errorf("read peer: %T is not a local socket", conn)
	}
	raw, err := unixConn.SyscallConn()
	if err != nil {
		return 0, fmt.Errorf("read peer: %w", err)
	}
	var cred *unix.Ucred
	var credErr error
	if err := raw.Control(func(fd uintptr) {
		cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return 0, fmt.Errorf("read peer: %w", err)
	}
	if credErr != nil {
		return 0, fmt.Errorf("read peer: %w", credErr)
	}
	return cred.Uid, nil
}

func ownedByUs(info os.FileInfo) bool {
	return ownedBy(info, uint32(os.Geteuid()))
}

func sameOwner(a, b os.FileInfo) bool {
	st, ok := b.Sys().(*syscall.Stat_t)
	return ok && ownedBy(a, st.Uid)
}

func ownedBy(info os.FileInfo, uid uint32) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && st.Uid == uid
}
