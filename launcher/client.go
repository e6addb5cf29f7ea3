package launcher

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"syscall"
)

// ErrNotRunning says that no appliance answers on the root.
var ErrNotRunning = errors.New("popup is not running there; start it with popup up")

// A Client talks to the appliance on a root of this machine.
type Client struct {
	socket string
	http   *http.Client
}

// Dial returns a client for the appliance on root; nothing is sent yet.
func Dial(root string) (*Client, error) {
	socket, err := ControlSocket(root)
	if err != nil {
		return nil, notOurs(err)
	}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}
	return &Client{socket: socket, http: &http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}}, nil
}

// Status asks how the instance is.
func (c *Client) Status(ctx context.Context) (Status, error) {
	var s Status
	return s, c.call(ctx, http.MethodGet, "/status", nil, &s)
}

// Sync looks for a new release and a new revision and waits until what is served
// is what is wanted; the error says why it is not.
func (c *Client) Sync(ctx context.Context) (SyncReport, error) {
	var r SyncReport
	return r, c.call(ctx, http.MethodPost, "/sync", nil, &r)
}

// Retry is Sync, and tries again what was refused if it still is what is newest.
func (c *Client) Retry(ctx context.Context) (SyncReport, error) {
	var r SyncReport
	return r, c.call(ctx, http.MethodPost, "/sync", url.Values{"retry": {"true"}}, &r)
}

// Rollback goes back to an older release or revision, or forward again.
func (c *Client) Rollback(ctx context.Context, order RollbackOrder) (SyncReport, error) {
	form := url.Values{"to": {order.To}}
	if order.Release {
		form.Set("release", "true")
	}
	var r SyncReport
	return r, c.call(ctx, http.MethodPost, "/rollback/"+url.PathEscape(order.What), form, &r)
}

// Backups are those of the instance, the newest first.
func (c *Client) Backups(ctx context.Context) ([]Backup, error) {
	var list []Backup
	return list, c.call(ctx, http.MethodGet, "/state", nil, &list)
}

// BackUp has the instance take a backup, and waits until it was read back.
func (c *Client) BackUp(ctx context.Context) (Backup, error) {
	var taken Backup
	return taken, c.call(ctx, http.MethodPost, "/state/backup", nil, &taken)
}

// PruneBackups keeps so many of the instance's newest backups, and returns the names of
// those that are gone.
func (c *Client) PruneBackups(ctx context.Context, keep int) ([]string, error) {
	var removed []string
	return removed, c.call(ctx, http.MethodPost, "/state/prune", url.Values{"keep": {strconv.Itoa(keep)}}, &removed)
}

// Restore puts a backup in the place of the instance's state, and waits until the app is
// healthy with it; the error says why it is not, and then the state is what it was.
func (c *Client) Restore(ctx context.Context, order RestoreOrder) (Backup, error) {
	var restored Backup
	body, err := json.Marshal(order)
	if err != nil {
		return restored, fmt.Errorf("ask popup: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://popup/state/restore", bytes.NewReader(body))
	if err != nil {
		return restored, fmt.Errorf("ask popup: %w", err)
	}
	return restored, c.ask(req, &restored)
}

// Metrics are those of the instance as OpenMetrics, a text.
func (c *Client) Metrics(ctx context.Context) (text []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://popup/metrics", nil)
	if err != nil {
		return nil, fmt.Errorf("ask popup: %w", err)
	}
	req.Header.Set("Accept", "application/openmetrics-text; version=1.0.0")
	resp, err := c.do(req)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("ask popup for metrics: it answered %s", resp.Status)
	}
	if text, err = io.ReadAll(resp.Body); err != nil {
		return nil, fmt.Errorf("read popup's answer: %w", err)
	}
	return text, nil
}

// do sends a request and says what to try when nobody answers.
func (c *Client) do(req *http.Request) (*http.Response, error) {
	resp, err := c.http.Do(req)
	switch {
	case err == nil:
		return resp, nil
	case errors.Is(err, syscall.ENOENT), errors.Is(err, syscall.ECONNREFUSED):
		return nil, fmt.Errorf("connect to %s: %w", c.socket, ErrNotRunning)
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), strings.Contains(err.Error(), closedIdle):
		return nil, fmt.Errorf("ask popup: it closed the connection; it is stopping, or it is another user's: %s", whoMayAsk)
	}
	return nil, notOurs(fmt.Errorf("ask popup: %w", err))
}

// closedIdle is what net/http says of a connection that was closed before anything was
// asked on it; it has no name for it.
const closedIdle = "server closed idle connection"

// whoMayAsk says what to try.
const whoMayAsk = "only root and the user that runs popup up may ask; try sudo"

// notOurs adds that to what the system refused.
func notOurs(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w; %s", err, whoMayAsk)
	}
	return err
}

func (c *Client) call(ctx context.Context, method, path string, form url.Values, into any) error {
	address := url.URL{Scheme: "http", Host: "popup", Path: path, RawQuery: form.Encode()}
	req, err := http.NewRequestWithContext(ctx, method, address.String(), nil)
	if err != nil {
		return fmt.Errorf("ask popup: %w", err)
	}
	return c.ask(req, into)
}

func (c *Client) ask(req *http.Request, into any) (err error) {
	resp, err := c.do(req)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	var reply controlReply
	if err := json.NewDecoder(resp.Body).Decode(&reply); err != nil {
		return fmt.Errorf("read popup's answer: %w", err)
	}
	if len(reply.Body) > 0 {
		if err := json.Unmarshal(reply.Body, into); err != nil {
			return fmt.Errorf("read popup's answer: %w", err)
		}
	}
	if reply.Error != "" {
		return errors.New(reply.Error)
	}
	return nil
}
