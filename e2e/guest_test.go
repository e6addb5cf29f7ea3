package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"popup/internal/machine"
	"popup/internal/testutil"
	"popup/launcher"
)

// image is the one all machines of these tests start from, and those of
// internal/machine too: it is built once.
func image(t *testing.T) *machine.Image {
	t.Helper()
	began := time.Now()
	img, err := machine.BuildImage(t.Context(), machine.ImageConfig{
		Packages: []string{"php-fpm"},
		Kernel:   true,
		Cache:    filepath.Join(testutil.RepositoryRoot(t), ".cache", "machine"),
		Log:      progress{t},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { noError(t, img.Close()) })
	t.Logf("image after %v", time.Since(began).Round(time.Millisecond))
	return img
}

// progress logs each line as it comes.
type progress struct{ t *testing.T }

func (p progress) Write(line []byte) (int, error) {
	p.t.Log(strings.TrimSpace(string(line)))
	return len(line), nil
}

func noError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

// evidence is the folder a test's machine writes what it printed into. It is
// kept with KEEP=1, in e2e/out; otherwise a test that failed logs what matters.
func evidence(t *testing.T) string {
	t.Helper()
	if os.Getenv("KEEP") == "" {
		return t.TempDir()
	}
	dir := filepath.Join(testutil.RepositoryRoot(t), "e2e", "out", strings.ReplaceAll(t.Name(), "/", "-"))
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o755)); err != nil {
		t.Fatal(err)
	}
	t.Logf("evidence is kept in %s", dir)
	return dir
}

// consoleLog opens the file of a machine's console, and logs its end when the test failed.
func consoleLog(t *testing.T, dir string) io.Writer {
	t.Helper()
	file, err := os.Create(filepath.Join(dir, "console.log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		noError(t, file.Close())
		if !t.Failed() {
			return
		}
		text, err := os.ReadFile(file.Name())
		noError(t, err)
		t.Logf("console:\n%s", text[max(0, len(text)-8<<10):])
	})
	return file
}

// A guest is a container that runs popup, and what was launched in it.
type guest struct {
	*machine.Container
	t    *testing.T
	site *site
	dir  string // of the evidence

	started time.Time
}

// newLink is the network of one guest, and the site on it.
func newLink(t *testing.T) (*machine.Link, *site) {
	t.Helper()
	link, err := machine.NewLink(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { noError(t, link.Close()) })
	host := link.HostAddr().String()
	return link, newSite(t, host, host)
}

// launch starts a container with user-data.
func launch(t *testing.T, name string, link *machine.Link, s *site, userData []byte, files map[string][]byte) *guest {
	t.Helper()
	dir := evidence(t)
	img := image(t)
	started := time.Now()
	c, err := machine.StartContainer(t.Context(), machine.ContainerConfig{
		Image: img, Name: name, Link: link, UserData: userData, Files: files, Dir: t.TempDir(), Console: consoleLog(t, dir),
	})
	if err != nil {
		t.Fatal(err)
	}
	g := &guest{Container: c, t: t, site: s, dir: dir, started: started}
	t.Cleanup(func() {
		g.collect()
		noError(t, c.Close())
	})
	return g
}

// collect writes down what the guest knows about itself, while it still can.
func (g *guest) collect() {
	if !g.t.Failed() && os.Getenv("KEEP") == "" {
		return
	}
	if state, err := g.State(); state != machine.Running {
		g.t.Logf("the machine is %s (%v)", state, err)
		return
	}
	for name, argv := range map[string][]string{
		"journal.log":    {"journalctl", "--no-pager", "-b"},
		"userdata.log":   {"cat", "/var/log/popup-userdata.log"},
		"cloud-init.log": {"cat", "/var/log/cloud-init.log"},
		"status.json":    {"popup", "status", "--json"},
	} {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		out, err := g.Exec(ctx, argv...)
		cancel()
		if err != nil {
			g.t.Logf("%v", err)
		}
		noError(g.t, os.WriteFile(filepath.Join(g.dir, name), []byte(out), 0o644))
		if g.t.Failed() && name != "cloud-init.log" {
			g.t.Logf("%s:\n%s", name, out[max(0, len(out)-6<<10):])
		}
	}
}

// logServed says how long it took until the page that was just seen.
func (g *guest) logServed(from string, began time.Time) {
	g.t.Helper()
	g.t.Logf("from %s to a served page: %v", from, time.Since(began).Round(10*time.Millisecond))
}

// url is where the guest's app is reached.
func (g *guest) url() string { return "http://" + g.Addr().String() }

// inside runs a program in the guest; one that fails ends the test.
func (g *guest) inside(argv ...string) string {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(g.t.Context(), time.Minute)
	defer cancel()
	out, err := g.Exec(ctx, argv...)
	if err != nil {
		g.t.Fatalf("%v\n%s", err, out)
	}
	return out
}

// status is what popup status says inside.
func (g *guest) status() launcher.Status {
	g.t.Helper()
	var s launcher.Status
	out := g.inside("popup", "status", "--json")
	if err := json.Unmarshal([]byte(out), &s); err != nil {
		g.t.Fatalf("popup status --json: %v\n%s", err, out)
	}
	return s
}

// page waits until an address answers 200 with text in its page, and logs how
// long that took.
func page(t *testing.T, address, text string, within time.Duration) {
	t.Helper()
	began := time.Now()
	eventually(t, within, fmt.Sprintf("%s shows %q", address, text), func() error {
		body, err := get(t.Context(), address)
		if err == nil && !strings.Contains(body, text) {
			err = fmt.Errorf("the page is\n%s", body)
		}
		return err
	})
	t.Logf("%q is shown after %v", text, time.Since(began).Round(10*time.Millisecond))
}

// eventually tries until there is no error any more.
func eventually(t *testing.T, within time.Duration, what string, try func() error) {
	t.Helper()
	over := time.After(within)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := try()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-over:
			t.Fatalf("not within %v: %s: %v", within, what, err)
		}
	}
}

// get returns a page that was answered 200.
func get(ctx context.Context, address string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return "", err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	body, err := io.ReadAll(res.Body)
	if err = errors.Join(err, res.Body.Close()); err != nil {
		return "", err
	}
	if res.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s:\n%s", res.Status, body)
	}
	return string(body), nil
}
