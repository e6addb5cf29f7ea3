// Package oidc signs people in by way of an OpenID provider: somebody is sent there with
// a state, a nonce and a proof key that only their browser has, sealed in a cookie, and
// comes back with a code that is exchanged for a token about them.
package oidc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"popup/console"
)

// Where somebody begins and comes back, below the console's URL. The provider must know
// the second.
const (
	BeginPath  = "/sign-in/oidc"
	FinishPath = "/sign-in/oidc/callback"
)

const (
	// patience is for one question to the provider.
	patience = 10 * time.Second
	// mostAnswer is what is read of one answer of it; keys and tokens are far smaller.
	mostAnswer = 1 << 20
	mostSecret = 4096
)

// ErrBeginAgain says that somebody came back who was not sent, or was away for too long.
var ErrBeginAgain = errors.New("that took too long, or was begun in another browser: sign in once more")

// ErrRefused says that the provider did not let somebody in.
var ErrRefused = errors.New("the provider did not sign you in; try again, or sign in another way")

// A Config names the provider, as an operator writes it.
type Config struct {
	Issuer     string // its URL
	ClientID   string // what the console is called there
	SecretFile string // that holds the client's secret; read at each sign-in, so that it may be replaced
	Title      string // of the provider, on the button; empty: its host
}

// Validate says all that is wrong with it, each with the name of its field.
func (c Config) Validate() error {
	var errs []error
	u, err := url.Parse(c.Issuer)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		errs = append(errs, errors.New("issuer: is no URL such as https://accounts.example.org"))
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		errs = append(errs, errors.New("issuer: use https, as anybody between could sign in as anybody"))
	}
	if c.ClientID == "" {
		errs = append(errs, errors.New("client id: is missing; the provider gives it to you"))
	}
	if c.SecretFile == "" {
		errs = append(errs, errors.New("secret file: is missing; write the client's secret in a file that only popup may read"))
	}
	return errors.Join(errs...)
}

func isLoopback(host string) bool { return host == "localhost" || host == "127.0.0.1" || host == "::1" }

// People opens sessions: a console.Console does.
type People interface {
	SignInAs(ctx context.Context, i console.Identity) (console.Session, error)
}

// A Sealer seals what a browser keeps for us: console.Keys do.
type Sealer interface {
	Seal(plain []byte, context string) []byte
	Open(sealed []byte, context string) ([]byte, error)
}

// Options are what a Provider is made of.
type Options struct {
	Config
	URL    string // of the console, without a / at its end
	People People
	Keys   Sealer
	Now    func() time.Time  // nil: time.Now
	Client http.RoundTripper // to the provider; nil: http.DefaultTransport
}

// A Provider signs people in. It is asked about itself at the first sign-in, and again
// when that failed, so that a console starts without it. Its methods may be called from
// several goroutines.
type Provider struct {
	opts   Options
	client *http.Client

	mu    sync.Mutex
	found *oidc.Provider // nil: it was not reached yet
	lost  error          // why not, the last time
	again time.Time      // until then it is not tried again
}

// New makes one of a Config that is valid.
func New(opts Options) *Provider {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Client == nil {
		opts.Client = http.DefaultTransport
	}
	return &Provider{opts: opts, client: &http.Client{Transport: bounded{opts.Client}, Timeout: patience}}
}

// Title is what the provider is called.
func (p *Provider) Title() string {
	if p.opts.Title != "" {
		return p.opts.Title
	}
	u, err := url.Parse(p.opts.Issuer)
	if err != nil {
		return p.opts.Issuer
	}
	return u.Hostname()
}

// bounded reads no more of an answer than we want.
type bounded struct{ http.RoundTripper }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := b.RoundTripper.RoundTrip(r)
	if err == nil {
		answer.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(answer.Body, mostAnswer), answer.Body}
	}
	return answer, err
}

// Begin sends a browser to the provider; next is where it wants to go then. The error is
// a *console.BusyError where the provider is not reached; then nothing was written.
func (p *Provider) Begin(w http.ResponseWriter, r *http.Request, next string) error {
	config, _, err := p.config(r.Context())
	if err != nil {
		return err
	}
	j := newJourney(next, p.opts.Now())
	http.SetCookie(w, p.cookie(j.seal(p.opts.Keys), int(journeyLasts/time.Second)))
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, config.AuthCodeURL(j.State, oidc.Nonce(j.Nonce), oauth2.S256ChallengeOption(j.Verifier)), http.StatusSeeOther)
	return nil
}

// An Arrival is somebody who came back, and is in.
type Arrival struct {
	Session console.Session
	Next    string // what Begin was given; whoever sends them there checks it as if it were new
}

