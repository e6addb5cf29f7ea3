package console

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// A person asks a console, by its pages and by its API.
type person struct {
	url     string
	token   string
	program http.Client // has the token
	browser http.Client // has the session's cookie
}

const (
	ownerName = "olga"
	password  = "correct horse battery"
)

var csrfField = regexp.MustCompile(`name="csrf" value="([^"]+)"`)

// claim makes the owner of a new console by its link, as a browser does.
func claim(t testing.TB, r *running) *person {
	t.Helper()
	link := r.says("claim: ")
	jar, err := cookiejar.New(nil)
	must(t, err)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	p := &person{url: r.url, program: http.Client{Transport: transport}, browser: http.Client{Transport: transport, Jar: jar}}
	page := p.page(t, strings.TrimPrefix(link, r.url))
	field := csrfField.FindStringSubmatch(page)
	if field == nil {
		t.Fatalf("the page of the claim has no form:\n%s", page)
	}
	resp, err := p.browser.PostForm(link, url.Values{"csrf": field[1:], "name": {ownerName}, "password": {password}})
	must(t, err)
	text, err := io.ReadAll(resp.Body)
	must(t, err)
	must(t, resp.Body.Close())
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("the claim is answered %s\n%s", resp.Status, text)
	}
	var added struct{ Secret string }
	p.must(t, "POST", "/api/v1/login", map[string]any{"name": ownerName, "password": password, "title": "tests"}, &added)
	p.token = added.Secret
	return p
}

// page is what a path shows, to whom has the cookie.
func (p *person) page(t testing.TB, path string) string {
	t.Helper()
	resp, err := p.browser.Get(p.url + path)
	must(t, err)
	text, err := io.ReadAll(resp.Body)
	must(t, err)
	must(t, resp.Body.Close())
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("%s is answered %s\n%s", path, resp.Status, text)
	}
	return string(text)
}

// A refusal is an answer that is none.
type refusal struct {
	status int
	text   string
}

func (e *refusal) Error() string { return fmt.Sprintf("%d: %s", e.status, e.text) }

// An ask is a request of the API.
type ask struct {
	method, path string
	key          string // Idempotency-Key
	in, out      any
}

func (p *person) ask(ctx context.Context, a ask) error {
	body, err := json.Marshal(a.in)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, a.method, p.url+a.path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	if p.token != "" {
		r.Header.Set("Authorization", "Bearer "+p.token)
	}
	if a.key != "" {
		r.Header.Set("Idempotency-Key", a.key)
	}
	resp, err := p.program.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode >= 300 {
		return &refusal{resp.StatusCode, string(text)}
	}
	if a.out == nil || len(text) == 0 {
		return nil
	}
	return json.Unmarshal(text, a.out)
}

// must asks what has to be answered.
func (p *person) must(t testing.TB, method, path string, in, out any) {
	t.Helper()
	if err := p.ask(t.Context(), ask{method: method, path: path, in: in, out: out}); err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
}

// cookie is the value of the session's.
func (p *person) cookie(t testing.TB) string {
	t.Helper()
	at, err := url.Parse(p.url)
	must(t, err)
	for _, c := range p.browser.Jar.Cookies(at) {
		return c.Name + "=" + c.Value
	}
	t.Fatal("there is no session")
	return ""
}
