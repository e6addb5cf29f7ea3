package console

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"popup/internal/wire"
)

func TestJudge(t *testing.T) {
	live := &wire.Report{Live: true, Healthy: true}
	for name, c := range map[string]struct {
		instance  Instance
		j         judgement
		word, why string // why: a part of it
	}{
		"planned":           {Instance{State: InstancePlanned}, judgement{}, HealthWaiting, ""},
		"its cloud is full": {Instance{State: InstanceLaunching, Failure: "the cloud is full"}, judgement{}, HealthWaiting, "the cloud is full"},
		"no word yet":       {Instance{State: InstanceStarting, Launched: aDay}, judgement{now: aDay.Add(firstWord)}, HealthStarting, "not been heard of yet"},
		"no word":           {Instance{State: InstanceStarting, Launched: aDay}, judgement{now: aDay.Add(firstWord + time.Minute)}, HealthSilent, "16m0s after its launch"},
		"nobody listened":   {Instance{State: InstanceStarting, Launched: aDay}, judgement{since: aDay.Add(time.Hour), now: aDay.Add(time.Hour + firstWord)}, HealthStarting, ""},
		"it builds":         {Instance{State: InstanceStarting}, judgement{last: &wire.Report{Phases: []wire.Phase{{Name: "fetch", State: "done"}, {Name: "build", State: "running"}}}, heard: aDay, now: aDay}, HealthStarting, "build"},
		"it cannot build":   {Instance{State: InstanceStarting}, judgement{last: &wire.Report{Phases: []wire.Phase{{Name: "build", State: "failed", Cause: "no gcc"}}}, heard: aDay, now: aDay}, HealthStarting, "build: no gcc"},
		"live":              {Instance{State: InstanceLive}, judgement{last: live, heard: aDay, now: aDay.Add(90 * time.Second)}, HealthLive, ""},
		"silent":            {Instance{State: InstanceLive}, judgement{last: live, heard: aDay, now: aDay.Add(91 * time.Second)}, HealthSilent, "12:00 on 1 May"},
		"the console slept": {Instance{State: InstanceLive}, judgement{last: live, heard: aDay, since: aDay.Add(time.Hour), now: aDay.Add(time.Hour + 90*time.Second)}, HealthLive, ""},
		"a longer period":   {Instance{State: InstanceLive}, judgement{last: live, heard: aDay, now: aDay.Add(91 * time.Second), period: time.Minute}, HealthLive, ""},
		"ill":               {Instance{State: InstanceLive}, judgement{last: &wire.Report{Live: true, Why: "old data"}, heard: aDay, now: aDay}, HealthUnhealthy, "old data"},
		"live, wish unmet":  {Instance{State: InstanceLive}, judgement{last: &wire.Report{Live: true, Healthy: true, Unmet: "no such commit"}, heard: aDay, now: aDay}, HealthLive, "no such commit"},
		"it starts again":   {Instance{State: InstanceLive}, judgement{last: &wire.Report{}, heard: aDay, now: aDay}, HealthStarting, ""},
		"ending":            {Instance{State: InstanceEnding}, judgement{last: &wire.Report{End: &wire.Ending{Detail: "it takes a backup"}}, heard: aDay, now: aDay.Add(time.Hour)}, HealthEnding, "a backup"},
		"gone":              {Instance{State: InstanceGone}, judgement{last: live, heard: aDay, now: aDay}, HealthOver, ""},
		"lost":              {Instance{State: InstanceLost}, judgement{}, HealthOver, "went away"},
		"refused for good":  {Instance{State: InstanceFailed, Failure: "no such size"}, judgement{}, HealthOver, "no such size"},
	} {
		if c.j.period == 0 {
			c.j.period = 30 * time.Second
		}
		if word, why := judge(&c.instance, c.j); word != c.word || !strings.Contains(why, c.why) || c.why == "" && why != "" && c.instance.Launched.IsZero() {
			t.Errorf("%s: %s, %q; want %s, %q", name, word, why, c.word, c.why)
		}
	}
}

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

