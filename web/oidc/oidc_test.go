package oidc

import (
	"context"
	"errors"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/oauth2-proxy/mockoidc"

	"popup/console"
)

// people know one person by an address, or by their subject once they were here.
type people struct{ asked []console.Identity }

func (p *people) SignInAs(_ context.Context, i console.Identity) (console.Session, error) {
	p.asked = append(p.asked, i)
	if i.Email != "otto@example.org" && i.Subject != "known" {
		return console.Session{}, console.ErrNotInvited
	}
	return console.Session{Secret: "let in"}, nil
}

// A site is a console's two addresses with a real provider behind, and a browser.
type site struct {
	*httptest.Server
	provider *mockoidc.MockOIDC
	ours     *Provider
	opts     Options // of ours
	people   *people
	browser  *http.Client
	later    atomic.Int64 // how far our clock is ahead

	arrival Arrival // of the last who came back
	err     error
}

func newSite(t *testing.T, change ...func(*Options)) *site {
	t.Helper()
	provider, err := mockoidc.Run()
	check(t, err)
	t.Cleanup(func() { provider.Shutdown() })
	s := &site{provider: provider, people: &people{}}
	mux := http.NewServeMux()
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.Close)
	dir := t.TempDir()
	check(t, os.WriteFile(filepath.Join(dir, "secret"), []byte(provider.ClientSecret+"\n"), 0o600))
	keys, err := console.OpenKeys(filepath.Join(dir, "key"))
	check(t, err)
	opts := Options{
		Config: Config{Issuer: provider.Issuer(), ClientID: provider.ClientID, SecretFile: filepath.Join(dir, "secret"), Title: "the school"},
		URL:    s.URL, People: s.people, Keys: keys,
		Now: func() time.Time { return time.Now().Add(time.Duration(s.later.Load())) },
	}
	for _, f := range change {
		f(&opts)
	}
	check(t, opts.Validate())
	s.opts, s.ours = opts, New(opts)
	mux.HandleFunc("GET "+BeginPath, func(w http.ResponseWriter, r *http.Request) {
		if s.err = s.ours.Begin(w, r, r.FormValue("next")); s.err != nil {
			http.Error(w, s.err.Error(), http.StatusBadGateway)
		}
	})
	mux.HandleFunc("GET "+FinishPath, func(w http.ResponseWriter, r *http.Request) { s.arrival, s.err = s.ours.Finish(w, r) })
	s.browser = newBrowser(t)
	return s
}

func newBrowser(t *testing.T) *http.Client {
	jar, err := cookiejar.New(nil)
	check(t, err)
	return &http.Client{Jar: jar}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (s *site) get(t *testing.T, browser *http.Client, address string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	check(t, err)
	answer, err := browser.Do(r)
	check(t, err)
	check(t, answer.Body.Close())
	return answer
}

// signIn has a browser go to the provider and back.
func (s *site) signIn(t *testing.T) error {
	t.Helper()
	s.get(t, s.browser, s.URL+BeginPath+"?next=/events")
	return s.err
}

// back goes to the provider, and returns the address it sends the browser back to.
func (s *site) back(t *testing.T, browser *http.Client) *url.URL {
	t.Helper()
	stop := *browser
	stop.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(r.URL.String(), s.URL) {
			return http.ErrUseLastResponse
		}
		return nil
	}
	to, err := s.get(t, &stop, s.URL+BeginPath).Location()
	check(t, err)
	return to
}

func (s *site) user(subject, email string, verified bool) {
	s.provider.QueueUser(&mockoidc.MockUser{Subject: subject, Email: email, EmailVerified: verified})
}

