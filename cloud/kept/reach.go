package kept

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// dialTimeout is how long the console, or a machine, may take to answer a call.
const dialTimeout = 10 * time.Second

// A Way is how the machines of a folder come to their console: each asks a host of its
// own network, which leads to sockets in the folder.
type Way struct {
	Dir  string
	Host string // what machines call the console
}

// The sockets in the folder, and the ports of the host that lead there.
const (
	consoleSocket   = "console.sock"
	downloadsSocket = "downloads.sock"
	consolePort     = "443"
	downloadsPort   = "80"
)

// ConsoleURL is where the machines reach what serves on Listen, with any certificate.
func (w Way) ConsoleURL() string { return "https://" + w.Host }

// DownloadsURL is where they get popup, below /download/, as long as it is offered. A
// machine that has nothing of popup's yet knows no certificate, but the sum of it.
func (w Way) DownloadsURL() string { return "http://" + w.Host }

// Listen listens for what the machines tell the console. The caller closes it.
func (w Way) Listen() (net.Listener, error) { return w.listen(consoleSocket) }

// Sockets are the ends of the way, by the port of the host that leads there.
func (w Way) Sockets() map[string]string {
	return map[string]string{consolePort: filepath.Join(w.Dir, consoleSocket), downloadsPort: filepath.Join(w.Dir, downloadsSocket)}
}

// listen makes a socket that we alone may reach.
func (w Way) listen(name string) (net.Listener, error) {
	path := filepath.Join(w.Dir, name)
	if err := CheckSocket(path); err != nil {
		return nil, err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("listen for the machines: %w", err)
	}
	listener, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("listen for the machines: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("listen for the machines: %w", err), listener.Close())
	}
	return listener, nil
}

// CheckSocket says whether a socket can be at path.
func CheckSocket(path string) error {
	if len(path) > longestSocket {
		return fmt.Errorf("the path of the socket %s has more than the %d bytes that are possible; choose a folder with a shorter path", path, longestSocket)
	}
	return nil
}

// longestSocket is how long the path of a socket may be, in bytes.
const longestSocket = 107

// A Forward passes connections on.
type Forward struct {
	listener net.Listener
	dial     func(context.Context) (net.Conn, error)
	ctx      context.Context // of what is passed on
	stop     context.CancelFunc
	turns    chan struct{} // of what is passed on at once
	running  sync.WaitGroup
}

// mostPassed is how many connections are passed on at once; others wait for their turn.
// Each takes of what this machine's programs may have open, the console among them, and
// anybody in a machine may begin as many as they like.
const mostPassed = 256

// NewForward passes on what connects to listener, which is the Forward's from now on,
// to whom dial calls then: whoever is not there now may be later. The caller closes it.
func NewForward(listener net.Listener, dial func(context.Context) (net.Conn, error)) *Forward {
	ctx, stop := context.WithCancel(context.Background())
	f := &Forward{listener: listener, dial: dial, ctx: ctx, stop: stop, turns: make(chan struct{}, mostPassed)}
	f.running.Go(f.accept)
	return f
}

// To calls an address, for NewForward.
func To(network, address string) func(context.Context) (net.Conn, error) {
	return func(ctx context.Context) (net.Conn, error) {
		return (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, network, address)
	}
}

// Close ends all that is passed on.
func (f *Forward) Close() error {
	f.stop()
	err := f.listener.Close()
	f.running.Wait()
	return err
}

func (f *Forward) accept() {
	pause := time.NewTicker(100 * time.Millisecond)
	defer pause.Stop()
	for {
		select {
		case f.turns <- struct{}{}:
		case <-f.ctx.Done():
			return
		}
		conn, err := f.listener.Accept()
		if err == nil {
			f.running.Go(func() { f.pass(conn); <-f.turns })
			continue
		}
		<-f.turns
		select {
		case <-f.ctx.Done():
			return
		case <-pause.C: // too many files are open, or alike
		}
	}
}

// pass joins two connections until both sides have said all.
func (f *Forward) pass(from net.Conn) {
	defer func() { _ = from.Close() }() // who asked sees the end
	to, err := f.dial(f.ctx)
	if err != nil {
		return // as if nobody listened, which is so
	}
	defer func() { _ = to.Close() }()
	defer context.AfterFunc(f.ctx, func() { _ = from.Close(); _ = to.Close() })()
	var back sync.WaitGroup
	back.Go(func() { oneWay(from, to) })
	oneWay(to, from)
	back.Wait()
}

// oneWay copies to its end, and hands that on. Where it breaks, both ways do.
func oneWay(to, from net.Conn) {
	_, err := io.Copy(to, from)
	half, ok := to.(interface{ CloseWrite() error })
	if err == nil && ok {
		_ = half.CloseWrite() // what is broken shows the other way
		return
	}
	_, _ = to.Close(), from.Close()
}
