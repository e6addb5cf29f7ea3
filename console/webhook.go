package console

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// A Message is what a webhook is told.
type Message struct {
	ID    string     `json:"id"` // the same whenever it is told again
	Text  string     `json:"text"`
	State EventState `json:"state"` // of then
	At    time.Time  `json:"at"`
	Tries int        `json:"tries,omitempty"`
	Due   time.Time  `json:"due"`
}

// checkWebhook says what is wrong with a webhook's address; empty is none.
func (c *Console) checkWebhook(ctx context.Context, address string) error {
	if address == "" {
		return nil
	}
	u, err := parseAddress(address)
	if err != nil {
		return err
	}
	return c.checkHost(ctx, u.Hostname())
}

// become is what a webhook is told of a state.
var become = map[EventState]string{
	EventScheduled: "%s is planned.",
	EventOpen:      "%s is open.",
	EventFrozen:    "%s can be read, and takes nothing new any more.",
	EventEnded:     "%s is over, and is being archived.",
	EventArchived:  "%s is archived; all its machines are gone.",
	EventPurged:    "%s and its archives are removed.",
}

// tellState tells the webhook how an event is by now.
func (c *Console) tellState(e *Event) { e.tell(fmt.Sprintf(become[e.State], e.Title), c.now()) }

// mostMessages wait; where more do, the oldest is dropped.
const mostMessages = 20

// tell has the webhook told something, once that is written down.
func (e *Event) tell(text string, now time.Time) {
	if e.Webhook == "" {
		return
	}
	e.Messages = append(e.Messages, Message{ID: newID(12), Text: text, State: e.State, At: now, Due: now})
	if over := len(e.Messages) - mostMessages; over > 0 {
		e.Messages = e.Messages[over:]
	}
}

const (
	messageTimeout = 10 * time.Second
	messageTries   = 3
	messagePause   = time.Minute // before the second try; twice that before the third
)

// deliver tells the webhook what waits, in order, one message a call. Each is written
// down as told after it was: a kill in between repeats it, with the same id.
func (c *Console) deliver(ctx context.Context, e Event) error {
	if len(e.Messages) == 0 {
		return nil
	}
	if err := c.leads(ctx); err != nil {
		return err
	}
	m := e.Messages[0]
	sent := c.post(ctx, e, m)
	if sent != nil {
		c.log.Warn("tell webhook", "event", e.Name, "attempt", m.Tries+1, "err", sent)
	}
	return c.store.Update(ctx, func(tx Tx) error {
		e, err := get[Event](tx, e.ID)
		if err != nil || len(e.Messages) == 0 || e.Messages[0].ID != m.ID {
			return err
		}
		first := &e.Messages[0]
		if first.Tries++; sent == nil || first.Tries >= messageTries {
			e.Messages = e.Messages[1:]
		} else {
			first.Due = c.now().Add(messagePause << (first.Tries - 1))
		}
		e.Due = e.nextDue()
		return put(tx, e)
	})
}

// post sends a message. Its error does not hold the address.
func (c *Console) post(ctx context.Context, e Event, m Message) error {
	u, err := parseAddress(e.Webhook)
	if err != nil {
		return err
	}
	body, err := json.Marshal(map[string]any{"id": m.ID, "event": e.Name, "title": e.Title, "state": m.State, "ends_at": e.LastsUntil(),
		"url": c.opts.URL + "/e/" + e.Name, "text": m.Text, "at": m.At})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, messageTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), bytes.NewReader(body))
	if err != nil {
		return errors.New("write the request")
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "popup/"+c.opts.Version)
	client := &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		// No proxy: it would connect to where the guard does not.
		Transport: &http.Transport{DialContext: c.opts.Guard.DialContext, DisableKeepAlives: true, MaxResponseHeaderBytes: 16 << 10},
	}
	resp, err := client.Do(req)
	if err != nil {
		return bare(err)
	}
	_, _ = io.CopyN(io.Discard, resp.Body, 4<<10) // what it says does not matter
	_ = resp.Body.Close()
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return fmt.Errorf("it answers %d %s", resp.StatusCode, http.StatusText(resp.StatusCode))
	}
	return nil
}
