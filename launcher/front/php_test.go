package front

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"popup/internal/testutil"
)

func TestPHP(t *testing.T) {
	fpm := startFPM(t, 4)
	view := plant(t, map[string]string{
		"index.php":      `<?php header("Content-Type: text/plain"); echo json_encode($_SERVER + ["input" => file_get_contents("php://input"), "post" => $_POST]);`,
		"sub/index.html": "static index", "both/index.php": "<?php echo 'php';", "both/index.html": "html", "style.css": "body{}",
		"status.php": `<?php http_response_code(418); header("X-Own: yes"); echo "teapot";`, "go.php": `<?php header("Location: /elsewhere");`,
		"none.php": `<?php http_response_code(204);`, "empty.php": `<?php`, "long.php": `<?php setcookie("a", str_repeat("x", 4000)); header("X-Long: " . str_repeat("y", 9000)); setcookie("b", "2"); echo "ok";`,
		"fatal.php": `<?php nothing_like_it();`, "big.php": `<?php for ($i = 0; $i < 640; $i++) echo str_repeat(chr(65 + $i % 26), 16384);`,
		"sum.php": `<?php echo hash("sha256", file_get_contents("php://input"));`, "notice.php": `<?php error_log("said on the error stream"); echo "fine";`,
		"upload.php": `<?php echo $_FILES["f"]["size"], " ", hash_file("sha256", $_FILES["f"]["tmp_name"]);`, "dir.php/index.html": "a folder named so",
	})
	stderr := &testutil.Buffer{}
	h := fpm.handler(t, view, PHPOptions{Stderr: stderr})
	front := newFront(t, Options{})
	front.Flip(Serving{Handler: h})
	srv := httptest.NewServer(front)
	defer srv.Close()

	t.Run("params", func(t *testing.T) {
		r, _ := http.NewRequest("POST", srv.URL+"/index.php/a%20b/c/?q=1&r=%2F", strings.NewReader("x=1&y=2"))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("X-Thing", "v")
		r.Header["X_under"] = []string{"spoofed"}
		r.Header.Set("Proxy", "http://evil.example")
		r.Header.Set("Authorization", "Basic eDp5")
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var got map[string]any
		if err := json.NewDecoder(resp.Body).Decode(&got); err != nil {
			t.Fatal(err)
		}
		host := strings.TrimPrefix(srv.URL, "http://")
		_, port, _ := net.SplitHostPort(host)
		for key, want := range map[string]string{
			"SCRIPT_FILENAME": view + "/index.php", "SCRIPT_NAME": "/index.php", "PATH_INFO": "/a b/c/", "DOCUMENT_ROOT": view,
			"REQUEST_URI": "/index.php/a%20b/c/?q=1&r=%2F", "QUERY_STRING": "q=1&r=%2F", "REQUEST_METHOD": "POST", "CONTENT_LENGTH": "7", "GATEWAY_INTERFACE": "CGI/1.1",
			"SERVER_PROTOCOL": "HTTP/1.1", "HTTP_HOST": host, "SERVER_NAME": "127.0.0.1", "SERVER_PORT": port, "REMOTE_ADDR": "127.0.0.1", "HTTP_X_THING": "v",
			"HTTP_AUTHORIZATION": "Basic eDp5", "input": "x=1&y=2", "REQUEST_SCHEME": "http",
		} {
			if got[key] != want {
				t.Errorf("%s is %v, want %q", key, got[key], want)
			}
		}
		for _, key := range []string{"HTTP_PROXY", "HTTP_X_UNDER", "HTTPS", "PATH_TRANSLATED"} {
			if v, ok := got[key]; ok {
				t.Errorf("%s is there: %v", key, v)
			}
		}
		if post, _ := got["post"].(map[string]any); post["y"] != "2" {
			t.Errorf("$_POST is %v", got["post"])
		}
	})

	for _, c := range []struct {
		path   string
		status int
		body   string
	}{
		{"/", 200, "{"}, {"/both/", 200, "php"}, {"/both/index.html", 200, "html"}, {"/sub/", 200, "static"}, {"/sub", 308, ""}, {"/style.css", 200, "body"},
		{"/status.php", 418, "teapot"}, {"/go.php", 302, ""}, {"/none.php", 204, ""}, {"/empty.php", 200, ""}, {"/long.php", 200, "ok"}, {"/notice.php", 200, "fine"},
		{"/fatal.php", 500, ""}, {"/nothing.php", 404, ""}, {"/style.css/x.php", 404, ""}, {"/INDEX.PHP", 404, ""}, {"/dir.php/", 200, "a folder"},
	} {
		t.Run(c.path, func(t *testing.T) {
			w := ask(front, "GET", c.path)
			if w.Code != c.status || !strings.HasPrefix(w.Body.String(), c.body) {
				t.Errorf("%d %.60q, want %d %q", w.Code, w.Body, c.status, c.body)
			}
			switch c.path {
			case "/go.php":
				if w.Header().Get("Location") != "/elsewhere" {
					t.Errorf("Location %q", w.Header().Get("Location"))
				}
			case "/status.php":
				if w.Header().Get("X-Own") != "yes" || w.Header().Get("Status") != "" {
					t.Errorf("header %v", w.Header())
				}
			case "/long.php":
				if len(w.Header()["Set-Cookie"]) != 2 || len(w.Header().Get("X-Long")) != 9000 {
					t.Errorf("%d cookies, X-Long of %d", len(w.Header()["Set-Cookie"]), len(w.Header().Get("X-Long")))
				}
			case "/notice.php":
				wantText(t, stderr.String(), "said on the error stream")
			case "/fatal.php":
				wantText(t, stderr.String(), "nothing_like_it")
			}
		})
	}
	wantStatus(t, ask(front, "HEAD", "/both/"), 200)
	if strings.Contains(stderr.String(), "gofast") || strings.Contains(stderr.String(), "closed") {
		t.Errorf("the error stream holds what PHP did not say: %s", stderr)
	}

	t.Run("large answers", func(t *testing.T) {
		resp, err := http.Get(srv.URL + "/big.php")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if n, err := io.Copy(io.Discard, resp.Body); n != 640*16384 || err != nil {
			t.Errorf("%d bytes: %v", n, err)
		}
	})
	t.Run("large bodies", func(t *testing.T) {
		body := []byte(noise(20 << 20))
		for name, r := range map[string]io.Reader{"of known length": bytes.NewReader(body), "of unknown length": io.MultiReader(bytes.NewReader(body))} {
			resp, err := http.Post(srv.URL+"/sum.php", "application/octet-stream", r)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if want := sha256.Sum256(body); string(got) != hex.EncodeToString(want[:]) || err != nil {
				t.Errorf("%s: PHP saw %s: %v", name, got, err)
			}
		}
	})
	t.Run("uploads", func(t *testing.T) {
		content := noise(3 << 20)
		var form bytes.Buffer
		mw := multipart.NewWriter(&form)
		part, _ := mw.CreateFormFile("f", "f.bin")
		io.WriteString(part, content)
		mw.Close()
		w := send(front, "POST", "/upload.php", &form, "Content-Type", mw.FormDataContentType())
		sum := sha256.Sum256([]byte(content))
		if want := fmt.Sprintf("%d %x", len(content), sum); w.Body.String() != want {
			t.Errorf("PHP saw %q, want %q", w.Body, want)
		}
	})
	t.Run("a body nobody reads", func(t *testing.T) {
		w := send(front, "POST", "/both/", bytes.NewReader(make([]byte, 10<<20)), "Content-Type", "application/octet-stream")
		if w.Body.String() != "php" {
			t.Errorf("%d %q", w.Code, w.Body)
		}
	})
	t.Run("too large", func(t *testing.T) {
		small := fpm.handler(t, view, PHPOptions{MaxBody: 100 << 10})
		wantStatus(t, send(small, "POST", "/sum.php", bytes.NewReader(make([]byte, 200<<10))), 413)
		wantStatus(t, send(small, "POST", "/sum.php", io.MultiReader(bytes.NewReader(make([]byte, 200<<10)))), 413)
	})
}

