package front

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"popup/internal/testutil"
)

// A reader who leaves frees the PHP process, of which this pool has one.
func TestPHPEndsWhenTheReaderLeaves(t *testing.T) {
	fpm := startFPM(t, 1)
	h := fpm.handler(t, plant(t, map[string]string{
		"endless.php": `<?php ob_implicit_flush(); while (true) { echo str_repeat("x", 4096); usleep(1000); }`, "index.php": "<?php echo 'ok';",
	}), PHPOptions{})
	srv := httptest.NewServer(h)
	defer srv.Close()
	ctx, cancel := context.WithCancel(t.Context())
	r, _ := http.NewRequestWithContext(ctx, "GET", srv.URL+"/endless.php", nil)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(resp.Body, make([]byte, 10000)); err != nil {
		t.Fatal(err)
	}
	cancel()
	resp.Body.Close()
	if w := ask(h, "GET", "/"); w.Code != 200 || w.Body.String() != "ok" {
		t.Errorf("after it: %d %q", w.Code, w.Body)
	}
}

// A script that says nothing does not hold the check of it, or a drain.
func TestPHPIsNotWaitedForBeyondTheRequest(t *testing.T) {
	fpm := startFPM(t, 1)
	h := fpm.handler(t, plant(t, map[string]string{"index.php": `<?php sleep(20);`}), PHPOptions{})
	begun := time.Now()
	err := Check(t.Context(), h, HealthCheck{Timeout: 100 * time.Millisecond})
	if err == nil || err.Error() != "GET / was not answered within 100ms" {
		t.Error(err)
	}
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("the check took %s", took)
	}
}

// An app that answers before it has read the body is answered for, though it
// keeps the connection and never reads the rest.
func TestFastCGIEndsWithItsAnswer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	head := "Content-Type: text/plain\r\n\r\nearly"
	answer := append([]byte{1, fcgiStdout, 0, 1, 0, byte(len(head)), 0, 0}, head...)
	answer = append(answer, 1, fcgiEndRequest, 0, 1, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	var wg sync.WaitGroup
	done := make(chan struct{})
	wg.Go(func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		conn.Write(answer)
		<-done
	})
	stderr := &testutil.Buffer{}
	w := httptest.NewRecorder()
	call := fcgiCall{network: "tcp", address: l.Addr().String(), body: bytes.NewReader(make([]byte, 64<<20)), stderr: stderr}
	if err := call.do(httptest.NewRequest("POST", "/", nil), &cgiWriter{w: w}); err != nil || w.Body.String() != "early" || stderr.String() != "" {
		t.Errorf("%v, %q, error stream %q", err, w.Body, stderr)
	}
	close(done)
	wg.Wait()
}

func TestCGIHeaderWithoutStatus(t *testing.T) {
	for head, want := range map[string]int{"Location: /a\r\n\r\n": 302, "A: b\n\n": 200, "Location: /a\nStatus: 201 Created\n\n": 201} {
		header, status, err := parseCGIHeader([]byte(head))
		if err != nil || status != want || header.Get("Status") != "" {
			t.Errorf("%q: %d %v %v", head, status, header, err)
		}
	}
}

func TestCGIHeaderIsBounded(t *testing.T) {
	w := httptest.NewRecorder()
	c := &cgiWriter{w: w, stop: func() {}}
	if _, err := c.ReadFrom(strings.NewReader("X: " + strings.Repeat("y", maxCGIHeader))); err != nil {
		t.Fatal(err)
	}
	if c.err == nil || c.err.Error() != "php answered with a header of more than 64 KiB" || c.begun {
		t.Errorf("%v, begun %v", c.err, c.begun)
	}
}

