package front

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"
)

// maxCGIHeader bounds the header of an answer.
const maxCGIHeader = 64 << 10

// A cgiWriter turns a CGI answer (header lines, an empty line, the body), as it
// comes, into an HTTP answer. Every piece is flushed: a page that shows its
// progress does.
type cgiWriter struct {
	w     http.ResponseWriter
	stop  func()       // hangs up, when nobody reads any more
	head  bytes.Buffer // of the answer, until its end was seen
	line  int          // where the last line of head begins
	seen  int          // how much of head was looked at
	begun bool         // the status was sent
	mute  bool         // this status has no body
	err   error        // the first
}

// Header and WriteHeader take what gofast made of its own empty header: nothing
// of it is sent.
func (c *cgiWriter) Header() http.Header { return http.Header{} }
func (c *cgiWriter) WriteHeader(int)     {}

// Write returns no error: gofast would stop reading, and then wait for ever for
// the end of what it does not read. It hangs up instead, and drops the rest.
func (c *cgiWriter) Write(p []byte) (int, error) {
	if c.err != nil {
		return len(p), nil
	}
	if c.err = c.take(p); c.err != nil {
		c.stop()
	}
	return len(p), nil
}

// ReadFrom takes the answer record by record; gofast's own buffer would cut it
// into pieces of one kilobyte.
func (c *cgiWriter) ReadFrom(r io.Reader) (int64, error) {
	buf := make([]byte, 32<<10)
	var total int64
	for {
		n, err := r.Read(buf)
		total += int64(n)
		if n > 0 {
			_, _ = c.Write(buf[:n]) // returns none
		}
		if err == io.EOF {
			return total, nil
		}
		if err != nil {
			return total, err
		}
	}
}

func (c *cgiWriter) take(p []byte) error {
	if c.begun {
		return c.send(p)
	}
	c.head.Write(p)
	end := c.headerEnd()
	switch {
	case end < 0 && c.head.Len() <= maxCGIHeader:
		return nil
	case end < 0 || end > maxCGIHeader:
		return fmt.Errorf("php answered with a header of more than %s", sayBytes(maxCGIHeader))
	}
	if err := c.begin(c.head.Next(end)); err != nil {
		return err
	}
	return c.send(c.head.Bytes())
}

func (c *cgiWriter) send(p []byte) error {
	if len(p) == 0 || c.mute {
		return nil
	}
	if _, err := c.w.Write(p); err != nil {
		return fmt.Errorf("send answer: %w", err)
	}
	if err := http.NewResponseController(c.w).Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return fmt.Errorf("send answer: %w", err)
	}
	return nil
}

// finish says whether there was an answer at all.
func (c *cgiWriter) finish() error {
	if c.begun {
		return nil
	}
	if c.head.Len() == 0 {
		return errors.New("php answered nothing")
	}
	return errors.New("php answered without a header")
}

// headerEnd returns where the body begins, or -1. What it has looked at it does
// not look at again: an app may dribble its header byte by byte.
func (c *cgiWriter) headerEnd() int {
	b := c.head.Bytes()
	for {
		nl := bytes.IndexByte(b[c.seen:], '\n')
		if nl < 0 {
			c.seen = len(b)
			return -1
		}
		nl += c.seen
		if line := b[c.line:nl]; len(line) == 0 || (len(line) == 1 && line[0] == '\r') {
			return nl + 1
		}
		c.line, c.seen = nl+1, nl+1
	}
}

// begin sends the status and header.
func (c *cgiWriter) begin(head []byte) error {
	header, status, err := parseCGIHeader(head)
	if err != nil {
		return err
	}
	to := c.w.Header()
	for name, values := range header {
		to[name] = append(to[name], values...)
	}
	c.mute = status == http.StatusNoContent || status == http.StatusNotModified
	c.begun = true
	c.w.WriteHeader(status)
	return nil
}

// parseCGIHeader reads the header of a CGI answer, its end included. What
// belongs to a connection and not to an answer is left out.
func parseCGIHeader(head []byte) (http.Header, int, error) {
	mime, err := textproto.NewReader(bufio.NewReader(bytes.NewReader(head))).ReadMIMEHeader()
	if err != nil {
		return nil, 0, fmt.Errorf("php answered with a header that cannot be read: %w", err)
	}
	header := http.Header(mime)
	status := http.StatusOK
	if line := header.Get("Status"); line != "" {
		code, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		status, err = strconv.Atoi(code)
		if err != nil || status < 200 || status > 599 {
			return nil, 0, fmt.Errorf("php answered with status %.20q, which is none", line)
		}
	} else if header.Get("Location") != "" {
		status = http.StatusFound
	}
	for _, name := range []string{"Status", "Connection", "Keep-Alive", "Proxy-Authenticate", "Te", "Trailer", "Transfer-Encoding", "Upgrade"} {
		header.Del(name)
	}
	return header, status, nil
}
