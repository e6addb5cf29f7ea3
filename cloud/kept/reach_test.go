package kept

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// socketDir is a folder whose path is short enough for sockets.
func socketDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "popup-k-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// echo says back what it hears, once it has heard all, until the test ends.
func echo(t *testing.T, listener net.Listener) {
	t.Helper()
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				heard, err := io.ReadAll(conn)
				if err == nil {
					_, _ = conn.Write(append([]byte("heard "), heard...))
				}
			}()
		}
	}()
}

// forward passes on what comes to a port of the loopback.
func forward(t *testing.T, dial func(context.Context) (net.Conn, error)) (*Forward, string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := NewForward(listener, dial)
	t.Cleanup(func() { _ = f.Close() })
	return f, listener.Addr().String()
}

// say says something, ends its half, and returns what is answered.
func say(t *testing.T, address string, text []byte) (string, error) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write(text); err != nil {
		return "", err
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		return "", err
	}
	answer, err := io.ReadAll(conn)
	return string(answer), err
}

// The console is reached while it is there, and again when it comes back.
func TestForwardToAConsoleThatGoesAndComes(t *testing.T) {
	dir := socketDir(t)
	_, address := forward(t, To("unix", Way{Dir: dir}.Sockets()["443"]))
	long := bytes.Repeat([]byte("x"), 1<<20)
	if answer, _ := say(t, address, []byte("anybody?")); answer != "" {
		t.Errorf("nobody is there, and says %q", answer)
	}
	for range 2 {
		listener, err := Way{Dir: dir}.Listen()
		if err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(filepath.Join(dir, consoleSocket)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("the socket is %v, %v", info, err)
		}
		echo(t, listener)
		if answer, err := say(t, address, long); err != nil || answer != "heard "+string(long) {
			t.Errorf("%d bytes are answered, %v", len(answer), err)
		}
		listener.(*net.UnixListener).SetUnlinkOnClose(false) // as a killed console leaves it
		_ = listener.Close()
		if answer, _ := say(t, address, []byte("anybody?")); answer != "" {
			t.Errorf("nobody is there any more, and says %q", answer)
		}
	}
}

// Whoever says nothing holds nothing up.
func TestForwardEndsAtOnce(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	echo(t, listener)
	f, address := forward(t, To("tcp", listener.Addr().String()))
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := conn.Write([]byte("waits")); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- f.Close() }()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("it is not closed after 20 s")
	}
	if _, err := conn.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("what was passed on goes on: %v", err)
	}
}

func TestSocketsHaveShortPaths(t *testing.T) {
	long := filepath.Join(socketDir(t), strings.Repeat("l", 100))
	if err := os.Mkdir(long, 0o700); err != nil {
		t.Fatal(err)
	}
	if l, err := (Way{Dir: long}).Listen(); err == nil || !strings.Contains(err.Error(), "a shorter path") {
		t.Errorf("listens at %v, %v", l, err)
	}
}

// Whoever holds all the connections that they may holds none of others up for ever, and
// ends nothing.
func TestForwardIsBounded(t *testing.T) {
	end, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	echo(t, end)
	dialled := make(chan struct{}, 2*mostPassed)
	to := To("tcp", end.Addr().String())
	_, address := forward(t, func(ctx context.Context) (net.Conn, error) { dialled <- struct{}{}; return to(ctx) })
	var held []net.Conn
	for range mostPassed + 1 {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		held = append(held, conn)
	}
	for range mostPassed {
		<-dialled
	}
	select {
	case <-dialled:
		t.Fatalf("more than %d are passed on at once", mostPassed)
	case <-time.After(100 * time.Millisecond):
	}
	_ = held[7].Close()
	<-dialled // the one that waited
}
