package web

import (
	"net/http"
	"net/url"

	"github.com/gin-gonic/gin"

	"popup/console"
	"popup/web/api"
)

func (s *Server) showEvent(e console.Event) api.Event {
	shown := api.Event{ID: e.ID, Name: e.Name, Title: e.Title, State: string(e.State), Owner: e.Owner, End: e.End, Zone: e.Zone,
		Start: e.Start, Freeze: e.Freeze, StartsAt: e.StartsAt, FreezesAt: e.FreezesAt, EndsAt: e.EndsAt, Held: e.Held,
		Webhook: hostOf(e.Webhook), Created: e.Created, EndedBy: e.EndedBy, EndedAt: e.EndedAt, Stuck: e.Stuck,
		PurgeAt: e.PurgeAt, Page: s.opts.URL + "/e/" + e.Name, Cap: capValue(e), CapSays: e.CapSays(), CapReached: e.CapReached,
		Spent: each(e.Spent(s.console.Now()), showMoney), Unpriced: e.Unpriced}
	if e.Capped() {
		shown.CapEndsAt = e.LastsUntil()
	}
	return shown
}

// hostOf leaves the path of a webhook out, which is what keeps others from calling it.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// each shows the elements of a list, which is never null.
func each[From, To any](list []From, show func(From) To) []To {
	shown := make([]To, len(list))
	for i, v := range list {
		shown[i] = show(v)
	}
	return shown
}

func (s *Server) listEvents(c *gin.Context) (api.Events, error) {
	events, err := s.console.Events(c.Request.Context(), s.actor(c))
	return api.Events{Events: each(events, s.showEvent)}, err
}

func (s *Server) getEvent(c *gin.Context) (api.Event, error) {
	e, err := s.console.Event(c.Request.Context(), s.actor(c), c.Param("id"))
	return s.showEvent(e), err
}

func (s *Server) createEvent(c *gin.Context, r console.EventRequest) (api.Event, error) {
	e, err := s.console.CreateEvent(c.Request.Context(), s.actor(c), r)
	if err == nil {
		c.Header("Location", "/api/v1/events/"+e.ID)
	}
	return s.showEvent(e), err
}

func (s *Server) changeEvent(c *gin.Context, change console.EventChange) (api.Event, error) {
	e, err := s.console.ChangeEvent(c.Request.Context(), s.actor(c), c.Param("id"), change)
	return s.showEvent(e), err
}

func (s *Server) freezeEvent(c *gin.Context) (api.Event, error) {
	e, err := s.console.FreezeEvent(c.Request.Context(), s.actor(c), c.Param("id"))
	return s.showEvent(e), err
}

func (s *Server) thawEvent(c *gin.Context) (api.Event, error) {
	e, err := s.console.ThawEvent(c.Request.Context(), s.actor(c), c.Param("id"))
	return s.showEvent(e), err
}

func (s *Server) endEvent(c *gin.Context, confirm api.Confirm) (api.Operation, error) {
	o, err := s.console.EndEvent(c.Request.Context(), s.actor(c), c.Param("id"), confirm.Name)
	if err == nil {
		c.Header("Location", "/api/v1/operations/"+o.ID)
	}
	return showOperation(o), err
}

func (s *Server) purgeEvent(c *gin.Context, confirm api.Confirm) (api.Event, error) {
	e, err := s.console.PurgeEvent(c.Request.Context(), s.actor(c), c.Param("id"), confirm.Name)
	return s.showEvent(e), err
}

func (s *Server) getReceipt(c *gin.Context) (api.Receipt, error) {
	r, err := s.console.Receipt(c.Request.Context(), s.actor(c), c.Param("id"))
	return api.Receipt{Event: s.showEvent(r.Event), Instances: each(r.Instances, showReceiptLine), Things: each(r.Things, showReceiptThing), Unknown: r.Unknown}, err
}

