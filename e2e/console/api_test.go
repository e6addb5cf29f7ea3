package console

import (
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"testing"
	"time"

	"popup/internal/testutil"
)

// A person asks a console by its API, with a token, and by its pages, with a cookie.
type person struct{ testutil.Person }

// claim makes the owner of a new console.
func claim(t testing.TB, r *running) *person {
	t.Helper()
	jar, err := cookiejar.New(nil)
	must(t, err)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	p := &person{testutil.Person{HTTP: &http.Client{Transport: transport, Jar: jar}, URL: r.url}}
	testutil.Claim(t, &p.Person, r.Says("claim: ", time.Minute))
	return p
}

// page opens a page and reads it to its end.
func (p *person) page(t testing.TB, path string) {
	t.Helper()
	resp, err := p.HTTP.Get(p.URL + path)
	if err == nil {
		err = testutil.Read(resp, nil)
	}
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

// must asks what has to be answered.
func (p *person) must(t testing.TB, method, path string, in, out any) {
	t.Helper()
	if err := p.Ask(t.Context(), testutil.Ask{Method: method, Path: path, In: in, Out: out}); err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
}

// cookie is the value of the session's.
func (p *person) cookie(t testing.TB) string {
	t.Helper()
	at, err := url.Parse(p.URL)
	must(t, err)
	for _, c := range p.HTTP.Jar.Cookies(at) {
		return c.Name + "=" + c.Value
	}
	t.Fatal("there is no session")
	return ""
}
