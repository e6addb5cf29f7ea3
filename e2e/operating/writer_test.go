//go:build dqlite

package operating

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"sync"
	"testing"
	"time"
)

// A writer makes events, at one console after the other.
type writer struct {
	t       testing.TB
	all     []*machine
	token   string
	made    []string // the names of those that were acknowledged
	unknown int      // those that were not, and may be there
	stop    context.CancelFunc
	done    sync.WaitGroup
}

var csrfField = regexp.MustCompile(`name="csrf" value="([^"]+)"`)

// begin claims the console that is the first one, and makes events from then on.
func begin(t testing.TB, all []*machine, first *machine) *writer {
	t.Helper()
	w := &writer{t: t, all: all}
	browser := first.browser()
	jar, err := cookiejar.New(nil)
	must(t, err)
	browser.Jar = jar
	link := first.claim()
	page := read(t, browser, "GET", link, nil)
	field := csrfField.FindSubmatch(page)
	if field == nil {
		t.Fatalf("the page of the claim has no form: %s", page)
	}
	read(t, browser, "POST", link, url.Values{"csrf": {string(field[1])}, "name": {"olga"}, "password": {"correct horse battery"}})
	var login struct{ Secret string }
	must(t, w.ask(t.Context(), first, "/login", map[string]any{"name": "olga", "password": "correct horse battery", "title": "tests"}, &login))
	w.token = login.Secret
	must(t, w.event(t.Context(), first, "event-first"))
	ctx, stop := context.WithCancel(t.Context())
	w.stop = stop
	t.Cleanup(w.pause)
	w.done.Go(func() {
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for i := 0; ; i++ {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
			if err := w.event(ctx, all[i%len(all)], fmt.Sprintf("event-%d", i)); err != nil {
				w.unknown++
			}
		}
	})
	return w
}

// pause ends the making of events.
func (w *writer) pause() {
	w.stop()
	w.done.Wait()
}

func (w *writer) event(ctx context.Context, m *machine, name string) error {
	err := w.ask(ctx, m, "/events", map[string]any{"name": name, "title": name, "end": "30d"}, nil)
	if err == nil {
		w.made = append(w.made, name)
	}
	return err
}

func (w *writer) ask(ctx context.Context, m *machine, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, name+"/api/v1"+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	if w.token != "" {
		r.Header.Set("Authorization", "Bearer "+w.token)
	}
	resp, err := m.browser().Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // it was read
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode >= 300 {
		err = fmt.Errorf("%s: %s", resp.Status, text)
	}
	if err != nil || out == nil {
		return err
	}
	return json.Unmarshal(text, out)
}

func read(t testing.TB, browser *http.Client, method, address string, form url.Values) []byte {
	t.Helper()
	var resp *http.Response
	var err error
	if method == "POST" {
		resp, err = browser.PostForm(address, form)
	} else {
		resp, err = browser.Get(address)
	}
	must(t, err)
	defer resp.Body.Close() //nolint:errcheck // it was read
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s is answered %s, %v\n%s", address, resp.Status, err, text)
	}
	return text
}
