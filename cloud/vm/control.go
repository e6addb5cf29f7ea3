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
	"time"

	"popup/internal/machine"
)

// controlName is the socket by which a keeper is asked for what is done while its
// machine runs. Only we can reach it, by the folder it is in.
const controlName = "control"

// controlTimeout is how long an answer may take: QEMU writes its disks before it pauses.
const controlTimeout = 2 * time.Minute

// control answers at /VERB, with a machine.Volume in the question.
type control struct {
	server *http.Server
	done   chan struct{}
}

func serveControl(path string, vm *machine.VM) (*control, error) {
	listener, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("listen for what its machine is asked for: %w", err)
	}
	mux := http.NewServeMux()
	for verb, do := range map[string]func(context.Context, machine.Volume) error{
		"attach": vm.Attach,
		"pause":  func(ctx context.Context, _ machine.Volume) error { return vm.Pause(ctx) },
		"resume": func(ctx context.Context, _ machine.Volume) error { return vm.Resume(ctx) },
	} {
		mux.HandleFunc("POST /"+verb, func(w http.ResponseWriter, r *http.Request) {
			var volume machine.Volume
			err := json.NewDecoder(r.Body).Decode(&volume)
			if err == nil {
				err = do(r.Context(), volume)
			}
			if err != nil {
				http.Error(w, err.Error(), http.StatusConflict)
			}
		})
	}
	c := &control{server: &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}, done: make(chan struct{})}
	go func() {
		defer close(c.done)
		_ = c.server.Serve(listener) // ErrServerClosed, by Close
	}()
	return c, nil
}

// Close ends what is asked for.
func (c *control) Close() error {
	err := c.server.Close()
	<-c.done
	return err
}

// errNoKeeper says that nobody has the machine.
var errNoKeeper = errors.New("its machine does not run")

// tell asks the keeper of the machine id for something.
func tell(ctx context.Context, dir, id, verb string, volume machine.Volume) error {
	ctx, cancel := context.WithTimeout(ctx, controlTimeout)
	defer cancel()
	question, err := json.Marshal(volume)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://keeper/"+verb, bytes.NewReader(question))
	if err != nil {
		return err
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
		return err
	}
	said, err := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
	if err = errors.Join(err, resp.Body.Close()); err == nil && resp.StatusCode != http.StatusOK {
		err = errors.New(strings.TrimSpace(string(said)))
	}
	return err
}
