package machine

import (
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// pipeTimeout is how long the socket's owner may take to answer the call.
const pipeTimeout = 10 * time.Second

// pipe joins in and out to the unix socket that args names, until both
// directions have ended. QEMU starts one such process for each connection to an
// address it forwards.
func pipe(args []string, in io.Reader, out io.Writer) error {
	if len(args) != 1 {
		return errors.New("join a socket: its path is the one argument")
	}
	conn, err := net.DialTimeout("unix", args[0], pipeTimeout)
	if err != nil {
		return fmt.Errorf("join a socket: %w", err)
	}
	socket := conn.(*net.UnixConn)
	sent := make(chan error, 1)
	go func() {
		_, err := io.Copy(socket, in)
		sent <- errors.Join(err, socket.CloseWrite())
	}()
	_, err = io.Copy(out, socket)
	// The answer is complete; who asked may leave its side open for ever.
	return errors.Join(err, socket.Close())
}
