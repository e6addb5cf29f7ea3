package front

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

const ownPrefix = "/.well-known/popup"

// serveOwn answers what is popup's own, and says whether it did.
func (f *Front) serveOwn(w http.ResponseWriter, r *http.Request) bool {
	rest, ok := strings.CutPrefix(r.URL.Path, ownPrefix)
	if !ok || (rest != "" && rest[0] != '/') {
		return false
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		fail(w, r, noticeMethod(r.Method), nil)
		return true
	}
	switch rest {
	case "":
		f.aboutAnswer().write(w, r)
	case "/":
		f.sourceAnswer().write(w, r)
	case "/user-data":
		f.userDataAnswer().write(w, r)
	case "/ready":
		f.readyAnswer().write(w, r)
	case "/events":
		f.serveEvents(w, r)
	default:
		fail(w, r, noticeNotFound(), nil)
	}
	return true
}

const (
	maxStreams  = 256             // open event streams; more are told to come back
	eventBeat   = 2 * time.Second // the phases are sent again: their times go on
	streamLimit = 5 * time.Minute // a browser opens the next by itself
)

// serveEvents sends the phases at once and at every change, and "ready" when
// the app is served; then the stream ends.
func (f *Front) serveEvents(w http.ResponseWriter, r *http.Request) {
	select {
	case f.streams <- struct{}{}:
		defer func() { <-f.streams }()
	default:
		fail(w, r, noticeBusy(), nil)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Accel-Buffering", "no")
	if r.Method == http.MethodHead {
		return
	}
	beat := time.NewTicker(f.beat)
	defer beat.Stop()
	limit := time.NewTimer(streamLimit)
	defer limit.Stop()
	rc := http.NewResponseController(w)
	for {
		f.mu.Lock()
		changed, ready := f.changed, f.current != nil || f.over != nil
		f.mu.Unlock()
		if err := f.sendEvent(w, ready); err != nil || rc.Flush() != nil || ready {
			return
		}
		select {
		case <-changed:
		case <-beat.C:
		case <-limit.C:
			return
		case <-f.streamsDone:
			return
		case <-r.Context().Done():
			return
		}
	}
}

func (f *Front) sendEvent(w http.ResponseWriter, ready bool) error {
	if ready {
		_, err := fmt.Fprint(w, "event: ready\ndata: {}\n\n")
		return err
	}
	phases, err := f.bootFragment()
	if err != nil {
		return err
	}
	data, err := json.Marshal(phases) // one line, whatever a cause holds
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "event: phases\ndata: %s\n\n", data)
	return err
}

// EndStreams ends the event streams of open boot pages. Register it with
// http.Server.RegisterOnShutdown: Shutdown waits for open requests, and an event
// stream does not end by itself. Close calls it too.
func (f *Front) EndStreams() {
	f.endStreams.Do(func() { close(f.streamsDone) })
}
