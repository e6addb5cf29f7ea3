// Package git reads git repositories without a git process: the newest commit of
// a branch, and the tree of a commit.
package git

import (
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"popup/internal/meter"
	"popup/internal/tree"
)

// Times that bound a transfer. The caller's context may end it earlier.
const (
	connectTimeout = 10 * time.Second
	stallTimeout   = 30 * time.Second // until an answer begins; then its pace counts
	askTimeout     = 5 * time.Minute  // of a request, which may name many files, until its answer begins
	headTimeout    = time.Minute
)

// maxAdvert bounds the list of references a server sends.
const maxAdvert = 64 << 20

// A Commit is the full id of a commit: 40 lower-case hex digits.
type Commit string

// Options are how a repository is reached and what of it is accepted. The zero
// value is ready.
type Options struct {
	// CredentialsFile holds "user:password" or a bearer token on one line, or a
	// private SSH key. It is read at every use, so that it can be rotated. Empty:
	// nothing is signed in with.
	CredentialsFile string
	// HostKeys pins SSH servers, as known_hosts lines. Empty: the known_hosts of
	// the user and of the system.
	HostKeys []string
	// DialContext makes every connection, and then no proxy is used. Nil: a dialer
	// with a time-out of ten seconds, and the proxy of the environment.
	DialContext func(ctx context.Context, network, address string) (net.Conn, error)
	// Limits bound a fetched tree, and what is sent and unpacked for it.
	Limits tree.Limits
	// Limp is the least that what is sent to us must come up to.
	Limp meter.Limp
	// Meter counts requests and the bytes of connections. Nil: nothing is counted.
	Meter *meter.Meter
}

// A Remote is a repository somewhere. It may be used by several goroutines, and
// needs no closing.
type Remote struct {
	address address
	opts    Options
	http    *http.Transport // nil: the address is no http URL
	base    string          // of http: the address without a slash at its end

	mu    sync.Mutex
	route route
}

// New checks the address of a repository; it does not connect. Right are http,
// https, ssh and file URLs, user@host:path, and paths of this machine.
func New(url string, opts Options) (*Remote, error) {
	a, err := parseAddress(url)
	if err != nil {
		return nil, err
	}
	r := &Remote{address: a, opts: opts}
	if a.scheme == "http" || a.scheme == "https" {
		r.http = newTransport(r.dial, opts)
		r.base = a.scheme + "://" + a.host + a.path
	}
	return r, nil
}

// String is the address, for people.
func (r *Remote) String() string { return Redact(r.address.text) }

// Head asks for the commit that ref names: a branch, a tag or a full commit;
// empty means the repository's default branch. Errors are *Error.
func (r *Remote) Head(ctx context.Context, ref string) (Commit, error) {
	if isCommit(ref) {
		return Commit(ref), nil
	}
	ctx, cancel := context.WithTimeout(ctx, headTimeout)
	defer cancel()
	commit, err := r.find(ctx, ref)
	if err != nil {
		return "", r.explain(ctx, "look at", err)
	}
	return commit, nil
}

// Fetch writes the tree of commit by w, which the caller finishes. have is the commit
// whose tree w.Base is; empty: there is none. It may take as long as bytes come at a
// meter.Pace. Errors are *Error, and say when trying
// again may help; what was written is the caller's to remove.
func (r *Remote) Fetch(ctx context.Context, commit, have Commit, w *tree.Writer) error {
	return r.explain(ctx, "fetch "+short(commit)+" of", r.fetch(ctx, commit, have, w))
}

// pack has the server send a commit with its tree, without its history, and with
// thin deltas against the trees of have. The commit may come with others, and with
// tags. The caller closes the pack, which is not held in memory; errors are raw,
// those of reading it too.
func (r *Remote) pack(ctx context.Context, want Commit, have []Commit) (io.ReadCloser, error) {
	return r.request(ctx, packRequest{want: want, have: have, shallow: true, depth: 1})
}

// request has the server send what req asks for.
func (r *Remote) request(ctx context.Context, req packRequest) (io.ReadCloser, error) {
	if req.limit == 0 {
		req.limit = maxAdvert + r.opts.Limits.OrDefault().Bytes
	}
	if r.http == nil {
		return r.packSSH(ctx, req)
	}
	s, err := r.connectHTTP(req.limit)
	if err != nil {
		return nil, err
	}
	return s.pack(ctx, req)
}

func (r *Remote) dial(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	next := r.opts.DialContext
	if next == nil {
		next = new(net.Dialer).DialContext
	}
	return r.opts.Meter.Dial(next)(ctx, network, address)
}

func isCommit(s string) bool { return len(s) == 40 && plumbing.IsHash(s) }

func short(c Commit) string { return string(c[:min(len(c), 12)]) }
