// Package metadata asks the instance metadata service of EC2, and of clouds like it,
// what machine this is and with which keys it may sign in.
package metadata

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	// endpointEnv names another service, as it does to the SDKs of AWS.
	endpointEnv = "AWS_EC2_METADATA_SERVICE_ENDPOINT"
	// DisabledEnv, where it is "true", keeps whoever has it from asking, as it does the SDKs.
	DisabledEnv = "AWS_EC2_METADATA_DISABLED"

	defaultEndpoint = "http://169.254.169.254"
)

// The service is in the machine's own host: what takes longer is not there.
const (
	connectTimeout = time.Second
	askTimeout     = 5 * time.Second // one request, its answer included
)

const (
	tokenPath      = "/latest/api/token"
	tokenHeader    = "X-aws-ec2-metadata-token"
	tokenTTLHeader = "X-aws-ec2-metadata-token-ttl-seconds"
	tokenTTL       = 5 * time.Minute
	tokenSpare     = 30 * time.Second // it is renewed before its end by this
	maxAnswer      = 64 << 10
)

// ErrNone says that the service has no such thing: a machine without a role, or a
// cloud that signs no documents.
var ErrNone = errors.New("the instance metadata service has none")

// ErrAway says that no metadata service answers.
var ErrAway = errors.New("no instance metadata service answers")

// A Client asks one metadata service. It may be used by several goroutines at once.
type Client struct {
	base string
	http *http.Client

	mu    sync.Mutex // guards what follows
	token string     // empty with until in the future: the service knows no tokens
	until time.Time
}

// New returns a client of the service that AWS_EC2_METADATA_SERVICE_ENDPOINT names,
// or of the machine's own. Nothing is asked yet.
func New() (*Client, error) {
	base := strings.TrimRight(cmp.Or(os.Getenv(endpointEnv), defaultEndpoint), "/")
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.RawQuery+u.Fragment != "" {
		return nil, fmt.Errorf("%s is no web address; write one like %s, or leave it out", endpointEnv, defaultEndpoint)
	}
	transport := &http.Transport{ // no proxy: it would ask for itself
		DialContext:            (&net.Dialer{Timeout: connectTimeout}).DialContext,
		MaxResponseHeaderBytes: maxAnswer,
		DisableKeepAlives:      true,
	}
	return &Client{base: base, http: &http.Client{Transport: transport, Timeout: askTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}, nil
}

// Here says whether this machine has a metadata service of EC2's kind, without asking
// any: it is a machine of EC2's, or was told of one.
func Here() bool {
	if strings.EqualFold(os.Getenv(DisabledEnv), "true") {
		return false
	}
	return os.Getenv(endpointEnv) != "" || isEC2("/sys")
}

// isEC2 says whether the hardware that a sysfs shows is EC2's: by its maker, or by a
// number that begins so, as that of the clouds like it does.
func isEC2(sys string) bool {
	for _, name := range []string{"class/dmi/id/sys_vendor", "class/dmi/id/product_uuid", "hypervisor/uuid"} {
		text, err := os.ReadFile(sys + "/" + name)
		value := strings.ToLower(strings.TrimSpace(string(text)))
		if err == nil && (value == "amazon ec2" || strings.HasPrefix(value, "ec2")) {
			return true
		}
	}
	return false
}

// get asks for what is at path. ErrNone: there is nothing.
func (c *Client) get(ctx context.Context, path string) ([]byte, error) {
	for again := true; ; again = false {
		token, err := c.renewed(ctx)
		if err != nil {
			return nil, err
		}
		status, answer, err := c.ask(ctx, http.MethodGet, path, http.Header{tokenHeader: {token}})
		switch {
		case err != nil:
			return nil, err
		case status == http.StatusOK:
			return answer, nil
		case status == http.StatusNotFound:
			return nil, fmt.Errorf("ask the instance metadata for %s: %w", path, ErrNone)
		case status == http.StatusUnauthorized && again:
			c.forget(token) // the service was started anew
		default:
			return nil, fmt.Errorf("ask the instance metadata for %s: it answered %d %s", path, status, http.StatusText(status))
		}
	}
}

// renewed is a token that holds for a while. It is empty for a service of the first
// version, which knows none.
func (c *Client) renewed(ctx context.Context) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Now().Before(c.until) {
		return c.token, nil
	}
	begun := time.Now()
	seconds := strconv.Itoa(int(tokenTTL / time.Second))
	status, answer, err := c.ask(ctx, http.MethodPut, tokenPath, http.Header{tokenTTLHeader: {seconds}})
	switch {
	case err != nil:
		return "", err
	case status == http.StatusOK && validToken(answer):
		c.token = string(answer)
	case slices.Contains([]int{http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented}, status):
		c.token = ""
	default:
		return "", fmt.Errorf("ask the instance metadata for a token: it answered %d %s; the metadata options of the instance must let it ask",
			status, http.StatusText(status))
	}
	c.until = begun.Add(tokenTTL - tokenSpare)
	return c.token, nil
}

// validToken says whether an answer can stand in a header.
func validToken(answer []byte) bool {
	return len(answer) > 0 && len(answer) <= 1024 && !slices.ContainsFunc(answer, func(b byte) bool { return b <= ' ' || b > '~' })
}

// forget has the next request bring a new token, unless another one did already.
func (c *Client) forget(token string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.token == token {
		c.until = time.Time{}
	}
}

func (c *Client) ask(ctx context.Context, method, path string, header http.Header) (status int, answer []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, nil)
	if err != nil {
		return 0, nil, fmt.Errorf("ask the instance metadata: %w", err)
	}
	for name, values := range header {
		if values[0] != "" {
			req.Header.Set(name, values[0])
		}
	}
	resp, err := c.http.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return 0, nil, fmt.Errorf("ask the instance metadata: %w", context.Cause(ctx))
		}
		return 0, nil, fmt.Errorf("ask the instance metadata: %w at %s: %w; in a container it answers only where the instance's hop limit is 2 or more",
			ErrAway, c.base, err)
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	answer, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return 0, nil, fmt.Errorf("ask the instance metadata: %w at %s: %w", ErrAway, c.base, err)
	case len(answer) > maxAnswer:
		return 0, nil, fmt.Errorf("ask the instance metadata for %s: its answer has more than %d bytes", path, maxAnswer)
	}
	return resp.StatusCode, answer, nil
}
