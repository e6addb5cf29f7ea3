package launcher

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"

	"popup/internal/metadata"
	"popup/internal/wire"
)

// callTimeout bounds one request to the console, its answer included.
const callTimeout = 30 * time.Second

// A link is the instance's side of its console. The console is never needed for
// what is served: what it told is kept, and when it is away only a status says so.
// The methods of a nil link, of a plan without a console, do nothing.
type link struct {
	app      *Appliance
	log      *slog.Logger
	console  wire.Console
	instance string
	client   *http.Client
	archives *http.Client     // for the vault's
	cloud    *metadata.Client // proves what machine this is; nil: the console wants no proof
	key      ed25519.PrivateKey
	kept     *kept
	logs     *ring
	enrolled chan struct{} // closed when what the console has for this instance is here
	news     chan struct{} // gets a token when something changed
	work     chan struct{} // gets a token when something is wanted or commanded
	endMoved chan struct{} // gets a token when the end is another

	jobs   sync.WaitGroup
	cancel context.CancelFunc

	sending sync.Mutex // held while a report is made and sent: they are numbered

	mu      sync.Mutex // guards what follows
	status  ConsoleStatus
	date    time.Time // what the console's newest answer said it was
	dated   time.Time // when that was
	heard   time.Time // when a report was last answered
	seq     uint64
	pending []wire.Command // accepted, not done yet
	unmet   string         // why what is wanted does not hold
	pinned  time.Time      // when that was last tried
}

// A ConsoleStatus is how an instance and its console get on.
type ConsoleStatus struct {
	URL        string    `json:"url"`
	Enrolled   time.Time `json:"enrolled,omitzero"`
	LastReport time.Time `json:"last_report,omitzero"` // the last that was answered
	NextReport time.Time `json:"next_report,omitzero"` // at the latest
	Error      string    `json:"error,omitempty"`      // of the last request; empty: it went well
	Generation int64     `json:"generation,omitempty"` // of what is wanted
	Unmet      string    `json:"unmet,omitempty"`      // why that does not hold
}

// openLink reads what is kept of an earlier start. Nothing is sent yet. It is nil
// where the plan names no console.
func (a *Appliance) openLink() (*link, error) {
	if err := checkVault(a.opts.Plan); err != nil || a.opts.Plan.Console == nil {
		return nil, err
	}
	l := &link{app: a, console: *a.opts.Plan.Console, instance: a.memory.get().Instance, enrolled: make(chan struct{}),
		news: make(chan struct{}, 1), work: make(chan struct{}, 1), endMoved: make(chan struct{}, 1), logs: &ring{}}
	if err := l.console.Check(); err != nil {
		return nil, fmt.Errorf("read the plan's console: %w", err)
	}
	if err := wire.CheckInstance(l.instance); err != nil {
		return nil, err
	}
	a.log = slog.New(slog.NewMultiHandler(a.log.Handler(), slog.NewTextHandler(l.logs, nil)))
	l.log = a.log
	var err error
	if l.key, err = instanceKey(a.at.key()); err != nil {
		return nil, err
	}
	if l.kept, err = openKept(a.at.console()); err != nil {
		a.log.Error("forget what the console told", "err", err)
	}
	if err := l.resume(); err != nil {
		return nil, err
	}
	if l.console.Identity == wire.IdentityEC2 {
		if l.cloud, err = metadata.New(); err != nil {
			return nil, err
		}
	}
	l.client, l.archives = newConsoleClient(l.console), newVaultClient(l.console)
	a.journal.tell = func() { wake(l.news) }
	return l, nil
}

// start enrols and reports until ctx ends.
func (l *link) start(ctx context.Context) {
	if l == nil {
		return
	}
	ctx, l.cancel = context.WithCancel(ctx)
	l.jobs.Go(func() {
		if l.enrol(ctx) == nil {
			l.report(ctx)
		}
	})
	l.jobs.Go(func() { l.obey(ctx) })
}

// close waits for what start began.
func (l *link) close() {
	if l == nil {
		return
	}
	l.cancel()
	l.jobs.Wait()
	l.client.CloseIdleConnections()
	l.archives.CloseIdleConnections()
}

// statusNow is nil where there is no console.
func (l *link) statusNow() *ConsoleStatus {
	if l == nil {
		return nil
	}
	k := l.kept.get()
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.status
	s.URL, s.Enrolled, s.Unmet, s.Generation = l.console.URL, k.Enrolled, l.unmet, k.wanted().Generation
	return &s
}

// note keeps how the last request went.
func (l *link) note(err error, next time.Duration) {
	now := time.Now().UTC()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.status.NextReport = now.Add(next)
	l.status.Error = ""
	if err != nil {
		l.status.Error = err.Error()
	} else {
		l.status.LastReport = now
	}
}

