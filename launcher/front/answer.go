package front

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"popup/templates"
)

// A kind is what a client would rather read.
type kind int

const (
	kindAny kind = iota
	kindHTML
	kindJSON
	kindText
)

// wants reads the Accept header: a browser asks for HTML by name, an API client
// for JSON by name, and the rest (curl, a monitor, an image in a page) gets text.
func wants(r *http.Request) kind {
	accept := r.Header.Get("Accept")
	switch {
	case strings.Contains(accept, "text/html"), strings.Contains(accept, "application/xhtml+xml"):
		return kindHTML
	case strings.Contains(accept, "application/json"), strings.Contains(accept, "+json"):
		return kindJSON
	}
	return kindText
}

// An answer is what the front itself says, in the forms clients may want.
type answer struct {
	status  int
	page    string // of templates
	frame   templates.Frame
	text    string
	json    any
	retryIn time.Duration // Retry-After; 0: none
	only    kind          // kindAny: what the client wants
}

// write sends the answer. It is never cached: what it says is about now.
func (a *answer) write(w http.ResponseWriter, r *http.Request) {
	as := a.only
	if as == kindAny {
		as = wants(r)
	}
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	if a.only == kindAny {
		h.Add("Vary", "Accept")
	}
	if a.retryIn > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(a.retryIn.Seconds()))))
	}
	body, contentType := []byte(a.text), "text/plain; charset=utf-8"
	switch as {
	case kindHTML:
		body, contentType = a.html(h), "text/html; charset=utf-8"
	case kindJSON:
		body, contentType = a.asJSON(), "application/json"
	}
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(a.status)
	_, _ = w.Write(body) // the client has left: there is nobody to tell
}

// html renders the page into memory, so that a page is sent whole or not at all.
func (a *answer) html(h http.Header) []byte {
	frame := a.frame
	frame.Nonce = rand.Text()
	h.Set("Content-Security-Policy", fmt.Sprintf("default-src 'none'; style-src 'nonce-%[1]s'; script-src 'nonce-%[1]s'; "+
		"connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'", frame.Nonce))
	var b bytes.Buffer
	if err := templates.Page(a.page).Execute(&b, frame); err != nil {
		panic(fmt.Sprintf("front: page %s: %v", a.page, err)) // every page is rendered in a test
	}
	return b.Bytes()
}

func (a *answer) asJSON() []byte {
	b, err := json.MarshalIndent(a.json, "", "  ")
	if err != nil {
		panic(fmt.Sprintf("front: answer as JSON: %v", err))
	}
	return append(b, '\n')
}
