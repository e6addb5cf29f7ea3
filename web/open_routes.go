package web

import (
	"net/http"
	"os"
	"time"

	"github.com/gin-gonic/gin"

	"popup/console"
)

// openRoutes are for machines that ask for no event's sake.
var openRoutes = []route{
	{method: http.MethodGet, path: "/healthz", who: anybody, endpoint: raw("text/plain", (*Server).health)},
	{method: http.MethodGet, path: "/download/:sum", who: anybody, endpoint: raw("application/octet-stream", (*Server).download)},
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
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("ETag", `"`+c.Param("sum")+`"`)
	keepAlive(c, downloadTime)
	http.ServeContent(c.Writer, c.Request, "", time.Time{}, file)
}

// downloadTime bounds how long one download may take.
const downloadTime = time.Hour