// An uploaded script never runs, whatever it is called and however it is asked for.
func TestPHPRunsNothingThatWasUploaded(t *testing.T) {
	fpm := startFPM(t, 2)
	const code = `<?php file_put_contents(__DIR__ . "/RAN", "x"); echo "RAN " . (6 * 7);`
	state := plant(t, map[string]string{"x.php": code, "x.jpg": code, "x.php.jpg": code, "index.php": code, "x.phtml": code, "y.php/z.php": code})
	data := plant(t, map[string]string{"d.php": code, "index.php": code})
	view := plant(t, map[string]string{
		"index.php": "<?php echo 'own';", "uploads": "->" + state, "data": "->" + data, "outside.php": "->" + state + "/x.php", "picture.jpg": code,
		"own/inner.php": "<?php echo 'inner';", "ownlink": "->own", "inside.php": "->index.php", "alias": "->uploads", "sub/index.php": "->../index.php",
	})
	h := fpm.handler(t, view, PHPOptions{Mounts: []Mount{
		{Path: "uploads", Root: openRoot(t, state), Kind: MountState}, {Path: "data", Root: openRoot(t, data)},
	}})
	for _, path := range []string{
		"/uploads/x.php", "/uploads/x.jpg/y.php", "/uploads/x.php.jpg", "/uploads/", "/uploads/index.php", "/uploads/x.phtml", "/uploads/x.jpg%00.php",
		"/uploads/x.jpg/.php", "/uploads/y.php/z.php", "/data/d.php", "/data/", "/data/d.php/x.php", "/outside.php", "/alias/x.php", "/picture.jpg/x.php",
		"/picture.jpg", "/./uploads/x.php", "//uploads//x.php", "/sub/../uploads/x.php", "/uploads%2Fx.php", "/inside.php", "/sub/", "/uploads/x.PHP", "/uploads/x.php/",
	} {
		w := ask(h, "GET", "http://host"+path)
		if strings.Contains(w.Body.String(), "RAN 42") {
			t.Errorf("%s ran: %d %q", path, w.Code, w.Body)
		}
		if w.Code == 200 && strings.HasSuffix(path, ".php") && strings.Contains(w.Header().Get("Content-Type"), "html") {
			t.Errorf("%s is sent as %s", path, w.Header().Get("Content-Type"))
		}
	}
	for _, dir := range []string{state, data, view} {
		if _, err := os.Stat(filepath.Join(dir, "RAN")); err == nil {
			t.Errorf("a script ran in %s", dir)
		}
	}
	for path, want := range map[string]string{"/": "own", "/index.php": "own", "/index.php/uploads/x.php": "own", "/index.php/.hidden": "own", "/own/inner.php": "inner"} {
		if w := ask(h, "GET", path); w.Code != 200 || w.Body.String() != want {
			t.Errorf("%s: %d %q, want %q", path, w.Code, w.Body, want)
		}
	}
	if w := ask(h, "GET", "/uploads/x.php"); w.Code != 200 || w.Body.String() != code || w.Header().Get("Content-Type") != "text/plain; charset=utf-8" {
		t.Errorf("an upload is not sent as the text it is: %d %q %v", w.Code, w.Body, w.Header())
	}
	for _, path := range []string{"/inside.php", "/outside.php", "/sub/", "/ownlink/inner.php", "/data/", "/uploads/"} {
		if w := ask(h, "GET", path); w.Code != 404 {
			t.Errorf("%s is no script: %d %q", path, w.Code, w.Body)
		}
	}
	// php-fpm itself, were it asked, refuses too: cgi.fix_pathinfo is 0 in the test's pool as in ours.
	call := fcgiCall{network: "unix", address: fpm.Socket, body: http.NoBody, stderr: io.Discard, params: map[string]string{
		"SCRIPT_FILENAME": view + "/picture.jpg/x.php", "REQUEST_METHOD": "GET", "REDIRECT_STATUS": "200",
	}}
	w := httptest.NewRecorder()
	if err := call.do(httptest.NewRequest("GET", "/", nil), &cgiWriter{w: w}); err != nil || strings.Contains(w.Body.String(), "RAN 42") {
		t.Errorf("asked directly: %v, %d %q", err, w.Code, w.Body)
	}
}

