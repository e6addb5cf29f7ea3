package web

import (
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
		s.fail(c, console.ErrNotFound)
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

// downloadTime bounds how long one download may take.
const downloadTime = time.Hour
