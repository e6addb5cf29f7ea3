package bench

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"popup/datasync"
	"popup/internal/testutil"
	"popup/internal/wire"
)

// What is aimed at.
const (
	budget = 15  // polls a second that a public server lets a repository have
	even   = 1.5 // how much busier than the mean the busiest moment may be
	moment = 100 // polls in a moment: of fewer, chance alone makes one half as busy again as the mean
)

// A fleet is instances that poll the same thing by the same schedule.
type fleet struct {
	title string
	told  int             // the size of the fleet that its schedules know; 0: none
	relay *datasync.Relay // which they ask, and which follows its origin as often as they; nil: none
	// numbered instances are a fleet's own, which spread evenly without chance.
	numbered bool
	// budget is how many polls a second it must keep to; 0: as many as it likes.
	budget float64
}

// TestSim lets POLLERS instances poll by their real schedules, which run in time
// that goes by only while nobody is asking, and ask by their real code over real
// connections. It fails when they are uneven or over the budget.
func TestSim(t *testing.T) {
	pollers := count(t, "POLLERS", 300)
	dir := t.TempDir()
	s := startServer(t, dir, newCertificate(t))
	followed := many(t, dir, 300).relayed(t, s, dir)
	git := gitCost(t, s, followed)
	var behind cost // what the origin of a relay pays
	var text strings.Builder
	fmt.Fprintf(&text, "\n| %d instances, @every 1m | period | polls | a second | busiest second | times the mean | busiest moment | times the mean | requests of the origin | its CPU ms a poll | its cores busy | relay's CPU ms a poll |\n", pollers)
	fmt.Fprintln(&text, "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|")
	for _, f := range []fleet{
		{title: "git"},
		{title: "git, told how many they are", told: pollers, budget: budget},
		{title: "git, and numbered", told: pollers, budget: budget, numbered: true},
		{title: "relay", relay: followed.relay},
	} {
		before := s.cost(t)
		seen := f.run(t, s, pollers)
		paid := s.cost(t).minus(before)
		if paid.Requests != int64(seen.polls+seen.looks) || seen.polls < 2*pollers {
			t.Fatalf("%s: %d instances made %d polls, a relay %d, and all of them %d requests", f.title, pollers, seen.polls, seen.looks, paid.Requests)
		}
		each, relay := git, "–"
		if f.relay != nil {
			each, relay, behind = paid.Git.Seconds()/float64(seen.polls), figure(paid.Own.Seconds()*1000/float64(seen.polls)), paid
		}
		fmt.Fprintf(&text, "| %s | %v | %d | %.1f | %d | %.2f | %d s | %.2f | %d | %s | %s | %s |\n", f.title, seen.period, seen.polls, seen.mean(), seen.busiest(1),
			seen.ratio(1), f.window(seen), seen.ratio(f.window(seen)), paid.Asked, figure(each*1000), figure(each*seen.mean()), relay)
		for _, wrong := range f.judge(seen, paid.Asked) {
			t.Errorf("%s: %s", f.title, wrong)
		}
	}
	fmt.Fprintf(&text, "\nA poll of git http-backend was %s ms. Behind a relay the origin got %d requests in all, the relay's own, and paid %s ms for them.\n\n%s: `make sim-sync`\n",
		figure(git*1000), behind.Asked, figure(behind.Git.Seconds()*1000), machine(t))
	testutil.Publish(t, "sim-sync", text.String())
}