// A page that reads two files 200 ms apart sees one revision, while views
// flip under it: SCRIPT_FILENAME is the real path of a view.
func TestPHPNeverMixesRevisions(t *testing.T) {
	fpm := startFPM(t, 8)
	const page = `<?php $a = file_get_contents(__DIR__ . "/data/a"); usleep(200000); echo $a, " ", file_get_contents(__DIR__ . "/data/b");`
	f := newFront(t, Options{})
	flip := func(n int) {
		rev := plant(t, map[string]string{"a": fmt.Sprint(n), "b": fmt.Sprint(n)})
		view := plant(t, map[string]string{"index.php": page, "data": "->" + rev})
		f.Flip(Serving{Handler: fpm.handler(t, view, PHPOptions{Mounts: []Mount{{Path: "data", Root: openRoot(t, rev)}}})})
	}
	flip(0)
	done := make(chan struct{})
	var asked atomic.Int64
	seen := sync.Map{}
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				w := ask(f, "GET", "/")
				a, b, _ := strings.Cut(w.Body.String(), " ")
				if asked.Add(1); w.Code != 200 || a != b || a == "" {
					t.Errorf("%d %q mixes two revisions", w.Code, w.Body)
				}
				seen.Store(a, true)
			}
		})
	}
	for n := 1; n <= 20; n++ {
		time.Sleep(70 * time.Millisecond)
		flip(n)
	}
	close(done)
	wg.Wait()
	distinct := 0
	seen.Range(func(any, any) bool { distinct++; return true })
	if asked.Load() < 20 || distinct < 3 {
		t.Errorf("%d requests saw %d revisions: too few to say anything", asked.Load(), distinct)
	}
}