// TestAnotherConsoleFinishes: what one sent away comes back to another one, which has the
// same keys and the same address.
func TestAnotherConsoleFinishes(t *testing.T) {
	s := newSite(t)
	s.user("42", "otto@example.org", true)
	to := s.back(t, s.browser)
	s.ours = New(s.opts)
	s.get(t, s.browser, to.String())
	if s.err != nil || s.arrival.Session.Secret != "let in" {
		t.Errorf("who came back is %+v, %v", s.arrival, s.err)
	}
	keys, err := console.OpenKeys(filepath.Join(t.TempDir(), "key"))
	check(t, err)
	to = s.back(t, s.browser)
	s.opts.Keys = keys
	s.ours = New(s.opts)
	if s.get(t, s.browser, to.String()); !errors.Is(s.err, ErrBeginAgain) {
		t.Errorf("a console with other keys lets them in: %v", s.err)
	}
}

func TestSignIn(t *testing.T) {
	s := newSite(t)
	s.user("42", "otto@example.org", true)
	check(t, s.signIn(t))
	want := console.Identity{Issuer: s.provider.Issuer(), Subject: "42", Email: "otto@example.org"}
	if len(s.people.asked) != 1 || s.people.asked[0] != want || s.arrival.Session.Secret != "let in" || s.arrival.Next != "/events" {
		t.Errorf("who came is %+v, %+v", s.people.asked, s.arrival)
	}
	home, err := url.Parse(s.URL)
	check(t, err)
	if left := s.browser.Jar.Cookies(home); len(left) != 0 {
		t.Errorf("the browser keeps %v", left)
	}
}

func TestWhoIsNotLetIn(t *testing.T) {
	s := newSite(t)
	s.user("42", "otto@example.org", false)
	if err := s.signIn(t); !errors.Is(err, console.ErrNotInvited) || s.people.asked[0].Email != "" {
		t.Errorf("an address that was not verified: %v, %+v", err, s.people.asked)
	}
	s.user("42", "paula@example.org", true)
	if err := s.signIn(t); !errors.Is(err, console.ErrNotInvited) {
		t.Errorf("an unknown person: %v", err)
	}
	s.user("known", "otto@example.org", false)
	if err := s.signIn(t); err != nil {
		t.Errorf("who is known, with an address that was not verified: %v", err)
	}
}

// A claimer says in its token what a test wants.
type claimer struct {
	mockoidc.MockUser
	change func(map[string]any)
}

func (c *claimer) Claims(_ []string, base *mockoidc.IDTokenClaims) (jwt.Claims, error) {
	claims := jwt.MapClaims{"iss": base.Issuer, "sub": c.Subject, "aud": base.Audience, "nonce": base.Nonce, "iat": base.IssuedAt, "exp": base.ExpiresAt}
	c.change(claims)
	return claims, nil
}

func TestTokens(t *testing.T) {
	s := newSite(t)
	for name, c := range map[string]struct {
		change func(map[string]any)
		want   error
		email  string
	}{
		"as it is":                 {func(c map[string]any) {}, nil, ""},
		"verified, as text":        {func(c map[string]any) { c["email"], c["email_verified"] = "x@example.org", "true" }, nil, "x@example.org"},
		"not verified, as text":    {func(c map[string]any) { c["email"], c["email_verified"] = "x@example.org", "false" }, nil, ""},
		"verified, as a number":    {func(c map[string]any) { c["email"], c["email_verified"] = "x@example.org", 1 }, nil, ""},
		"nobody verified it":       {func(c map[string]any) { c["email"] = "x@example.org" }, nil, ""},
		"for another client":       {func(c map[string]any) { c["aud"] = "another" }, ErrRefused, ""},
		"of another issuer":        {func(c map[string]any) { c["iss"] = "https://evil.example.org" }, ErrRefused, ""},
		"too old":                  {func(c map[string]any) { c["exp"] = time.Now().Add(-time.Hour).Unix() }, ErrRefused, ""},
		"for another nonce":        {func(c map[string]any) { c["nonce"] = "another" }, ErrBeginAgain, ""},
		"without a nonce":          {func(c map[string]any) { delete(c, "nonce") }, ErrBeginAgain, ""},
		"with a list for an email": {func(c map[string]any) { c["email"] = []string{"x"} }, ErrRefused, ""},
	} {
		s.people.asked = nil
		s.provider.QueueUser(&claimer{mockoidc.MockUser{Subject: "known"}, c.change})
		err := s.signIn(t)
		if !errors.Is(err, c.want) || (len(s.people.asked) == 1) != (c.want == nil) {
			t.Errorf("%s: %v, %+v; want %v", name, err, s.people.asked, c.want)
		} else if c.want == nil && s.people.asked[0].Email != c.email {
			t.Errorf("%s: the address is %q", name, s.people.asked[0].Email)
		}
	}
}

