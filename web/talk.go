package web

import (
	"errors"
	"io"
	"math"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"popup/console"
	"popup/internal/wire"
)

// signature is what an instance's request carries beside its body.
func signature(c *gin.Context) console.Signature {
	return console.Signature{Instance: c.GetHeader(wire.HeaderInstance), Value: c.GetHeader(wire.HeaderSignature), From: from(c)}
}

// body is what was sent, as it was sent: a signature is over it.
func body(c *gin.Context) ([]byte, error) {
	b, err := io.ReadAll(c.Request.Body)
	if err == nil {
		return b, nil
	}
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return nil, err
	}
	return nil, &malformed{"the body ended early"}
}

// heed answers an instance with what the console says to its body.
func heed[Out any](ask func(*Server, *gin.Context, []byte) (Out, error)) func(*Server, *gin.Context) (Out, error) {
	return func(s *Server, c *gin.Context) (out Out, err error) {
		b, err := body(c)
		if err != nil {
			return out, err
		}
		return ask(s, c, b)
	}
}

func (s *Server) enrol(c *gin.Context, body []byte) (wire.Enrolled, error) {
	return s.console.Enrol(c.Request.Context(), body, signature(c))
}

// seldom is from when on an instance that waits for its next report keeps no connection:
// ten thousand that only wait would take more memory than all that is known of them.
const seldom = 15 * time.Second

func (s *Server) report(c *gin.Context, body []byte) (wire.Answer, error) {
	answer, err := s.console.Report(c.Request.Context(), body, signature(c))
	if err == nil && wire.Period(answer.Next) >= seldom {
		c.Header("Connection", "close")
	}
	return answer, err
}

func (s *Server) takeLogs(c *gin.Context, body []byte) (none, error) {
	return none{}, s.console.TakeLogs(c.Request.Context(), c.Param("command"), body, signature(c))
}

// putArchive takes an archive as it comes: neither side holds it in memory.
func (s *Server) putArchive(c *gin.Context) (wire.KeptArchive, error) {
	if c.Request.ContentLength < 0 {
		return wire.KeptArchive{}, &malformed{"the header Content-Length is missing"}
	}
	keepAlive(c, archiveTime) // it is read back and verified before it is answered
	body := &patientBody{c.Request.Body, http.NewResponseController(c.Writer)}
	return s.console.PutArchive(c.Request.Context(), console.Backup{Name: c.Param("name"), Size: c.Request.ContentLength, Digest: c.GetHeader(wire.HeaderDigest), Body: body}, signature(c))
}

// archiveTime bounds how long it takes to take and to verify one archive.
const archiveTime = 6 * time.Hour

// A patientBody may take its time, as long as something comes.
type patientBody struct {
	io.Reader
	control *http.ResponseController
}

func (p *patientBody) Read(b []byte) (int, error) {
	_ = p.control.SetReadDeadline(time.Now().Add(fileStall)) // what has none needs none
	n, err := p.Reader.Read(b)
	if err != nil {
		_ = p.control.SetReadDeadline(time.Time{})
	}
	return n, err
}

// keptArchive sends an instance an archive of its own.
func (s *Server) keptArchive(c *gin.Context) {
	kept, file, err := s.console.GetArchive(c.Request.Context(), c.Param("name"), signature(c))
	if err != nil {
		s.fail(c, err)
		return
	}
	s.sendArchive(c, kept, file)
}

func (s *Server) keptArchives(c *gin.Context) (wire.VaultList, error) {
	return s.console.ListArchives(c.Request.Context(), signature(c))
}

// instanceRoutes are what instances ask for. Package wire says how.
var instanceRoutes = []route{
	{method: http.MethodPost, path: wire.PathEnrol, who: instance, does: "an instance brings its key", limit: wire.MaxEnrolment, endpoint: hears[wire.Enrolment](answer(200, heed((*Server).enrol)))},
	{method: http.MethodPost, path: wire.PathReport, who: instance, does: "an instance says how it is", limit: wire.MaxReport, endpoint: hears[wire.Report](answer(200, heed((*Server).report)))},
	{method: http.MethodPost, path: wire.PathLogs + ":command", who: instance, does: "an instance sends its log, compressed", limit: wire.MaxLogs, endpoint: answer(204, heed((*Server).takeLogs))},
	{method: http.MethodPut, path: wire.PathVault + ":name", who: instance, does: "an instance sends an archive of its state", limit: math.MaxInt64, endpoint: answer(200, (*Server).putArchive)},
	{method: http.MethodGet, path: wire.PathVault + ":name", who: instance, does: "an instance takes an archive back", endpoint: raw(mediaFile, (*Server).keptArchive)},
	{method: http.MethodGet, path: wire.PathVault, who: instance, does: "the archives of an instance", endpoint: answer(200, (*Server).keptArchives)},
}

// hears says in the API's document what a body is that the console itself reads.
func hears[In any](e endpoint) endpoint {
	e.takes = typeOf[In]()
	return e
}
