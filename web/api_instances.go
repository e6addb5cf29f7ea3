package web

import (
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"popup/console"
	"popup/internal/wire"
)

// An instanceJSON is an instance with what is known of it by now. Lists leave its
// report, its history and its orders out.
type instanceJSON struct {
	ID         string       `json:"id"`
	Event      string       `json:"event"`
	EventName  string       `json:"event_name"`
	EventTitle string       `json:"event_title"`
	Deployment string       `json:"deployment"`
	Title      string       `json:"title"`
	App        string       `json:"app"`
	Number     int          `json:"number"`
	Cloud      string       `json:"cloud"`
	State      string       `json:"state" jsonschema:"enum=planned,enum=launching,enum=starting,enum=live,enum=ending,enum=gone,enum=lost,enum=failed"`
	Health     string       `json:"health" jsonschema:"enum=waiting,enum=starting,enum=live,enum=unhealthy,enum=silent,enum=ending,enum=over"`
	Why        string       `json:"why,omitempty"`
	Machine    string       `json:"machine,omitempty"`
	Address    string       `json:"address,omitempty"`
	Release    string       `json:"release,omitempty"`
	Revision   string       `json:"revision,omitempty"`
	Created    time.Time    `json:"created"`
	Launched   time.Time    `json:"launched,omitzero"`
	Enrolled   time.Time    `json:"enrolled,omitzero"`
	LiveSince  time.Time    `json:"live_since,omitzero"`
	Heard      time.Time    `json:"heard,omitzero"`
	Ended      time.Time    `json:"ended,omitzero"`
	Gone       time.Time    `json:"gone,omitzero"`
	Failure    string       `json:"failure,omitempty"`
	Archive    *archiveJSON `json:"archive,omitempty"`
	Wanted     *wire.Wanted `json:"wanted,omitempty"`
	Report     *wire.Report `json:"report,omitempty"`
	History    []sampleJSON `json:"history,omitempty"`
	Orders     []orderJSON  `json:"orders,omitempty"`
}

type sampleJSON struct {
	At       time.Time `json:"at"`
	Requests int64     `json:"requests"`
	Errors   int64     `json:"errors"`
}

type instancesJSON struct {
	Instances []instanceJSON `json:"instances"`
	Total     int            `json:"total"`
	Counts    map[string]int `json:"counts"`
	Next      string         `json:"next_page_token,omitempty"`
}

// showListed is an instance of a list.
func showListed(v console.InstanceView) instanceJSON {
	shown := instanceJSON{ID: v.ID, Event: v.Event, EventName: v.EventName, EventTitle: v.EventTitle, Deployment: v.Deployment, Title: v.Title,
		App: v.App, Number: v.Number, Cloud: v.Cloud, State: string(v.State), Health: v.Health, Why: v.Why, Machine: v.Machine, Address: v.Address,
		Created: v.Created, Launched: v.Launched, Enrolled: v.Enrolled, LiveSince: v.LiveSince, Heard: v.LastHeard, Ended: v.Ended, Gone: v.Gone,
		Failure: v.Failure, Archive: showArchive(v.Archive)}
	if r := newest(v); r != nil && r.Serving != nil {
		shown.Release, shown.Revision = r.Serving.Release, r.Serving.Revision
	}
	return shown
}

// newest is the newest report there is; nil: none.
func newest(v console.InstanceView) *wire.Report {
	if v.LastReport != nil {
		return v.LastReport
	}
	return v.Report
}

func showInstance(v console.InstanceView) instanceJSON {
	shown := showListed(v)
	shown.Wanted, shown.Report = &v.Wanted, newest(v)
	shown.History = each(v.History, func(p console.Sample) sampleJSON { return sampleJSON{p.At, p.Requests, p.Errors} })
	shown.Orders = each(v.Commands, showOrder)
	return shown
}

func (s *Server) listInstances(c *gin.Context) (instancesJSON, error) {
	size, err := number(c, "page_size", 0, 500)
	if err != nil {
		return instancesJSON{}, err
	}
	event, err := s.eventID(c, c.Query("event"))
	if err != nil {
		return instancesJSON{}, err
	}
	page, err := s.console.Instances(c, s.actor(c), console.InstanceQuery{Text: c.Query("q"), Event: event, App: c.Query("app"),
		Health: c.Query("health"), Cloud: c.Query("cloud"), Sort: c.Query("sort"), After: c.Query("page_token"), Limit: int(size)})
	counts := page.Counts
	if counts == nil {
		counts = map[string]int{}
	}
	return instancesJSON{each(page.Instances, showListed), page.Total, counts, page.Next}, err
}

// eventID is the id of an event that is given by its id or its name; empty stays so.
func (s *Server) eventID(c *gin.Context, given string) (string, error) {
	if given == "" {
		return "", nil
	}
	e, err := s.console.Event(c, s.actor(c), given)
	return e.ID, err
}

func (s *Server) getInstance(c *gin.Context) (instanceJSON, error) {
	v, err := s.console.Instance(c, s.actor(c), c.Param("id"))
	return showInstance(v), err
}

