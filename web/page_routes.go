package web

import "github.com/gin-gonic/gin"

// pageRoutes are the pages for people.
var pageRoutes = []route{}

// pageProblem shows what went wrong as a page.
func (s *Server) pageProblem(c *gin.Context, p problem) {
	c.String(p.Status, "%s: %s (%s)\n", p.Title, p.Detail, p.Request)
}
