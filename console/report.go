package console

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"time"

	"popup/internal/wire"
)

// Report takes a report and answers what is wanted. One with news is in the store when
// it is answered; one without costs the store nothing. One that is late, or somebody's
// copy, is answered and changes nothing. The errors are Enrol's.
func (c *Console) Report(ctx context.Context, body []byte, s Signature) (wire.Answer, error) {
	defer c.fleet.busy()()
	if len(body) > wire.MaxReport {
		return wire.Answer{}, &InputError{[]FieldError{{"body", fmt.Sprintf("it has %d bytes; a report has at most %d", len(body), wire.MaxReport)}}}
	}
	i, err := c.signed(ctx, s, wire.Signed{Method: "POST", Path: wire.PathReport, Body: body})
	if err != nil {
		return wire.Answer{}, err
	}
	r, err := parseReport(body)
	if err != nil {
		return wire.Answer{}, err
	}
	if !i.gave(r.Results) { // another console may have, a moment ago
		if err := c.fleet.catchUp(ctx); err != nil {
			return wire.Answer{}, err
		}
	}
	if c.fleet.listen(i.ID, r) {
		if err := c.keep(ctx, &news{instance: i.ID, report: r, at: c.now()}); err != nil {
			return wire.Answer{}, err
		}
	}
	return c.fleet.answer(i.ID, r), nil
}

func parseReport(body []byte) (r wire.Report, err error) {
	if err := json.Unmarshal(body, &r); err != nil {
		return r, &InputError{[]FieldError{{"body", "it is not the JSON of a report: " + err.Error()}}}
	}
	if r.Version < 1 || r.Seq == 0 {
		return r, &InputError{[]FieldError{{"body", "a report has a version and a seq"}}}
	}
	if u, err := url.Parse(r.URL); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
		r.URL = "" // people are led there
	}
	return r, nil
}

// listen takes in a report that is newer than those before, and says whether there is
// anything in it that the store is to know.
func (f *fleet) listen(id string, r wire.Report) (news bool) {
	isNews, slim := digestOf(r), lean(r)
	f.mu.Lock()
	defer f.mu.Unlock()
	m := f.members[id]
	if m == nil || r.Seq <= m.seq {
		return false
	}
	now := f.c.now()
	m.seq, m.last, m.heard, m.far = r.Seq, slim, now, false
	if m.history == nil {
		m.history = &history{}
	}
	m.history.add(now, r)
	f.unwritten++
	return isNews != m.news || m.resulted(r) || m.lags(r)
}

// gave says whether all results are of commands that are known.
func (i *Instance) gave(results []wire.Result) bool {
	return !slices.ContainsFunc(results, func(result wire.Result) bool {
		return !slices.ContainsFunc(i.Commands, func(o Order) bool { return o.ID == result.ID })
	})
}

// resulted says whether a result in r is one that is waited for.
func (m *member) resulted(r wire.Report) bool {
	return slices.ContainsFunc(r.Results, func(result wire.Result) bool {
		return slices.ContainsFunc(m.Commands, func(o Order) bool { return o.ID == result.ID && o.Result == nil })
	})
}

// lags says that the console's own idea of an instance is behind what it reports
// though the report as such is known: a launch that was answered after it, or a store
// that was taken back to an earlier state.
func (m *member) lags(r wire.Report) bool {
	return r.Live && (m.State == InstanceLaunching || m.State == InstanceStarting) || isAhead(r, m.Instance)
}

// isAhead says that an instance was told more than the console knows of: its store was
// taken back. What is wanted would be passed over until its generation is higher.
func isAhead(r wire.Report, i Instance) bool {
	const most = 1 << 62 // somebody makes fun of us
	return r.Generation > i.Wanted.Generation && r.Generation < most
}

// How soon an instance is to report again.
const (
	// soon is while something is under way with it.
	soon = wire.LeastPeriod
	// hurry is how long that lasts: after it, whatever it is does not come by itself.
	hurry = 30 * time.Minute
	// easy is how many reports at once are no trouble; with twice that many the next are
	// asked for half as often, and so on.
	easy = 64
)

// busy counts a report that is being answered, until what it returns is called.
func (f *fleet) busy() (done func()) {
	f.answering.Add(1)
	return func() { f.answering.Add(-1) }
}

// answer says what is wanted of an instance that reported.
func (f *fleet) answer(id string, r wire.Report) (a wire.Answer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	m := f.members[id]
	if m == nil {
		return wire.Answer{}
	}
	if w := m.Wanted; w.Generation > 0 && w.Generation != r.Generation {
		a.Wanted = &w
	}
	for _, o := range m.Commands {
		if o.Result == nil && len(a.Commands) < mostWaiting {
			a.Commands = append(a.Commands, o.Command)
		}
	}
	next := f.c.period()
	if a.Wanted != nil || len(a.Commands) > 0 || m.hurries(f.c.now()) {
		next = soon
	}
	next *= time.Duration(1 + f.answering.Load()/easy)
	m.next = wire.Period(int(next / time.Second))
	a.Next = int(m.next / time.Second)
	return a
}

// hurries says that somebody may be waiting for the next report.
func (m *member) hurries(now time.Time) bool {
	switch m.State {
	case InstanceLaunching, InstanceStarting:
		return now.Sub(m.Enrolled) < hurry
	case InstanceEnding:
		return now.Sub(m.Ended) < hurry
	}
	return false
}

// period is how often an instance reports where there is no news.
func (c *Console) period() time.Duration { return wire.Period(int(c.opts.ReportEvery / time.Second)) }
