package launcher

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"popup/apps"
	"popup/internal/wire"
	"popup/userdata"
)

// TestNextTryAsTheConsoleAsks: soon for what is on its way, slowly for a no.
func TestNextTryAsTheConsoleAsks(t *testing.T) {
	l := linked(t, t.TempDir(), wire.Console{URL: "http://127.0.0.1:1"}).console
	for name, c := range map[string]struct {
		err         error
		least, most time.Duration // after ten failures
	}{
		"not known yet": {&consoleError{status: http.StatusTooEarly, after: 2 * time.Second}, 2 * time.Second, 17 * time.Second},
		"busy":          {fmt.Errorf("report: %w", &consoleError{status: http.StatusServiceUnavailable, after: time.Minute}), time.Minute, 75 * time.Second},
		"broken":        {&consoleError{status: http.StatusBadGateway}, time.Second, 5 * time.Minute},
		"no":            {&consoleError{status: http.StatusForbidden}, 30 * time.Second, 10 * time.Minute},
		"away":          {io.EOF, time.Second, 5 * time.Minute},
	} {
		if wait := l.waitAfter(10, c.err); wait < c.least || wait > c.most {
			t.Errorf("%s: again after %s", name, wait)
		}
	}
}

// TestTokenIsForgotten, however the config writes it, and nothing else.
func TestTokenIsForgotten(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(polite))
	defer server.Close()
	plan := wire.Plan{Version: 1, Manifest: apps.Manifest{ID: "board"}, Console: &wire.Console{URL: server.URL, Token: token}}
	written, err := userdata.EncodePlan(plan)
	if err != nil {
		t.Fatal(err)
	}
	asJSON, err := json.Marshal(plan)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"as popup writes it": string(written),
		"JSON":               string(asJSON),
		"flow":               "plan_version: 1\nconsole: {url: " + server.URL + ", token: " + token + ", newer: 1}\n",
		"single quotes":      "plan_version: 1\nconsole:\n  url: " + server.URL + "\n  token: '" + token + "'\n  newer: 1\n",
		"twice":              "plan_version: 1\n# " + token + "\nconsole: {token: \"" + token + "\", url: " + server.URL + "}\n",
	} {
		root := t.TempDir()
		path := filepath.Join(root, "etc/popup/config.yaml")
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := linked(t, root, *plan.Console).console.enrolOnce(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		now, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		after, err := userdata.DecodePlan(now)
		if err != nil || after.Console == nil || after.Console.Token != "" || after.Console.URL != server.URL || bytes.Contains(now, []byte(token)) ||
			strings.Contains(text, "newer") && !bytes.Contains(now, []byte("newer")) {
			t.Errorf("%s: %v\n%s", name, err, now)
		}
	}
}

// TestNewTokenEnrolsAfresh: with the same key, and the old token does not.
func TestNewTokenEnrolsAfresh(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(polite))
	defer server.Close()
	root := t.TempDir()
	a := linked(t, root, wire.Console{URL: server.URL, Token: token})
	key := a.console.key
	if err := a.console.enrolOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		token    string
		enrolled bool
	}{{token, true}, {"", true}, {token + "x", false}, {"", false}, {token, false}} {
		shut(t, a)
		a = linked(t, root, wire.Console{URL: server.URL, Token: c.token})
		if a.console.isEnrolled() != c.enrolled || !bytes.Equal(a.console.key, key) {
			t.Errorf("with token %q it is enrolled: %v", c.token, a.console.isEnrolled())
		}
	}
	shut(t, a)
	if err := os.WriteFile(a.at.key(), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := instanceKey(a.at.key())
	if err == nil || !strings.Contains(err.Error(), "holds no ed25519 key; the console knows this instance by it, so put it back, or remove it") {
		t.Errorf("a broken key: %v", err)
	}
}
