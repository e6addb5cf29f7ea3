package appliance

import (
	"compress/gzip"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"popup/console"
	"popup/internal/archive"
	"popup/internal/testutil"
	"popup/internal/wire"
)

const consoleToken = "one-time_TOKEN-0123456789"

// A fakeConsole answers an instance as a console does, and checks what it is sent.
type fakeConsole struct {
	t *testing.T
	*httptest.Server
	mu       sync.Mutex
	enrols   []wire.Enrolment
	reports  []wire.Report
	logs     map[string]string
	key      ed25519.PublicKey
	answer   wire.Answer
	enrolled wire.Enrolled
	lose     bool // the next answer to an enrolment
	archives *console.Archives
	kept     []console.Archive // in the order they came
	// misbehave, where it answers true, answers a request instead.
	misbehave func(w http.ResponseWriter, r *http.Request) bool
}

func newConsole(t *testing.T) *fakeConsole {
	vault, err := archive.FolderVault(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	c := &fakeConsole{t: t, logs: map[string]string{}, answer: wire.Answer{Next: 5}, archives: console.NewArchives(console.ArchivesOptions{Vault: vault})}
	c.Server = httptest.NewTLSServer(c)
	t.Cleanup(c.Close)
	return c
}

func (c *fakeConsole) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, wire.PathVault) {
		c.serveVault(w, r)
		return
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		return // it was stopped meanwhile
	}
	c.mu.Lock()
	misbehave := c.misbehave
	c.mu.Unlock()
	if misbehave != nil && misbehave(w, r) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	signed := wire.Signed{Method: r.Method, Path: r.URL.Path, Instance: r.Header.Get(wire.HeaderInstance), Body: body}
	key := c.key
	var e wire.Enrolment
	if r.URL.Path == wire.PathEnrol {
		if err := json.Unmarshal(body, &e); err != nil {
			c.t.Errorf("an enrolment is %v", err)
		}
		key = e.Key
	}
	if signed.Instance != "fair-7" || !signed.VerifiedBy(key, r.Header.Get(wire.HeaderSignature)) {
		c.t.Errorf("%s %s of %s is not signed by its key", r.Method, r.URL.Path, signed.Instance)
	}
	id, logs := strings.CutPrefix(r.URL.Path, wire.PathLogs)
	switch {
	case r.URL.Path == wire.PathEnrol:
		if err := e.Check(); err != nil {
			c.t.Errorf("an enrolment: %v", err)
		}
		c.enrols, c.key = append(c.enrols, e), e.Key
		if c.lose {
			c.lose = false
			panic(http.ErrAbortHandler)
		}
		_ = json.NewEncoder(w).Encode(c.enrolled)
	case logs:
		z, err := gzip.NewReader(strings.NewReader(string(body)))
		if err != nil {
			c.t.Errorf("logs: %v", err)
			return
		}
		text, err := io.ReadAll(z)
		if err != nil || len(body) > wire.MaxLogs {
			c.t.Errorf("logs: %v, %d bytes", err, len(body))
		}
		c.logs[id] = string(text)
	case r.URL.Path == wire.PathReport:
		var report wire.Report
		if err := json.Unmarshal(body, &report); err != nil {
			c.t.Errorf("a report is %v: %s", err, body)
		}
		if len(body) > wire.MaxReport {
			c.t.Errorf("a report has %d bytes", len(body))
		}
		c.reports = append(c.reports, report)
		_ = json.NewEncoder(w).Encode(c.answer)
	default:
		http.NotFound(w, r)
	}
}

// say changes what it answers.
func (c *fakeConsole) say(change func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change()
}

// last is the newest report.
func (c *fakeConsole) last() wire.Report {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.reports) == 0 {
		return wire.Report{}
	}
	return c.reports[len(c.reports)-1]
}

// result is what was reported of a command.
func (c *fakeConsole) result(id string) (found []wire.Result) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range c.reports {
		for _, result := range r.Results {
			if result.ID == id {
				found = append(found, result)
			}
		}
	}
	return found
}

// order commands it, and waits for what came of it.
func (c *fakeConsole) order(u *up, command wire.Command) wire.Result {
	c.t.Helper()
	c.say(func() { c.answer.Commands = append(c.answer.Commands, command) })
	u.until("a result of "+command.ID, func() bool { return len(c.result(command.ID)) > 0 })
	return c.result(command.ID)[0]
}

func (c *fakeConsole) pin() string { return wire.PinOf(c.Certificate()) }

// plan writes the config of the toy app that is told GREETING by its console.
func (c *fakeConsole) plan(root string, service *testutil.GitRepo, more string) string {
	c.t.Helper()
	return c.write(root, fmt.Sprintf(`# keep me
plan_version: 1
instance: fair-7
manifest:
  manifest_version: 1
  id: toy
  name: Toy
  serve: {type: command, start_command: exec python3 -B server.py}
  health_check: {interval: 1s, grace_period: 15s}
  state: {}
  env: {GREETING: {required: true}, PASSWORD: {secret: true}}
service: {url: %q}
console: {url: %q, token: %s, pin: %q}
from_a_newer_popup: {kept: true}
%s`, service.URL(), c.URL, consoleToken, c.pin(), more))
}

func (c *fakeConsole) write(root, text string) string {
	c.t.Helper()
	path := filepath.Join(root, "etc/popup/config.yaml")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		c.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		c.t.Fatal(err)
	}
	return path
}

func greeter(t *testing.T) *testutil.GitRepo {
	t.Helper()
	repo := testutil.NewRepo(t)
	repo.Commit(greeting("one"))
	return repo
}

// greeting is the toy that also says what it was told.
func greeting(version string) map[string]string {
	files := toy(version, false)
	files["server.py"] = strings.Replace(files["server.py"], `os.environ.get("POPUP_INSTANCE", "nobody")`,
		`os.environ["GREETING"] + "/" + os.environ.get("PASSWORD", "")`, 1)
	return files
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
