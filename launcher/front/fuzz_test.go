package front

import (
	"bytes"
	"io"
	"net"
	"net/http/httptest"
	"strings"
	"testing"
)

// Whatever a program answers, what goes out is an answer or an error, and what
// belongs to the connection does not go out.
func FuzzCGIAnswer(f *testing.F) {
	for _, seed := range []string{
		"Content-Type: text/html\r\n\r\n<p>", "Status: 404 Not Found\n\nx", "Location: /a\r\n\r\n", "Status: 204\r\n\r\nbody", "Status: 99\r\n\r\n", "Status: x\r\n\r\n",
		"\r\n\r\n", "\n", "no colon\r\n\r\n", "A: b\r\n c: folded\r\n\r\n", "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\nx", ": empty\r\n\r\n",
	} {
		f.Add([]byte(seed), 7)
	}
	f.Fuzz(func(t *testing.T, raw []byte, piece int) {
		w := httptest.NewRecorder()
		hungUp := false
		c := &cgiWriter{w: w, stop: func() { hungUp = true }}
		if _, err := c.ReadFrom(chunks{bytes.NewReader(raw), max(piece, 1)}); err != nil {
			t.Fatal(err)
		}
		if (c.err != nil) != hungUp {
			t.Errorf("error %v, hung up %v", c.err, hungUp)
		}
		if c.err == nil && c.finish() != nil == c.begun {
			t.Errorf("begun %v, finish says %v", c.begun, c.finish())
		}
		if !c.begun && w.Body.Len() > 0 {
			t.Errorf("a body was sent without a header: %q", w.Body)
		}
		if c.begun && (w.Code < 200 || w.Code > 599 || w.Header().Get("Transfer-Encoding") != "" || w.Header().Get("Connection") != "") {
			t.Errorf("status %d, header %v", w.Code, w.Header())
		}
	})
}

// chunks hands out at most n bytes at a time.
type chunks struct {
	r io.Reader
	n int
}

func (c chunks) Read(p []byte) (int, error) { return c.r.Read(p[:min(c.n, len(p))]) }

// Whatever comes over the socket, a call ends, and only an end record makes it whole.
func FuzzFastCGIAnswer(f *testing.F) {
	head := "Content-Type: text/plain\r\n\r\nbody"
	stdout := append([]byte{1, fcgiStdout, 0, 1, 0, byte(len(head)), 0, 0}, head...)
	end := []byte{1, fcgiEndRequest, 0, 1, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	refused := []byte{1, fcgiEndRequest, 0, 1, 0, 8, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0}
	f.Add(append(bytes.Clone(stdout), end...))
	f.Add(stdout)
	f.Add(end)
	f.Add(refused)
	f.Add(append([]byte{1, 7, 0, 1, 0, 3, 5, 0, 'e', 'r', 'r', 0, 0, 0, 0, 0}, end...))
	f.Add([]byte{2, 3, 0, 1, 0xff, 0xff, 0xff, 0})
	f.Add([]byte{1, fcgiEndRequest, 0, 1, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, raw []byte) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		served := make(chan struct{})
		go func() {
			defer close(served)
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Write(raw)
			_ = conn.(*net.TCPConn).CloseWrite()
			_, _ = io.Copy(io.Discard, conn)
			conn.Close()
		}()
		call := fcgiCall{network: "tcp", address: l.Addr().String(), body: strings.NewReader("in"), stderr: io.Discard, params: map[string]string{"A": "b"}}
		out := &cgiWriter{w: httptest.NewRecorder()}
		err = call.do(httptest.NewRequest("GET", "/", nil), out)
		<-served
		if err == nil && !bytes.Contains(raw, []byte{1, fcgiEndRequest}) {
			t.Errorf("%x passes for a whole answer", raw)
		}
		if err == nil && !out.begun {
			t.Errorf("%x is no answer, and no error", raw)
		}
	})
}

func FuzzAcceptEncoding(f *testing.F) {
	for _, seed := range []string{"gzip, br;q=0.5", "zstd;q=0", "*", "gzip;q=1e9", ",,;;", "br ; q = 1", "identity;q=NaN", "GZIP;Q=0.1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		enc := accepted(header)
		if enc != "" && !strings.Contains(strings.ToLower(header), string(enc)) {
			t.Errorf("%q accepts %q", header, enc)
		}
	})
}