// TestJourneys: who comes back is who was sent, in the same browser, soon after.
func TestJourneys(t *testing.T) {
	line := &away{}
	s := newSite(t, func(o *Options) { o.Client = line })
	exchanged := &line.codes
	with := func(u *url.URL, key, value string) string {
		q := u.Query()
		q.Set(key, value)
		return u.Scheme + "://" + u.Host + u.Path + "?" + q.Encode()
	}
	cookie := func(value string) *http.Client {
		b := newBrowser(t)
		home, err := url.Parse(s.URL)
		check(t, err)
		b.Jar.SetCookies(home, []*http.Cookie{{Name: "popup-journey", Value: value}})
		return b
	}
	others := newSite(t) // with another key
	for name, come := range map[string]func(to *url.URL) (*http.Client, string){
		"another state":   func(to *url.URL) (*http.Client, string) { return s.browser, with(to, "state", "another") },
		"no state":        func(to *url.URL) (*http.Client, string) { return s.browser, with(to, "state", "") },
		"another browser": func(to *url.URL) (*http.Client, string) { return newBrowser(t), to.String() },
		"garbage":         func(to *url.URL) (*http.Client, string) { return cookie("garbage"), to.String() },
		"no base64":       func(to *url.URL) (*http.Client, string) { return cookie("%%"), to.String() },
		"another key": func(to *url.URL) (*http.Client, string) {
			return cookie(newJourney("", time.Now()).seal(others.ours.opts.Keys)), to.String()
		},
		"something sealed": func(to *url.URL) (*http.Client, string) {
			return cookie(journey{Until: time.Now().Add(time.Hour)}.seal(s.ours.opts.Keys)), with(to, "state", "")
		},
		"after ten minutes": func(to *url.URL) (*http.Client, string) {
			s.later.Store(int64(10 * time.Minute))
			return s.browser, to.String()
		},
		"an error that is somebody else's": func(to *url.URL) (*http.Client, string) {
			return newBrowser(t), with(to, "error", "access_denied")
		},
	} {
		browser, address := come(s.back(t, s.browser))
		s.get(t, browser, address)
		if !errors.Is(s.err, ErrBeginAgain) || errors.Is(s.err, ErrRefused) || s.arrival.Session.Secret != "" {
			t.Errorf("%s: %v, %+v", name, s.err, s.arrival)
		}
		s.later.Store(0)
	}
	if exchanged.Load() != 0 || len(s.people.asked) != 0 {
		t.Errorf("%d codes were exchanged for them, for %v", exchanged.Load(), s.people.asked)
	}

	to := s.back(t, s.browser)
	s.get(t, s.browser, with(to, "error", "access_denied"))
	if !errors.Is(s.err, ErrRefused) || exchanged.Load() != 0 {
		t.Errorf("whom the provider refused: %v", s.err)
	}
	s.get(t, s.browser, to.String())
	if !errors.Is(s.err, ErrBeginAgain) {
		t.Errorf("who comes back twice: %v", s.err)
	}
	// A code of another journey was made for another proof key.
	theirs := s.back(t, newBrowser(t))
	s.get(t, s.browser, with(s.back(t, s.browser), "code", theirs.Query().Get("code")))
	if !errors.Is(s.err, ErrRefused) || exchanged.Load() == 0 || len(s.people.asked) != 0 {
		t.Errorf("another's code: %v, %v", s.err, s.people.asked)
	}
}

