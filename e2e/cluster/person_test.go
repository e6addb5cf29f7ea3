//go:build cluster

package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"testing"
	"time"
)

const (
	// answerTime is how long somebody waits for an answer before they take it for lost.
	answerTime = 10 * time.Second
	// patience is how long somebody asks again: longer than all consoles take to come back.
	patience = 3 * time.Minute
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
	browser := http.Client{Jar: jar, Transport: c.client.Transport, Timeout: answerTime}
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

// no is the status of a refusal that says no; 0: there was no answer, or one that has who
// asked try again, as a console may say while nobody leads.
func no(err error) int {
	if refused := new(refusal); errors.As(err, &refused) && refused.status < 500 {
		return refused.status
	}
	return 0
}

// answer reads one, into out if there is any.
func answer(resp *http.Response, out any) error {
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode >= 300 {
		return &refusal{resp.StatusCode, string(text)}
	}
	if out == nil || len(text) == 0 {
		return nil
	}
	return json.Unmarshal(text, out)
}

// request is what asks a console, signed in.
func (p *person) request(ctx context.Context, method, path string, body io.Reader) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, method, name+"/api/v1"+path, body)
	if err == nil && p.token != "" {
		r.Header.Set("Authorization", "Bearer "+p.token)
	}
	return r, err
}

func (p *person) ask(ctx context.Context, c *console, a ask) error {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
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
	return answer(resp, a.out)
}

// insist asks until it is told yes or no, each time the console that at names.
func (p *person) insist(ctx context.Context, at func() *console, a ask) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		err := p.ask(ctx, at(), a)
		if err == nil || no(err) != 0 || ctx.Err() != nil {
			return err
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return err
		}
	}
}
