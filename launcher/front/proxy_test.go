package front

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func proxied(t *testing.T, app http.HandlerFunc) (*Front, *httptest.Server) {
	t.Helper()
	backend := httptest.NewServer(app)
	t.Cleanup(backend.Close)
	f := newFront(t, Options{MaxBody: 1 << 20})
	f.Flip(Serving{Handler: Proxy(backend.Listener.Addr().String())})
	srv := httptest.NewServer(f)
	t.Cleanup(srv.Close)
	return f, srv
}

func TestProxyPassesTheRequest(t *testing.T) {
	_, srv := proxied(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-App", "yes")
		w.WriteHeader(201)
		b, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s host=%s for=%s proto=%s fhost=%s enc=%s body=%s", r.Method, r.RequestURI, r.Host,
			r.Header.Get("X-Forwarded-For"), r.Header.Get("X-Forwarded-Proto"), r.Header.Get("X-Forwarded-Host"), r.Header.Get("Accept-Encoding"), b)
	})
	r, _ := http.NewRequest("PUT", srv.URL+"/a%2Fb/?q=%20;x", strings.NewReader("payload"))
	r.Host = "fair.example"
	r.Header.Set("X-Forwarded-For", "6.6.6.6")
	r.Header.Set("Accept-Encoding", "br")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	want := "PUT /a%2Fb/?q=%20;x host=fair.example for=127.0.0.1 proto=http fhost=fair.example enc=br body=payload"
	if string(body) != want || resp.StatusCode != 201 || resp.Header.Get("X-App") != "yes" {
		t.Errorf("%d %q\nwant %q", resp.StatusCode, body, want)
	}
}

func TestProxyFlushes(t *testing.T) {
	proceed := make(chan struct{})
	_, srv := proxied(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "10") // not what a stream would say: flushed all the same
		fmt.Fprint(w, "first")
		w.(http.Flusher).Flush()
		<-proceed
		fmt.Fprint(w, "other")
	})
	resp, err := http.Get(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	first := make([]byte, 5)
	if _, err := io.ReadFull(resp.Body, first); err != nil || string(first) != "first" {
		t.Fatalf("%q: %v", first, err)
	}
	close(proceed)
	if rest, err := io.ReadAll(resp.Body); err != nil || string(rest) != "other" {
		t.Errorf("%q: %v", rest, err)
	}
}

// echoUpgrade speaks a protocol of its own after 101, line by line.
func echoUpgrade(w http.ResponseWriter, _ *http.Request) {
	conn, rw, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	fmt.Fprint(rw, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	rw.Flush()
	for {
		line, err := rw.ReadString('\n')
		if err != nil {
			return
		}
		fmt.Fprintf(rw, "echo %s", line)
		rw.Flush()
	}
}

func TestProxyUpgradesAndReadOnlyCutsThem(t *testing.T) {
	f, srv := proxied(t, echoUpgrade)
	conn, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	in := bufio.NewReader(conn)
	resp, err := http.ReadResponse(in, nil)
	if err != nil || resp.StatusCode != 101 {
		t.Fatalf("%v %v", resp, err)
	}
	fmt.Fprint(conn, "hello\n")
	if line, err := in.ReadString('\n'); line != "echo hello\n" || err != nil {
		t.Fatalf("%q %v", line, err)
	}
	f.SetReadOnly(true, 0)
	if err := f.WaitWrites(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := in.ReadString('\n'); err == nil {
		t.Error("the connection is still there")
	}
}

func TestProxyWhenTheAppIsDown(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	f := newFront(t, Options{})
	f.Flip(Serving{Handler: Proxy(addr)})
	w := ask(f, "GET", "/", "Accept", "text/html")
	wantStatus(t, w, 502)
	wantText(t, w.Body.String(), "The app does not answer")
	if strings.Contains(w.Body.String(), addr) {
		t.Error("the page shows where the app listens")
	}
	if f.Stats().Errors != 1 {
		t.Errorf("stats %+v", f.Stats())
	}
}

func TestProxyBoundsBodies(t *testing.T) {
	f, _ := proxied(t, func(_ http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) })
	wantStatus(t, send(f, "POST", "/", io.MultiReader(bytes.NewReader(make([]byte, 2<<20)))), 413)
}

func TestProxyToASocket(t *testing.T) {
	dir, err := os.MkdirTemp("", "sock")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	l, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: text("by socket")}
	go srv.Serve(l)
	defer srv.Close()
	if w := ask(Proxy("unix:"+l.Addr().String()), "GET", "/"); w.Body.String() != "by socket" {
		t.Errorf("%d %q", w.Code, w.Body)
	}
}
