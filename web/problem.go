package web

import (
	"context"
	"errors"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"popup/console"
	"popup/console/catalogue"
	"popup/web/api"
	"popup/web/oidc"
)

// What is said where the reason is nobody's business, or in the log.
const (
	sayBroken   = "something is wrong with this console; its log says more, under the id of this request"
	sayTimeout  = "that took too long; try it again"
	sayTooLarge = "that is larger than this console takes"
	saySignIn   = "sign in first, or send a token with Authorization: Bearer"

	sayUnavailable = "the consoles are finding out who leads, and nothing was changed; try it again in a moment"
	sayUncertain   = "the console that leads was lost in the middle of this, and it is not known whether it was done; "
	sayLook        = "look whether it was before you send it again"
	sayAgain       = "send the same once more, with the same " + api.HeaderKey + ": it is done once"
)

// askAgain is when one that leads is there again, as a rule.
const askAgain = 2 * time.Second

var (
	errMethod = errors.New("that can be looked at in another way only; the header Allow names it")
	errMedia  = errors.New("send JSON, with the header Content-Type: application/json")
)

// A malformed error says that what was sent is nothing that can be read.
type malformed struct{ reason string }

func (e *malformed) Error() string { return e.reason }

// A tooMany error turns away who tries too often.
type tooMany struct{ *console.BusyError }

func (e *tooMany) Unwrap() error { return e.BusyError }

// fail answers with an error: as a problem to programs, as a page to people. It is the
// only place that makes an answer of one.
func (s *Server) fail(c *gin.Context, err error) {
	c.Abort()
	if gone(c, err) {
		return
	}
	p := problemOf(err)
	if errors.Is(err, console.ErrUncertain) && c.GetBool(keyOnce) {
		p.Detail = sayUncertain + sayAgain
	}
	if errors.Is(err, console.ErrUnavailable) && c.Request.Method == http.MethodGet && !isAPI(c) {
		c.Header("Refresh", strconv.Itoa(int(askAgain.Seconds()))) // by itself, scripts or not
	}
	if p.Status == http.StatusInternalServerError {
		s.log.ErrorContext(c.Request.Context(), "request failed", "request", c.GetString(keyRequest), "method", c.Request.Method, "path", loggedPath(c), "err", err)
	}
	if errors.Is(err, console.ErrSignIn) && !isAPI(c) && c.Request.Method == http.MethodGet {
		c.Redirect(http.StatusSeeOther, signInPath(c.Request.URL))
		return
	}
	s.answerProblem(c, p)
}

func (s *Server) answerProblem(c *gin.Context, p api.Problem) {
	p.Type, p.Request = "about:blank", c.GetString(keyRequest)
	if p.Title == "" {
		p.Title = http.StatusText(p.Status)
	}
	h := c.Writer.Header()
	h.Set("Cache-Control", "no-store")
	if p.After > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(p.After.Seconds()))))
	}
	if p.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Bearer realm="popup"`)
	}
	if !isAPI(c) {
		s.pageProblem(c, p)
		return
	}
	h.Set("Content-Type", api.ProblemType)
	c.JSON(p.Status, p)
}

// problemOf is what an error means to who asked. What no caller can do anything about
// is not told.
func problemOf(err error) api.Problem {
	var (
		input    *console.InputError
		conflict *console.ConflictError
		busy     *console.BusyError
		many     *tooMany
		bad      *malformed
		large    *http.MaxBytesError
		missing  *catalogue.NotFoundError
		refused  *catalogue.InputError
	)
	switch {
	case errors.As(err, &missing):
		return api.Problem{Status: http.StatusNotFound, Detail: missing.Error()}
	case errors.As(err, &refused):
		return problemOf(wrongField(refused.Field, whyRefused(refused)))
	case errors.As(err, &input):
		return api.Problem{Status: http.StatusUnprocessableEntity, Detail: input.Error(), Errors: input.Fields}
	case errors.As(err, &conflict):
		return api.Problem{Status: http.StatusConflict, Detail: conflict.Reason}
	case errors.As(err, &many):
		return api.Problem{Status: http.StatusTooManyRequests, Detail: many.Reason, After: many.After}
	case errors.As(err, &busy):
		return api.Problem{Status: http.StatusServiceUnavailable, Detail: busy.Reason, After: busy.After}
	case errors.As(err, &bad):
		return api.Problem{Status: http.StatusBadRequest, Detail: bad.reason}
	case errors.As(err, &large):
		return api.Problem{Status: http.StatusRequestEntityTooLarge, Detail: sayTooLarge}
	case errors.Is(err, console.ErrForbidden): // some say it in words of their own
		return api.Problem{Status: http.StatusForbidden, Detail: err.Error()}
	case errors.Is(err, console.ErrUncertain):
		return api.Problem{Status: http.StatusServiceUnavailable, Detail: sayUncertain + sayLook, After: askAgain}
	case errors.Is(err, console.ErrUnavailable):
		return api.Problem{Status: http.StatusServiceUnavailable, Detail: sayUnavailable, After: askAgain}
	case errors.Is(err, context.DeadlineExceeded):
		return api.Problem{Status: http.StatusServiceUnavailable, Detail: sayTimeout, After: 5 * time.Second}
	}
	for _, known := range plain {
		if errors.Is(err, known.err) {
			return api.Problem{Status: known.status, Detail: known.detail}
		}
	}
	return api.Problem{Status: http.StatusInternalServerError, Detail: sayBroken}
}

// whyRefused is what is wrong, and what to try.
func whyRefused(e *catalogue.InputError) string {
	if e.Try == "" {
		return e.Message
	}
	return e.Message + "; " + e.Try
}

// plain are the errors that say nothing but what they are.
var plain = []struct {
	err    error
	status int
	detail string
}{
	{console.ErrNotFound, http.StatusNotFound, "there is no such thing here, or it is not yours to see"},
	{console.ErrSignIn, http.StatusUnauthorized, saySignIn},
	{console.ErrWrongPassword, http.StatusUnauthorized, console.ErrWrongPassword.Error()},
	{console.ErrNotInvited, http.StatusForbidden, console.ErrNotInvited.Error()},
	{console.ErrLinkOver, http.StatusGone, console.ErrLinkOver.Error()},
	{oidc.ErrBeginAgain, http.StatusBadRequest, oidc.ErrBeginAgain.Error()},
	{oidc.ErrRefused, http.StatusForbidden, oidc.ErrRefused.Error()},
	{console.ErrOver, http.StatusGone, console.ErrOver.Error()},
	{console.ErrTaken, http.StatusConflict, "that name is taken; choose another"},
	{console.ErrForgotten, http.StatusGone, console.ErrForgotten.Error()},
	{errForged, http.StatusForbidden, errForged.Error()},
	{errMethod, http.StatusMethodNotAllowed, errMethod.Error()},
	{errMedia, http.StatusUnsupportedMediaType, errMedia.Error()},
}