func TestPHPManyAtOnce(t *testing.T) {
	fpm := startFPM(t, 3)
	h := fpm.handler(t, plant(t, map[string]string{"index.php": `<?php usleep(5000); echo $_GET["n"], str_repeat(".", 20000), $_GET["n"];`}), PHPOptions{})
	var wg sync.WaitGroup
	for n := range 200 {
		wg.Go(func() {
			w := ask(h, "GET", fmt.Sprintf("/?n=%d", n))
			if want := fmt.Sprint(n); w.Code != 200 || !strings.HasPrefix(w.Body.String(), want+".") || !strings.HasSuffix(w.Body.String(), "."+want) {
				t.Errorf("%d: %d %.40q", n, w.Code, w.Body)
			}
		})
	}
	wg.Wait()
}

func TestPHPStreams(t *testing.T) {
	fpm := startFPM(t, 2)
	view := plant(t, map[string]string{"index.php": `<?php echo "first\n"; flush(); while (!file_exists(__DIR__ . "/go")) { usleep(10000); clearstatcache(); } echo "second\n";`})
	srv := httptest.NewServer(fpm.handler(t, view, PHPOptions{}))
	defer srv.Close()
	resp, err := http.Get(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	first := make([]byte, 6)
	if _, err := io.ReadFull(resp.Body, first); err != nil || string(first) != "first\n" {
		t.Fatalf("%q: %v", first, err)
	}
	if err := os.WriteFile(filepath.Join(view, "go"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(resp.Body); err != nil || string(rest) != "second\n" {
		t.Errorf("%q: %v", rest, err)
	}
}