func TestHistory(t *testing.T) {
	var h history
	report := func(minute int, since time.Time, requests int64) {
		h.add(aDay.Add(time.Duration(minute)*time.Minute), wire.Report{Since: since, Numbers: wire.Numbers{Requests: requests, Errors: requests / 10}})
	}
	report(0, aDay, 1000) // before anybody listened
	report(0, aDay, 1010)
	report(2, aDay, 1040)                 // the report of minute 1 was lost
	report(3, aDay.Add(3*time.Minute), 7) // popup was started anew
	report(4, aDay.Add(3*time.Minute), 5) // it miscounted
	now := aDay.Add(4 * time.Minute)
	got := h.samples(now)
	var counts []int64
	for _, s := range got[len(got)-5:] {
		counts = append(counts, s.Requests)
	}
	if len(got) != 60 || !got[59].At.Equal(now) || !got[0].At.Equal(now.Add(-59*time.Minute)) || !slices.Equal(counts, []int64{10, 0, 30, 7, 5}) || got[57].Errors != 3 || h.total(now) != 52 {
		t.Errorf("counted %v, %d, %+v", counts, h.total(now), got[57])
	}
	if later := aDay.Add(62 * time.Minute); h.total(later) != 12 || h.samples(later)[0].Requests != 7 {
		t.Errorf("an hour later: %d, %+v", h.total(later), h.samples(later)[0])
	}
	report(200, aDay.Add(3*time.Minute), 6)
	if n := h.total(aDay.Add(200 * time.Minute)); n != 1 {
		t.Errorf("after hours of silence: %d", n)
	}
}

// TestFleetFollowsTheStore: what is known after any changes is what a console reads that
// is started then.
func TestFleetFollowsTheStore(t *testing.T) {
	c := newConsole(t, withKeys(t))
	_, machines := party(t, c, "fair", "otto", 12)
	party(t, c, "ball", "oda", 3)
	random := rand.New(rand.NewPCG(1, 2))
	for step := range 60 {
		m := machines[random.IntN(len(machines))]
		c.write(t, func(tx Tx) error {
			switch random.IntN(5) {
			case 0:
				return tx.Delete(KindInstance, m.id)
			case 1:
				return put(tx, Deployment{ID: "dep-fair", Event: "id-fair", Title: fmt.Sprint("Wall ", step)})
			case 2:
				return put(tx, Event{ID: "id-fair", Name: "fair", Owner: fmt.Sprint("owner", step)})
			default:
				return put(tx, Instance{ID: m.id, Event: "id-fair", Deployment: "dep-fair", Cloud: fmt.Sprint(step), State: InstanceLive, Report: &wire.Report{Seq: uint64(step + 1), Why: fmt.Sprint(step)}, Heard: aDay})
			}
		})
		if random.IntN(3) > 0 {
			continue
		}
		if err := c.fleet.catchUp(t.Context()); err != nil {
			t.Fatal(err)
		}
		fresh := c.again(t).fleet
		if c.fleet.seq != fresh.seq || !reflect.DeepEqual(c.fleet.events, fresh.events) || !reflect.DeepEqual(c.fleet.deployments, fresh.deployments) ||
			!reflect.DeepEqual(c.fleet.members, fresh.members) {
			t.Fatalf("step %d: it differs from what is read afresh", step)
		}
		for event, members := range fresh.byEvent {
			if len(members) != len(c.fleet.byEvent[event]) {
				t.Fatalf("step %d: %s has %d instances; %d are there", step, event, len(c.fleet.byEvent[event]), len(members))
			}
		}
	}
}

// TestFleetBeginsAnew: where changes were forgotten, all is read, and what was heard stays.
func TestFleetBeginsAnew(t *testing.T) {
	c := newConsole(t, withKeys(t))
	_, machines := party(t, c, "fair", "otto", 2)
	m := machines[0].live(t)
	m.report.Numbers.Requests = 5
	m.mustSay(t)
	c.write(t, func(tx Tx) error {
		i, err := get[Instance](tx, machines[1].id)
		i.State = InstanceLost
		return errors.Join(err, put(tx, i))
	})
	c.write(t, func(tx Tx) error { _, err := tx.Forget(time.Now().Add(time.Hour)); return err })
	c.write(t, func(tx Tx) error { return put(tx, Event{ID: "id-fair", Name: "fair", Title: "Renamed"}) })
	page, err := c.Instances(t.Context(), aViewer, InstanceQuery{})
	if err == nil && page.Counts[HealthOver] > 0 {
		t.Fatal("it knew already")
	}
	if err := c.fleet.catchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	page, err = c.Instances(t.Context(), aViewer, InstanceQuery{})
	if err != nil || page.Counts[HealthOver] != 1 || page.Instances[0].EventTitle != "Renamed" || page.Instances[0].LastReport.Numbers.Requests != 5 {
		t.Errorf("%+v, %v", page, err)
	}
}

func ids(page InstancePage) (all []string) {
	for _, v := range page.Instances {
		all = append(all, v.ID)
	}
	return all
}

