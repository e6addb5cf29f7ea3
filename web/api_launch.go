package web

import (
	"cmp"
	"crypto/rand"
	"net/http"
	"reflect"

	"github.com/gin-gonic/gin"

	"popup/console"
	"popup/web/api"
)

func showDeployment(d console.Deployment) api.Deployment {
	return api.Deployment{ID: d.ID, Event: d.Event, Title: d.Title, App: string(d.App), Repository: d.Repository, Commit: d.Commit,
		Cloud: d.Cloud, Count: d.Count, Plan: d.Plan, Settings: d.Settings, Secrets: d.SecretNames, Created: d.Created}
}

func (s *Server) listDeployments(c *gin.Context) (api.Deployments, error) {
	all, err := s.console.Deployments(c.Request.Context(), s.actor(c), c.Param("id"))
	return api.Deployments{Deployments: each(all, showDeployment)}, err
}

func showOperation(o console.Operation) api.Operation {
	return api.Operation{ID: o.ID, Verb: o.Verb, Event: o.Event, By: o.By, State: string(o.State), Instances: append([]string{}, o.Instances...),
		Created: o.Created, Finished: o.Finished, Failure: o.Failure}
}

func (s *Server) getOperation(c *gin.Context) (api.Operation, error) {
	o, err := s.console.Operation(c.Request.Context(), s.actor(c), c.Param("id"))
	return showOperation(o), err
}

func (s *Server) listOperations(c *gin.Context) (api.Operations, error) {
	all, err := s.console.Operations(c.Request.Context(), s.actor(c), c.Param("id"))
	return api.Operations{Operations: each(all, showOperation)}, err
}

func (s *Server) showPreview(p console.Preview) api.Preview {
	return api.Preview{Event: s.showEvent(p.Event), New: p.New, Button: p.Button, Cloud: p.Cloud, Count: p.Count,
		Notes: append([]string{}, p.Notes...), EndsAt: p.EndsAt, Quote: showQuote(p.Quote),
		Apps: each(p.Apps, func(a console.PreviewApp) api.PreviewApp {
			return api.PreviewApp{Name: a.Name, Deployment: showDeployment(a.Deployment), UserData: a.UserData}
		})}
}

// mostKey is what the API's document says of an Idempotency-Key, in bytes. The console
// refuses more.
const mostKey = 200

// launch launches, or says what a launch would do.
func (s *Server) launch(c *gin.Context) {
	only, err := truth(c, "validate_only")
	if err != nil {
		s.fail(c, err)
		return
	}
	request, err := read[console.LaunchRequest](c)
	if err != nil {
		s.fail(c, err)
		return
	}
	if only {
		preview, err := s.console.Preview(c.Request.Context(), s.actor(c), request)
		if err != nil {
			s.fail(c, err)
			return
		}
		s.json(c, http.StatusOK, s.showPreview(preview))
		return
	}
	operation, err := s.console.Launch(c.Request.Context(), s.actor(c), request, onceKey(c))
	if err != nil {
		s.fail(c, err)
		return
	}
	c.Header("Location", "/api/v1/operations/"+operation.ID)
	s.json(c, http.StatusAccepted, showOperation(operation))
}

// onceKey is by what whoever asks has it done once; fail knows then that there is one.
func onceKey(c *gin.Context) string {
	key := c.GetHeader(api.HeaderKey)
	c.Set(keyOnce, key != "")
	return cmp.Or(key, rand.Text())
}

// launchRoutes launch, and tell what came of it.
var launchRoutes = []route{
	{method: http.MethodPost, path: "/api/v1/launches", who: signedIn, does: "launch apps within an event, new or not; asked again with the same Idempotency-Key it is done once", once: true,
		query:    []parameter{{name: "validate_only", means: "true: say what it would do, and do nothing", kind: "boolean"}},
		endpoint: endpoint{run: (*Server).launch, takes: typeOf[console.LaunchRequest](), status: http.StatusAccepted, gives: typeOf[api.Operation](), preview: reflect.TypeFor[api.Preview]()}},
	{method: http.MethodGet, path: "/api/v1/operations/:id", who: signedIn, does: "an operation", endpoint: answer(200, (*Server).getOperation)},
}
