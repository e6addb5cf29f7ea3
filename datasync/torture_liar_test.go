package datasync

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
)

// A liar stands before a real server, and sends what lie makes of its answers.
type liar struct {
	url    string
	behind *url.URL

	mu   sync.Mutex
	lie  lie
	told int
}

// A lie sends what it likes, head and body, and says whether it did: else the answer
// is sent as it is.
type lie func(conn io.Writer, r *http.Request, head, body []byte, hangUp context.Context) bool

func newLiar(t *testing.T, behind string) *liar {
	t.Helper()
	u, err := url.Parse(behind)
	if err != nil {
		t.Fatal(err)
	}
	l := &liar{behind: u}
	server := httptest.NewServer(l)
	t.Cleanup(server.Close)
	l.url = server.URL
	return l
}

// tells has the answers after the first few be lies, until it is called with nil. It
// returns how many were, before.
func (l *liar) tells(after int, lie lie) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	told := l.told
	l.told, l.lie = 0, nil
	if lie != nil {
		l.told = -after
		l.lie = lie
	}
	return told
}

func (l *liar) next() lie {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.told++
	if l.told <= 0 {
		return nil
	}
	return l.lie
}

func (l *liar) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	head, body, err := l.truth(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusTeapot)
		return
	}
	conn, in, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, err.Error(), http.StatusTeapot)
		return
	}
	defer conn.Close() //nolint:errcheck // it may have been left in the middle
	hangUp, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() { _, _ = io.Copy(io.Discard, in); cancel() }()
	if tell := l.next(); tell == nil || !tell(conn, r, head, body, hangUp) {
		_, _ = conn.Write(slices.Concat(head, body)) // whoever asked may be gone
	}
}

// truth is what the server behind answers.
func (l *liar) truth(r *http.Request) (head, body []byte, err error) {
	r = r.Clone(context.WithoutCancel(r.Context()))
	r.RequestURI, r.URL.Scheme, r.URL.Host = "", l.behind.Scheme, l.behind.Host // r.Host is signed, and stays
	res, err := (&http.Transport{DisableCompression: true, DisableKeepAlives: true}).RoundTrip(r)
	if err != nil {
		return nil, nil, err
	}
	body, err = io.ReadAll(res.Body)
	length := len(body)
	if r.Method == http.MethodHead {
		length = int(res.ContentLength)
	}
	if length >= 0 && res.StatusCode != http.StatusNotModified {
		res.Header.Set("Content-Length", fmt.Sprint(length))
	}
	res.Header.Set("Connection", "close")
	var text bytes.Buffer
	fmt.Fprintf(&text, "HTTP/1.1 %s\r\n", res.Status)
	err = errors.Join(err, res.Header.Write(&text), res.Body.Close())
	text.WriteString("\r\n")
	return text.Bytes(), body, err
}

// said answers with a status, headers and a body of its own.
func said(status int, body string, headers ...string) lie {
	return func(conn io.Writer, r *http.Request, _, _ []byte, _ context.Context) bool {
		var text bytes.Buffer
		fmt.Fprintf(&text, "HTTP/1.1 %d %s\r\nContent-Length: %d\r\nConnection: close\r\n", status, http.StatusText(status), len(body))
		for i := 0; i < len(headers); i += 2 {
			fmt.Fprintf(&text, "%s: %s\r\n", headers[i], strings.ReplaceAll(headers[i+1], "SELF", "http://"+r.Host+r.URL.RequestURI()))
		}
		text.WriteString("\r\n")
		if r.Method != http.MethodHead {
			text.WriteString(body)
		}
		_, _ = text.WriteTo(conn)
		return true
	}
}

// An at picks a place in an answer: head bytes, then body bytes.
type at func(head, body int) int

