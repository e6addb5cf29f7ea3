package web

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"popup/web/api"
)

func (s *Server) paste(c *gin.Context) (api.Paste, error) {
	text, err := s.console.Paste(c.Request.Context(), s.actor(c), c.Param("id"))
	return api.Paste{UserData: string(text)}, err
}

func (s *Server) confirmOff(c *gin.Context) (none, error) {
	return none{}, s.console.ConfirmOff(c.Request.Context(), s.actor(c), c.Param("id"))
}

func (s *Server) replaceMachine(c *gin.Context, ask api.Replace) (api.Replaced, error) {
	id, err := s.console.ReplaceMachine(c.Request.Context(), s.actor(c), c.Param("id"), ask.Snapshot)
	return api.Replaced{Instance: id}, err
}

// handRoutes are about machines that a person starts, turns off, or has replaced.
var handRoutes = []route{
	{method: http.MethodPost, path: "/api/v1/instances/:id/paste", who: signedIn, does: "the user-data that somebody is to start an instance's machine with", endpoint: answer(200, (*Server).paste)},
	{method: http.MethodPost, path: "/api/v1/instances/:id/replace", who: signedIn, does: "launch another machine in the place of an instance's, with what is on its volume", endpoint: take(202, (*Server).replaceMachine)},
	{method: http.MethodPost, path: "/api/v1/instances/:id/off", who: signedIn, does: "say that somebody turned an instance's machine off", endpoint: answer(204, (*Server).confirmOff)},
}
