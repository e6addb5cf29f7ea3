package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"popup/console"
)

// ErrNotRunning says that no console answers in a data folder.
var ErrNotRunning = errors.New("no console runs there")

// ServeControl answers what comes to a listener of ListenControl's, which it closes, until
// ctx ends.
func ServeControl(ctx context.Context, l net.Listener, c *console.Console) error {
	server := &http.Server{Handler: control(c), ReadHeaderTimeout: headerTime, BaseContext: func(net.Listener) context.Context { return ctx }}
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		soon, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWord)
		defer cancel()
		if err := server.Shutdown(soon); err != nil {
			_ = server.Close() // who asked sees the connection end
		}
	})
	err := server.Serve(l)
	if !stop() {
		<-ended
	}
	if !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("answer on the control socket: %w", err)
	}
	return nil
}

// lastWord is how long an answer may take that is on its way when the console ends.
const lastWord = 2 * time.Second

// control is what a console answers on a socket in its data folder: whoever may enter
// that folder has the machine, and with it the console.
func control(c *console.Console) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /backup", func(w http.ResponseWriter, r *http.Request) {
		// What is said after the first byte must still be heard: a trailer.
		w.Header().Set("Trailer", controlError)
		if err := c.Backup(r.Context(), console.System, w); err != nil {
			w.Header().Set(controlError, url.PathEscape(err.Error()))
		}
	})
	link := func(make func(r *http.Request) (string, error)) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			var answer controlLink
			address, err := make(r)
			if answer.Link = address; err != nil {
				answer.Error = err.Error()
			}
			_ = json.NewEncoder(w).Encode(answer) // whoever asked is gone, otherwise
		}
	}
	mux.HandleFunc("POST /claim", link(func(r *http.Request) (string, error) { return c.ClaimLink(r.Context()) }))
	mux.HandleFunc("POST /recover", link(func(r *http.Request) (string, error) {
		return c.RecoveryLink(r.Context(), r.URL.Query().Get("name"))
	}))
	controlCluster(mux, c)
	return mux
}

// controlError is the trailer of what ended badly.
const controlError = "Popup-Error"

type controlLink struct {
	Link  string `json:"link,omitempty"`
	Error string `json:"error,omitempty"`
}

// ListenControl opens the socket in a data folder, which one console at a time has open.
// Who called it closes the listener, which removes the socket.
func ListenControl(dir string) (net.Listener, error) {
	path := controlSocket(dir)
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("open the control socket: %w", err)
	}
	listener, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("open the control socket: %w; its path may have at most 107 bytes, so try a shorter --data-dir", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("open the control socket: %w", err), listener.Close())
	}
	return listener, nil
}

func controlSocket(dir string) string { return filepath.Join(dir, "control.sock") }

// A Local talks to the console that runs on a data folder of this machine.
type Local struct{ http *http.Client }

// DialControl returns a client; nothing is sent yet. Its methods return ErrNotRunning
// where no console runs.
func DialControl(dir string) *Local {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", controlSocket(dir))
	}
	return &Local{&http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}}
}

// Backup writes a backup of the store.
func (l *Local) Backup(ctx context.Context, to io.Writer) (err error) {
	resp, err := l.do(ctx, http.MethodGet, "/backup")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	if _, err := io.Copy(to, resp.Body); err != nil {
		return fmt.Errorf("read the backup: %w", err)
	}
	if text := resp.Trailer.Get(controlError); text != "" {
		if plain, err := url.PathUnescape(text); err == nil {
			text = plain
		}
		return errors.New(text)
	}
	return nil
}

// ClaimLink makes a new link to claim the console with.
func (l *Local) ClaimLink(ctx context.Context) (string, error) { return l.link(ctx, "/claim") }

// RecoveryLink makes a link with which an owner sets a new password. name may be empty
// where there is one owner.
func (l *Local) RecoveryLink(ctx context.Context, name string) (string, error) {
	return l.link(ctx, "/recover?"+url.Values{"name": {name}}.Encode())
}

func (l *Local) link(ctx context.Context, path string) (string, error) {
	var answer controlLink
	if err := l.ask(ctx, http.MethodPost, path, &answer); err != nil {
		return "", err
	}
	if answer.Error != "" {
		return "", errors.New(answer.Error)
	}
	return answer.Link, nil
}

// ask reads an answer of JSON.
func (l *Local) ask(ctx context.Context, method, path string, answer any) error {
	resp, err := l.do(ctx, method, path)
	if err != nil {
		return err
	}
	err = json.NewDecoder(resp.Body).Decode(answer)
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return fmt.Errorf("read the console's answer: %w", err)
	}
	return nil
}

func (l *Local) do(ctx context.Context, method, path string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://console"+path, nil)
	if err != nil {
		return nil, fmt.Errorf("ask the console: %w", err)
	}
	resp, err := l.http.Do(req)
	if errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ECONNREFUSED) {
		return nil, ErrNotRunning
	}
	if err != nil {
		return nil, fmt.Errorf("ask the console: %w", err)
	}
	return resp, nil
}
