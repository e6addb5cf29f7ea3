package web

import (
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"popup/console"
)

// An archiveJSON is a backup of an instance's state, read back and verified.
type archiveJSON struct {
	Instance string    `json:"instance"`
	Name     string    `json:"name"`
	Size     int64     `json:"size"` // bytes
	SHA256   string    `json:"sha256"`
	Files    int       `json:"files"`
	Final    bool      `json:"final"`
	Taken    time.Time `json:"taken"`
	Verified time.Time `json:"verified"`
}

func showArchive(a *console.Archive) *archiveJSON {
	if a == nil {
		return nil
	}
	return &archiveJSON{a.Instance, a.Name, a.Size, a.SHA256, a.Files, a.Final, a.Taken, a.Verified}
}

type archivesJSON struct {
	Archives []archiveJSON `json:"archives"`
}

func (s *Server) listArchives(c *gin.Context) (archivesJSON, error) {
	all, err := s.console.Archives(c, s.actor(c), c.Param("id"))
	return archivesJSON{each(all, func(a console.Archive) archiveJSON { return *showArchive(&a) })}, err
}

// getArchive sends one archive, as its instance sent it.
func (s *Server) getArchive(c *gin.Context) {
	kept, file, err := s.console.OpenArchive(c, s.actor(c), c.Param("id"), c.Param("name"))
	if err != nil {
		s.fail(c, err)
		return
	}
	s.sendArchive(c, kept, file)
}

func (s *Server) sendArchive(c *gin.Context, kept console.Archive, file io.ReadCloser) {
	defer func() { _ = file.Close() }() // it was only read
	c.Header("Content-Length", strconv.FormatInt(kept.Size, 10))
	s.sendFile(c, mediaFile, kept.Instance+"-"+kept.Name, func(to io.Writer) error {
		_, err := io.Copy(to, file)
		return err
	})
}

// mediaFile is of what is only to be kept.
const mediaFile = "application/octet-stream"

// getEventArchive sends all that is kept of an event, as one file.
func (s *Server) getEventArchive(c *gin.Context) {
	all, err := s.console.OpenEventArchive(c, s.actor(c), c.Param("id"))
	if err != nil {
		s.fail(c, err)
		return
	}
	s.sendFile(c, "application/zip", all.Name, func(to io.Writer) error { return all.Write(c, to) })
}

// archiveRoutes are about what is kept of an event.
var archiveRoutes = []route{
	{method: http.MethodGet, path: "/api/v1/events/:id/archives", who: signedIn, does: "the verified backups of an event's instances", endpoint: answer(200, (*Server).listArchives)},
	{method: http.MethodGet, path: "/api/v1/events/:id/archives.zip", who: signedIn, does: "all that is kept of an event, as one file", endpoint: raw("application/zip", (*Server).getEventArchive)},
	{method: http.MethodGet, path: "/api/v1/instances/:id/archives/:name", who: signedIn, does: "an archive of an instance's state", endpoint: raw(mediaFile, (*Server).getArchive)},
}
