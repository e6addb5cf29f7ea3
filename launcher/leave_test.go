package launcher

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"popup/internal/wire"
	"popup/launcher/front"
)

// opened is an appliance that listens, has a control socket, and serves handler.
func opened(ctx context.Context, t *testing.T, drain time.Duration, handler http.Handler) (a *Appliance, server *http.Server, log *bytes.Buffer) {
	t.Helper()
	log = &bytes.Buffer{}
	a, err := open(ctx, Options{
		Root: t.TempDir(), Listen: "127.0.0.1:0", Plan: wire.Plan{}, Drain: drain, Logger: slog.New(slog.NewTextHandler(log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		a.hurry()
		if err := a.close(); err != nil {
			t.Error(err)
		}
	})
	l, err := a.listen()
	if err != nil {
		t.Fatal(err)
	}
	if err := a.openControl(); err != nil {
		t.Fatal(err)
	}
	a.front.Flip(front.Serving{Handler: handler})
	server = &http.Server{Handler: a.front}
	go func() { _ = server.Serve(l) }() // it says that it was closed
	t.Cleanup(func() { _ = server.Close() })
	return a, server, log
}

// While a sync under way is waited for, readers are answered: it may still start
// an app, which nobody would end once the front is closed.
func TestControlIsClosedFirst(t *testing.T) {
	a, server, _ := opened(t.Context(), t, time.Minute, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("hello")) }))
	entered, proceed := make(chan struct{}), make(chan struct{})
	finish := sync.OnceFunc(func() { close(proceed) })
	defer finish()
	a.control.server.Handler = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { close(entered); <-proceed })
	socket := filepath.Join(a.socketDir, "control/control.sock")
	asked := make(chan error, 1)
	go func() {
		client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		}}}
		resp, err := client.Post("http://popup/sync", "", nil)
		if err == nil {
			err = resp.Body.Close()
		}
		asked <- err
	}()
	<-entered
	left := make(chan error, 1)
	go func() { left <- a.leave(server) }()
	// The socket is gone as soon as the control is being closed.
	for deadline := time.Now().Add(10 * time.Second); ; <-time.After(time.Millisecond) {
		if _, err := os.Stat(socket); errors.Is(err, os.ErrNotExist) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the control socket is not closed while a sync is under way")
		}
	}
	resp, err := http.Get(a.url)
	if err != nil {
		t.Fatalf("while a sync is under way readers are not answered: %v", err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("while a sync is under way readers are answered %s", resp.Status)
	}
	select {
	case err := <-left:
		t.Errorf("it did not wait for the sync: %v", err)
	default:
	}
	finish()
	if err := errors.Join(<-asked, <-left); err != nil {
		t.Error(err)
	}
}

// A reader who holds on to the last page uses the drain up; turning the machine
// off has time of its own.
func TestPowerOffHasTimeOfItsOwn(t *testing.T) {
	entered := make(chan struct{})
	ctx, stopped := context.WithCancel(t.Context())
	a, server, log := opened(ctx, t, 50*time.Millisecond, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(entered)
		<-r.Context().Done()
	}))
	go func() {
		if resp, err := http.Get(a.url); err == nil {
			_ = resp.Body.Close() // it is cut off
		}
	}()
	<-entered
	stopped() // as when the instance is over
	called := 0
	a.opts.PowerOff = func(ctx context.Context) error {
		called++
		deadline, bounded := ctx.Deadline()
		if ctx.Err() != nil || !bounded || time.Until(deadline) < powerOffTimeout/2 {
			t.Errorf("the order to turn off has until %v (%v), %v", deadline, bounded, ctx.Err())
		}
		return nil
	}
	if err := errors.Join(a.leave(server), a.powerOff()); err != nil {
		t.Error(err)
	}
	if called != 0 {
		t.Error("the machine was turned off though its end has not come")
	}
	a.ended = true
	if err := a.powerOff(); err != nil || called != 1 {
		t.Errorf("turned off %d times, %v", called, err)
	}
	if !strings.Contains(log.String(), "1 open request cut off") {
		t.Errorf("it does not say that a request was cut off:\n%s", log)
	}
}

// What an app left in its temporary folder, or made of it, is gone at the next start.
func TestTemporaryFolderIsEmptiedAtStart(t *testing.T) {
	for name, leave := range map[string]func(tmp string) error{
		"files":  func(tmp string) error { return os.WriteFile(filepath.Join(tmp, "upload"), []byte("x"), 0o600) },
		"a link": func(tmp string) error { return errors.Join(os.Remove(tmp), os.Symlink("../../state", tmp)) },
		"a file": func(tmp string) error { return errors.Join(os.Remove(tmp), os.WriteFile(tmp, nil, 0o600)) },
		"nothing": func(tmp string) error {
			return os.Remove(tmp)
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := &Appliance{at: layout{root: t.TempDir()}}
			kept := filepath.Join(a.at.state(), "precious")
			if err := errors.Join(os.MkdirAll(a.at.state(), 0o700), os.MkdirAll(a.at.temp(), 0o700), os.WriteFile(kept, nil, 0o600), leave(a.at.temp())); err != nil {
				t.Fatal(err)
			}
			if err := a.emptyTemp(-1, -1); err != nil {
				t.Fatal(err)
			}
			info, err := os.Lstat(a.at.temp())
			if err != nil || !info.IsDir() || info.Mode().Perm() != 0o700 {
				t.Errorf("the temporary folder: %v, %v", info, err)
			}
			if left, err := os.ReadDir(a.at.temp()); err != nil || len(left) != 0 {
				t.Errorf("in it there is %v, %v", left, err)
			}
			if _, err := os.Stat(kept); err != nil {
				t.Errorf("the state was emptied through it: %v", err)
			}
		})
	}
}
