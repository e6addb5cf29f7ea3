package web

import (
	"errors"
	"net"
	"net/http"

	"github.com/gin-gonic/gin"

	"popup/console"
	"popup/web/api"
)

func showPerson(p console.Person) api.Person {
	return api.Person{ID: p.ID, Name: p.Name, Display: p.Display, Email: p.Email, Role: string(p.Role), Disabled: p.Disabled, Created: p.Created, Seen: p.Seen}
}

func (s *Server) listPeople(c *gin.Context) (api.People, error) {
	all, err := s.console.People(c.Request.Context(), s.actor(c))
	return api.People{People: each(all, showPerson)}, err
}

func (s *Server) addPerson(c *gin.Context, p console.NewPerson) (api.AddedPerson, error) {
	added, invitation, err := s.console.AddPerson(c.Request.Context(), s.actor(c), p)
	return api.AddedPerson{Person: showPerson(added), Invitation: invitation}, err
}

func (s *Server) changePerson(c *gin.Context, change console.PersonChange) (api.Person, error) {
	p, err := s.console.ChangePerson(c.Request.Context(), s.actor(c), c.Param("id"), change)
	return showPerson(p), err
}

func (s *Server) invite(c *gin.Context) (api.LinkMade, error) {
	link, err := s.console.Invite(c.Request.Context(), s.actor(c), c.Param("id"))
	return api.LinkMade{Link: link}, err
}

func (s *Server) changePassword(c *gin.Context, p api.Password) (none, error) {
	return none{}, s.console.ChangePassword(c.Request.Context(), s.actor(c), p.Old, p.Password)
}

func (s *Server) getMe(c *gin.Context) (api.Me, error) {
	a := s.actor(c)
	return api.Me{Kind: string(a.Kind), ID: a.ID, Name: a.Name, Role: string(a.Role), Event: a.Event, Reads: a.Reads, TokenID: a.Token}, nil
}

func showToken(t console.Token) api.Token {
	return api.Token{ID: t.ID, Title: t.Title, Reads: t.Reads, Created: t.Created, Expires: t.Expires}
}

func (s *Server) listTokens(c *gin.Context) (api.Tokens, error) {
	all, err := s.console.Tokens(c.Request.Context(), s.actor(c))
	return api.Tokens{Tokens: each(all, showToken)}, err
}

func (s *Server) addToken(c *gin.Context, n console.NewToken) (api.AddedToken, error) {
	t, secret, err := s.console.AddToken(c.Request.Context(), s.actor(c), n)
	return api.AddedToken{Token: showToken(t), Secret: secret}, err
}

func (s *Server) removeToken(c *gin.Context) (none, error) {
	return none{}, s.console.RemoveToken(c.Request.Context(), s.actor(c), c.Param("id"))
}

// login makes a token for a program, of a name and a password.
func (s *Server) login(c *gin.Context, l api.Login) (added api.AddedToken, err error) {
	session, err := s.signIn(c, l.Name, l.Password)
	if err != nil {
		return api.AddedToken{}, err
	}
	defer func() { err = errors.Join(err, s.console.SignOut(c.Request.Context(), session.Secret)) }() // the token is all it was for
	actor, err := s.console.ActorOfSession(c.Request.Context(), session.Secret)
	if err != nil {
		return api.AddedToken{}, err
	}
	t, secret, err := s.console.AddToken(c.Request.Context(), actor, console.NewToken{Title: l.Title, Reads: l.Reads, Days: l.Days})
	return api.AddedToken{Token: showToken(t), Secret: secret}, err
}

// signIn opens a session, for who comes from the address of this request. Who tries too
// often is told so.
func (s *Server) signIn(c *gin.Context, name, password string) (console.Session, error) {
	session, err := s.console.SignIn(c.Request.Context(), name, password, from(c))
	var busy *console.BusyError
	if errors.As(err, &busy) {
		return session, &tooMany{busy}
	}
	return session, err
}

// from is the address that a request came from: of its connection, as anybody may write
// a header.
func from(c *gin.Context) string {
	host, _, err := net.SplitHostPort(c.Request.RemoteAddr)
	if err != nil {
		return c.Request.RemoteAddr
	}
	return host
}

func showLink(l console.Link) api.Link {
	return api.Link{ID: l.ID, Event: l.Event, Title: l.Title, Created: l.Created}
}

func (s *Server) listLinks(c *gin.Context) (api.Links, error) {
	all, err := s.console.Links(c.Request.Context(), s.actor(c), c.Param("id"))
	return api.Links{Links: each(all, showLink)}, err
}

func (s *Server) addLink(c *gin.Context, n api.NewLink) (api.AddedLink, error) {
	l, address, err := s.console.AddLink(c.Request.Context(), s.actor(c), c.Param("id"), n.Title)
	return api.AddedLink{Link: showLink(l), Address: address}, err
}

func (s *Server) removeLink(c *gin.Context) (none, error) {
	return none{}, s.console.RemoveLink(c.Request.Context(), s.actor(c), c.Param("id"))
}

// peopleRoutes are about who may do what.
var peopleRoutes = []route{
	{method: http.MethodPost, path: "/api/v1/login", who: anybody, does: "make a token with a name and a password", endpoint: take(201, (*Server).login)},
	{method: http.MethodGet, path: "/api/v1/me", who: signedIn, does: "who asks", endpoint: answer(200, (*Server).getMe)},
	{method: http.MethodPost, path: "/api/v1/me/password", who: signedIn, does: "change one's own password", endpoint: take(204, (*Server).changePassword)},
	{method: http.MethodGet, path: "/api/v1/people", who: signedIn, does: "who may sign in", endpoint: answer(200, (*Server).listPeople)},
	{method: http.MethodPost, path: "/api/v1/people", who: signedIn, does: "add a person", endpoint: take(201, (*Server).addPerson)},
	{method: http.MethodPatch, path: "/api/v1/people/:id", who: signedIn, does: "change a person", endpoint: take(200, (*Server).changePerson)},
	{method: http.MethodPost, path: "/api/v1/people/:id/invite", who: signedIn, does: "make a link for a person who cannot sign in", endpoint: answer(201, (*Server).invite)},
	{method: http.MethodGet, path: "/api/v1/tokens", who: signedIn, does: "one's own tokens", endpoint: answer(200, (*Server).listTokens)},
	{method: http.MethodPost, path: "/api/v1/tokens", who: signedIn, does: "make a token; its secret is shown this once", endpoint: take(201, (*Server).addToken)},
	{method: http.MethodDelete, path: "/api/v1/tokens/:id", who: signedIn, does: "end a token", endpoint: answer(204, (*Server).removeToken)},
	{method: http.MethodGet, path: "/api/v1/events/:id/links", who: signedIn, does: "the helpers' links of an event", endpoint: answer(200, (*Server).listLinks)},
	{method: http.MethodPost, path: "/api/v1/events/:id/links", who: signedIn, does: "make a helpers' link; its address is shown this once", endpoint: take(201, (*Server).addLink)},
	{method: http.MethodDelete, path: "/api/v1/links/:id", who: signedIn, does: "end a helpers' link", endpoint: answer(204, (*Server).removeLink)},
}
