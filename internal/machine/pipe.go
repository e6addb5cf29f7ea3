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

// pipe joins in and out to the unix socket that args names, until the socket's
// side has ended. QEMU starts one such process for each connection to an
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
