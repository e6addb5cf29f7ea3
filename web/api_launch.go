package web

import (
	"crypto/rand"
	"net/http"
	"reflect"
	"time"

	"github.com/gin-gonic/gin"

	"popup/console"
	"popup/internal/wire"
)

// A deploymentJSON is an app within an event.
type deploymentJSON struct {
	ID         string            `json:"id"`
	Event      string            `json:"event"`
	Title      string            `json:"title"`
	App        string            `json:"app"`
	Repository string            `json:"repository,omitempty"`
	Commit     string            `json:"commit,omitempty"`
	Cloud      string            `json:"cloud"`
	Count      int               `json:"count"`
	Plan       wire.Plan         `json:"plan"`
	Settings   map[string]string `json:"settings,omitempty"`
	Secrets    []string          `json:"secrets,omitempty"` // names
	Created    time.Time         `json:"created"`
}

type deploymentsJSON struct {
	Deployments []deploymentJSON `json:"deployments"`
}

func showDeployment(d console.Deployment) deploymentJSON {
	return deploymentJSON{ID: d.ID, Event: d.Event, Title: d.Title, App: string(d.App), Repository: d.Repository, Commit: d.Commit,
		Cloud: d.Cloud, Count: d.Count, Plan: openPlan(d.Plan), Settings: d.Settings, Secrets: d.SecretNames, Created: d.Created}
}

// openPlan is a plan without what lets somebody enrol.
func openPlan(p wire.Plan) wire.Plan {
	if p.Console != nil {
		p.Console = &wire.Console{URL: p.Console.URL, Pin: p.Console.Pin}
	}
	return p
}

func (s *Server) listDeployments(c *gin.Context) (deploymentsJSON, error) {
	all, err := s.console.Deployments(c, s.actor(c), c.Param("id"))
	return deploymentsJSON{each(all, showDeployment)}, err
}

// An operationJSON is something that takes its time.
type operationJSON struct {
	ID        string    `json:"id"`
	Verb      string    `json:"verb"`
	Event     string    `json:"event"`
	By        string    `json:"by"`
	State     string    `json:"state" jsonschema:"enum=running,enum=done,enum=failed"`
	Instances []string  `json:"instances"`
	Created   time.Time `json:"created"`
	Finished  time.Time `json:"finished,omitzero"`
	Failure   string    `json:"failure,omitempty"`
}

type operationsJSON struct {
	Operations []operationJSON `json:"operations"`
}

func showOperation(o console.Operation) operationJSON {
	return operationJSON{ID: o.ID, Verb: o.Verb, Event: o.Event, By: o.By, State: string(o.State), Instances: append([]string{}, o.Instances...),
		Created: o.Created, Finished: o.Finished, Failure: o.Failure}
}

func (s *Server) getOperation(c *gin.Context) (operationJSON, error) {
	o, err := s.console.Operation(c, s.actor(c), c.Param("id"))
	return showOperation(o), err
}

func (s *Server) listOperations(c *gin.Context) (operationsJSON, error) {
	all, err := s.console.Operations(c, s.actor(c), c.Param("id"))
	return operationsJSON{each(all, showOperation)}, err
}

// A previewJSON is what a launch would do.
type previewJSON struct {
	Event  eventJSON        `json:"event"`
	New    bool             `json:"new"`
	Button string           `json:"button"`
	Apps   []previewAppJSON `json:"apps"`
	Cloud  string           `json:"cloud"`
	Count  int              `json:"count"`
	Notes  []string         `json:"notes"`
	EndsAt time.Time        `json:"ends_at"`
}

type previewAppJSON struct {
	Name       string         `json:"name"`
	Deployment deploymentJSON `json:"deployment"`
	UserData   string         `json:"user_data"`
}

func (s *Server) showPreview(p console.Preview) previewJSON {
	return previewJSON{Event: s.showEvent(p.Event), New: p.New, Button: p.Button, Cloud: p.Cloud, Count: p.Count,
		Notes: append([]string{}, p.Notes...), EndsAt: p.EndsAt,
		Apps: each(p.Apps, func(a console.PreviewApp) previewAppJSON {
			return previewAppJSON{a.Name, showDeployment(a.Deployment), a.UserData}
		})}
}

// headerKey has a launch that is asked for again done once.
const headerKey = "Idempotency-Key"

// mostKey bounds it, in bytes.
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
		preview, err := s.console.Preview(c, s.actor(c), request)
		if err != nil {
			s.fail(c, err)
			return
		}
		s.json(c, http.StatusOK, s.showPreview(preview))
		return
	}
	key := c.GetHeader(headerKey)
	if len(key) > mostKey {
		s.fail(c, wrongField(headerKey, "give at most 200 bytes"))
		return
	}
	if key == "" {
		key = rand.Text()
	}
	operation, err := s.console.Launch(c, s.actor(c), request, key)
	if err != nil {
		s.fail(c, err)
		return
	}
	c.Header("Location", "/api/v1/operations/"+operation.ID)
	s.json(c, http.StatusAccepted, showOperation(operation))
}

// launchRoutes launch, and tell what came of it.
var launchRoutes = []route{
	{method: http.MethodPost, path: "/api/v1/launches", who: signedIn, does: "launch apps within an event, new or not; asked again with the same Idempotency-Key it is done once",
		query:    []parameter{{name: "validate_only", means: "true: say what it would do, and do nothing", kind: "boolean"}},
		endpoint: endpoint{run: (*Server).launch, takes: typeOf[console.LaunchRequest](), status: http.StatusAccepted, gives: typeOf[operationJSON](), preview: reflect.TypeFor[previewJSON]()}},
	{method: http.MethodGet, path: "/api/v1/operations/:id", who: signedIn, does: "an operation", endpoint: answer(200, (*Server).getOperation)},
}
