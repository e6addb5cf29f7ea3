package web

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/gin-gonic/gin"

	"popup/console"
	"popup/web/oidc"
)

// openRoutes are for machines that ask for no event's sake.
var openRoutes = []route{
	{method: http.MethodGet, path: "/healthz", who: anybody, endpoint: raw("text/plain", (*Server).health)},
	{method: http.MethodGet, path: "/download/:sum", who: anybody, endpoint: raw(mediaFile, (*Server).download)},
	{method: http.MethodGet, path: oidc.BeginPath, who: anybody, endpoint: page((*Server).beginElsewhere)},
	{method: http.MethodGet, path: oidc.FinishPath, who: anybody, endpoint: page((*Server).finishElsewhere)},
}

// beginElsewhere sends a browser to the OpenID provider.
func (s *Server) beginElsewhere(c *gin.Context) {
	if s.opts.Provider == nil {
		s.fail(c, console.ErrNotFound)
		return
	}
	if err := s.opts.Provider.Begin(c.Writer, c.Request, localPath(c.Query("next"))); err != nil {
		s.fail(c, err)
	}
}

// finishElsewhere takes it back, and signs it in.
func (s *Server) finishElsewhere(c *gin.Context) {
	if s.opts.Provider == nil {
		s.fail(c, console.ErrNotFound)
		return
	}
	arrival, err := s.opts.Provider.Finish(c.Writer, c.Request)
	if err != nil {
		s.log.InfoContext(c.Request.Context(), "nobody was signed in by the provider", "request", c.GetString(keyRequest), "err", err)
		s.fail(c, err)
		return
	}
	s.startSession(c, arrival.Session)
	c.Redirect(http.StatusSeeOther, localPath(arrival.Next))
}

// download sends popup itself, to an instance that knows the SHA-256 of what it wants.
func (s *Server) download(c *gin.Context) {
	path, ok := s.opts.Binaries[c.Param("sum")]
	if !ok {
		if err := s.passOn(c, c.Param("sum")); err != nil {
			s.fail(c, err)
		}
		return
	}
	file, err := os.Open(path)
	if err != nil {
		s.fail(c, err)
		return
	}
	defer func() { _ = file.Close() }() // it was only read
	h := c.Writer.Header()
	h.Set("Content-Type", mediaFile)
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("ETag", `"`+c.Param("sum")+`"`)
	keepAlive(c, downloadTime)
	http.ServeContent(c.Writer, c.Request, "", time.Time{}, file)
}

// mostPassing is how many downloads come from other consoles at once: anybody may ask.
const mostPassing = 16

var errPassing = &console.BusyError{Reason: "many download from here at this moment; try it again", After: 5 * time.Second}

// passOn sends a popup that another console has: while they are upgraded one after the
// other, their instances may ask any of them for either.
func (s *Server) passOn(c *gin.Context, sum string) error {
	if raw, err := hex.DecodeString(sum); s.opts.Elsewhere == nil || err != nil || len(raw) != sha256.Size {
		return console.ErrNotFound
	}
	select {
	case s.passing <- struct{}{}:
		defer func() { <-s.passing }()
	default:
		return errPassing
	}
	resp, err := s.opts.Elsewhere(c.Request.Context(), sum, c.GetHeader("Range"))
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }() // it was read
	for _, name := range []string{"Accept-Ranges", "Content-Length", "Content-Range"} {
		if value := resp.Header.Get(name); value != "" {
			c.Header(name, value)
		}
	}
	c.Header("Content-Type", mediaFile)
	c.Header("Cache-Control", "public, max-age=31536000, immutable")
	c.Header("ETag", `"`+sum+`"`)
	keepAlive(c, downloadTime)
	c.Status(resp.StatusCode)
	if c.Request.Method == http.MethodHead {
		return nil
	}
	if _, err := io.Copy(c.Writer, resp.Body); err != nil {
		panic(http.ErrAbortHandler) // so that half of it is not taken for all
	}
	return nil
}

// downloadTime bounds how long one download may take.
const downloadTime = time.Hour