func showReceiptThing(t console.ReceiptThing) api.ReceiptThing {
	return api.ReceiptThing{Kind: string(t.Kind), ID: t.ID, Cloud: t.Cloud, Place: t.Place, Title: t.Title, Gone: !t.Gone.IsZero(), GoneAt: t.Gone,
		Left: t.Left, Why: t.Why, Holds: t.Holds, Dismissed: t.Dismissed}
}

func (s *Server) dismissThing(c *gin.Context, confirm api.Confirm) (api.Receipt, error) {
	if err := s.console.DismissThing(c.Request.Context(), s.actor(c), c.Param("id"), confirm.Name); err != nil {
		return api.Receipt{}, err
	}
	return s.getReceipt(c)
}

func showReceiptLine(l console.ReceiptLine) api.ReceiptLine {
	return api.ReceiptLine{Instance: l.Instance.ID, Title: l.Title, Gone: l.Gone, GoneAt: l.Instance.Gone, State: l.State,
		Archive: showArchive(l.Instance.Archive)}
}

func (s *Server) getPublicEvent(c *gin.Context) (api.Public, error) {
	p, err := s.console.PublicEvent(c.Request.Context(), c.Param("name"))
	return api.Public{Name: p.Event.Name, Title: p.Event.Title, State: string(p.Event.State), EndsAt: p.Event.EndsAt, Zone: p.Event.Zone,
		Apps: each(p.Apps, func(a console.PublicApp) api.PublicApp {
			return api.PublicApp{Title: a.Title, Address: a.Address, Live: a.Live, Says: a.Says}
		}), Reminder: p.Reminder}, err
}

// eventRoutes are about events, and what belongs to them.
var eventRoutes = []route{
	{method: http.MethodGet, path: "/api/v1/events", who: signedIn, does: "events, the one that ends next first", endpoint: answer(200, (*Server).listEvents)},
	{method: http.MethodPost, path: "/api/v1/events", who: signedIn, does: "make a draft of an event", endpoint: take(201, (*Server).createEvent)},
	{method: http.MethodGet, path: "/api/v1/events/:id", who: signedIn, does: "an event, by its id or name", endpoint: answer(200, (*Server).getEvent)},
	{method: http.MethodPatch, path: "/api/v1/events/:id", who: signedIn, does: "change an event: its end, its title", endpoint: take(200, (*Server).changeEvent)},
	{method: http.MethodPost, path: "/api/v1/events/:id/freeze", who: signedIn, does: "refuse writes in all its apps", endpoint: answer(200, (*Server).freezeEvent)},
	{method: http.MethodPost, path: "/api/v1/events/:id/thaw", who: signedIn, does: "let a frozen event go on", endpoint: answer(200, (*Server).thawEvent)},
	{method: http.MethodPost, path: "/api/v1/events/:id/end", who: signedIn, does: "end an event now", endpoint: take(202, (*Server).endEvent)},
	{method: http.MethodPost, path: "/api/v1/events/:id/purge", who: signedIn, does: "remove the archives of an event that is over", endpoint: take(200, (*Server).purgeEvent)},
	{method: http.MethodGet, path: "/api/v1/events/:id/receipt", who: signedIn, does: "what became of everything that was made for an event", endpoint: answer(200, (*Server).getReceipt)},
	{method: http.MethodPost, path: "/api/v1/events/:id/dismiss", who: signedIn, does: "say that a thing that was left behind, by its id as the name, may stay", endpoint: take(200, (*Server).dismissThing)},
	{method: http.MethodGet, path: "/api/v1/events/:id/deployments", who: signedIn, does: "the apps of an event", endpoint: answer(200, (*Server).listDeployments)},
	{method: http.MethodGet, path: "/api/v1/events/:id/operations", who: signedIn, does: "the operations of an event, the newest first", endpoint: answer(200, (*Server).listOperations)},
	{method: http.MethodGet, path: "/api/v1/public/:name", who: anybody, does: "what anybody may know of an event", endpoint: answer(200, (*Server).getPublicEvent)},
}
