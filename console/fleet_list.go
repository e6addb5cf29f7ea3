package console

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// An InstanceQuery narrows a list of instances. Zero fields do not.
type InstanceQuery struct {
	Text   string // in its id, title, app, event, address, commit; every word of it
	Event  string // an id
	App    string
	Health string
	Cloud  string
	Sort   string // id (the default), event, app, health, heard, data, requests; a - before it turns it round
	After  string // a page token
	Limit  int    // 0: 50; at most 500
	// Uncounted says that nobody asks for Counts: of an event's list nothing else is looked at.
	Uncounted bool
}

// An InstancePage is a page of a list.
type InstancePage struct {
	Instances []InstanceView
	Total     int            // of all pages
	Next      string         // the token of the next page; empty: this is the last
	Counts    map[string]int // how many instances the actor sees, by Health
}

// Bounds of a page.
const (
	usualPage = 50
	mostPage  = 500
)

// Instances lists those the actor sees. The error is an *InputError where q is at fault.
func (c *Console) Instances(ctx context.Context, a Actor, q InstanceQuery) (InstancePage, error) {
	if err := authorise(a, See, target{}); err != nil {
		return InstancePage{}, err
	}
	order, err := q.parse()
	if err != nil {
		return InstancePage{}, err
	}
	f, now := c.fleet, c.now()
	f.mu.RLock()
	defer f.mu.RUnlock()
	page, words := InstancePage{Counts: map[string]int{}}, strings.Fields(strings.ToLower(q.Text))
	var found []row
	for event, members := range f.byEvent {
		if q.Uncounted && q.Event != "" && q.Event != event || authorise(a, See, f.events[event].target()) != nil || f.events[event].ID == "" {
			continue
		}
		for _, m := range members {
			health, _ := f.health(m, now)
			page.Counts[health]++
			if f.matches(q, words, m, health) {
				found = append(found, row{m, order.key(f, m, health, now)})
			}
		}
	}
	page.Total = len(found)
	found = order.after(found)
	slices.SortFunc(found, func(a, b row) int { return order.compare(a.key, b.key) })
	most := q.limit()
	for _, r := range found[:min(most, len(found))] {
		page.Instances = append(page.Instances, f.view(r.member, now))
	}
	if len(found) > most {
		page.Next = order.token(found[most-1].key)
	}
	return page, nil
}

func (q InstanceQuery) limit() int {
	if q.Limit == 0 {
		return usualPage
	}
	return q.Limit
}

// parse says what is wrong with q, and reads its order.
func (q InstanceQuery) parse() (ordering, error) {
	var w wrong
	o := ordering{by: cmp.Or(strings.TrimPrefix(q.Sort, "-"), "id"), down: strings.HasPrefix(q.Sort, "-")}
	if sortKeys[o.by] == nil {
		w.add("sort", "it is one of id, event, app, health, heard, data and requests, with a - before it to turn it round")
	}
	if q.Limit < 0 || q.Limit > mostPage {
		w.add("page_size", "it is a number from 1 to 500")
	}
	if q.Health != "" && !slices.Contains(healths, q.Health) {
		w.add("health", "it is one of "+strings.Join(healths, ", "))
	}
	if len(q.Text) > longestText {
		w.add("q", "it is too long; a word or two are enough")
	}
	if q.After != "" && !o.begin(q.After) {
		w.add("page_token", "it is not one of a list in this order; begin with the first page")
	}
	return o, w.err()
}