// run has all of a fleet poll, twice each, and its relay as well.
func (f fleet) run(t *testing.T, s *server, pollers int) *polls {
	t.Helper()
	seen := &polls{pollers: pollers}
	var schedules []datasync.Schedule
	var answers []chan error
	var heads []func(context.Context) error
	join := func(instance string, told int, head func(context.Context) error) {
		schedule, err := datasync.ParseSchedule("@every 1m", "", instance, told)
		if err != nil {
			t.Fatal(err)
		}
		schedules, answers, heads = append(schedules, schedule), append(answers, make(chan error)), append(heads, head)
	}
	for i := range pollers {
		join(f.instance(i), f.told, f.head(t, s))
	}
	if f.relay != nil {
		join("relay", 0, func(ctx context.Context) error {
			_, err := f.relay.Publish(ctx)
			return err
		})
	}
	jobs := make(chan int)
	var workers sync.WaitGroup
	for range 8 {
		workers.Go(func() { // outside of the time that is made up: its connections would keep that from going by
			for i := range jobs {
				answers[i] <- heads[i](t.Context())
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		seen.period = schedules[0].Period(began)
		seen.seconds = make([]int, int(2*seen.period/time.Second))
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(len(seen.seconds))*time.Second)
		defer cancel()
		var all sync.WaitGroup
		for i, schedule := range schedules {
			all.Go(func() {
				schedule.Run(ctx, func(context.Context) {
					at := time.Since(began)
					jobs <- i
					seen.add(i, at, <-answers[i])
				})
			})
		}
		all.Wait()
	})
	close(jobs)
	workers.Wait()
	if err := rest(t.Context(), s.Rest); err != nil { // or the next fleet finds no room for its connections
		t.Fatal(err)
	}
	if seen.failed != nil {
		t.Fatalf("%s: %v", f.title, seen.failed)
	}
	return seen
}

// instance is an id as a cloud makes it, or as we do.
func (f fleet) instance(i int) string {
	if f.numbered {
		return fmt.Sprint("fair-", i)
	}
	return fmt.Sprintf("i-%x", sha256.Sum256(fmt.Append(nil, i)))[:19]
}

// head is how one instance answers for what is newest.
func (f fleet) head(t *testing.T, s *server) func(context.Context) error {
	t.Helper()
	from := wire.Source{URL: s.Plain + "/fast/many", Ref: "main"}
	if f.relay != nil {
		from.Relay = s.Plain + "/relay/many"
	}
	source, err := datasync.NewSource(from, datasync.SourceOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return func(ctx context.Context) error {
		_, err := source.Head(ctx)
		return err
	}
}

// gitCost is what a poll costs a real git http-backend, in seconds of CPU.
func gitCost(t *testing.T, s *server, o *origin) float64 {
	t.Helper()
	source, err := datasync.NewSource(wire.Source{URL: s.Plain + "/" + o.name, Ref: "main"}, datasync.SourceOptions{})
	if err != nil {
		t.Fatal(err)
	}
	const times = 50
	before := s.cost(t)
	for range times {
		if _, err := source.Head(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return s.cost(t).minus(before).Git.Seconds() / times
}

// polls is when polls came.
type polls struct {
	period  time.Duration
	pollers int

	mu      sync.Mutex
	seconds []int // how many came in each
	polls   int
	looks   int // of the relay at its origin
	failed  error
}

// add counts what the who-th came for; after the pollers comes the relay.
func (p *polls) add(who int, at time.Duration, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failed = errors.Join(p.failed, err)
	if who >= p.pollers {
		p.looks++
		return
	}
	p.seconds[int(at/time.Second)]++
	p.polls++
}

func (p *polls) mean() float64 { return float64(p.polls) / float64(len(p.seconds)) }

// busiest is the most that came within so many seconds.
func (p *polls) busiest(window int) int {
	most, now := 0, 0
	for i, n := range p.seconds {
		if now += n; i >= window {
			now -= p.seconds[i-window]
		}
		most = max(most, now)
	}
	return most
}

// ratio is of the busiest seconds to the mean.
func (p *polls) ratio(window int) float64 {
	return float64(p.busiest(window)) / (p.mean() * float64(window))
}

// window is how many seconds a moment has.
func (f fleet) window(p *polls) int {
	if f.numbered {
		return max(1, int(math.Round(budget/p.mean())))
	}
	return int(math.Ceil(moment / p.mean()))
}

// judge says what is wrong with how a fleet polled, of which asked requests got to
// the origin.
func (f fleet) judge(p *polls, asked int64) (wrong []string) {
	if window, ratio := f.window(p), p.ratio(f.window(p)); ratio > even {
		wrong = append(wrong, fmt.Sprintf("the busiest %d s are %.2f times the mean, and not at most %.1f", window, ratio, even))
	}
	if f.budget > 0 && p.mean() > f.budget {
		wrong = append(wrong, fmt.Sprintf("%.1f polls a second are more than the %.0f that a repository may have", p.mean(), f.budget))
	}
	if f.relay != nil && asked*100 > int64(p.polls) {
		wrong = append(wrong, fmt.Sprintf("%d requests got past the relay to the origin, which are more than a hundredth of %d polls", asked, p.polls))
	}
	return wrong
}

func TestJudge(t *testing.T) {
	at := func(seconds ...int) *polls {
		p := &polls{seconds: seconds}
		for _, n := range seconds {
			p.polls += n
		}
		return p
	}
	for _, c := range []struct {
		name  string
		fleet fleet
		polls *polls
		asked int64
		wrong int
	}{
		{"even", fleet{budget: 110}, at(110, 90, 120, 100), 400, 0},
		{"a herd", fleet{}, at(400, 0, 0, 0), 400, 1},
		{"one second too busy", fleet{}, at(60, 100, 160, 80), 400, 1},
		{"too many", fleet{budget: 90}, at(110, 90, 120, 100), 400, 1},
		{"a herd of too many", fleet{budget: 90}, at(0, 200, 200, 0), 400, 2},
		{"one second of few", fleet{budget: 60}, at(50, 80, 20, 50), 400, 0},
		{"seconds of few", fleet{}, at(10, 90, 90, 10), 400, 1},
		{"a relay that looks for itself", fleet{relay: &datasync.Relay{}}, at(110, 90, 120, 100), 4, 0},
		{"polls that get past a relay", fleet{relay: &datasync.Relay{}}, at(110, 90, 120, 100), 5, 1},
		{"one second of numbered few", fleet{numbered: true}, at(15, 24, 6, 15), 400, 1},
	} {
		if wrong := c.fleet.judge(c.polls, c.asked); len(wrong) != c.wrong {
			t.Errorf("%s: %q", c.name, wrong)
		}
	}
}
