package git

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/transport"
	"popup/internal/meter"
	"popup/internal/tree"
)

// A Class groups errors by what can be done about them.
type Class string

// The classes of errors.
const (
	NotRepository Class = "not-a-repository"
	NoBranch      Class = "no-such-branch"
	Credentials   Class = "credentials-refused"
	HostKey       Class = "host-key"
	Empty         Class = "empty-repository"
	DNS           Class = "dns"
	TLS           Class = "tls"
	Clock         Class = "clock" // a certificate is of the future, to this machine
	Timeout       Class = "timeout"
	RateLimited   Class = "rate-limited"
	Unreachable   Class = "unreachable"
	Moved         Class = "moved" // the commit is no longer to be had: upstream was rewritten
	Content       Class = "content"
	TooLarge      Class = "too-large"
	Other         Class = "other"
)

// An Error is why a repository could not be looked at or fetched. It prints what
// failed, why, and what to try.
type Error struct {
	Op     string // what was being done, as a verb
	Remote string // the repository, without credentials
	Class  Class
	Why    string // empty: Err says it
	Hint   string // what to try; may be empty
	Retry  bool   // the same may succeed later
	After  time.Duration
	Err    error
}

func (e *Error) Error() string {
	why := e.Why
	if why == "" && e.Err != nil {
		why = e.Err.Error()
	}
	text := fmt.Sprintf("%s %s: %s", e.Op, e.Remote, why)
	if e.Hint != "" {
		text += "; " + e.Hint
	}
	return text
}

func (e *Error) Unwrap() error { return e.Err }

// RetryAfter is how long the server asked to be left alone; 0: it did not say.
func (e *Error) RetryAfter() time.Duration { return e.After }

var (
	errTooLarge = errors.New("the server sent more than the limit")
	errNotOurs  = errors.New("the server does not give out this commit")
)

// statusError is an HTTP answer that is no success.
type statusError struct {
	code  int
	after time.Duration
	host  string // where the server sent us, without what we sign in with; empty: nowhere
}

func (e *statusError) Error() string {
	return fmt.Sprintf("the server answered %d %s", e.code, http.StatusText(e.code))
}

// explain makes an *Error of whatever went wrong. A nil err stays nil.
func (r *Remote) explain(ctx context.Context, op string, err error) error {
	if err == nil {
		return nil
	}
	e := r.classify(ctx, plain(err))
	e.Op, e.Remote = op, r.String()
	if e.Err == nil && !errors.Is(err, e) { // an error that wraps itself is unwrapped for ever
		e.Err = err
	}
	return e
}

// plain takes off the wrappings that carry a URL, or hide what they wrap.
func plain(err error) error {
	for {
		var byURL *url.Error
		var unexpected *plumbing.UnexpectedError
		var permanent *plumbing.PermanentError
		switch {
		case errors.As(err, &byURL):
			err = byURL.Err
		case errors.As(err, &unexpected):
			err = unexpected.Err
		case errors.As(err, &permanent):
			err = permanent.Err
		default:
			return err
		}
	}
}

func (r *Remote) classify(ctx context.Context, err error) *Error {
	var known *Error
	var status *statusError
	var limit *tree.LimitError
	var entry *tree.EntryError
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &limit):
		return &Error{Class: TooLarge, Err: err}
	case errors.Is(err, errTooLarge):
		return &Error{Class: TooLarge, Err: err, Hint: "make the repository smaller, or raise limits.size"}
	case errors.As(err, &entry):
		return &Error{Class: Content, Err: err}
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return &Error{Class: Other, Err: err, Why: "the disk is full", Hint: "free some space", Retry: true}
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		return &Error{Class: Other, Err: err, Why: "it was stopped", Retry: true}
	case errors.As(err, &status):
		return r.classifyStatus(status)
	case errors.Is(err, transport.ErrEmptyRemoteRepository):
		return &Error{Class: Empty, Err: err, Why: "the repository is empty", Hint: "push a first commit", Retry: true}
	case errors.Is(err, transport.ErrRepositoryNotFound):
		return r.notRepository(err)
	case errors.Is(err, errNotOurs), strings.Contains(err.Error(), "not our ref"):
		return &Error{Class: Moved, Err: err, Why: "the server no longer gives out this commit", Retry: true,
			Hint: "upstream was rewritten meanwhile, or the server only gives out the tips of its branches: name a branch or a tag"}
	}
	if e := classifyNetwork(err); e != nil {
		return e
	}
	return &Error{Class: Other, Err: err, Retry: true}
}

