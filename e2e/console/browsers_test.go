package console

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"popup/internal/testutil"
)

// benchedEvent is whose page the browsers have open.
const benchedEvent = "fair-0"

// liveParts are the parts of an event's page that its script asks for anew.
var liveParts = []string{"state", "runs"}

// collects is how long the script waits for more changes before it asks.
const collects = 250 * time.Millisecond

// browsers have one page open, each with a stream and a connection for what it asks, as
// the console's own script does.
type browsers struct {
	client http.Client
	url    string
	cookie string
	round  atomic.Int64 // counts changes
	opened chan error
	heard  chan sight
	shown  chan sight
}

// A sight is when one browser knew of a change, or showed it.
type sight struct {
	at  time.Time
	err error
}

// watch opens browsers, changes their event again and again, and writes down how long it
// took until all of them had each change.
func (b *bench) watch(number int) {
	b.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 2 * number}
	defer transport.CloseIdleConnections()
	w := &browsers{client: http.Client{Transport: transport}, url: b.console.url, cookie: b.owner.cookie(b), opened: make(chan error, number),
		heard: make(chan sight, number), shown: make(chan sight, number)}
	ctx, cancel := context.WithCancel(b.Context())
	var open sync.WaitGroup
	defer open.Wait()
	defer cancel()
	for range number {
		open.Go(func() { w.open(ctx) })
	}
	for range number {
		must(b, <-w.opened)
	}
	b.report.memory(fmt.Sprintf("memory with %d browsers on one page as well", number), b.console.uses(), 200<<20)
	light := func(n int) map[string]string { return map[string]string{"title": fmt.Sprintf("Fair, take %d", n)} }
	b.changes(w, number, "another title", 5, light)
	later := func(n int) map[string]string {
		return map[string]string{"end": time.Now().AddDate(0, 0, 40+n).Format(time.DateOnly)}
	}
	b.changes(w, number, fmt.Sprintf("a later end, which %d instances are told", min(perEvent, len(b.fleet.all))), 2, later)
}

// changes makes one change after the other.
func (b *bench) changes(w *browsers, number int, what string, times int, change func(n int) map[string]string) {
	b.Helper()
	var heard, shown figures
	before := b.console.uses()
	for n := range times {
		w.round.Add(1)
		begun := time.Now()
		b.owner.must(b, "PATCH", "/events/"+benchedEvent, change(n), nil)
		for _, kind := range []struct {
			sights <-chan sight
			took   *figures
		}{{w.heard, &heard}, {w.shown, &shown}} {
			for range number {
				select {
				case s := <-kind.sights:
					must(b, s.err)
					kind.took.add(s.at.Sub(begun))
				case <-time.After(time.Minute):
					b.Fatalf("%s: of %d browsers %d heard of it, and %d show it", what, number, len(heard)-n*number, len(shown)-n*number)
				}
			}
		}
		b.pass(3 * time.Second) // what it brings about is over by then
	}
	cpu := (b.console.uses().cpu - before.cpu) / time.Duration(times)
	b.report.spread(fmt.Sprintf("%s is heard by %d browsers within", what, number), heard, 1, 2*time.Second)
	b.report.spread("and shown, as each asks for its page's parts anew, within", shown, 0, 0)
	b.report.row("CPU of all of that", ms(cpu)+" a change")
}

// open has the page open until ctx ends.
func (w *browsers) open(ctx context.Context) {
	body, err := w.get(ctx, "/api/v1/stream?event="+benchedEvent)
	if err != nil {
		w.opened <- err
		return
	}
	defer body.Close()
	in := bufio.NewScanner(body)
	seen := w.round.Load()
	for in.Scan() {
		if in.Text() == "event: begin" {
			w.opened <- nil
		}
		data, found := strings.CutPrefix(in.Text(), "data: ")
		var notice struct{ Kind string }
		if !found || json.Unmarshal([]byte(data), &notice) != nil || notice.Kind != "event" || w.round.Load() == seen {
			continue
		}
		seen = w.round.Load()
		w.heard <- sight{at: time.Now()}
		err := w.look(ctx)
		w.shown <- sight{time.Now(), err}
	}
}

// look asks for what the page shows by now.
func (w *browsers) look(ctx context.Context) error {
	select {
	case <-time.After(collects):
	case <-ctx.Done():
		return ctx.Err()
	}
	for _, part := range liveParts {
		body, err := w.get(ctx, "/events/"+benchedEvent+"?fragment="+part)
		if err != nil {
			return err
		}
		text, err := io.ReadAll(body)
		_ = body.Close() // it was read
		if err != nil || len(text) == 0 {
			return fmt.Errorf("the part %s has %d bytes, %w", part, len(text), err)
		}
	}
	return nil
}

func (w *browsers) get(ctx context.Context, path string) (io.ReadCloser, error) {
	r, err := http.NewRequestWithContext(ctx, "GET", w.url+path, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Cookie", w.cookie)
	resp, err := w.client.Do(r)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10)) // it is for the error alone
		_ = resp.Body.Close()
		return nil, &testutil.Refusal{Status: resp.StatusCode, Text: string(text)}
	}
	return resp.Body, nil
}