// matches says whether a member is one that q is after, words being those of its Text in
// small letters. f.mu is held.
func (f *fleet) matches(q InstanceQuery, words []string, m *member, health string) bool {
	if q.Event != "" && m.Event != q.Event || q.Cloud != "" && m.Cloud != q.Cloud || q.Health != "" && health != q.Health ||
		q.App != "" && f.deployments[m.Deployment].app != q.App {
		return false
	}
	if len(words) == 0 {
		return true
	}
	e, d := f.events[m.Event], f.deployments[m.Deployment]
	in := [...]string{m.ID, d.title, d.app, e.Name, e.Title, m.Address, "", ""}
	if m.last != nil && m.last.Serving != nil {
		in[6], in[7] = m.last.Serving.Release, m.last.Serving.Revision
	}
	for i := range in {
		in[i] = strings.ToLower(in[i]) // most are, and cost nothing
	}
	for _, word := range words {
		if !slices.ContainsFunc(in[:], func(text string) bool { return strings.Contains(text, word) }) {
			return false
		}
	}
	return true
}

// A sortKey is what a member is sorted by: so a page goes on where the one before ended,
// whatever came, went or changed meanwhile.
type sortKey struct {
	Number int64  `json:"n,omitempty"`
	Text   string `json:"t,omitempty"`
	ID     string `json:"i"`
}

type row struct {
	member *member
	key    sortKey
}

// An ordering is the order of a list, and where it goes on.
type ordering struct {
	by   string
	down bool
	last *sortKey
}

// sortKeys are the orders there are; a text or a number each.
var sortKeys = map[string]func(f *fleet, m *member, health string, now time.Time) sortKey{
	"id":    func(*fleet, *member, string, time.Time) sortKey { return sortKey{} },
	"event": func(f *fleet, m *member, _ string, _ time.Time) sortKey { return sortKey{Text: f.events[m.Event].Name} },
	"app": func(f *fleet, m *member, _ string, _ time.Time) sortKey {
		return sortKey{Text: f.deployments[m.Deployment].app}
	},
	"health": func(_ *fleet, _ *member, health string, _ time.Time) sortKey {
		return sortKey{Number: int64(slices.Index(healths, health))}
	},
	"heard": func(_ *fleet, m *member, _ string, _ time.Time) sortKey { return sortKey{Number: moment(m.heard)} },
	"data":  func(_ *fleet, m *member, _ string, _ time.Time) sortKey { return sortKey{Number: m.freshness()} },
	"requests": func(_ *fleet, m *member, _ string, now time.Time) sortKey {
		return sortKey{Number: m.history.total(now)}
	},
}

// freshness is when a member's data was last known to be what is wanted; 0: never.
func (m *member) freshness() int64 {
	if m.last == nil || m.last.Data == nil {
		return 0
	}
	return moment(m.last.Data.Confirmed)
}

// moment is a time as a number that sorts; 0: none.
func moment(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

func (o ordering) key(f *fleet, m *member, health string, now time.Time) sortKey {
	k := sortKeys[o.by](f, m, health, now)
	k.ID = m.ID
	return k
}

func (o ordering) compare(a, b sortKey) int {
	c := cmp.Or(cmp.Compare(a.Number, b.Number), strings.Compare(a.Text, b.Text), strings.Compare(a.ID, b.ID))
	if o.down {
		return -c
	}
	return c
}

// after leaves out what was on the pages before.
func (o ordering) after(all []row) []row {
	if o.last == nil {
		return all
	}
	return slices.DeleteFunc(all, func(r row) bool { return o.compare(r.key, *o.last) <= 0 })
}

// A pageToken is where a page ended, and in which order.
type pageToken struct {
	By   string  `json:"by"`
	Down bool    `json:"down,omitempty"`
	Last sortKey `json:"last"`
}

func (o ordering) token(last sortKey) string {
	text, _ := json.Marshal(pageToken{o.by, o.down, last}) // strings and numbers
	return base64.RawURLEncoding.EncodeToString(text)
}

// begin reads a token; false: it is not of this order.
func (o *ordering) begin(token string) bool {
	var t pageToken
	text, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || json.Unmarshal(text, &t) != nil || t.By != o.by || t.Down != o.down || t.Last.ID == "" {
		return false
	}
	o.last = &t.Last
	return true
}
