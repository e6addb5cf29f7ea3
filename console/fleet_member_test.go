package console

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"popup/internal/wire"
)

func TestWhatIsNews(t *testing.T) {
	full := func() wire.Report {
		return wire.Report{Version: 1, Seq: 1, Time: aDay, Since: aDay, URL: "http://a.test", Live: true, Phases: []wire.Phase{{Name: "build", State: "done", Since: aDay}},
			Serving: &wire.Serving{Release: "c0ffee"}, Data: &wire.Stream{Wanted: "da7a", LastTry: aDay, StaleAt: aDay}, End: &wire.Ending{Step: "running"}, Notes: []string{"no swap"}}
	}
	was := digestOf(full())
	for name, c := range map[string]struct {
		change func(*wire.Report)
		news   bool
	}{
		"its number": {func(r *wire.Report) { r.Seq, r.Time = 2, aDay.Add(time.Hour) }, false},
		"its counts": {func(r *wire.Report) { r.Numbers.Requests, r.Numbers.DiskFree = 99, 1 }, false},
		"a poll": {func(r *wire.Report) {
			r.Data.LastTry, r.Data.StaleAt, r.Data.Confirmed = aDay.Add(1), aDay.Add(2), aDay.Add(3)
		}, false},
		"another try":    {func(r *wire.Report) { r.Phases[0].Attempt, r.Phases[0].NextTry = 4, aDay }, false},
		"a told result":  {func(r *wire.Report) { r.Results = []wire.Result{{ID: "a"}} }, false},
		"a phase":        {func(r *wire.Report) { r.Phases[0].State = "failed" }, true},
		"a cause":        {func(r *wire.Report) { r.Phases[0].Cause = "no gcc" }, true},
		"live":           {func(r *wire.Report) { r.Live = false }, true},
		"healthy":        {func(r *wire.Report) { r.Healthy = true }, true},
		"why":            {func(r *wire.Report) { r.Why = "old" }, true},
		"a release":      {func(r *wire.Report) { r.Serving.Release = "dead" }, true},
		"nothing served": {func(r *wire.Report) { r.Serving = nil }, true},
		"a data error":   {func(r *wire.Report) { r.Data.Error = "refused" }, true},
		"what is wanted": {func(r *wire.Report) { r.Data.Wanted = "da7b" }, true},
		"what is held":   {func(r *wire.Report) { r.Data.Held = "da7a" }, true},
		"the end":        {func(r *wire.Report) { r.End.Step = "over" }, true},
		"a note":         {func(r *wire.Report) { r.Notes[0] = "no disk" }, true},
		"a generation":   {func(r *wire.Report) { r.Generation = 2 }, true},
		"a wish unmet":   {func(r *wire.Report) { r.Unmet = "no" }, true},
		"its address":    {func(r *wire.Report) { r.URL = "http://b.test" }, true},
		"read-only":      {func(r *wire.Report) { r.ReadOnly = true }, true},
		"a new start":    {func(r *wire.Report) { r.Since = aDay.Add(time.Hour) }, true},
		"a new version":  {func(r *wire.Report) { r.Popup = "2" }, true},
	} {
		r := full()
		c.change(&r)
		before := string(asJSON(t, r))
		if news := digestOf(r) != was; news != c.news {
			t.Errorf("%s: news is %v", name, news)
		}
		if string(asJSON(t, r)) != before {
			t.Errorf("%s: looking at a report changed it", name)
		}
	}
}

// FuzzReport: whatever an instance sends, what is kept in memory is bounded, and news
// that were kept are no news when they are read back.
func FuzzReport(f *testing.F) {
	for _, seed := range []string{"", "{}", `{"version": 1, "seq": 18446744073709551615, "phases": [{"name": "` + strings.Repeat("é", 300) + `", "detail": "x"}]}`,
		`{"version": 1, "seq": 7, "time": "0000-01-01T00:00:00-23:59", "since": "9999-12-31T23:59:59.999999999+23:59", "notes": ["\ud800", "\u0000"], "data": {"stale_at": "2026-05-01T00:00:00Z"}}`,
		`{"version": 1, "seq": 7, "numbers": {"requests": -9223372036854775808, "errors": 9223372036854775807}, "results": [{"id": "../x"}]}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := parseReport(body)
		if err != nil {
			var input *InputError
			if !errors.As(err, &input) {
				t.Errorf("%v", err)
			}
			return
		}
		kept, err := json.Marshal(Instance{Report: &r})
		if err != nil {
			t.Fatalf("it cannot be kept: %v", err)
		}
		var back Instance
		if err := json.Unmarshal(kept, &back); err != nil || digestOf(*back.Report) != digestOf(r) {
			t.Errorf("what was kept reads back as other news: %v", err)
		}
		if n := len(asJSON(t, lean(r))); n > 512<<10 {
			t.Errorf("%d bytes are kept of it", n)
		}
		var h history
		h.add(aDay, r)
		h.add(aDay.Add(time.Minute), r)
		for _, s := range h.samples(aDay.Add(time.Minute)) {
			if s.Requests < 0 || s.Errors < 0 {
				t.Errorf("it counted %+v", s)
			}
		}
	})
}
