package web

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"popup/console"
	"popup/web/api"
)

// A pricedCloud is a memoryCloud whose machines cost 0.10 USD an hour.
type pricedCloud struct{ *memoryCloud }

func (pricedCloud) Price(context.Context, console.Launch) (console.Price, error) {
	return console.Price{Currency: "USD", AsOf: time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC), Lines: []console.PriceLine{{What: "a small machine", Hour: 100_000}}}, nil
}

// TestMoneyByForms: what a launch costs is said before it is made, and what an event may
// cost is a field; what is wrong with it stands beside it.
func TestMoneyByForms(t *testing.T) {
	s := newSite(t)
	s.claim(t)
	v := s.visitor(t)
	v.open("/").send("/sign-in", "name", "olga", "password", password)
	end := s.console.Now().UTC().AddDate(0, 0, 9).Format(time.DateOnly)
	v.open("/launch?app="+string(testApp)).sees(200, "What it may cost")
	form := v.body
	v.send("/launch", "step", "check", "event.title", "Our fair", "event.end", end).sees(200, "Free of charge here")
	v.body = form
	v.send("/launch", "step", "check", "event.title", "Our fair", "event.cap", "3").sees(422, "costs money, as far as this console knows", `id="f-event-cap-error"`)
	v.body = form
	v.send("/launch", "step", "check", "cloud", "paid", "event.title", "Our fair", "event.end", end, "event.cap", "0.01").sees(422, "would be reached within an hour", `value="0.01"`)
	v.body = form
	v.send("/launch", "step", "check", "cloud", "paid", "event.title", "Our fair", "event.end", end, "event.cap", " 5 ").
		sees(200, "At most 5.00 USD, by its cap. Without one: about 2", "a small machine", "0.10 USD", "Prices of 1 April 2026", "Its cap of 5.00 USD is reached before its end: it freezes on")
	v.send("/launch", "step", "launch").sees(200, "Our fair is coming up")
	const path = "/events/our-fair"
	v.open(path).sees(200, "About 0.0", "so far, of 5.00 USD", "because of its cap", `value="5.00"`)
	v.open("/").sees(200, "so far, of 5.00 USD", "Our fair")
	v.open(path).send(path+"/cap", "cap", "a lot").sees(422, `id="f-cap-error"`, `value="a lot"`, "write it like 25 or 25.50", `value="`+end+`"`)
	v.open(path).send(path+"/cap", "cap", "500").sees(200, "That is saved", "so far, of 500.00 USD")
	if strings.Contains(v.body, "because of its cap") {
		t.Error("a cap that is far away ends it")
	}
	v.open(path).send(path+"/dates", "title", "Our great fair").sees(200, "That is saved", "of 500.00 USD")

	e, err := s.console.Event(t.Context(), console.System, "our-fair")
	must(t, err)
	eventually(t, "runs", func() bool { // and so costs more than a moment
		e, err = s.console.Event(t.Context(), console.System, "our-fair")
		must(t, err)
		return e.Meters[0].Hour == 100_000 && e.Spent(s.console.Now())[0].Millionths > 0
	})
	got := s.do(t, request{who: "olga", method: http.MethodGet, path: "/api/v1/events/our-fair"})
	var shown api.Event
	must(t, json.Unmarshal([]byte(got.body), &shown))
	if shown.Cap != "500.00" || !shown.CapEndsAt.IsZero() || len(shown.Spent) != 1 || shown.Spent[0].Currency != "USD" || !strings.HasPrefix(shown.Spent[0].Amount, "0.0") || shown.Unpriced {
		t.Errorf("the API says %s", got.body)
	}
	v.open(path).send(path+"/end", "name", "our-fair").sees(200, "About 0.0")
	eventually(t, "is over", func() bool { return strings.Contains(v.open(path+"/receipt").body, "1 of 1 proven gone") })
	v.open(path+"/receipt").sees(200, "<dt>Cost</dt><dd>About 0.0")
}
