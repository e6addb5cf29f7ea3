package web

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"popup/console"
)

// Names of what is known of a request, in its gin.Context.
const (
	keyActor   = "actor"
	keyRequest = "request"
	keyOnce    = "once" // an Idempotency-Key was sent
	keyVisitor = "visitor"
)

// Cookies. Where browsers come by https, their names keep other hosts and other paths
// from setting them.
const (
	cookieSession = "popup"         // a session's secret
	cookieVisitor = "popup-visitor" // of a browser without a session: forms are bound to it
)

// headerCSRF carries what forms carry in fieldCSRF, for scripts.
const (
	headerCSRF = "X-CSRF-Token"
	fieldCSRF  = "csrf"
)

// actor is who asks; ActorNobody where nobody signed in.
func (s *Server) actor(c *gin.Context) console.Actor {
	a, _ := c.Get(keyActor)
	actor, _ := a.(console.Actor)
	return actor
}

// identify finds out who asks, once a request. A token that is no good is refused at
// once: a program should not take it for being nobody.
func (s *Server) identify(c *gin.Context) {
	if s.isInstances(c) {
		return
	}
	actor, err := s.resolve(c)
	if err != nil {
		s.fail(c, err)
		return
	}
	c.Set(keyActor, actor)
}

// resolve asks the console who has what the request carries.
func (s *Server) resolve(c *gin.Context) (console.Actor, error) {
	if secret, given := bearer(c.Request); given {
		return s.console.ActorOfToken(c.Request.Context(), secret)
	}
	secret := s.cookie(c, cookieSession)
	if secret == "" {
		return console.Actor{}, nil
	}
	actor, err := s.console.ActorOfSession(c.Request.Context(), secret)
	if errors.Is(err, console.ErrSignIn) {
		return console.Actor{}, nil // it ended meanwhile
	}
	return actor, err
}

// bearer is the token of a request; given says that it says to have one.
func bearer(r *http.Request) (secret string, given bool) {
	authorization := r.Header.Get("Authorization")
	scheme, secret, _ := strings.Cut(authorization, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", authorization != ""
	}
	return strings.TrimSpace(secret), true
}

func (s *Server) cookieName(name string) string {
	if s.secure {
		return "__Host-" + name
	}
	return name
}

func (s *Server) cookie(c *gin.Context, name string) string {
	cookie, err := c.Request.Cookie(s.cookieName(name))
	if err != nil {
		return ""
	}
	return cookie.Value
}

// setCookie has the browser keep a value; a zero time: until it is closed.
func (s *Server) setCookie(c *gin.Context, name, value string, expires time.Time) {
	http.SetCookie(c.Writer, &http.Cookie{Name: s.cookieName(name), Value: value, Path: "/", Expires: expires,
		Secure: s.secure, HttpOnly: true, SameSite: http.SameSiteLaxMode})
}

// dropCookie has the browser forget it.
func (s *Server) dropCookie(c *gin.Context, name string) {
	http.SetCookie(c.Writer, &http.Cookie{Name: s.cookieName(name), Path: "/", MaxAge: -1,
		Secure: s.secure, HttpOnly: true, SameSite: http.SameSiteLaxMode})
}

// startSession signs the browser in.
func (s *Server) startSession(c *gin.Context, session console.Session) {
	s.setCookie(c, cookieSession, session.Secret, session.Expires)
	s.dropCookie(c, cookieVisitor)
}

// endSession signs the browser out.
func (s *Server) endSession(c *gin.Context) error {
	secret := s.cookie(c, cookieSession)
	s.dropCookie(c, cookieSession)
	if secret == "" {
		return nil
	}
	return s.console.SignOut(c.Request.Context(), secret)
}

// errForged refuses what another site had a browser send.
var errForged = errors.New("this form is too old, or was not sent from a page of this console; go back, load the page again, and send it once more")

// csrf is what a form of this page carries in its field csrf. It differs each time it is
// asked for, so that a page that is compressed gives nothing of it away.
func (s *Server) csrf(c *gin.Context) string {
	mac := formMAC(s.browser(c))
	pad := make([]byte, len(mac))
	_, _ = rand.Read(pad) // it never fails
	subtle.XORBytes(mac, mac, pad)
	return base64.RawURLEncoding.EncodeToString(append(pad, mac...))
}

// browser is a secret that only this browser has: its session's, or else a visitor's,
// which is made here where there is none.
func (s *Server) browser(c *gin.Context) string {
	if secret := s.cookie(c, cookieSession); secret != "" && s.actor(c).Kind != console.ActorNobody {
		return secret
	}
	if secret := s.cookie(c, cookieVisitor); secret != "" {
		return secret
	}
	if secret := c.GetString(keyVisitor); secret != "" {
		return secret
	}
	secret := rand.Text()
	c.Set(keyVisitor, secret)
	s.setCookie(c, cookieVisitor, secret, time.Time{})
	return secret
}

func formMAC(secret string) []byte {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte("popup: a form of this browser, 1"))
	return mac.Sum(nil)
}

// checkForgery refuses what a browser was made to send by somebody else's page: what
// changes something must come from a page of ours, and carry what only that knows. A
// program with a token is no browser, and whoever sends JSON without a session neither.
func (s *Server) checkForgery(c *gin.Context) error {
	switch c.Request.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return nil
	}
	if s.origins.Check(c.Request) != nil {
		return errForged
	}
	if _, given := bearer(c.Request); given || isAPI(c) && s.actor(c).Kind == console.ActorNobody {
		return nil
	}
	c.Request.Body = http.MaxBytesReader(c.Writer, c.Request.Body, maxForm)
	given := c.GetHeader(headerCSRF)
	if given == "" && !isAPI(c) {
		if err := c.Request.ParseForm(); err != nil {
			return formError(err)
		}
		given = c.Request.PostForm.Get(fieldCSRF)
	}
	raw, err := base64.RawURLEncoding.DecodeString(given)
	if err != nil || len(raw) != 2*sha256.Size {
		return errForged
	}
	mac := make([]byte, sha256.Size)
	subtle.XORBytes(mac, raw[:sha256.Size], raw[sha256.Size:])
	if !hmac.Equal(mac, formMAC(s.browser(c))) {
		return errForged
	}
	return nil
}
