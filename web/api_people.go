package web

import (
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"popup/console"
)

// A personJSON is somebody who may sign in.
type personJSON struct {
	ID       string    `json:"id"`
	Name     string    `json:"name"`
	Display  string    `json:"display,omitempty"`
	Email    string    `json:"email,omitempty"`
	Role     string    `json:"role" jsonschema:"enum=owner,enum=organiser,enum=viewer"`
	Disabled bool      `json:"disabled"`
	Created  time.Time `json:"created"`
	Seen     time.Time `json:"seen,omitzero"`
}

type peopleJSON struct {
	People []personJSON `json:"people"`
}

func showPerson(p console.Person) personJSON {
	return personJSON{p.ID, p.Name, p.Display, p.Email, string(p.Role), p.Disabled, p.Created, p.Seen}
}

func (s *Server) listPeople(c *gin.Context) (peopleJSON, error) {
	all, err := s.console.People(c, s.actor(c))
	return peopleJSON{each(all, showPerson)}, err
}

// An addedPersonJSON is a new person, and the link for them where no password was given.
type addedPersonJSON struct {
	Person     personJSON `json:"person"`
	Invitation string     `json:"invitation,omitempty"`
}

func (s *Server) addPerson(c *gin.Context, p console.NewPerson) (addedPersonJSON, error) {
	added, invitation, err := s.console.AddPerson(c, s.actor(c), p)
	return addedPersonJSON{showPerson(added), invitation}, err
}

func (s *Server) changePerson(c *gin.Context, change console.PersonChange) (personJSON, error) {
	p, err := s.console.ChangePerson(c, s.actor(c), c.Param("id"), change)
	return showPerson(p), err
}

// A linkMadeJSON is a link that is shown this once.
type linkMadeJSON struct {
	Link string `json:"link"`
}

func (s *Server) invite(c *gin.Context) (linkMadeJSON, error) {
	link, err := s.console.Invite(c, s.actor(c), c.Param("id"))
	return linkMadeJSON{link}, err
}

// A passwordJSON changes one's own.
type passwordJSON struct {
	Old      string `json:"old"`
	Password string `json:"password"`
}

func (s *Server) changePassword(c *gin.Context, p passwordJSON) (none, error) {
	return none{}, s.console.ChangePassword(c, s.actor(c), p.Old, p.Password)
}

// A meJSON is who asks.
type meJSON struct {
	Kind  string `json:"kind" jsonschema:"enum=person,enum=link"`
	ID    string `json:"id"`
	Name  string `json:"name"`
	Role  string `json:"role" jsonschema:"enum=owner,enum=organiser,enum=viewer,enum=helper"`
	Event string `json:"event,omitempty"`
	Reads bool   `json:"reads"`
}

func (s *Server) getMe(c *gin.Context) (meJSON, error) {
	a := s.actor(c)
	return meJSON{string(a.Kind), a.ID, a.Name, string(a.Role), a.Event, a.Reads}, nil
}

// A tokenJSON lets a program act as a person; what it is, is shown once.
type tokenJSON struct {
	ID      string    `json:"id"`
	Title   string    `json:"title"`
	Reads   bool      `json:"reads"`
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires"`
}

type tokensJSON struct {
	Tokens []tokenJSON `json:"tokens"`
}

type addedTokenJSON struct {
	Token  tokenJSON `json:"token"`
	Secret string    `json:"secret"`
}

func showToken(t console.Token) tokenJSON {
	return tokenJSON{t.ID, t.Title, t.Reads, t.Created, t.Expires}
}

func (s *Server) listTokens(c *gin.Context) (tokensJSON, error) {
	all, err := s.console.Tokens(c, s.actor(c))
	return tokensJSON{each(all, showToken)}, err
}

func (s *Server) addToken(c *gin.Context, n console.NewToken) (addedTokenJSON, error) {
	t, secret, err := s.console.AddToken(c, s.actor(c), n)
	return addedTokenJSON{showToken(t), secret}, err
}

func (s *Server) removeToken(c *gin.Context) (none, error) {
	return none{}, s.console.RemoveToken(c, s.actor(c), c.Param("id"))
}

// A loginJSON asks for a token with a password.
type loginJSON struct {
	Name     string `json:"name"`
	Password string `json:"password"`
	Title    string `json:"title"` // of the token
	Reads    bool   `json:"reads,omitempty"`
	Days     int    `json:"days,omitempty"`
}

// login makes a token for a program, of a name and a password.
func (s *Server) login(c *gin.Context, l loginJSON) (added addedTokenJSON, err error) {
	session, err := s.signIn(c, l.Name, l.Password)
	if err != nil {
		return addedTokenJSON{}, err
	}
	defer func() { err = errors.Join(err, s.console.SignOut(c, session.Secret)) }() // the token is all it was for
	actor, err := s.console.ActorOfSession(c, session.Secret)
	if err != nil {
		return addedTokenJSON{}, err
	}
	t, secret, err := s.console.AddToken(c, actor, console.NewToken{Title: l.Title, Reads: l.Reads, Days: l.Days})
	return addedTokenJSON{showToken(t), secret}, err
}

// signIn opens a session, for who comes from the address of this request. Who tries too
// often is told so.
func (s *Server) signIn(c *gin.Context, name, password string) (console.Session, error) {
	session, err := s.console.SignIn(c, name, password, from(c))
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

// A linkJSON lets whoever has it help with one event.
type linkJSON struct {
	ID      string    `json:"id"`
	Event   string    `json:"event"`
	Title   string    `json:"title"`
	Created time.Time `json:"created"`
}

type linksJSON struct {
	Links []linkJSON `json:"links"`
}

type newLinkJSON struct {
	Title string `json:"title"`
}

type addedLinkJSON struct {
	Link    linkJSON `json:"link"`
	Address string   `json:"address"`
}

func showLink(l console.Link) linkJSON { return linkJSON{l.ID, l.Event, l.Title, l.Created} }

func (s *Server) listLinks(c *gin.Context) (linksJSON, error) {
	all, err := s.console.Links(c, s.actor(c), c.Param("id"))
	return linksJSON{each(all, showLink)}, err
}

func (s *Server) addLink(c *gin.Context, n newLinkJSON) (addedLinkJSON, error) {
	l, address, err := s.console.AddLink(c, s.actor(c), c.Param("id"), n.Title)
	return addedLinkJSON{showLink(l), address}, err
}

func (s *Server) removeLink(c *gin.Context) (none, error) {
	return none{}, s.console.RemoveLink(c, s.actor(c), c.Param("id"))
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
