package web

import (
	"io"
	"net/http"
	"strconv"

	"github.com/gin-gonic/gin"

	"popup/console"
	"popup/web/api"
)

func showArchive(a *console.Archive) *api.Archive {
	if a == nil {
		return nil
	}
	return &api.Archive{Instance: a.Instance, Name: a.Name, Size: a.Size, SHA256: a.SHA256, Files: a.Files, Final: a.Final, Taken: a.Taken, Verified: a.Verified, Vault: a.Vault}
}

func (s *Server) listArchives(c *gin.Context) (api.Archives, error) {
	all, err := s.console.Archives(c.Request.Context(), s.actor(c), c.Param("id"))
	return api.Archives{Archives: each(all, func(a console.Archive) api.Archive { return *showArchive(&a) })}, err
}

// getArchive sends one archive, as its instance sent it.
func (s *Server) getArchive(c *gin.Context) {
	kept, file, err := s.console.OpenArchive(c.Request.Context(), s.actor(c), c.Param("id"), c.Param("name"))
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
	all, err := s.console.OpenEventArchive(c.Request.Context(), s.actor(c), c.Param("id"))
	if err != nil {
		s.fail(c, err)
		return
	}
	s.sendFile(c, "application/zip", all.Name, func(to io.Writer) error { return all.Write(c.Request.Context(), to) })
}

// archiveRoutes are about what is kept of an event.
var archiveRoutes = []route{
	{method: http.MethodGet, path: "/api/v1/events/:id/archives", who: signedIn, does: "the verified backups of an event's instances", endpoint: answer(200, (*Server).listArchives)},
	{method: http.MethodGet, path: "/api/v1/events/:id/archives.zip", who: signedIn, does: "all that is kept of an event, as one file", endpoint: raw("application/zip", (*Server).getEventArchive)},
	{method: http.MethodGet, path: "/api/v1/instances/:id/archives/:name", who: signedIn, does: "an archive of an instance's state", endpoint: raw(mediaFile, (*Server).getArchive)},
}
