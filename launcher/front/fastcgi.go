package front

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/yookoala/gofast"
)

// A fcgiCall is one FastCGI request, on a connection of its own.
//
// gofast speaks the protocol. What it leaves to its caller is here: it reports
// neither a connection that broke off (half an answer passes for a whole one)
// nor an answer that PHP refused; it reads header lines of at most 1,024 bytes,
// where a cookie may have 4,096; and it waits for the end of a request's body
// even when the answer is complete. So the connection it is given watches for
// the end of the answer, and begins with an empty header of our own: the real
// one then passes through gofast as the beginning of the body, and cgiWriter
// reads it.
//
// There is no pool: gofast always asks php-fpm to keep the connection, and a
// kept connection is a PHP process that serves nobody else.
type fcgiCall struct {
	network, address string
	params           map[string]string
	body             io.Reader
	stderr           io.Writer
}

const dialTimeout = 5 * time.Second

// do sends the request and passes the answer to out. The error says why the
// answer is not whole.
func (c *fcgiCall) do(r *http.Request, out *cgiWriter) error {
	ctx := r.Context()
	raw, err := dialRetry(ctx, c.network, c.address)
	if err != nil {
		return err
	}
	conn := newFCGIConn(raw)
	defer conn.Close()                //nolint:errcheck // what was to be read has been
	hangUp := func() { conn.Close() } //nolint:errcheck // see above
	defer context.AfterFunc(ctx, hangUp)()
	out.stop = hangUp

	client, err := gofast.SimpleClientFactory(func() (net.Conn, error) { return conn, nil })()
	if err != nil {
		return fmt.Errorf("ask php-fpm: %w", err)
	}
	// Without a Raw request gofast knows no context: it ends when the connection
	// does, and leaves no goroutine behind that still reads from it.
	req := &gofast.Request{Role: gofast.RoleResponder, Params: c.params, Stdin: io.NopCloser(c.body)}
	pipe, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("ask php-fpm: %w", err)
	}
	_ = pipe.WriteTo(out, &errorStream{c.stderr}) // an error would be of our own writers, which return none
	switch {
	case out.err != nil:
		return out.err
	case ctx.Err() != nil:
		return ctx.Err()
	case !conn.ended:
		return errors.New("php-fpm broke off in the middle of its answer; its log says why")
	case conn.status != 0:
		return fmt.Errorf("php-fpm refused the request (protocol status %d); all its processes may be busy", conn.status)
	}
	return out.finish()
}

// dialRetry connects. A unix socket whose queue is full refuses at once, where
// TCP would wait: so it is tried again for a while.
func dialRetry(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	var dialer net.Dialer
	for wait := 2 * time.Millisecond; ; wait = min(2*wait, 200*time.Millisecond) {
		conn, err := dialer.DialContext(ctx, network, address)
		if err == nil {
			return conn, nil
		}
		if !errors.Is(err, syscall.EAGAIN) {
			return nil, fmt.Errorf("nothing answers as php-fpm on %s: %w", address, plainDialError(err))
		}
		again := time.NewTimer(wait)
		select {
		case <-again.C:
		case <-ctx.Done():
			again.Stop()
			return nil, fmt.Errorf("php-fpm on %s has more requests waiting than it takes: %w", address, err)
		}
	}
}

// plainDialError leaves out the address and the names of system calls.
func plainDialError(err error) error {
	var no syscall.Errno
	if errors.As(err, &no) {
		return errors.New(no.Error())
	}
	return err
}

// The parts of the protocol that are watched.
const (
	fcgiHeaderLen  = 8
	fcgiEndRequest = 3
	fcgiStdout     = 6
)

// emptyHeader is a record of standard output with an empty CGI header.
var emptyHeader = func() []byte {
	const text = "Status: 200\r\n\r\n"
	h := []byte{1, fcgiStdout, 0, 1, 0, byte(len(text)), 0, 0}
	return append(h, text...)
}()

// fcgiConn is a connection that notes how the answer ended.
type fcgiConn struct {
	net.Conn
	in *bufio.Reader

	closed atomic.Bool
	ended  bool // set by gofast's reading goroutine, read when that is done
	status byte // of the protocol; 0: the request was carried out

	pending []byte // of the record that is handed out
	skipped int    // bytes of its content and padding still to come
	end     bool   // it is the end record
}

func newFCGIConn(c net.Conn) *fcgiConn {
	return &fcgiConn{Conn: c, in: bufio.NewReaderSize(c, 32<<10), pending: emptyHeader}
}

// Read hands out one record after the other and looks at the headers on the way.
func (c *fcgiConn) Read(p []byte) (int, error) {
	if len(c.pending) == 0 && c.skipped == 0 {
		if c.ended {
			return 0, io.EOF
		}
		if err := c.nextRecord(); err != nil {
			return 0, err
		}
	}
	if len(c.pending) > 0 {
		n := copy(p, c.pending)
		c.pending = c.pending[n:]
		c.noteEnd()
		return n, nil
	}
	n, err := c.in.Read(p[:min(len(p), c.skipped)])
	c.skipped -= n
	return n, err
}

func (c *fcgiConn) nextRecord() error {
	head := make([]byte, fcgiHeaderLen)
	if _, err := io.ReadFull(c.in, head); err != nil {
		return err
	}
	c.skipped = int(binary.BigEndian.Uint16(head[4:])) + int(head[6])
	if head[1] == fcgiEndRequest {
		content := make([]byte, c.skipped)
		if _, err := io.ReadFull(c.in, content); err != nil {
			return err
		}
		if len(content) >= 5 {
			c.status = content[4]
		}
		head, c.skipped, c.end = append(head, content...), 0, true
	}
	c.pending = head
	return nil
}

// noteEnd notes the end when its record was handed out whole, and closes the
// connection: gofast may still be sending a body that nobody reads any more.
func (c *fcgiConn) noteEnd() {
	if c.end && len(c.pending) == 0 && !c.ended {
		c.ended = true
		c.Close() //nolint:errcheck // the answer is here
	}
}

// Close closes the connection. It may be called often, and at any time.
func (c *fcgiConn) Close() error {
	c.closed.Store(true)
	return c.Conn.Close()
}

// Write drops what is sent after Close: gofast would report the error among
// what PHP said.
func (c *fcgiConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if err != nil && c.closed.Load() {
		return len(p), nil
	}
	return n, err
}

// errorStream passes on what PHP says on its error stream. It never fails:
// gofast would wait for ever for a writer that does.
type errorStream struct{ w io.Writer }

func (e *errorStream) Write(p []byte) (int, error) {
	_, _ = e.w.Write(p)
	return len(p), nil
}
