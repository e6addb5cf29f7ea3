package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/gin-gonic/gin"

	"popup/console"
	"popup/web/api"
)

// heartbeat is how often a stream says that it is still there, and whether who listens
// still may.
const heartbeat = 15 * time.Second

// streamStall is how long one message may take on its way before nobody is there.
const streamStall = 30 * time.Second

// follow sends changes as they come, as server-sent events: change, and reload where
// some that were missed are no longer known. The id of each is the store's sequence,
// from which a browser that comes back continues.
func (s *Server) follow(c *gin.Context) {
	event, err := s.eventID(c, c.Query("event"))
	if err != nil {
		s.fail(c, err)
		return
	}
	seq, err := s.resume(c)
	if err != nil {
		s.fail(c, err)
		return
	}
	ctx, cancel := context.WithCancelCause(c.Request.Context())
	var beating sync.WaitGroup
	defer context.AfterFunc(s.leaving, func() { cancel(nil) })()
	defer func() {
		cancel(nil)
		beating.Wait()
	}()
	out := &eventStream{c: c}
	c.Header("Content-Type", "text/event-stream")
	c.Header("X-Accel-Buffering", "no") // a proxy that collects would keep it to itself
	if out.send(fmt.Sprintf("retry: 2000\nid: %d\nevent: begin\ndata: {}\n\n", seq)) != nil {
		return
	}
	beating.Go(func() { cancel(s.beat(ctx, out)) })
	err = s.console.Follow(ctx, s.actor(c), event, seq, func(n console.Notice) error { return out.send(message(n)) })
	if errors.Is(err, console.ErrForgotten) {
		err = s.reload(ctx, out)
	}
	if err != nil && ctx.Err() == nil {
		s.log.DebugContext(c.Request.Context(), "a stream ended", "request", c.GetString(keyRequest), "err", err)
	}
}

// resume is where a stream begins: where the one before ended, or now.
func (s *Server) resume(c *gin.Context) (int64, error) {
	name, text := "after", c.Query("after")
	if last := c.GetHeader("Last-Event-ID"); last != "" { // newer than the address, which stays
		name, text = "Last-Event-ID", last
	}
	if text == "" {
		return s.console.Newest(c.Request.Context())
	}
	seq, err := strconv.ParseInt(text, 10, 64)
	if err != nil || seq < 0 {
		return 0, wrongField(name, "give the id of an event of this stream")
	}
	return seq, nil
}

// reload has who listens begin anew, from now.
func (s *Server) reload(ctx context.Context, out *eventStream) error {
	newest, err := s.console.Newest(ctx)
	if err != nil {
		return err
	}
	return out.send(fmt.Sprintf("id: %d\nevent: reload\ndata: {}\n\n", newest))
}

// beat ends the stream of who is gone, or may no longer listen: a session that was ended
// must not hear on.
func (s *Server) beat(ctx context.Context, out *eventStream) error {
	tick := time.NewTicker(heartbeat)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := s.listensStill(out.c); err != nil {
			return err
		}
		if err := out.send(": still here\n\n"); err != nil {
			return err
		}
	}
}

// listensStill says whether who began to listen still may, and is who they were: somebody
// whose role is another one sees other things.
func (s *Server) listensStill(c *gin.Context) error {
	if actor, err := s.resolve(c); err != nil || actor != s.actor(c) {
		return console.ErrSignIn
	}
	return nil
}

func message(n console.Notice) string {
	data, _ := json.Marshal(api.Notice{Kind: string(n.Kind), ID: n.ID, Event: n.Event, Gone: n.Gone}) // strings always marshal
	return fmt.Sprintf("id: %d\nevent: change\ndata: %s\n\n", n.Seq, data)
}

// An eventStream is written by who follows and by the heartbeat.
type eventStream struct {
	mu sync.Mutex
	c  *gin.Context
}

func (e *eventStream) send(text string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	keepAlive(e.c, streamStall)
	if _, err := e.c.Writer.WriteString(text); err != nil {
		return fmt.Errorf("send an event: %w", err)
	}
	return http.NewResponseController(e.c.Writer).Flush()
}

var streamRoutes = []route{
	{method: http.MethodGet, path: "/api/v1/stream", who: signedIn, stream: true, does: "changes as they come, as server-sent events; Last-Event-ID continues one",
		query:    []parameter{{name: "event", means: "an event's id or name; empty: all of them"}, {name: "after", means: "the id of the last event that was heard", kind: "integer"}},
		endpoint: raw("text/event-stream", (*Server).follow)},
}