// wake leaves a token for whoever waits at c.
func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// newConsoleClient believes public authorities, or where the plan pins a key that
// key alone.
func newConsoleClient(console wire.Console) *http.Client {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if console.Pin != "" {
		config.InsecureSkipVerify = true // VerifyConnection does it, resumed or not
		config.VerifyConnection = func(s tls.ConnectionState) error { return console.CheckPin(s.PeerCertificates[0]) }
	}
	return &http.Client{
		Timeout: callTimeout,
		// An instance reports to whom its plan names, and to nobody that this one names.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: config, ForceAttemptHTTP2: true,
			TLSHandshakeTimeout: 10 * time.Second, ResponseHeaderTimeout: callTimeout, IdleConnTimeout: 2 * time.Minute,
			MaxResponseHeaderBytes: 64 << 10, MaxIdleConns: 2},
	}
}

// An outgoing is a request to the console.
type outgoing struct {
	path     string
	body     []byte
	encoding string // of the body; empty: it is JSON as it is
	most     int    // bytes of the answer that are read
}

// call sends a signed request and returns the answer's body, at most o.most bytes
// and one. Its error is a *consoleError where the console answered no.
func (l *link) call(ctx context.Context, o outgoing) (body []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, l.console.At(o.path), bytes.NewReader(o.body))
	if err != nil {
		return nil, fmt.Errorf("ask the console: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	if o.encoding != "" {
		req.Header.Set("Content-Type", "text/plain; charset=utf-8")
		req.Header.Set("Content-Encoding", o.encoding)
	}
	l.sign(req, wire.Signed{Method: req.Method, Path: o.path, Instance: l.instance, Body: o.body})
	resp, err := l.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask the console: %w", err)
	}
	defer func() { _ = resp.Body.Close() }() // it was read as far as it is wanted
	body, err = io.ReadAll(io.LimitReader(resp.Body, int64(o.most)+1))
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return nil, refusalOf(resp, body)
	}
	if err != nil {
		return nil, fmt.Errorf("read the console's answer: %w", err)
	}
	l.sawDate(resp.Header.Get("Date"))
	return body, nil
}

// sign says in req's headers who asks.
func (l *link) sign(req *http.Request, s wire.Signed) {
	req.Header.Set("User-Agent", "popup/"+firstOf(l.app.opts.Version, "unknown"))
	req.Header.Set(wire.HeaderInstance, s.Instance)
	req.Header.Set(wire.HeaderSignature, s.Sign(l.key))
}

// sawDate keeps what the console says the time is.
func (l *link) sawDate(text string) {
	date, err := http.ParseTime(text)
	if err != nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.date, l.dated = date, time.Now()
}

// A consoleError is a console's no.
type consoleError struct {
	status int
	says   string // a sentence, fit to be shown; empty: it said nothing
	after  time.Duration
}

func (e *consoleError) Error() string {
	text := fmt.Sprintf("the console answers %d %s", e.status, http.StatusText(e.status))
	if e.status >= 300 && e.status < 400 {
		text += " and names another address, which is not asked; give its own as console.url"
	}
	if e.says != "" {
		text += ": " + e.says
	}
	return text
}

// Cause is what anybody may read.
func (e *consoleError) Cause() string {
	return firstOf(e.says, fmt.Sprintf("the console answers %d %s", e.status, http.StatusText(e.status)))
}

// RetryAfter is how long the console asks to be left alone.
func (e *consoleError) RetryAfter() time.Duration { return e.after }

// final says that asking again changes nothing until somebody does something.
func (e *consoleError) final() bool {
	switch e.status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return false
	}
	return e.status < 500
}

func refusalOf(resp *http.Response, body []byte) *consoleError {
	e := &consoleError{status: resp.StatusCode}
	var p wire.Problem
	if json.Unmarshal(body, &p) == nil {
		e.says = sentence(firstOf(p.Detail, p.Title))
	}
	if seconds, err := strconv.ParseUint(resp.Header.Get("Retry-After"), 10, 31); err == nil {
		e.after = min(time.Duration(seconds)*time.Second, wire.MostPeriod)
	}
	return e
}

// longestSentence bounds what of a stranger's words is shown, in bytes.
const longestSentence = 300

// sentence is text on one line, without what would change a terminal.
func sentence(text string) string {
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, clip(text, longestSentence))
	return strings.Join(strings.Fields(text), " ")
}

// clip is text, or as much of its beginning as limit bytes hold.
func clip(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit], "") + " …"
}

// clockAhead is how far this machine's clock is ahead of the console's.
func (l *link) clockAhead(ctx context.Context) (time.Duration, error) {
	if err := l.hear(ctx); err != nil {
		return 0, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.date.IsZero() {
		return 0, errors.New("its answers have no date")
	}
	return time.Now().Round(0).Sub(l.date.Add(time.Since(l.dated))), nil
}

// hear makes sure that the console answered a moment ago.
func (l *link) hear(ctx context.Context) error {
	const moment = 5 * time.Second
	l.mu.Lock()
	recent := !l.heard.IsZero() && time.Since(l.heard) < moment
	l.mu.Unlock()
	if recent {
		return nil
	}
	if !l.isEnrolled() {
		return errors.New("this instance has not enrolled yet")
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	_, err := l.reportOnce(ctx)
	return err
}