func TestInstances(t *testing.T) {
	c := newConsole(t, withKeys(t))
	fair, machines := party(t, c, "fair", "otto", 3)
	_, more := party(t, c, "ball", "oda", 2)
	for _, m := range machines[:2] {
		m.live(t)
	}
	more[0].live(t)
	machines[1].report.Healthy, machines[1].report.Why = false, "old data"
	machines[1].report.Data = &wire.Stream{Confirmed: aDay}
	machines[1].report.Numbers.Requests = 3
	machines[1].mustSay(t)
	if err := c.fleet.catchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	helper := Actor{Kind: ActorLink, ID: "link", Role: RoleHelper, Event: fair.ID}
	const all = "ball-abc-1 ball-abc-2 fair-abc-1 fair-abc-2 fair-abc-3"
	for _, q := range []struct {
		name string
		a    Actor
		q    InstanceQuery
		want string
	}{
		{"all", aViewer, InstanceQuery{}, all},
		{"the other way", aViewer, InstanceQuery{Sort: "-id"}, "fair-abc-3 fair-abc-2 fair-abc-1 ball-abc-2 ball-abc-1"},
		{"one's own", anOrganiser, InstanceQuery{}, "fair-abc-1 fair-abc-2 fair-abc-3"},
		{"a helper's", helper, InstanceQuery{}, "fair-abc-1 fair-abc-2 fair-abc-3"},
		{"an event", aViewer, InstanceQuery{Event: "id-ball"}, "ball-abc-1 ball-abc-2"},
		{"another's event", anOrganiser, InstanceQuery{Event: "id-ball"}, ""},
		{"an event alone", aViewer, InstanceQuery{Event: "id-ball", Uncounted: true}, "ball-abc-1 ball-abc-2"},
		{"another's event alone", anOrganiser, InstanceQuery{Event: "id-ball", Uncounted: true}, ""},
		{"an app", aViewer, InstanceQuery{App: "photo-wall"}, all},
		{"no such app", aViewer, InstanceQuery{App: "auction"}, ""},
		{"a cloud", aViewer, InstanceQuery{Cloud: "ec2"}, ""},
		{"the ill", aViewer, InstanceQuery{Health: HealthUnhealthy}, "fair-abc-2"},
		{"words", aViewer, InstanceQuery{Text: "WALL  fair"}, "fair-abc-1 fair-abc-2 fair-abc-3"},
		{"a commit", aViewer, InstanceQuery{Text: "c0ff", Event: fair.ID}, "fair-abc-1 fair-abc-2"},
		{"health", aViewer, InstanceQuery{Sort: "health", Event: fair.ID}, "fair-abc-2 fair-abc-3 fair-abc-1"},
		{"event", aViewer, InstanceQuery{Sort: "-event", Text: "abc-1"}, "fair-abc-1 ball-abc-1"},
		{"data", aViewer, InstanceQuery{Sort: "-data", Limit: 1}, "fair-abc-2"},
		{"requests", aViewer, InstanceQuery{Sort: "-requests", Limit: 1}, "fair-abc-2"},
		{"heard", aViewer, InstanceQuery{Sort: "heard", Limit: 2}, "ball-abc-2 fair-abc-3"},
	} {
		page, err := c.Instances(t.Context(), q.a, q.q)
		if got := strings.Join(ids(page), " "); err != nil || got != q.want {
			t.Errorf("%s: %s, %v; want %s", q.name, got, err, q.want)
		}
	}
	page, err := c.Instances(t.Context(), anOrganiser, InstanceQuery{Health: HealthLive})
	if want := map[string]int{HealthLive: 1, HealthUnhealthy: 1, HealthStarting: 1}; err != nil || !reflect.DeepEqual(page.Counts, want) || page.Total != 1 {
		t.Errorf("counted %v of %d, %v", page.Counts, page.Total, err)
	}
	if v := page.Instances[0]; v.Key != nil || v.TokenHash != nil || v.Title != "Wall of fair" || v.App != "photo-wall" || v.EventName != "fair" {
		t.Errorf("shown %+v", v)
	}
	alone, err := c.Instances(t.Context(), aViewer, InstanceQuery{Event: "id-ball", Uncounted: true})
	if err != nil || alone.Counts[HealthLive]+alone.Counts[HealthStarting] != 2 || alone.Counts[HealthUnhealthy] != 0 {
		t.Errorf("an event alone is counted %v, %v: more was looked at", alone.Counts, err)
	}
	if _, err := c.Instances(t.Context(), aStranger, InstanceQuery{}); !errors.Is(err, ErrSignIn) {
		t.Errorf("to nobody: %v", err)
	}
}

