package console

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"popup/internal/wire"
)

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
