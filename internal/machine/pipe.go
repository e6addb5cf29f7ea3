package machine

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// pipeTimeout is how long the socket's owner may take to answer the call.
const pipeTimeout = 10 * time.Second

// mostPipes is how many connections of one machine there may be at once: each is a
// process here, and anybody in the machine may begin as many as they like.
const mostPipes = 64

// pipe joins in and out to the unix socket that args names, until the socket's
// side has ended. QEMU starts one such process for each connection to an
// address it forwards. The second argument is a folder that the machine's pipes share.
func pipe(args []string, in io.Reader, out io.Writer) error {
	if len(args) != 2 {
		return errors.New("join a socket: its path and a folder are the two arguments")
	}
	turn, err := takeTurn(args[1])
	if err != nil {
		return fmt.Errorf("join a socket: %w", err)
	}
	defer func() { _ = turn.Close() }() // nothing was written
	conn, err := net.DialTimeout("unix", args[0], pipeTimeout)
	if err != nil {
		return fmt.Errorf("join a socket: %w", err)
	}
	socket := conn.(*net.UnixConn)
	go func() {
		// Its errors show in the answer, which then does not come. It may wait for
		// who asks long after the answer is complete: then the program's end ends it.
		_, _ = io.Copy(socket, in)
		_ = socket.CloseWrite()
	}()
	_, err = io.Copy(out, socket)
	if err = errors.Join(err, socket.Close()); err != nil {
		return fmt.Errorf("join a socket: %w", err)
	}
	return nil
}

// takeTurn locks one of as many files as there may be pipes. Closed, it is free.
func takeTurn(dir string) (*os.File, error) {
	for n := range mostPipes {
		f, err := os.OpenFile(filepath.Join(dir, fmt.Sprintf("pipe-%d", n)), os.O_CREATE|os.O_RDONLY, 0o600)
		if err != nil {
			return nil, err
		}
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return f, nil
		}
		if err = errors.Join(err, f.Close()); !errors.Is(err, unix.EWOULDBLOCK) {
			return nil, err
		}
	}
	return nil, fmt.Errorf("its machine has %d connections already", mostPipes)
}