// places are one of each kind.
var places = map[string]at{
	"nothing":          func(int, int) int { return 0 },
	"the status":       func(int, int) int { return 10 },
	"the headers":      func(head, _ int) int { return head / 2 },
	"the last header":  func(head, _ int) int { return head - 2 },
	"no body":          func(head, _ int) int { return head },
	"a byte":           func(head, _ int) int { return head + 1 },
	"a packet":         func(head, body int) int { return head + min(body, 8) },
	"the pack's start": func(head, body int) int { return head + min(body, 40) },
	"the middle":       func(head, body int) int { return head + body/2 },
	"the trailer":      func(head, body int) int { return head + max(0, body-21) },
	"all but a byte":   func(head, body int) int { return head + max(0, body-1) },
}

func cutAt(place at) lie {
	return func(conn io.Writer, _ *http.Request, head, body []byte, _ context.Context) bool {
		_, _ = conn.Write(slices.Concat(head, body)[:place(len(head), len(body))])
		return true
	}
}

func stallAt(place at) lie {
	return func(conn io.Writer, _ *http.Request, head, body []byte, hangUp context.Context) bool {
		_, _ = conn.Write(slices.Concat(head, body)[:place(len(head), len(body))])
		<-hangUp.Done()
		return true
	}
}

func flipAt(bit int, place at) lie {
	return func(conn io.Writer, _ *http.Request, head, body []byte, _ context.Context) bool {
		all := slices.Concat(head, body)
		if i := place(len(head), len(body)); i < len(all) {
			all[i] ^= 1 << bit
		}
		_, _ = conn.Write(all)
		return true
	}
}

// sized says another length than there is.
func sized(more int) lie {
	return func(conn io.Writer, r *http.Request, head, body []byte, _ context.Context) bool {
		if len(body)+more < 0 || r.Method == http.MethodHead {
			return false
		}
		old, other := fmt.Sprintf("Content-Length: %d\r\n", len(body)), fmt.Sprintf("Content-Length: %d\r\n", len(body)+more)
		_, _ = conn.Write(append(bytes.Replace(head, []byte(old), []byte(other), 1), body...))
		return true
	}
}

// withoutEnd goes on with filler after what it should have sent.
func withoutEnd(filler []byte) lie {
	return func(conn io.Writer, r *http.Request, head, body []byte, _ context.Context) bool {
		if r.Method == http.MethodHead {
			return false
		}
		head = bytes.Replace(head, fmt.Appendf(nil, "Content-Length: %d\r\n", len(body)), nil, 1)
		_, err := conn.Write(slices.Concat(head, body))
		for err == nil {
			_, err = conn.Write(filler)
		}
		return true
	}
}

// squeezed says that the body is compressed, which nobody asked for, and it is: zeros
// that would fill a disk.
func squeezed(t *testing.T) lie {
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	if _, err := io.CopyN(z, zeros{}, 1<<28); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return func(conn io.Writer, r *http.Request, head, body []byte, _ context.Context) bool {
		if r.Method == http.MethodHead {
			return false
		}
		head = bytes.Replace(head, fmt.Appendf(nil, "Content-Length: %d\r\n", len(body)),
			fmt.Appendf(nil, "Content-Length: %d\r\nContent-Encoding: gzip\r\n", bomb.Len()), 1)
		_, _ = conn.Write(slices.Concat(head, bomb.Bytes()))
		return true
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func raw(text string) lie {
	return func(conn io.Writer, _ *http.Request, _, _ []byte, _ context.Context) bool {
		_, _ = io.WriteString(conn, text)
		return true
	}
}

// exceptBodies lets objects through where the place is in what they hold.
func exceptBodies(place at, tell lie) lie {
	return func(conn io.Writer, r *http.Request, head, body []byte, hangUp context.Context) bool {
		if r.URL.Query().Get("list-type") == "" && place(len(head), len(body)) >= len(head) {
			return false
		}
		return tell(conn, r, head, body, hangUp)
	}
}

// alone leaves out what should have been sent.
func alone(tell lie) lie {
	return func(conn io.Writer, r *http.Request, head, body []byte, hangUp context.Context) bool {
		old := fmt.Appendf(nil, "Content-Length: %d\r\n", len(body))
		return tell(conn, r, bytes.Replace(head, old, []byte("Content-Length: 0\r\n"), 1), nil, hangUp)
	}
}
