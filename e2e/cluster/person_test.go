//go:build cluster

package cluster

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
	"testing"
	"time"
)

// A person asks any console by the API.
type person struct{ token string }

const (
	owner    = "olga"
	password = "correct horse battery"
)

var csrfField = regexp.MustCompile(`name="csrf" value="([^"]+)"`)

// claim makes the owner by a console's link, as a browser does.
func claim(t testing.TB, c *console) *person {
	t.Helper()
	jar, err := cookiejar.New(nil)
	must(t, err)
	browser := http.Client{Jar: jar, Transport: c.client.Transport}
	read := func(resp *http.Response, err error) string {
		t.Helper()
		must(t, err)
		defer resp.Body.Close() //nolint:errcheck // it was read
		text, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("the claim is answered %s, %v\n%s", resp.Status, err, text)
		}
		return string(text)
	}
	var link string
	select {
	case link = <-c.claim:
	case <-time.After(time.Minute):
		t.Fatalf("%s says no claim link", c.name)
	}
	field := csrfField.FindStringSubmatch(read(browser.Get(link)))
	if field == nil {
		t.Fatal("the page of the claim has no form")
	}
	read(browser.PostForm(link, url.Values{"csrf": field[1:], "name": {owner}, "password": {password}}))
	var added struct{ Secret string }
	p := &person{}
	must(t, p.ask(t.Context(), c, ask{method: "POST", path: "/login", in: map[string]any{"name": owner, "password": password, "title": "tests"}, out: &added}))
	p.token = added.Secret
	return p
}

// An ask is a request of the API.
type ask struct {
	method, path string // below /api/v1
	key          string // Idempotency-Key
	in, out      any
}

// A refusal is an answer that says no.
type refusal struct {
	status int
	text   string
}

func (e *refusal) Error() string { return fmt.Sprintf("%d: %s", e.status, e.text) }

// request is what asks a console, signed in.
func (p *person) request(ctx context.Context, method, path string, body io.Reader) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, method, name+"/api/v1"+path, body)
	if err == nil && p.token != "" {
		r.Header.Set("Authorization", "Bearer "+p.token)
	}
	return r, err
}

func (p *person) ask(ctx context.Context, c *console, a ask) error {
	body, err := json.Marshal(a.in)
	if err != nil {
		return err
	}
	r, err := p.request(ctx, a.method, a.path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	if a.key != "" {
		r.Header.Set("Idempotency-Key", a.key)
	}
	resp, err := c.client.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // it was read
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
