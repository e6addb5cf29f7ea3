package web

import (
	"encoding/base64"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"

	"popup/console"
	"popup/internal/testutil"
	"popup/web/api"
)

// TestEveryAnswerIsProtected: no route forgets what browsers must be told.
func TestEveryAnswerIsProtected(t *testing.T) {
	s := newOwnedSite(t)
	instance := s.instanceOf(t, s.fair)
	answers := map[string]exchange{}
	for _, r := range s.routes {
		for _, who := range []string{"olga", nobody} {
			if r.path != "/sign-out" {
				answers[r.method+" "+r.path+" as "+who] = s.try(t, r, who, instance)
			}
		}
	}
	answers["an unknown path"] = s.do(t, request{method: "GET", path: "/nowhere"})
	answers["an unknown path of the API"] = s.do(t, request{method: "GET", path: "/api/v1/nowhere"})
	answers["another method"] = s.do(t, request{method: "PUT", path: "/api/v1/events"})
	for name, got := range answers {
		for header, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cross-Origin-Opener-Policy": "same-origin", "X-Frame-Options": "DENY"} {
			if got.header.Get(header) != want {
				t.Errorf("%s: %s is %q", name, header, got.header.Get(header))
			}
		}
		csp := got.header.Get("Content-Security-Policy")
		if !strings.HasPrefix(csp, "default-src 'none'; ") || strings.Contains(csp, "unsafe-inline") && !strings.Contains(csp, "sandbox") {
			t.Errorf("%s: Content-Security-Policy is %q", name, csp)
		}
		if got.header.Get("X-Request-Id") == "" || got.header.Get("Cache-Control") == "" {
			t.Errorf("%s: no request id, or it may be cached: %v", name, got.header)
		}
		if got.header.Get("Strict-Transport-Security") != "" {
			t.Errorf("%s: https is asked for where there is none", name)
		}
		if got.status >= 500 {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
	if got := answers["another method"]; got.status != 405 || !strings.Contains(got.header.Get("Allow"), "GET") {
		t.Errorf("another method: %d, Allow %q", got.status, got.header.Get("Allow"))
	}
	for _, name := range []string{"an unknown path of the API", "another method"} {
		if answers[name].header.Get("Content-Type") != api.ProblemType {
			t.Errorf("%s is no problem: %v", name, answers[name].header)
		}
	}
}

// TestUnclaimed: until somebody owns it, nothing answers but the page to claim it.
func TestUnclaimed(t *testing.T) {
	s := newSite(t)
	for _, r := range s.routes {
		if r.path == "/healthz" || strings.HasPrefix(r.path, "/claim/") || strings.HasPrefix(r.path, "/assets/") {
			continue
		}
		got := s.send(t, request{method: r.method, path: r.path})
		if got.status != http.StatusServiceUnavailable || got.body != "not claimed yet: whoever started this console has the link\n" || got.header.Get("Retry-After") == "" {
			t.Errorf("%s %s: %d %s", r.method, r.path, got.status, got.body)
		}
	}
	if got := s.do(t, request{method: "GET", path: "/claim/none"}); got.status == http.StatusServiceUnavailable {
		t.Errorf("the page to claim it: %d", got.status)
	}
	s.claim(t)
	if got := s.do(t, request{method: "GET", path: "/api/v1/me", who: "olga"}); got.status != 200 {
		t.Errorf("once it is claimed: %d %s", got.status, got.body)
	}
}

// TestForgery: what another site has a browser send does nothing.
func TestForgery(t *testing.T) {
	s := newOwnedSite(t)
	cookie := s.cookieName(cookieSession) + "=" + s.who["otto"].cookie
	good := tokenFor(s.who["otto"].cookie)
	own := map[string]string{"Origin": s.url, "Sec-Fetch-Site": "same-origin"}
	for _, test := range []struct {
		name   string
		header map[string]string
		want   int
	}{
		{"no token", own, 403},
		{"somebody else's token", with(own, headerCSRF, tokenFor(s.who["oda"].cookie)), 403},
		{"a token of nothing", with(own, headerCSRF, tokenFor("")), 403},
		{"half a token", with(own, headerCSRF, good[:len(good)-4]), 403},
		{"another site with the token", map[string]string{"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site", headerCSRF: good}, 403},
		{"another port of this machine with the token", map[string]string{"Origin": "http://127.0.0.1:1", "Sec-Fetch-Site": "same-site", headerCSRF: good}, 403},
		{"an old browser, from another site", map[string]string{"Origin": "https://evil.example", headerCSRF: good}, 403},
		{"our own page", with(own, headerCSRF, good), 200},
	} {
		test.header["Cookie"] = cookie
		for _, verb := range []string{"freeze", "thaw"} {
			got := s.do(t, request{method: "POST", path: "/api/v1/events/" + s.fair + "/" + verb, header: test.header})
			if got.status != test.want && got.status != http.StatusConflict {
				t.Errorf("%s: %s answers %d %s", test.name, verb, got.status, got.body)
			}
			if test.want == 403 && got.status != 403 {
				t.Errorf("%s: it was done", test.name)
			}
		}
	}
	// A form carries it in a field; each time it is written it looks different.
	one, other := s.formToken(t), s.formToken(t)
	if one == other {
		t.Error("the token of a form is the same each time, so that compression gives it away")
	}
	raw, err := base64.RawURLEncoding.DecodeString(one)
	if err != nil || len(raw) != 64 {
		t.Errorf("the token of a form is %q", one)
	}
}

func with(header map[string]string, name, value string) map[string]string {
	all := map[string]string{name: value}
	for k, v := range header {
		all[k] = v
	}
	return all
}

// formToken is what otto's account page has in its forms.
func (s *site) formToken(t *testing.T) string {
	t.Helper()
	got := s.do(t, request{method: "GET", path: "/account", who: "otto", browser: true})
	_, rest, found := strings.Cut(got.body, `name="csrf" value="`)
	token, _, _ := strings.Cut(rest, `"`)
	if !found || token == "" {
		t.Fatalf("otto's account has no form with a token: %d %s", got.status, got.body)
	}
	return token
}

// TestCookies: a session's cookie is for this host, for no script, and for https where
// there is any.
func TestCookies(t *testing.T) {
	for address, want := range map[string]string{
		"http://127.0.0.1:8000":       "popup=s3cret; Path=/; HttpOnly; SameSite=Lax",
		"https://console.example.org": "__Host-popup=s3cret; Path=/; HttpOnly; Secure; SameSite=Lax",
	} {
		s := newSite(t, func(o *Options) { o.URL = address })
		c, _ := gin.CreateTestContext(httptest.NewRecorder())
		s.startSession(c, console.Session{Secret: "s3cret"})
		if got := c.Writer.Header().Values("Set-Cookie")[0]; got != want {
			t.Errorf("at %s: %s", address, got)
		}
		s.protect(c)
		if got := c.Writer.Header().Get("Strict-Transport-Security"); (got != "") != strings.HasPrefix(address, "https") {
			t.Errorf("at %s: Strict-Transport-Security is %q", address, got)
		}
	}
}

// TestLogKeepsNoSecret: what is in an address is not in the log.
func TestLogKeepsNoSecret(t *testing.T) {
	var log testutil.Buffer
	s := newSite(t, func(o *Options) {
		o.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	s.claim(t)
	for _, path := range []string{"/claim/S3CRET", "/join/S3CRET", "/h/S3CRET", "/nowhere/S3CRET", "/api/v1/apps?q=S3CRET", "/api/v1/stream?after=S3CRET"} {
		s.do(t, request{method: "GET", path: path, who: "olga"})
	}
	s.do(t, request{method: "GET", path: "/api/v1/me", header: map[string]string{"Authorization": "Bearer S3CRET"}})
	if text := log.String(); strings.Contains(text, "S3CRET") || strings.Count(text, "msg=answered") < 7 {
		t.Errorf("the log says\n%s", text)
	}
}

// TestPanicIsAnswered: one request's fault is no other's.
func TestPanicIsAnswered(t *testing.T) {
	var log testutil.Buffer
	s := newSite(t, func(o *Options) { o.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	s.claim(t)
	s.catalogue = nil // whoever asks for an app panics
	got := s.do(t, request{method: "GET", path: "/api/v1/apps", who: "olga"})
	if got.status != 500 || !strings.Contains(got.body, sayBroken) || strings.Contains(got.body, "nil pointer") {
		t.Errorf("a panic is answered with %d %s", got.status, got.body)
	}
	if !strings.Contains(log.String(), "nil pointer") {
		t.Errorf("the log says %s", log.String())
	}
}
