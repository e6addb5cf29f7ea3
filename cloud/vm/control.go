package vm

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"popup/internal/machine"
)

// controlName is the socket by which a keeper is asked for what is done while its
// machine runs. Only we can reach it, by the folder it is in.
const controlName = "control"

// controlTimeout is how long an answer may take: QEMU writes its disks before it pauses.
const controlTimeout = 2 * time.Minute

// A guest is what a keeper is asked to do something with.
type guest interface {
	Attach(context.Context, machine.Volume) error
	Pause(context.Context) error
	Resume(context.Context) error
}

// control answers at /attach, with a machine.Volume in the question, and at /hold.
type control struct {
	guest
	holding sync.Mutex
	server  *http.Server
	done    chan struct{}
}

func serveControl(path string, g guest) (*control, error) {
	listener, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("listen for what its machine is asked for: %w", err)
	}
	c := &control{guest: g, done: make(chan struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /attach", func(w http.ResponseWriter, r *http.Request) {
		var volume machine.Volume
		err := json.NewDecoder(r.Body).Decode(&volume)
		if err == nil {
			err = c.Attach(r.Context(), volume)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusConflict)
		}
	})
	mux.HandleFunc("POST /hold", c.hold)
	c.server = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		defer close(c.done)
		_ = c.server.Serve(listener) // ErrServerClosed, by Close
	}()
	return c, nil
}

// hold pauses the machine until the question ends, and says then why it does not go on,
// where it does not. Who asked may be killed: then the question ends too.
func (c *control) hold(w http.ResponseWriter, r *http.Request) {
	c.holding.Lock() // until whoever held it before has let go
	defer c.holding.Unlock()
	answer := http.NewResponseController(w)
	err := answer.EnableFullDuplex()
	if err == nil {
		err = c.Pause(r.Context())
	}
	if err == nil && answer.Flush() == nil {
		_, _ = io.Copy(io.Discard, r.Body) // how it ends says nothing
	}
	// Also where it is not known whether it was paused.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), controlTimeout)
	defer cancel()
	resumed := c.Resume(ctx)
	switch {
	case err != nil:
		http.Error(w, errors.Join(err, resumed).Error(), http.StatusConflict)
	case resumed != nil:
		_, _ = io.WriteString(w, resumed.Error()) // who asked may have gone
	}
}

// Close ends what is asked for.
func (c *control) Close() error {
	err := c.server.Close()
	<-c.done
	return err
}

// errNoKeeper says that nobody has the machine.
var errNoKeeper = errors.New("its machine does not run")

// askKeeper asks the keeper of the machine id for something. The caller closes the answer.
func askKeeper(ctx context.Context, dir, id, verb string, question io.Reader) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://keeper/"+verb, question)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(runOf(dir, id), controlName))
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errNoKeeper, err)
		}
		return conn, nil
	}}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusOK {
		return resp.Body, nil
	}
	if err := said(resp.Body); err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("its keeper answered %s", resp.Status)
}

// said is what an answer says at its end; nil: nothing. It is closed.
func said(answer io.ReadCloser) error {
	text, err := io.ReadAll(io.LimitReader(answer, 4<<10))
	if err = errors.Join(err, answer.Close()); err == nil && len(text) > 0 {
		err = errors.New(strings.TrimSpace(string(text)))
	}
	return err
}

// attach has the keeper of the machine id give it a volume.
func attach(ctx context.Context, dir, id string, volume machine.Volume) error {
	ctx, cancel := context.WithTimeout(ctx, controlTimeout)
	defer cancel()
	question, err := json.Marshal(volume)
	if err != nil {
		return err
	}
	answer, err := askKeeper(ctx, dir, id, "attach", bytes.NewReader(question))
	if err != nil {
		return err
	}
	return said(answer)
}

// hold has the keeper of the machine id pause it until letGo, or until ctx or this
// process ends.
func hold(ctx context.Context, dir, id string) (letGo func() error, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	late := time.AfterFunc(controlTimeout, func() { cancel(context.DeadlineExceeded) })
	lasts, ends := io.Pipe()
	answer, err := askKeeper(ctx, dir, id, "hold", lasts)
	if err != nil || !late.Stop() {
		cancel(nil)
		if answer != nil {
			err = errors.Join(context.DeadlineExceeded, answer.Close())
		}
		return nil, err
	}
	return func() error {
		defer cancel(nil)
		late := time.AfterFunc(controlTimeout, func() { cancel(context.DeadlineExceeded) })
		defer late.Stop()
		return errors.Join(ends.Close(), said(answer))
	}, nil
}