// TestPagesGoOn: on the pages of a list that changes meanwhile nobody is left out who
// was there all the time, and nobody is there twice.
func TestPagesGoOn(t *testing.T) {
	c := newConsole(t, withKeys(t))
	_, machines := party(t, c, "fair", "otto", 40)
	if err := c.fleet.catchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, sort := range []string{"id", "-id", "event", "-heard"} {
		seen, removed := map[string]int{}, map[string]bool{}
		for q := (InstanceQuery{Sort: sort, Limit: 7}); ; {
			page, err := c.Instances(t.Context(), aViewer, q)
			if err != nil {
				t.Fatal(err)
			}
			for _, id := range ids(page) {
				seen[id]++
			}
			gone := machines[rand.IntN(len(machines))].id
			c.write(t, func(tx Tx) error {
				return errors.Join(tx.Delete(KindInstance, gone), put(tx, Instance{ID: "fair-abc-0" + fmt.Sprint(len(seen)), Event: "id-fair", State: InstancePlanned}))
			})
			removed[gone] = true
			if err := c.fleet.catchUp(t.Context()); err != nil {
				t.Fatal(err)
			}
			if q.After = page.Next; q.After == "" {
				break
			}
		}
		for _, m := range machines {
			if seen[m.id] > 1 || seen[m.id] == 0 && !removed[m.id] {
				t.Errorf("by %s: %s was on %d pages", sort, m.id, seen[m.id])
			}
		}
		c.write(t, func(tx Tx) error {
			var err error
			for _, m := range machines {
				err = errors.Join(err, put(tx, Instance{ID: m.id, Event: "id-fair", State: InstancePlanned}))
			}
			return err
		})
		if err := c.fleet.catchUp(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestInstancesRefuses(t *testing.T) {
	c := newConsole(t, withKeys(t))
	party(t, c, "fair", "otto", 3)
	if err := c.fleet.catchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	page, err := c.Instances(t.Context(), aViewer, InstanceQuery{Limit: 1})
	if err != nil || page.Next == "" {
		t.Fatalf("%+v, %v", page, err)
	}
	for name, c2 := range map[string]struct {
		q     InstanceQuery
		field string
	}{
		"a sort":          {InstanceQuery{Sort: "; DROP TABLE"}, "sort"},
		"a size":          {InstanceQuery{Limit: 501}, "page_size"},
		"less than none":  {InstanceQuery{Limit: -1}, "page_size"},
		"a health":        {InstanceQuery{Health: "fine"}, "health"},
		"a token":         {InstanceQuery{After: "~~"}, "page_token"},
		"a made-up token": {InstanceQuery{After: "e30"}, "page_token"},
		"another order's": {InstanceQuery{After: page.Next, Sort: "app"}, "page_token"},
		"a book":          {InstanceQuery{Text: strings.Repeat("x", 1<<20)}, "q"},
	} {
		var input *InputError
		if _, err := c.Instances(t.Context(), aViewer, c2.q); !errors.As(err, &input) || len(input.Fields) != 1 || input.Fields[0].Field != c2.field {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzPageToken(f *testing.F) {
	f.Add("e30")
	f.Add(ordering{by: "id"}.token(sortKey{ID: "fair-abc-1"}))
	f.Fuzz(func(t *testing.T, token string) {
		o := ordering{by: "id"}
		if o.begin(token) != (o.last != nil && o.last.ID != "") {
			t.Errorf("%q: %+v", token, o.last)
		}
	})
}

func TestInstance(t *testing.T) {
	c := newConsole(t, withKeys(t))
	_, machines := party(t, c, "fair", "otto", 1)
	m := machines[0].mustEnrol(t)
	m.report.Phases[0].Detail = "gcc: not found"
	m.mustSay(t)
	v, err := c.Instance(t.Context(), aViewer, m.id)
	if err != nil || v.LastReport.Phases[0].Detail != "gcc: not found" || v.Report == nil || v.Key != nil || v.TokenHash != nil || len(v.History) != 60 {
		t.Errorf("%+v, %v", v, err)
	}
	if page, err := c.Instances(t.Context(), aViewer, InstanceQuery{}); err != nil || page.Instances[0].LastReport.Phases[0].Detail != "" {
		t.Errorf("what commands print is kept in memory: %v", err)
	}
	other := Actor{Kind: ActorPerson, ID: "oda", Role: RoleOrganiser}
	for name, try := range map[string]struct {
		a    Actor
		id   string
		want error
	}{"none": {aViewer, "fair-abc-9", ErrNotFound}, "another's": {other, m.id, ErrNotFound}, "to nobody": {aStranger, m.id, ErrSignIn}} {
		if _, err := c.Instance(t.Context(), try.a, try.id); !errors.Is(err, try.want) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := c.InstanceConfig(t.Context(), try.a, try.id); !errors.Is(err, try.want) {
			t.Errorf("the config of %s: %v", name, err)
		}
	}
	config, err := c.InstanceConfig(t.Context(), aViewer, m.id)
	if text := string(asJSON(t, config)); err != nil || config.Plan.Instance != m.id || config.Settings["TITLE"] != "Hello" || !slices.Equal(config.Secrets, []string{"PASSWORD"}) ||
		strings.Contains(text, "hush") || strings.Contains(text, m.token) {
		t.Errorf("%s, %v", text, err)
	}
}