func TestCookies(t *testing.T) {
	s := newSite(t, func(o *Options) { o.URL = "https://console.example.org" })
	w := httptest.NewRecorder()
	check(t, s.ours.Begin(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, BeginPath, nil), strings.Repeat("/next", 1000)))
	c := w.Result().Cookies()[0]
	if c.Name != "__Host-popup-journey" || !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.MaxAge != 600 || len(c.Value) > 2000 {
		t.Errorf("the cookie is %v", c)
	}
	to, err := w.Result().Location()
	check(t, err)
	q := to.Query()
	if q.Get("redirect_uri") != "https://console.example.org/sign-in/oidc/callback" || q.Get("code_challenge_method") != "S256" || q.Get("nonce") == "" ||
		w.Header().Get("Cache-Control") != "no-store" || strings.Contains(to.String(), s.provider.ClientSecret) {
		t.Errorf("it is sent to %s", to)
	}
}

func TestProviderIsAway(t *testing.T) {
	s := newSite(t, func(o *Options) { o.Client = &away{} })
	line := s.ours.opts.Client.(*away)
	line.down.Store(true)
	var busy *console.BusyError
	for range 5 {
		if err := s.signIn(t); !errors.As(err, &busy) || busy.After <= 0 || !strings.Contains(busy.Reason, "the school is not reached") {
			t.Errorf("without the provider: %v", err)
		}
	}
	if line.asked.Load() != 1 {
		t.Errorf("it was asked %d times", line.asked.Load())
	}
	line.down.Store(false)
	s.later.Store(int64(patience))
	s.user("known", "", false)
	check(t, s.signIn(t))
}

// away is a connection that may be down.
type away struct {
	down         atomic.Bool
	asked, codes atomic.Int64
}

func (a *away) RoundTrip(r *http.Request) (*http.Response, error) {
	a.asked.Add(1)
	if r.Method == http.MethodPost {
		a.codes.Add(1)
	}
	if a.down.Load() {
		return nil, errors.New("no route to host")
	}
	return http.DefaultTransport.RoundTrip(r)
}

func TestClientSecret(t *testing.T) {
	s := newSite(t)
	file := s.ours.opts.SecretFile
	check(t, os.WriteFile(file, []byte("hush, another one"), 0o600))
	err := s.signIn(t)
	if !errors.Is(err, ErrRefused) || strings.Contains(err.Error(), "hush") || !strings.Contains(err.Error(), "401") {
		t.Errorf("with a wrong secret: %v", err)
	}
	check(t, os.Remove(file))
	if err := s.signIn(t); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without a secret: %v", err)
	}
	check(t, os.WriteFile(file, []byte(s.provider.ClientSecret), 0o600))
	s.user("known", "", false)
	check(t, s.signIn(t))
}

func TestValidate(t *testing.T) {
	for want, c := range map[string]Config{
		"":             {Issuer: "https://accounts.example.org/realm", ClientID: "popup", SecretFile: "/etc/popup/oidc"},
		"is no URL":    {Issuer: "accounts.example.org", ClientID: "popup", SecretFile: "x"},
		"use https":    {Issuer: "http://accounts.example.org", ClientID: "popup", SecretFile: "x"},
		"client id: ":  {Issuer: "http://127.0.0.1:8080", SecretFile: "x"},
		"secret file:": {Issuer: "http://localhost", ClientID: "popup"},
		"issuer: ":     {Issuer: "https://user:hush@accounts.example.org", ClientID: "popup", SecretFile: "x"},
	} {
		err := c.Validate()
		if (err == nil) != (want == "") || err != nil && (!strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hush")) {
			t.Errorf("%+v: %v; want %q", c, err, want)
		}
	}
	err := Config{}.Validate()
	for _, field := range []string{"issuer", "client id", "secret file"} {
		if err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%v does not name the %s", err, field)
		}
	}
	if title := New(Options{Config: Config{Issuer: "https://accounts.example.org/x"}}).Title(); title != "accounts.example.org" {
		t.Errorf("it is called %q", title)
	}
}
