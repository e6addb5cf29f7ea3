// Package git reads git repositories without a git process: the newest commit of
// a branch, and the tree of a commit.
package git

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"popup/internal/tree"
)

// Times that bound a transfer. The caller's context may end it earlier.
const (
	connectTimeout = 10 * time.Second
	stallTimeout   = 30 * time.Second // without a byte from the other side
	headTimeout    = time.Minute
	fetchTimeout   = 30 * time.Minute
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
}

// A Remote is a repository somewhere. It may be used by several goroutines, and
// needs no closing.
type Remote struct {
	address address
	opts    Options
	http    *http.Transport
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
		r.http = newTransport(r.dial, opts.DialContext == nil)
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
	refs, err := r.refs(ctx)
	if err == nil {
		var commit Commit
		if commit, err = refs.resolve(ref); err == nil {
			return commit, nil
		}
	}
	return "", r.explain(ctx, "look at", err)
}

// FetchTree writes the tree of commit below dir, which must be empty. Errors are
// *Error, and say when trying again may help; what was written is the caller's to
// remove.
func (r *Remote) FetchTree(ctx context.Context, commit Commit, dir *os.Root) error {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	return r.explain(ctx, "fetch "+short(commit)+" of", r.fetch(ctx, commit, dir))
}

func (r *Remote) refs(ctx context.Context) (refs references, err error) {
	if r.address.local() {
		return r.localRefs()
	}
	s, err := r.connect(ctx, maxAdvert)
	if err != nil {
		return references{}, err
	}
	defer s.Close() //nolint:errcheck // the fetch is over, however it went
	adv, err := s.AdvertisedReferencesContext(ctx)
	if err != nil {
		return references{}, s.cause(err)
	}
	return advertised(adv)
}

// A session is one conversation with git-upload-pack.
type session interface {
	AdvertisedReferencesContext(context.Context) (*packp.AdvRefs, error)
	UploadPack(context.Context, *packp.UploadPackRequest) (*packp.UploadPackResponse, error)
	// cause finds why err came about, where the protocol's reader lost it.
	cause(err error) error
	io.Closer
}

// connect begins a conversation in which the other side may send at most limit bytes.
func (r *Remote) connect(ctx context.Context, limit int64) (session, error) {
	if r.address.scheme == "ssh" {
		return r.connectSSH(ctx, limit)
	}
	return r.connectHTTP(limit)
}

func (r *Remote) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if r.opts.DialContext != nil {
		ctx, cancel := context.WithTimeout(ctx, connectTimeout)
		defer cancel()
		return r.opts.DialContext(ctx, network, address)
	}
	d := net.Dialer{Timeout: connectTimeout}
	return d.DialContext(ctx, network, address)
}

func isCommit(s string) bool { return len(s) == 40 && plumbing.IsHash(s) }

func short(c Commit) string { return string(c[:min(len(c), 12)]) }
