package console

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"popup/internal/wire"
)

const benched = 10_000

// aFullReport is what a healthy instance sends, with all there is in it.
func aFullReport(m *machine) wire.Report {
	r := wire.Report{Version: 1, Since: aDay, Time: aDay, Popup: "0.9.0", App: "photo-wall", URL: "http://" + m.id + ".test", Live: true, Healthy: true,
		Serving: &wire.Serving{Release: "4b825dc642cb6eb9a060e54bf8d69288fbee4904", Revision: "9bca2626fb04eca12fd1df9a9d7fb5cf1ddd6a25", Since: aDay},
		End:     &wire.Ending{At: aDay.AddDate(0, 0, 30), Step: "running"}, Notes: []string{"the app's user shares the machine's network"}}
	for _, name := range []string{"enrol", "fetch service", "fetch data", "packages", "build", "start", "check"} {
		r.Phases = append(r.Phases, wire.Phase{Name: name, State: "done", Attempt: 1, Since: aDay})
	}
	stream := &wire.Stream{Source: "https://git.example.org/community/photo-wall", Wanted: r.Serving.Release, LastTry: aDay, LastSuccess: aDay, Confirmed: aDay, StaleAt: aDay.Add(time.Hour), NextTry: aDay}
	r.Service, r.Data = stream, stream
	r.Numbers = wire.Numbers{Requests: 12345, Errors: 3, DiskFree: 5 << 30, DiskSize: 9 << 30, MemoryFree: 1 << 30, MemorySize: 2 << 30, MemoryPopup: 40 << 20}
	return r
}

// aFleet is a console with ten thousand live instances, in a hundred events.
func aFleet(b *testing.B) (*testConsole, []*machine) {
	b.Helper()
	c := newConsole(b, withKeys(b))
	var all []*machine
	for n := range 100 {
		_, machines := party(b, c, fmt.Sprintf("fair-%02d", n), "otto", benched/100)
		c.write(b, func(tx Tx) (err error) {
			for _, m := range machines {
				i, readErr := get[Instance](tx, m.id)
				m.report = aFullReport(m)
				m.report.Seq = 1
				report := m.report
				i.State, i.LiveSince, i.Enrolled, i.Heard, i.Report, i.Key = InstanceLive, aDay, aDay, aDay, &report, m.key.Public().(ed25519.PublicKey)
				err = errors.Join(err, readErr, put(tx, i))
			}
			return err
		})
		all = append(all, machines...)
	}
	if err := c.fleet.catchUp(b.Context()); err != nil {
		b.Fatal(err)
	}
	return c, all
}

// reports are signed reports that were not sent yet, made outside of what is timed.
type reports struct {
	machines []*machine
	next     int
}

// one is the next machine's report, after change.
func (r *reports) one(b *testing.B, change func(*wire.Report)) ([]byte, Signature) {
	m := r.machines[r.next%len(r.machines)]
	r.next++
	m.report.Seq++
	m.report.Numbers.Requests += 7
	change(&m.report)
	body := asJSON(b, m.report)
	return body, m.sign(wire.PathReport, body)
}

// BenchmarkReport is of reports without news, one after the other.
func BenchmarkReport(b *testing.B) {
	c, machines := aFleet(b)
	r, before := &reports{machines: machines}, c.newest(b)
	for b.Loop() {
		b.StopTimer()
		body, s := r.one(b, func(*wire.Report) {})
		b.StartTimer()
		if _, err := c.Report(b.Context(), body, s); err != nil {
			b.Fatal(err)
		}
	}
	if c.newest(b) != before {
		b.Error("something was written")
	}
}

// BenchmarkReportNews is of a thousand at once that all have news.
func BenchmarkReportNews(b *testing.B) {
	const atOnce = 1000
	c, machines := aFleet(b)
	r := &reports{machines: machines}
	for b.Loop() {
		b.StopTimer()
		var bodies [atOnce][]byte
		var signatures [atOnce]Signature
		for k := range atOnce {
			bodies[k], signatures[k] = r.one(b, func(r *wire.Report) { r.Healthy = !r.Healthy })
		}
		b.StartTimer()
		var all sync.WaitGroup
		for k := range atOnce {
			all.Go(func() {
				if _, err := c.Report(b.Context(), bodies[k], signatures[k]); err != nil {
					b.Error(err)
				}
			})
		}
		all.Wait()
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/atOnce, "µs/report")
}

// BenchmarkInstancesFirstPage is of the fleet's list, in several orders.
func BenchmarkInstancesFirstPage(b *testing.B) {
	c, machines := aFleet(b)
	r := &reports{machines: machines}
	for range machines {
		body, s := r.one(b, func(*wire.Report) {})
		if _, err := c.Report(b.Context(), body, s); err != nil {
			b.Fatal(err)
		}
	}
	for _, q := range []InstanceQuery{{}, {Sort: "health"}, {Sort: "-requests"}, {Text: "photo fair-42"}, {Event: "id-fair-42"}} {
		b.Run(fmt.Sprintf("sort=%s,text=%s,event=%s", q.Sort, q.Text, q.Event), func(b *testing.B) {
			for b.Loop() {
				if page, err := c.Instances(b.Context(), anOwner, q); err != nil || len(page.Instances) != 50 {
					b.Fatal(len(page.Instances), err)
				}
			}
		})
	}
}

// BenchmarkFleetMemory says how much ten thousand instances take that reported.
func BenchmarkFleetMemory(b *testing.B) {
	c, machines := aFleet(b)
	r := &reports{machines: machines}
	for b.Loop() {
		for range machines {
			body, s := r.one(b, func(*wire.Report) {})
			if _, err := c.Report(b.Context(), body, s); err != nil {
				b.Fatal(err)
			}
		}
	}
	heap := func() float64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return float64(m.HeapAlloc) / (1 << 20)
	}
	with := heap()
	c.fleet.mu.Lock()
	c.fleet.members, c.fleet.byEvent = nil, nil
	c.fleet.mu.Unlock()
	b.ReportMetric(with-heap(), "MB/fleet")
	runtime.KeepAlive(c)
}

// BenchmarkFollowers is of a thousand who follow one event: until the last is told of a change.
func BenchmarkFollowers(b *testing.B) {
	const followers = 1000
	c := newConsole(b, withKeys(b))
	c.following(b)
	e, machines := party(b, c, "fair", "otto", 1)
	m := machines[0].live(b)
	start, err := c.Newest(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	told := make(chan string, followers)
	var all sync.WaitGroup
	for range followers {
		all.Go(func() {
			_ = c.Follow(ctx, aViewer, e.ID, start, func(n Notice) error { told <- n.ID; return nil }) // until it is cancelled
		})
	}
	for b.Loop() {
		m.report.Healthy = !m.report.Healthy
		m.mustSay(b)
		for range followers {
			<-told
		}
	}
	cancel()
	all.Wait()
}