func (r *Remote) classifyStatus(s *statusError) *Error {
	e := &Error{Class: Other, Err: s, After: s.after, Retry: s.code >= 500}
	switch {
	case s.code == http.StatusTooManyRequests, s.code == http.StatusForbidden && s.after > 0:
		e.Class, e.Retry, e.Hint = RateLimited, true, "ask less often, or sign in with a credentials file"
		e.Why = "the server asks us to come less often"
	case s.code == http.StatusUnauthorized, s.code == http.StatusForbidden:
		e.Class = Credentials
		e.Why = fmt.Sprintf("credentials refused (%d)", s.code)
		if s.host != "" {
			e.Why = fmt.Sprintf("the server redirects to %s, which wants credentials (%d), and those set are for the host of the address", s.host, s.code)
			e.Hint = "write the new address"
		} else if r.opts.CredentialsFile == "" {
			e.Why = fmt.Sprintf("the server wants credentials (%d), and none are set", s.code)
			e.Hint = "check the address (some servers answer so for a repository that does not exist), or name a credentials file"
		} else {
			e.Hint = "renew what is in the credentials file; servers like GitHub want a token as user:token"
		}
	case s.code == http.StatusNotFound, s.code == http.StatusGone:
		return r.notRepository(s)
	}
	return e
}

func (r *Remote) notRepository(err error) *Error {
	hint := "check the address; a private one needs a credentials file"
	if r.address.local() {
		hint = "check the path"
	}
	return &Error{Class: NotRepository, Err: err, Why: "there is no git repository there", Hint: hint}
}

// classifyNetwork tells apart the ways a server is not reached; nil: none of them.
func classifyNetwork(err error) *Error {
	var dns *net.DNSError
	var op *net.OpError
	var cert *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var authority x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	var timeout interface{ Timeout() bool }
	switch {
	case errors.As(err, &dns):
		return &Error{Class: DNS, Err: err, Why: "the name " + strconv.Quote(dns.Name) + " was not found", Retry: true,
			Hint: "check the host name and the network"}
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired && invalid.Cert != nil:
		return classifyDates(invalid.Cert, err)
	case errors.As(err, &cert), errors.As(err, &authority):
		return &Error{Class: TLS, Err: err, Why: "the server's certificate is not trusted: " + err.Error(), Retry: true,
			Hint: "check this machine's clock, and that nobody stands in between"}
	case errors.As(err, &record), strings.Contains(err.Error(), "tls: "):
		return &Error{Class: TLS, Err: err, Retry: true, Hint: "check the port, and that the server speaks https there"}
	case errors.Is(err, meter.ErrSlow):
		return &Error{Class: Timeout, Err: err, Why: "the server sent less than a kilobyte a second for minutes", Retry: true,
			Hint: "check the network, or try again later"}
	case errors.Is(err, meter.ErrStalled), errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded),
		errors.As(err, &timeout) && timeout.Timeout():
		return &Error{Class: Timeout, Err: err, Why: "no answer in time", Retry: true, Hint: "check the network, or try again later"}
	case strings.Contains(err.Error(), "transport connection broken: ") && !errors.Is(err, io.ErrUnexpectedEOF):
		return &Error{Class: Other, Err: err, Why: "what answers there does not speak HTTP", Retry: true,
			Hint: "check the address and the port, and that nobody stands in between"}
	case errors.As(err, &op):
		return &Error{Class: Unreachable, Err: err, Why: "the server is not reached: " + op.Err.Error(), Retry: true,
			Hint: "check the address and the network"}
	}
	return nil
}

// classifyDates explains a certificate that is not valid now. One that is not valid
// yet is no server's habit, and one that has ended may be.
func classifyDates(cert *x509.Certificate, err error) *Error {
	const form = "2 January 2006 15:04 MST"
	now := time.Now().UTC()
	if now.Before(cert.NotBefore) {
		return &Error{Class: Clock, Err: err, Retry: true, Hint: "check this machine's clock",
			Why: "the server's certificate begins on " + cert.NotBefore.UTC().Format(form) + ", and here it is " + now.Format(form)}
	}
	return &Error{Class: TLS, Err: err, Retry: true, Hint: "check this machine's clock; if it is right, the server's certificate must be renewed",
		Why: "the server's certificate ended on " + cert.NotAfter.UTC().Format(form) + ", and here it is " + now.Format(form)}
}
