package web

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/klauspost/compress/gzhttp"

	"popup/internal/wire"
	"popup/web/api"
)

// What is read of a request at most, in bytes, where its route does not say more.
const (
	maxBody = 256 << 10
	maxForm = 256 << 10
)

// trace gives a request an id, which errors are told with, and logs it: its path
// without the secrets that some hold, and never its query.
func (s *Server) trace(c *gin.Context) {
	id := strings.ToLower(rand.Text()[:12])
	c.Set(keyRequest, id)
	c.Header("X-Request-Id", id)
	begun := time.Now()
	c.Next()
	level := slog.LevelDebug
	if c.Writer.Status() >= http.StatusInternalServerError {
		level = slog.LevelInfo
	}
	s.log.Log(c.Request.Context(), level, "answered", "request", id, "method", c.Request.Method, "path", loggedPath(c), "status", c.Writer.Status(),
		"took", time.Since(begun).Round(time.Millisecond), "actor", s.actor(c).ID)
}

// loggedPath is what was asked for, with the names of its parameters where these are secrets.
func loggedPath(c *gin.Context) string {
	for _, p := range c.Params {
		if p.Key == paramSecret {
			return c.FullPath()
		}
	}
	if c.FullPath() == "" { // nobody knows what is in it
		return "(no route)"
	}
	return c.Request.URL.Path
}

// paramSecret is the name of what no log may hold, in the paths of routes.
const paramSecret = "secret"

// survive turns a panic into an answer and a line in the log.
func (s *Server) survive(c *gin.Context) {
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
			panic(p)
		}
		s.log.ErrorContext(c.Request.Context(), "a request panicked", "request", c.GetString(keyRequest), "path", loggedPath(c), "err", p, "stack", string(debug.Stack()))
		if !c.Writer.Written() {
			s.answerProblem(c, api.Problem{Status: http.StatusInternalServerError, Detail: sayBroken})
		}
		c.Abort()
	}()
	c.Next()
}

// policy lets a page have what this console serves, and nothing else: no script or
// style that stands in it, no frame around it, no form to elsewhere.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; " +
	"manifest-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

// protect tells browsers what they must not do with an answer.
func (s *Server) protect(c *gin.Context) {
	h := c.Writer.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
	h.Set("Cache-Control", "no-store")
	if s.secure {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
}

// compress makes what is text smaller on its way.
func compress(next http.Handler) http.Handler {
	wrap, err := gzhttp.NewWrapper(gzhttp.MinSize(1024), gzhttp.ContentTypes([]string{
		"text/html", "text/css", "text/plain", "text/javascript", "application/json", api.ProblemType, "image/svg+xml"}))
	if err != nil { // the options are ours
		panic(err)
	}
	return wrap(next)
}

// isAPI says whether programs ask: their errors are JSON.
func isAPI(c *gin.Context) bool { return strings.HasPrefix(c.Request.URL.Path, "/api/") }

// isInstances says whether a path is one of the instances'.
func (s *Server) isInstances(c *gin.Context) bool {
	path := c.Request.URL.Path
	return path == wire.PathEnrol || path == wire.PathReport || strings.HasPrefix(path, wire.PathLogs) || strings.HasPrefix(path, wire.PathVault)
}

// gone says that an error only means that nobody waits for the answer any more.
func gone(c *gin.Context, err error) bool {
	return errors.Is(err, context.Canceled) && c.Request.Context().Err() != nil
}
