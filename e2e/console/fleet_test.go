package console

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"popup/internal/testutil"
	"popup/internal/wire"
)

// A fleet is instances that report.
type fleet struct {
	all    []*instance
	period time.Duration
	rate   atomic.Int64 // of a thousand reports so many have news

	mu    sync.Mutex // guards what follows
	tally tally
}

// A tally counts what a fleet said.
type tally struct {
	sent, answered, news int
	slowed               int // answers that asked for another period
	late                 figures
	took, tookNews       figures
	faults               map[string]int
}

// arrive has all of them enrol and report for the first time, some at once.
func (f *fleet) arrive(t testing.TB, r *running) {
	t.Helper()
	const atOnce = 32
	todo := make(chan *instance)
	errs := make(chan error, atOnce)
	var workers sync.WaitGroup
	for range atOnce {
		workers.Go(func() {
			for i := range todo {
				i.at = strings.TrimPrefix(r.url, "http://")
				err := i.enrol(t.Context())
				if err == nil {
					err = i.tell(t.Context(), func(*wire.Report) {}).err // it is live: that is news
				}
				if err != nil {
					select {
					case errs <- err:
					default:
					}
				}
			}
		})
	}
	for _, i := range f.all {
		todo <- i
	}
	close(todo)
	workers.Wait()
	select {
	case err := <-errs:
		t.Fatal(err)
	default:
	}
}

// run has all of them report, spread evenly over the period, until ctx ends.
func (f *fleet) run(ctx context.Context) {
	var all sync.WaitGroup
	begin := time.Now()
	for k, i := range f.all {
		first := begin.Add(f.period * time.Duration(k) / time.Duration(len(f.all)))
		all.Go(func() {
			defer i.hangUp()
			f.report(ctx, i, first)
		})
	}
	all.Wait()
}

func (f *fleet) report(ctx context.Context, i *instance, at time.Time) {
	timer := time.NewTimer(time.Until(at))
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		var change func(*wire.Report)
		if rand.Int64N(1000) < f.rate.Load() {
			change = func(r *wire.Report) {
				r.Healthy, r.Why = !r.Healthy, map[bool]string{true: "its data is stale"}[r.Healthy]
			}
		}
		due := at
		told := i.tell(context.WithoutCancel(ctx), change) // what was begun is heard out
		f.count(due, told)
		for at = at.Add(f.period); at.Before(time.Now()); at = at.Add(f.period) { // it was busy for longer than that
		}
		timer.Reset(time.Until(at))
	}
}

func (f *fleet) count(due time.Time, told telling) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tally.sent++
	f.tally.late.add(told.sent.Sub(due))
	if told.err != nil {
		if f.tally.faults == nil {
			f.tally.faults = map[string]int{}
		}
		f.tally.faults[cause(told.err)]++
		return
	}
	f.tally.answered++
	took := told.answered.Sub(told.sent)
	f.tally.took.add(took)
	if told.news {
		f.tally.news++
		f.tally.tookNews.add(took)
	}
	if told.next != wire.DefaultPeriod {
		f.tally.slowed++
	}
}

// cause is an error without what differs from one to the next.
func cause(err error) string {
	if refused := new(testutil.Refusal); errors.As(err, &refused) {
		return fmt.Sprint(refused.Status)
	}
	text := err.Error()
	return text[strings.LastIndex(text, ": ")+1:]
}

// cut returns what was counted since the last cut.
func (f *fleet) cut() (t tally) {
	f.mu.Lock()
	defer f.mu.Unlock()
	t, f.tally = f.tally, tally{}
	return t
}