func TestPHPKilledInTheMiddleIsNotAWholePage(t *testing.T) {
	fpm := startFPM(t, 1)
	h := fpm.handler(t, plant(t, map[string]string{
		"half.php": `<?php echo str_repeat("x", 100000); flush(); exec("kill -9 " . getmypid());`, "early.php": `<?php exec("kill -9 " . getmypid());`,
	}), PHPOptions{})
	f := newFront(t, Options{})
	f.Flip(Serving{Handler: h})
	srv := httptest.NewServer(f)
	defer srv.Close()
	resp, err := http.Get(srv.URL + "/half.php")
	if err != nil {
		t.Fatal(err)
	}
	n, err := io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	if err == nil {
		t.Errorf("half a page of %d bytes passes for a whole one", n)
	}
	w := ask(f, "GET", "/early.php", "Accept", "text/html")
	wantStatus(t, w, 502)
	wantText(t, w.Body.String(), "The app does not answer")
	err = Check(t.Context(), h, HealthCheck{Path: "/half.php"})
	if err == nil || !strings.Contains(err.Error(), "broke off in the middle") {
		t.Errorf("check: %v", err)
	}
}

func TestPHPIsDead(t *testing.T) {
	fpm := startFPM(t, 1)
	h := fpm.handler(t, plant(t, map[string]string{"index.php": "<?php echo 'ok';", "style.css": "body{}"}), PHPOptions{})
	wantStatus(t, ask(h, "GET", "/"), 200)
	fpm.Stop()
	w := ask(h, "GET", "/")
	wantStatus(t, w, 502)
	wantText(t, w.Body.String(), "The app does not answer")
	wantStatus(t, ask(h, "GET", "/style.css"), 200)
	err := Check(t.Context(), h, HealthCheck{})
	if err == nil || !strings.Contains(err.Error(), "GET / was not answered: nothing answers as php-fpm on "+fpm.Socket+": connection refused") {
		t.Errorf("check: %v", err)
	}
}

// The open-qa fault: PHP 8 refuses the file, and answers with an empty page.
func TestCheckCatchesAnEmptyPHPPage(t *testing.T) {
	fpm := startFPM(t, 1)
	h := fpm.handler(t, plant(t, map[string]string{"index.php": `<?php`, "twice.php": `<?php function f($a, $a) {} echo "page";`}), PHPOptions{})
	for path, want := range map[string]string{
		"/":          `GET / answered 200 OK but the page is empty`,
		"/twice.php": `GET /twice.php answered 500 Internal Server Error; expected 200 OK`,
	} {
		if err := Check(t.Context(), h, HealthCheck{Path: path}); err == nil || err.Error() != want {
			t.Errorf("check says %v, want %s", err, want)
		}
	}
	if err := Check(t.Context(), h, HealthCheck{Contains: "board"}); err == nil || err.Error() != `GET / answered 200 OK but the page does not contain "board" (it is empty)` {
		t.Errorf("check says %v", err)
	}
}

func TestPHPOptionsAreChecked(t *testing.T) {
	root := openRoot(t, t.TempDir())
	for want, o := range map[string]PHPOptions{
		"no release is given":              {View: "/v", Address: "/s"},
		`view "v" is not an absolute path`: {View: "v", Address: "/s", Release: root},
		"address of php-fpm is not given":  {View: "/v", Release: root},
		`publish_path "web" is not in`:     {View: "/v", Address: "/s", Release: root, PublishPath: "web"},
	} {
		if _, err := PHP(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

// A body whose end never comes is not handed to PHP as if it had.
func TestPHPIsNotAskedWithHalfABody(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	var asked atomic.Int64
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			asked.Add(1)
			conn.Close()
		}
	}()
	h, err := PHP(PHPOptions{
		Network: "tcp", Address: listener.Addr().String(), View: "/v", Release: openRoot(t, plant(t, map[string]string{"index.php": "<?php"})),
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{100, 100 << 10} {
		body := io.MultiReader(bytes.NewReader(make([]byte, size)), errReader{})
		w := send(h, "POST", "/", body)
		wantStatus(t, w, 400)
	}
	if asked.Load() != 0 {
		t.Errorf("php-fpm was asked %d times", asked.Load())
	}
}

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, errors.New("the client left") }
