package web

import (
	"net/http"
	"reflect"

	"github.com/gin-gonic/gin"

	"popup/console"
)

// An audience is who a route is for. What each of them may do with it, the console's
// use cases say.
type audience string

const (
	anybody  audience = "anybody"
	signedIn audience = "signed in" // a person, or a helper by a link
	instance audience = "instance"  // its signature says so, which the console checks
)

// A route is one thing that can be asked for.
type route struct {
	method, path string
	who          audience
	does         string // in the API's document; empty: it is a page
	query        []parameter
	endpoint
	limit  int64 // bytes of its body; 0: maxBody
	stream bool  // its answer goes on and on
	once   bool  // it takes an Idempotency-Key
}

// A parameter is one of a query.
type parameter struct {
	name, means string
	kind        string // of JSON Schema; empty: string
	many        bool   // it may be given more than once
}

// An endpoint is what answers a route. The API's document is made of its types.
type endpoint struct {
	run    func(*Server, *gin.Context)
	takes  reflect.Type // the JSON of the body; nil: none
	gives  reflect.Type // the JSON of the answer; nil: none, or of another type
	status int          // of an answer that is no error; 0: 200
	media  string       // of an answer that is not JSON
	// preview is the JSON of the answer to what is only tried, with 200; nil: there is none.
	preview reflect.Type
}

// page answers with HTML, and with errors as pages.
func page(run func(*Server, *gin.Context)) endpoint {
	return endpoint{run: run, media: "text/html; charset=utf-8"}
}

// answer answers with JSON.
func answer[Out any](status int, fn func(*Server, *gin.Context) (Out, error)) endpoint {
	return endpoint{status: status, gives: typeOf[Out](), run: func(s *Server, c *gin.Context) {
		out, err := fn(s, c)
		if err != nil {
			s.fail(c, err)
			return
		}
		s.json(c, status, out)
	}}
}

// take reads JSON, and answers with JSON.
func take[In, Out any](status int, fn func(*Server, *gin.Context, In) (Out, error)) endpoint {
	e := answer(status, func(s *Server, c *gin.Context) (out Out, err error) {
		in, err := read[In](c)
		if err != nil {
			return out, err
		}
		return fn(s, c, in)
	})
	e.takes = typeOf[In]()
	return e
}

// raw answers by itself, with something of a media type.
func raw(media string, run func(*Server, *gin.Context)) endpoint {
	return endpoint{run: run, media: media}
}

// none is the answer of what has nothing to say.
type none struct{}

func typeOf[T any]() reflect.Type {
	if t := reflect.TypeFor[T](); t != reflect.TypeFor[none]() {
		return t
	}
	return nil
}

// json writes an answer; nothing where its status has no body.
func (s *Server) json(c *gin.Context, status int, out any) {
	c.Header("Cache-Control", "no-store")
	if status == http.StatusNoContent {
		c.Status(status)
		c.Writer.WriteHeaderNow()
		return
	}
	c.JSON(status, out)
}

// run bounds what is read of a request, looks at its query, and answers it.
func (s *Server) run(r route) gin.HandlerFunc {
	limit := r.limit
	if limit == 0 {
		limit = maxBody
	}
	return func(c *gin.Context) {
		if c.Request.Body != nil {
			c.Request.Body = http.MaxBytesReader(c.Writer, c.Request.Body, limit)
		}
		if r.does != "" && r.who != instance {
			if err := checkQuery(c.Request.URL.Query(), r.query); err != nil {
				s.fail(c, err)
				return
			}
		}
		r.endpoint.run(s, c)
	}
}

// admit turns away who has no business at a route at all.
func (s *Server) admit(r route) gin.HandlerFunc {
	return func(c *gin.Context) {
		if r.who == instance {
			return
		}
		if r.who == signedIn && s.actor(c).Kind == console.ActorNobody {
			s.fail(c, console.ErrSignIn)
			return
		}
		if err := s.checkForgery(c); err != nil {
			s.fail(c, err)
		}
	}
}
