package front

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"popup/templates"
)

// SetReadOnly makes the front answer writes (every method but GET, HEAD and
// OPTIONS, and every upgrade to a websocket) 503 with Retry-After, or ends that.
// A retryAfter of 0 means ten seconds. Connections upgraded before are cut: they
// could write at any time. Writes that began before run on; WaitWrites waits for them.
func (f *Front) SetReadOnly(on bool, retryAfter time.Duration) {
	if retryAfter <= 0 {
		retryAfter = defaultRetryIn
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.readOnly, f.retry = on, retryAfter
	if !on {
		return
	}
	for req := range f.writes {
		if req.upgraded {
			req.cancel(errReadOnly)
		}
	}
}

var errReadOnly = fmt.Errorf("the service became read-only")

// WaitWrites returns when no write runs any more, or with the error of ctx. It
// is for after SetReadOnly(true, …), before a backup: then what the backup sees
// is all that was written.
func (f *Front) WaitWrites(ctx context.Context) error {
	for {
		f.mu.Lock()
		left, idle := len(f.writes), f.idle
		f.mu.Unlock()
		if left == 0 {
			return nil
		}
		select {
		case <-idle:
		case <-ctx.Done():
			return fmt.Errorf("wait for %d writes: %w", left, ctx.Err())
		}
	}
}

// Over says what is over, when it ended and where what was here is kept.
type Over struct {
	Event   string    // empty: the app's name
	End     time.Time // shown in its own zone; zero: not shown
	Archive string    // an http or https address, which becomes a link, or words; empty: not shown
}

// SetOver makes the front answer every request with the page that says so, or
// with nil ends that. The status is 410 Gone: it is meant to be gone and will
// not come back, so caches and search engines may forget it; it is sent with
// no-store, so that a reader asks again should the address be used for another event.
func (f *Front) SetOver(over *Over) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.over = nil
	if over != nil {
		o := *over
		f.over = &o
	}
	f.announce()
}

type overPage struct {
	Event, End, EndISO  string
	Archive, ArchiveURL string
}

type overJSON struct {
	Status  string    `json:"status"`
	Event   string    `json:"event"`
	End     time.Time `json:"end,omitzero"`
	Archive string    `json:"archive,omitempty"`
}

func (f *Front) overAnswer(o Over) *answer {
	page := overPage{Event: o.Event, Archive: redact(o.Archive), ArchiveURL: webURL(o.Archive)}
	if page.Event == "" {
		page.Event = f.opts.Name
	}
	page.End, page.EndISO = sayTime(o.End)
	text := page.Event + " is over"
	if page.End != "" {
		text += "\nended: " + page.End
	}
	if page.Archive != "" {
		text += "\nkept at: " + page.Archive
	}
	return &answer{
		status: http.StatusGone,
		page:   templates.PageOver,
		frame:  templates.Frame{Title: page.Event + " is over", Data: page},
		text:   text + "\n",
		json:   overJSON{Status: "over", Event: page.Event, End: o.End, Archive: page.Archive},
	}
}

// sayTime returns t for people and for machines, or nothing for the zero time.
func sayTime(t time.Time) (human, iso string) {
	if t.IsZero() {
		return "", ""
	}
	return t.Format("2 January 2006, 15:04 MST"), t.Format(time.RFC3339)
}

// webURL returns address without userinfo when a browser can follow it, else nothing.
func webURL(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
		return ""
	}
	u.User = nil
	return u.String()
}

// redact takes the password out of an address, and out of a web address the
// user too: tokens are written there.
func redact(address string) string {
	if u := webURL(address); u != "" {
		return u
	}
	u, err := url.Parse(address)
	if err != nil || u.User == nil {
		return address
	}
	u.User = url.User(u.User.Username())
	return u.String()
}
