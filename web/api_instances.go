package web

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"popup/console"
	"popup/internal/wire"
	"popup/web/api"
)

// showListed is an instance of a list.
func showListed(v console.InstanceView) api.Instance {
	shown := api.Instance{ID: v.ID, Event: v.Event, EventName: v.EventName, EventTitle: v.EventTitle, Deployment: v.Deployment, Title: v.Title,
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

func showInstance(v console.InstanceView) api.Instance {
	shown := showListed(v)
	shown.Wanted, shown.Report = &v.Wanted, newest(v)
	shown.History = each(v.History, func(p console.Sample) api.Sample { return api.Sample{At: p.At, Requests: p.Requests, Errors: p.Errors} })
	shown.Orders = each(v.Commands, showOrder)
	times := showBootTimes(v.Times)
	shown.Times = &times
	if v.StartedFrom != nil {
		shown.Image = v.StartedFrom.ID
	}
	return shown
}

func (s *Server) listInstances(c *gin.Context) (api.Instances, error) {
	size, err := number(c, "page_size", 0, 500)
	if err != nil {
		return api.Instances{}, err
	}
	event, err := s.eventID(c, c.Query("event"))
	if err != nil {
		return api.Instances{}, err
	}
	page, err := s.console.Instances(c.Request.Context(), s.actor(c), console.InstanceQuery{Text: c.Query("q"), Event: event, App: c.Query("app"),
		Health: c.Query("health"), Cloud: c.Query("cloud"), Sort: c.Query("sort"), After: c.Query("page_token"), Limit: int(size)})
	counts := page.Counts
	if counts == nil {
		counts = map[string]int{}
	}
	return api.Instances{Instances: each(page.Instances, showListed), Total: page.Total, Counts: counts, Next: page.Next}, err
}

// eventID is the id of an event that is given by its id or its name; empty stays so.
func (s *Server) eventID(c *gin.Context, given string) (string, error) {
	if given == "" {
		return "", nil
	}
	e, err := s.console.Event(c.Request.Context(), s.actor(c), given)
	return e.ID, err
}

func (s *Server) getInstance(c *gin.Context) (api.Instance, error) {
	v, err := s.console.Instance(c.Request.Context(), s.actor(c), c.Param("id"))
	return showInstance(v), err
}

func (s *Server) getConfig(c *gin.Context) (api.Config, error) {
	config, err := s.console.InstanceConfig(c.Request.Context(), s.actor(c), c.Param("id"))
	return api.Config{Instance: config.Instance, Plan: config.Plan, Settings: config.Settings, Secrets: config.Secrets, Wanted: config.Wanted}, err
}

func showOrder(o console.Order) api.Order {
	return api.Order{ID: o.ID, Verb: o.Verb, Args: o.Args, By: o.By, At: o.At, Result: o.Result}
}

func (s *Server) command(c *gin.Context, r api.NewOrder) (api.Order, error) {
	order, err := s.console.Command(c.Request.Context(), s.actor(c), c.Param("id"), wire.Command{Verb: r.Verb, Args: r.Args})
	return showOrder(order), err
}

func (s *Server) listOrders(c *gin.Context) (api.Orders, error) {
	v, err := s.console.Instance(c.Request.Context(), s.actor(c), c.Param("id"))
	return api.Orders{Orders: each(v.Commands, showOrder)}, err
}

func (s *Server) pinInstance(c *gin.Context, pins console.Pins) (api.Instance, error) {
	v, err := s.console.Pin(c.Request.Context(), s.actor(c), c.Param("id"), pins)
	return showInstance(v), err
}

func (s *Server) discard(c *gin.Context, confirm api.Confirm) (none, error) {
	return none{}, s.console.DiscardState(c.Request.Context(), s.actor(c), c.Param("id"), confirm.Name)
}

func (s *Server) getLogs(c *gin.Context) {
	text, err := s.console.Logs(c.Request.Context(), s.actor(c), c.Param("id"), c.Param("command"))
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