// A configJSON is what an instance is wanted to be; of secrets the names alone.
type configJSON struct {
	Instance string            `json:"instance"`
	Plan     wire.Plan         `json:"plan"`
	Settings map[string]string `json:"settings,omitempty"`
	Secrets  []string          `json:"secrets,omitempty"`
	Wanted   wire.Wanted       `json:"wanted"`
}

func (s *Server) getConfig(c *gin.Context) (configJSON, error) {
	config, err := s.console.InstanceConfig(c, s.actor(c), c.Param("id"))
	return configJSON{config.Instance, openPlan(config.Plan), config.Settings, config.Secrets, config.Wanted}, err
}

// An orderJSON is a command and what became of it.
type orderJSON struct {
	ID     string            `json:"id"`
	Verb   string            `json:"verb"`
	Args   map[string]string `json:"args,omitempty"`
	By     string            `json:"by"`
	At     time.Time         `json:"at"`
	Result *wire.Result      `json:"result,omitempty"`
}

type ordersJSON struct {
	Orders []orderJSON `json:"orders"`
}

func showOrder(o console.Order) orderJSON {
	return orderJSON{ID: o.ID, Verb: o.Verb, Args: o.Args, By: o.By, At: o.At, Result: o.Result}
}

// A newOrderJSON asks an instance to do something.
type newOrderJSON struct {
	Verb string            `json:"verb" jsonschema:"enum=sync,enum=retry,enum=rollback,enum=release,enum=restart,enum=logs,enum=drain,enum=end"`
	Args map[string]string `json:"args,omitempty"`
}

func (s *Server) command(c *gin.Context, r newOrderJSON) (orderJSON, error) {
	order, err := s.console.Command(c, s.actor(c), c.Param("id"), wire.Command{Verb: r.Verb, Args: r.Args})
	return showOrder(order), err
}

func (s *Server) listOrders(c *gin.Context) (ordersJSON, error) {
	v, err := s.console.Instance(c, s.actor(c), c.Param("id"))
	return ordersJSON{each(v.Commands, showOrder)}, err
}

func (s *Server) pinInstance(c *gin.Context, pins console.Pins) (instanceJSON, error) {
	v, err := s.console.Pin(c, s.actor(c), c.Param("id"), pins)
	return showInstance(v), err
}

func (s *Server) discard(c *gin.Context, confirm confirmJSON) (none, error) {
	return none{}, s.console.DiscardState(c, s.actor(c), c.Param("id"), confirm.Name)
}

func (s *Server) getLogs(c *gin.Context) {
	text, err := s.console.Logs(c, s.actor(c), c.Param("id"), c.Param("command"))
	if err != nil {
		s.fail(c, err)
		return
	}
	c.Data(http.StatusOK, "text/plain; charset=utf-8", text)
}

var listQuery = []parameter{
	{name: "q", means: "in its id, title, app, event, address or commit"},
	{name: "event", means: "an event's id or name"},
	{name: "app", means: "an app's id"},
	{name: "health", means: "waiting, starting, live, unhealthy, silent, ending or over"},
	{name: "cloud", means: "a cloud's name"},
	{name: "sort", means: "id, event, app, health, heard, data or requests; a - before it turns it round"},
	{name: "page_token", means: "next_page_token of the page before"},
	{name: "page_size", means: "how many, at most 500", kind: "integer"},
}

// fleetRoutes are about instances.
var fleetRoutes = []route{
	{method: http.MethodGet, path: "/api/v1/instances", who: signedIn, does: "instances, page by page", query: listQuery, endpoint: answer(200, (*Server).listInstances)},
	{method: http.MethodGet, path: "/api/v1/instances/:id", who: signedIn, does: "an instance, with all that is known of it", endpoint: answer(200, (*Server).getInstance)},
	{method: http.MethodGet, path: "/api/v1/instances/:id/config", who: signedIn, does: "what an instance is wanted to be; secrets by name", endpoint: answer(200, (*Server).getConfig)},
	{method: http.MethodPost, path: "/api/v1/instances/:id/commands", who: signedIn, does: "have an instance do something", endpoint: take(202, (*Server).command)},
	{method: http.MethodGet, path: "/api/v1/instances/:id/orders", who: signedIn, does: "the commands of an instance and their results", endpoint: answer(200, (*Server).listOrders)},
	{method: http.MethodGet, path: "/api/v1/instances/:id/logs/:command", who: signedIn, does: "the log that a command asked for", endpoint: raw("text/plain", (*Server).getLogs)},
	{method: http.MethodPatch, path: "/api/v1/instances/:id/pins", who: signedIn, does: "have an instance stay at a commit, or refuse writes", endpoint: take(200, (*Server).pinInstance)},
	{method: http.MethodPost, path: "/api/v1/instances/:id/discard", who: signedIn, does: "give up the state of an instance whose backup does not come", endpoint: take(204, (*Server).discard)},
}
