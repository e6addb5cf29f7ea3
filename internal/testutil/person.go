package testutil

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// Who Claim makes the owner of a console.
const (
	Owner    = "olga"
	Password = "correct horse battery"
)

// A Person asks a console by its API.
type Person struct {
	HTTP  *http.Client // a cookie of its jar is for pages alone
	URL   string       // the console's, without a slash at its end
	Token string       // empty: nobody in particular
}

// An Ask is a question of the API.
type Ask struct {
	Method, Path string // below /api/v1
	Key          string // Idempotency-Key
	In, Out      any    // as JSON; nil: nothing is sent, or looked at
}

// A Refusal is an answer that says no.
type Refusal struct {
	Status int
	Text   string
}

func (e *Refusal) Error() string { return fmt.Sprintf("%d: %s", e.Status, e.Text) }

// Request is what asks the API, signed in.
func (p *Person) Request(ctx context.Context, method, path string, body io.Reader) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, method, p.URL+"/api/v1"+path, body)
	if err == nil && p.Token != "" {
		r.Header.Set("Authorization", "Bearer "+p.Token)
	}
	return r, err
}

// Ask asks, and reads the answer. The error is a *Refusal where that says no.
func (p *Person) Ask(ctx context.Context, a Ask) error {
	var body io.Reader
	if a.In != nil {
		text, err := json.Marshal(a.In)
		if err != nil {
			return err
		}
		body = bytes.NewReader(text)
	}
	r, err := p.Request(ctx, a.Method, a.Path, body)
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	if a.Key != "" {
		r.Header.Set("Idempotency-Key", a.Key)
	}
	program := *p.HTTP
	program.Jar = nil // who sends a cookie is asked for a form's token
	resp, err := program.Do(r)
	if err != nil {
		return err
	}
	return Read(resp, a.Out)
}

// Read reads an answer to its end: JSON into out, which may be nil, or a *Refusal.
func Read(resp *http.Response, out any) error {
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode >= 300 {
		return &Refusal{resp.StatusCode, string(text)}
	}
	if out == nil || len(text) == 0 {
		return nil
	}
	return json.Unmarshal(text, out)
}

// Claim makes p the owner of a console, by the link that it announced, and signs in.
func Claim(t testing.TB, p *Person, link string) {
	t.Helper()
	FillForm(t, p.HTTP, link, url.Values{"name": {Owner}, "password": {Password}})
	var added struct{ Secret string }
	if err := p.Ask(t.Context(), Ask{Method: "POST", Path: "/login", In: map[string]any{"name": Owner, "password": Password, "title": "tests"}, Out: &added}); err != nil {
		t.Fatalf("sign in: %v", err)
	}
	p.Token = added.Secret
}

var postForm = regexp.MustCompile(`(?s)<form method="post"(?: action="([^"]*)")?[^>]*>.*?<input type="hidden" name="([^"]+)" value="([^"]+)">`)

// FillForm opens a page and sends its first form, with what is hidden in it, as a browser does.
// It returns the page that comes of it. A browser without cookies has them meanwhile.
func FillForm(t testing.TB, browser *http.Client, link string, fields url.Values) (page string) {
	t.Helper()
	if browser.Jar == nil {
		jar, err := cookiejar.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		with := *browser
		with.Jar = jar
		browser = &with
	}
	form := postForm.FindStringSubmatch(open(t, browser, http.MethodGet, link, nil))
	if form == nil {
		t.Fatalf("the page of %s has no form", link)
	}
	at, err := url.Parse(link)
	if err == nil {
		at, err = at.Parse(html.UnescapeString(form[1]))
	}
	if err != nil {
		t.Fatal(err)
	}
	fields.Set(form[2], html.UnescapeString(form[3]))
	return open(t, browser, http.MethodPost, at.String(), fields)
}

func open(t testing.TB, browser *http.Client, method, address string, form url.Values) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := browser.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s %s is answered %s, %v\n%s", method, address, resp.Status, err, text)
	}
	return string(text)
}
