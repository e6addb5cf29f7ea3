package oidc

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"golang.org/x/oauth2"
)

const (
	// journeyLasts is how long somebody may take at the provider.
	journeyLasts = 10 * time.Minute
	// mostNext is how long an address to go to may be: a cookie has 4 KiB.
	mostNext = 1000
	sealedAs = "journey to an OpenID provider"
)

// A journey is what a browser takes along to the provider and back.
type journey struct {
	State    string    `json:"state"` // the provider returns it
	Nonce    string    `json:"nonce"` // stands in the token
	Verifier string    `json:"verifier"`
	Next     string    `json:"next,omitempty"`
	Until    time.Time `json:"until"`
}

func newJourney(next string, now time.Time) journey {
	if len(next) > mostNext {
		next = ""
	}
	return journey{State: rand.Text(), Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier(), Next: next, Until: now.Add(journeyLasts)}
}

func (j journey) seal(keys Sealer) string {
	text, _ := json.Marshal(j) // strings and a time of this age always can
	return base64.RawURLEncoding.EncodeToString(keys.Seal(text, sealedAs))
}

// journey is what a browser that came back has in its cookie; ErrBeginAgain where that
// is not of this journey.
func (p *Provider) journey(r *http.Request) (j journey, err error) {
	cookie, err := r.Cookie(p.cookieName())
	if err != nil {
		return j, ErrBeginAgain
	}
	sealed, err := base64.RawURLEncoding.DecodeString(cookie.Value)
	if err != nil {
		return j, ErrBeginAgain
	}
	text, err := p.opts.Keys.Open(sealed, sealedAs)
	if err != nil {
		return j, ErrBeginAgain
	}
	if err := json.Unmarshal(text, &j); err != nil {
		return j, ErrBeginAgain
	}
	state := r.FormValue("state")
	if subtle.ConstantTimeCompare([]byte(state), []byte(j.State)) != 1 || j.State == "" || !p.opts.Now().Before(j.Until) {
		return j, ErrBeginAgain
	}
	return j, nil
}

// secure says that browsers come by https.
func (p *Provider) secure() bool { return strings.HasPrefix(p.opts.URL, "https://") }

// cookieName has browsers that come by https keep other hosts from setting it.
func (p *Provider) cookieName() string {
	if p.secure() {
		return "__Host-popup-journey"
	}
	return "popup-journey"
}

// cookie comes back with a browser that the provider sends: that is what Lax allows.
func (p *Provider) cookie(value string, maxAge int) *http.Cookie {
	return &http.Cookie{Name: p.cookieName(), Value: value, Path: "/", MaxAge: maxAge, Secure: p.secure(), HttpOnly: true, SameSite: http.SameSiteLaxMode}
}
