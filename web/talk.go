package web

import (
	"errors"
	"io"
	"net/http"

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
	return s.console.Enrol(c, body, signature(c))
}

func (s *Server) report(c *gin.Context, body []byte) (wire.Answer, error) {
	return s.console.Report(c, body, signature(c))
}

func (s *Server) takeLogs(c *gin.Context, body []byte) (none, error) {
	return none{}, s.console.TakeLogs(c, c.Param("command"), body, signature(c))
}

// instanceRoutes are what instances ask for. Package wire says how.
var instanceRoutes = []route{
	{method: http.MethodPost, path: wire.PathEnrol, who: instance, does: "an instance brings its key", limit: wire.MaxEnrolment, endpoint: hears[wire.Enrolment](answer(200, heed((*Server).enrol)))},
	{method: http.MethodPost, path: wire.PathReport, who: instance, does: "an instance says how it is", limit: wire.MaxReport, endpoint: hears[wire.Report](answer(200, heed((*Server).report)))},
	{method: http.MethodPost, path: wire.PathLogs + ":command", who: instance, does: "an instance sends its log, compressed", limit: wire.MaxLogs, endpoint: answer(204, heed((*Server).takeLogs))},
}

// hears says in the API's document what a body is that the console itself reads.
func hears[In any](e endpoint) endpoint {
	e.takes = typeOf[In]()
	return e
}
