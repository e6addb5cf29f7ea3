package web

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"popup/console"
	"popup/web/api"
)

// listed is how many entries are listed where nobody says.
const listed = 50

func (s *Server) listAudit(c *gin.Context) (api.AuditLog, error) {
	size, err := number(c, "page_size", listed, 500)
	if err != nil {
		return api.AuditLog{}, err
	}
	before, err := number(c, "page_token", 0, 1<<62)
	if err != nil {
		return api.AuditLog{}, err
	}
	event, err := s.eventID(c, c.Query("event"))
	if err != nil {
		return api.AuditLog{}, err
	}
	size = max(size, 1)
	entries, err := s.console.AuditLog(c.Request.Context(), s.actor(c), event, before, int(size))
	log := api.AuditLog{Entries: each(entries, func(e console.AuditEntry) api.Audit {
		return api.Audit{Seq: e.Seq, At: e.At, Actor: e.Actor, Action: e.Action, Object: e.Object, Detail: e.Detail}
	})}
	if n := len(entries); n == int(size) {
		log.Next = strconv.FormatInt(entries[n-1].Seq, 10)
	}
	return log, err
}

func (s *Server) getSettings(c *gin.Context) (api.Settings, error) {
	if err := console.May(s.actor(c), console.Admin); err != nil {
		return api.Settings{}, err
	}
	return api.Settings{Version: s.opts.Version, URL: s.opts.URL, Pin: s.opts.Pin, Clouds: append([]string{}, s.opts.Clouds...), Cloud: s.opts.Cloud}, nil
}

// getBackup sends a copy of the store. Where that ends badly on its way the connection
// is broken, so that nobody takes half of it for all.
func (s *Server) getBackup(c *gin.Context) {
	s.sendFile(c, mediaFile, "popup-"+time.Now().UTC().Format("20060102-150405")+".db",
		func(to io.Writer) error { return s.console.Backup(c.Request.Context(), s.actor(c), to) })
}

// sendFile sends what write writes, as a file to keep.
func (s *Server) sendFile(c *gin.Context, media, name string, write func(io.Writer) error) {
	to := &fileWriter{c: c, media: media, name: name}
	err := write(to)
	switch {
	case err != nil && to.begun:
		s.log.WarnContext(c.Request.Context(), "sending a file ended early", "request", c.GetString(keyRequest), "path", loggedPath(c), "err", err)
		panic(http.ErrAbortHandler)
	case err != nil:
		s.fail(c, err)
	default:
		to.begin()
	}
}

// A fileWriter says what comes before the first byte of it: until then, an error may be
// answered instead.
type fileWriter struct {
	c           *gin.Context
	media, name string
	begun       bool
}

func (w *fileWriter) begin() {
	if w.begun {
		return
	}
	w.begun = true
	w.c.Header("Content-Type", w.media)
	w.c.Header("Content-Disposition", fmt.Sprintf("attachment; filename=%q", w.name))
	w.c.Status(http.StatusOK)
	w.c.Writer.WriteHeaderNow()
}

func (w *fileWriter) Write(p []byte) (int, error) {
	w.begin()
	keepAlive(w.c, fileStall)
	return w.c.Writer.Write(p)
}

// fileStall is how long one piece of a file may take on its way.
const fileStall = time.Minute

// keepAlive lets an answer take longer than others: the next piece of it has d.
func keepAlive(c *gin.Context, d time.Duration) {
	_ = http.NewResponseController(c.Writer).SetWriteDeadline(time.Now().Add(d)) // what has none needs none
}

// houseRoutes are about the console itself.
var houseRoutes = []route{
	{method: http.MethodGet, path: "/api/v1/audit", who: signedIn, does: "what was done, the newest first", endpoint: answer(200, (*Server).listAudit),
		query: []parameter{{name: "event", means: "an event's id or name"}, {name: "page_token", means: "next_page_token of the page before"},
			{name: "page_size", means: "how many, at most 500", kind: "integer"}}},
	{method: http.MethodGet, path: "/api/v1/settings", who: signedIn, does: "how this console was started", endpoint: answer(200, (*Server).getSettings)},
	{method: http.MethodGet, path: "/api/v1/cluster", who: signedIn, does: "the consoles that keep the store, and what may be lost of them", endpoint: answer(200, (*Server).getCluster)},
	{method: http.MethodGet, path: "/api/v1/backup", who: signedIn, does: "a copy of the store, without the keys that open its secrets", endpoint: raw(mediaFile, (*Server).getBackup)},
	{method: http.MethodGet, path: "/api/v1/openapi.json", who: anybody, does: "this document", endpoint: raw("application/json", (*Server).getOpenAPI)},
}