// Finish takes a browser that comes back, and forgets its cookie. Its errors:
// ErrBeginAgain, ErrRefused, console.ErrNotInvited, a *console.BusyError where the
// provider is not reached.
func (p *Provider) Finish(w http.ResponseWriter, r *http.Request) (Arrival, error) {
	http.SetCookie(w, p.cookie("", -1))
	w.Header().Set("Cache-Control", "no-store")
	j, err := p.journey(r)
	if err != nil {
		return Arrival{}, err
	}
	if r.FormValue("error") != "" {
		return Arrival{}, ErrRefused
	}
	who, err := p.exchange(r.Context(), j, r.FormValue("code"))
	if err != nil {
		return Arrival{}, err
	}
	session, err := p.opts.People.SignInAs(r.Context(), who)
	return Arrival{session, j.Next}, err
}

// exchange finds out whom a code is about.
func (p *Provider) exchange(ctx context.Context, j journey, code string) (console.Identity, error) {
	config, provider, err := p.config(ctx)
	if err != nil {
		return console.Identity{}, err
	}
	ctx = oidc.ClientContext(ctx, p.client)
	answer, err := config.Exchange(ctx, code, oauth2.VerifierOption(j.Verifier))
	if err != nil {
		return console.Identity{}, p.refused("exchange the code", err)
	}
	raw, _ := answer.Extra("id_token").(string)
	token, err := provider.VerifierContext(ctx, &oidc.Config{ClientID: p.opts.ClientID, Now: p.opts.Now}).Verify(ctx, raw)
	if err != nil {
		return console.Identity{}, p.refused("verify the token", err)
	}
	if token.Nonce != j.Nonce { // which is not empty
		return console.Identity{}, ErrBeginAgain
	}
	return identity(token)
}

// refused is an error of the provider's answer. What it says itself is for the log.
func (p *Provider) refused(what string, err error) error {
	var status *oauth2.RetrieveError
	if errors.As(err, &status) {
		err = fmt.Errorf("it answers %d, %q", status.Response.StatusCode, status.ErrorCode)
	}
	return &refusal{fmt.Errorf("%s of %s: %w", what, p.opts.Issuer, err)}
}

// A refusal is ErrRefused with what is behind it.
type refusal struct{ cause error }

func (r *refusal) Error() string   { return r.cause.Error() }
func (r *refusal) Unwrap() []error { return []error{ErrRefused, r.cause} }

// identity is what a token says. An address that the provider did not verify is nobody's.
func identity(token *oidc.IDToken) (console.Identity, error) {
	var claims struct {
		Email    string `json:"email"`
		Verified any    `json:"email_verified"` // some providers write it as text
		Name     string `json:"name"`
	}
	if err := token.Claims(&claims); err != nil {
		return console.Identity{}, &refusal{fmt.Errorf("read the token of %s: %w", token.Issuer, err)}
	}
	who := console.Identity{Issuer: token.Issuer, Subject: token.Subject, Name: claims.Name}
	if claims.Verified == true || claims.Verified == "true" {
		who.Email = claims.Email
	}
	return who, nil
}

// config is how to talk to the provider.
func (p *Provider) config(ctx context.Context) (*oauth2.Config, *oidc.Provider, error) {
	provider, err := p.discover(ctx)
	if err != nil {
		return nil, nil, err
	}
	secret, err := p.secret()
	if err != nil {
		return nil, nil, fmt.Errorf("read the client's secret: %w", err)
	}
	return &oauth2.Config{ClientID: p.opts.ClientID, ClientSecret: secret, Endpoint: provider.Endpoint(),
		RedirectURL: p.opts.URL + FinishPath, Scopes: []string{oidc.ScopeOpenID, "email", "profile"}}, provider, nil
}

func (p *Provider) secret() (secret string, err error) {
	f, err := os.Open(p.opts.SecretFile)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	text, err := io.ReadAll(io.LimitReader(f, mostSecret))
	return strings.TrimSpace(string(text)), err
}

// discover asks the provider about itself, once. While it is not reached, that is told
// without asking each time, so that nobody waits behind all the others.
func (p *Provider) discover(ctx context.Context) (*oidc.Provider, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.opts.Now()
	if p.found != nil || now.Before(p.again) {
		return p.found, p.lost
	}
	found, err := oidc.NewProvider(oidc.ClientContext(ctx, p.client), p.opts.Issuer)
	if err == nil {
		p.found, p.lost = found, nil
		return found, nil
	}
	lost := &unreachable{console.BusyError{Reason: fmt.Sprintf("%s is not reached at this moment; try again, or sign in another way", p.Title()), After: patience},
		fmt.Errorf("ask %s about itself: %w", p.opts.Issuer, err)}
	if ctx.Err() == nil { // or whoever asked went away
		p.lost, p.again = lost, now.Add(patience)
	}
	return nil, lost
}

// An unreachable is a *console.BusyError with what is behind it.
type unreachable struct {
	busy  console.BusyError
	cause error
}

func (u *unreachable) Error() string   { return u.cause.Error() }
func (u *unreachable) Unwrap() []error { return []error{&u.busy, u.cause} }
