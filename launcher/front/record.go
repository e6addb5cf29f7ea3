package front

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime/debug"
	"sync/atomic"
	"time"
)

// Stats are counted since the Front was made.
type Stats struct {
	Requests int64 // begun
	Errors   int64 // answered 5xx by the app, or not at all; not what the front says by itself
	InFlight int64
	Bytes    int64 // of bodies sent
}

type counters struct{ requests, errors, inFlight, bytes atomic.Int64 }

// Stats returns the counts as they stand.
func (f *Front) Stats() Stats {
	return Stats{f.stats.requests.Load(), f.stats.errors.Load(), f.stats.inFlight.Load(), f.stats.bytes.Load()}
}

// A recorder notes what was answered. Streams, upgrades and sendfile reach
// through it.
type recorder struct {
	http.ResponseWriter
	front   *Front
	request *http.Request
	begun   time.Time
	serving *active // nil: the front answered by itself
	status  int
	bytes   int64
	cut     bool
	err     error
}

func (f *Front) record(w http.ResponseWriter, r *http.Request) *recorder {
	f.stats.requests.Add(1)
	f.stats.inFlight.Add(1)
	return &recorder{ResponseWriter: w, front: f, request: r, begun: time.Now()}
}

func (r *recorder) failed(err error)            { r.err = err }
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 && status >= 200 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(p []byte) (int, error) {
	n, err := r.ResponseWriter.Write(p)
	r.wrote(int64(n))
	return n, err
}

// ReadFrom keeps sendfile possible for files.
func (r *recorder) ReadFrom(src io.Reader) (int64, error) {
	n, err := io.Copy(r.ResponseWriter, src)
	r.wrote(n)
	return n, err
}

func (r *recorder) wrote(n int64) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	r.bytes += n
}

// Hijack hands the connection over to an upgrade.
func (r *recorder) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(r.ResponseWriter).Hijack()
	if err == nil {
		r.status = http.StatusSwitchingProtocols
	}
	return conn, rw, err
}

// end is deferred around the answer. A handler that panics is answered for when
// nothing was sent yet; else the connection is cut, so that half a page does not
// pass for a whole one.
func (r *recorder) end() {
	if p := recover(); p != nil {
		if p == http.ErrAbortHandler || r.status != 0 {
			r.cut = true
		}
		if p != http.ErrAbortHandler {
			r.front.log.Error("answer request", "path", r.request.URL.Path, "err", fmt.Sprint(p), "stack", string(debug.Stack()))
		}
		if !r.cut {
			noticeBroken().answer().write(r, r.request)
		}
	}
	if r.status == 0 && !r.cut {
		r.status = http.StatusOK
	}
	c := &r.front.stats
	c.inFlight.Add(-1)
	c.bytes.Add(r.bytes)
	if r.serving != nil && (r.status >= 500 || r.cut) {
		c.errors.Add(1)
	}
	if r.err != nil {
		r.front.log.Warn("answer request", "path", r.request.URL.Path, "status", r.status, "err", r.err)
	}
	r.front.logAccess(r)
	if r.cut {
		panic(http.ErrAbortHandler)
	}
}

// An accessLine is one request. The query stays out: tokens are written there.
type accessLine struct {
	Time     time.Time `json:"time"`
	Remote   string    `json:"remote"`
	Method   string    `json:"method"`
	Host     string    `json:"host"`
	Path     string    `json:"path"`
	Proto    string    `json:"proto"`
	Status   int       `json:"status"`        // 0: none was sent
	Cut      bool      `json:"cut,omitempty"` // the connection was cut before the end
	Bytes    int64     `json:"bytes"`
	Took     float64   `json:"took_ms"`
	Agent    string    `json:"agent,omitempty"`
	Release  string    `json:"release,omitempty"`
	Revision string    `json:"revision,omitempty"`
}

func (f *Front) logAccess(r *recorder) {
	if f.opts.AccessLog == nil {
		return
	}
	req := r.request
	line := accessLine{
		Time: r.begun.UTC(), Remote: hostOf(req.RemoteAddr), Method: req.Method, Host: req.Host, Path: req.URL.Path,
		Proto: req.Proto, Status: r.status, Cut: r.cut, Bytes: r.bytes, Took: float64(time.Since(r.begun).Microseconds()) / 1000,
		Agent: req.UserAgent(),
	}
	if r.serving != nil {
		line.Release, line.Revision = r.serving.Release, r.serving.Revision
	}
	b, err := json.Marshal(line)
	if err != nil {
		f.log.Error("write access log", "err", err)
		return
	}
	f.logMu.Lock()
	defer f.logMu.Unlock()
	if _, err := f.opts.AccessLog.Write(append(b, '\n')); err != nil {
		f.log.Error("write access log", "err", err)
	}
}

func hostOf(address string) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	return host
}
