package catalogue

import (
	"bytes"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"popup/internal/testutil"
	"popup/launcher/front"
)

// startFPM starts php-fpm and returns its socket: what the board shows it shows with
// PHP's core alone.
func startFPM(t testing.TB) string {
	t.Helper()
	return testutil.NewFPM(t, 4, "php_admin_value[cgi.fix_pathinfo] = 0", "php_admin_value[log_errors] = 1",
		"php_value[error_reporting] = 32767", "php_value[display_errors] = 0").Socket
}

// A board is a served qa-board.
type board struct {
	url string
	log *testutil.Buffer // what PHP said on its error stream
}

// serveBoard serves a view of the shipped board with data mounted, or without
// when data is empty, through the front that an instance has.
func serveBoard(t testing.TB, socket, data string) *board {
	t.Helper()
	view := t.TempDir()
	for _, folder := range []string{"public", "src"} {
		if err := os.CopyFS(filepath.Join(view, folder), os.DirFS(filepath.Join(shipped("qa-board"), folder))); err != nil {
			t.Fatal(err)
		}
	}
	if data != "" {
		if err := os.Symlink(data, filepath.Join(view, "data")); err != nil {
			t.Fatal(err)
		}
	}
	return serveView(t, socket, view)
}

func serveView(t testing.TB, socket, view string) *board {
	t.Helper()
	release, err := os.OpenRoot(view)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { release.Close() })
	b := &board{log: &testutil.Buffer{}}
	handler, err := front.PHP(front.PHPOptions{
		Address: socket, View: view, Release: release, PublishPath: "public", Index: "index.php", Stderr: b.log,
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	b.url = server.URL
	return b
}

// silent fails the test when PHP complained.
func (b *board) silent(t testing.TB) {
	t.Helper()
	if log := b.log.String(); log != "" {
		t.Errorf("PHP complained: %.2000s", log)
	}
}

// page gets a page, which must be whole.
func (b *board) page(t testing.TB, path string) string {
	t.Helper()
	status, body := get(t, b.url+path)
	if status != 200 || !bytes.Contains([]byte(body), []byte("Board complete: ")) {
		t.Fatalf("GET %s: %d, whole page expected:\n%.600s\n%s", path, status, body, b.log)
	}
	return body
}

func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatal("waited in vain: " + what)
}
