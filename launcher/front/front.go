// Package front is the HTTP face of an instance: the boot page until there is
// something to serve, then the app, flipped from one serving to the next without
// a failed request, and at last the page that says it is over.
//
// A Front is one http.Handler. What it forwards to is a Serving, whose handler
// is one of Static, PHP and Proxy. What answers by itself lives below
// /.well-known/popup, which no app can cover:
//
//	/.well-known/popup            what runs here, as JSON
//	/.well-known/popup/           the same as a page: view source for a service
//	/.well-known/popup/user-data  the user-data that launches one's own
//	/.well-known/popup/events     server-sent events: phases, then ready
//	/.well-known/popup/ready      200 when the app is served and healthy, else 503 and why
package front

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"
)

const (
	defaultDrain   = time.Minute
	defaultMaxBody = 256 << 20
)

// Options are what a Front is made of. The zero value works.
type Options struct {
	Logger    *slog.Logger     // nil: silent
	AccessLog io.Writer        // one JSON line a request, written one at a time, without queries; nil: none
	Name      string           // the app's name, on the pages; empty: "This service"
	Drain     time.Duration    // how long requests of a replaced serving may run on before they are cancelled; 0: 1m
	MaxBody   int64            // bytes of a request's body; 0: 256 MiB
	Now       func() time.Time // nil: time.Now
}

// A Front answers every request of an instance. Its methods may be called from
// several goroutines at once.
type Front struct {
	opts  Options
	log   *slog.Logger
	stats counters

	logMu sync.Mutex // one line of the access log at a time

	mu        sync.Mutex
	current   *active              // nil: the boot page
	draining  map[*active]struct{} // replaced, not stopped yet
	writes    map[*request]struct{}
	boot      Boot
	readOnly  bool
	retry     time.Duration
	over      *Over
	about     About
	unhealthy string
	closed    bool
	changed   chan struct{} // closed and replaced whenever something above changed
	idle      chan struct{} // closed and replaced whenever a write ended

	streamsDone chan struct{} // closed by EndStreams
	endStreams  sync.Once
	streams     chan struct{} // one token a live event stream
	beat        time.Duration // between events of a stream on which nothing changed
}

// New returns a Front that shows the boot page until the first Flip.
func New(o Options) *Front {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Name == "" {
		o.Name = "This service"
	}
	if o.Drain <= 0 {
		o.Drain = defaultDrain
	}
	if o.MaxBody <= 0 {
		o.MaxBody = defaultMaxBody
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Front{
		opts:        o,
		log:         o.Logger,
		draining:    map[*active]struct{}{},
		writes:      map[*request]struct{}{},
		changed:     make(chan struct{}),
		idle:        make(chan struct{}),
		streamsDone: make(chan struct{}),
		streams:     make(chan struct{}, maxStreams),
		beat:        eventBeat,
	}
}

// Handler returns the Front as a handler: itself.
func (f *Front) Handler() http.Handler { return f }

// ServeHTTP answers one request, counts it and writes it to the access log.
func (f *Front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rec := f.record(w, r)
	defer rec.end()
	r.Header.Del("Proxy") // a CGI program would take it for $HTTP_PROXY
	if r.ContentLength > f.opts.MaxBody {
		fail(rec, r, noticeTooLarge(f.opts.MaxBody), nil)
		return
	}
	if r.Body != nil {
		r.Body = http.MaxBytesReader(w, r.Body, f.opts.MaxBody)
	}
	if f.serveOwn(rec, r) {
		return
	}
	req, refused := f.admit(rec, r)
	if refused != nil {
		refused.write(rec, r)
		return
	}
	defer f.leave(req)
	req.active.Handler.ServeHTTP(rec, r.WithContext(req.ctx))
}

// A request is one that an app answers.
type request struct {
	active   *active
	ctx      context.Context
	cancel   context.CancelCauseFunc
	unlink   func() bool // from the serving's own end
	write    bool
	upgraded bool // a websocket or the like: it may write at any time
}

// admit decides in one step who answers r, so that a flip or a freeze never
// falls between the decision and its being counted.
func (f *Front) admit(rec *recorder, r *http.Request) (*request, *answer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	upgrade := r.Header.Get("Upgrade") != ""
	write := upgrade || !isRead(r.Method)
	switch {
	case f.over != nil:
		return nil, f.overAnswer(*f.over)
	case f.closed:
		return nil, noticeClosing().answer()
	case f.current == nil:
		return nil, f.bootAnswer()
	case f.readOnly && write:
		return nil, noticeReadOnly(f.opts.Name, f.retry).answer()
	}
	req := &request{active: f.current, write: write, upgraded: upgrade}
	req.ctx, req.cancel = context.WithCancelCause(r.Context())
	req.unlink = context.AfterFunc(f.current.ctx, func() { req.cancel(context.Cause(req.active.ctx)) })
	f.current.requests++
	if write {
		f.writes[req] = struct{}{}
	}
	rec.serving = req.active
	return req, nil
}

// leave takes a request back that admit let in.
func (f *Front) leave(req *request) {
	req.unlink()
	req.cancel(nil)
	f.mu.Lock()
	defer f.mu.Unlock()
	req.active.requests--
	req.active.settle()
	if req.write {
		delete(f.writes, req)
		close(f.idle)
		f.idle = make(chan struct{})
	}
}

func isRead(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions
}

// announce wakes whoever waits for a change; f.mu is held.
func (f *Front) announce() {
	close(f.changed)
	f.changed = make(chan struct{})
}
