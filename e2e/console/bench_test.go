package console

import (
	"bufio"
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"popup/console"
	"popup/internal/testutil"
	"popup/internal/wire"
	"popup/store/sqlite"
)

// A bench is one console that is measured, and who asks it.
type bench struct {
	testing.TB
	dir     string
	console *running
	owner   *person
	fleet   *fleet
	report  report
	core    int // the console's
	seconds time.Duration
}

// TestBench measures a console with INSTANCES that report every PERIOD seconds, for
// SECONDS, and then with BROWSERS on one page. It fails where a report was lost, or something
// was written that is not news; whether an aim was met stands in what it prints, and in
// OUT.
func TestBench(t *testing.T) {
	first, last := cores(t)
	pin(t, last)
	b := &bench{TB: t, dir: t.TempDir(), core: first, seconds: time.Duration(count(t, "SECONDS", 4)) * time.Second,
		fleet: &fleet{period: time.Duration(count(t, "PERIOD", 2)) * time.Second}}
	number := count(t, "INSTANCES", 40)
	loads := load()
	b.idle()
	b.console.End(syscall.SIGTERM)
	begun := time.Now()
	b.fleet.all = seed(t, b.dir, number)
	t.Logf("launched %d instances on paper in %s", number, time.Since(begun).Round(time.Second))
	b.console = start(t, b.dir, anyPort, first)
	b.owner.URL = b.console.url
	b.arrive()

	ctx, cancel := context.WithCancel(t.Context())
	var reporting sync.WaitGroup
	reporting.Go(func() { b.fleet.run(ctx) })
	b.quiet()
	b.busy()
	b.watch(count(t, "BROWSERS", 5))
	cancel()
	reporting.Wait()
	b.check()

	text := fmt.Sprintf("\n%d cores, %s/%s, %s; the console has one of them and GOMAXPROCS=1, who asks the other. Load of the machine: %s before, %s after.\n\n"+
		"| | measured | aim |\n|---|---|---|\n%s", runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version(), loads, load(), b.report.String())
	testutil.Publish(t, "bench-console", text)
}

// pin has this process use one core alone.
func pin(t testing.TB, core int) {
	t.Helper()
	tasks, err := os.ReadDir("/proc/self/task")
	must(t, err)
	for _, task := range tasks {
		id, err := strconv.Atoi(task.Name())
		must(t, err)
		_ = unix.SchedSetaffinity(id, only(core)) // it may have ended
	}
	runtime.GOMAXPROCS(1)
}

// idle measures a console that has nothing to do.
func (b *bench) idle() {
	b.Helper()
	b.console = start(b, b.dir, anyPort, b.core)
	b.settle()
	b.report.memory("memory of a console that nobody owns yet", b.console.uses(), 60<<20)
	b.owner = claim(b, b.console)
	b.owner.page(b, "/")
	b.owner.page(b, "/apps")
	before := b.console.uses()
	b.report.row("the same, right after it was claimed with a password", fmt.Sprintf("%.1f MB", mb(before.resident)))
	b.settle()
	after := b.console.uses()
	b.report.memory(fmt.Sprintf("the same, %s later", b.seconds/4), after, 60<<20)
	b.report.row("CPU of an idle console", share(after.cpu-before.cpu, b.seconds/4))
}

// settle lets some time pass.
func (b *bench) settle() { b.pass(b.seconds / 4) }

func (b *bench) pass(d time.Duration) {
	b.Helper()
	select {
	case <-time.After(d):
	case <-b.Context().Done():
		b.Fatal(b.Context().Err())
	case <-b.console.Done():
		b.Fatalf("the console ended: %v\n%s", b.console.Ended(), b.console.Log())
	}
}

func share(cpu, of time.Duration) string {
	return fmt.Sprintf("%.2f %% of a core", 100*cpu.Seconds()/of.Seconds())
}

// arrive has all instances enrol, and become live.
func (b *bench) arrive() {
	b.Helper()
	b.report.memory(fmt.Sprintf("memory with %d instances, none of which reports", len(b.fleet.all)), b.console.uses(), 200<<20)
	before, begun := b.console.uses(), time.Now()
	b.fleet.arrive(b, b.console)
	took, cpu := time.Since(begun), b.console.uses().cpu-before.cpu
	b.report.row("an enrolment and a report with news, 32 at once", fmt.Sprintf("%.0f a second; %s of CPU each", float64(len(b.fleet.all))/took.Seconds(), ms(cpu/time.Duration(len(b.fleet.all)))))
	var page struct{ Counts map[string]int }
	b.owner.must(b, "GET", "/instances?page_size=1", nil, &page)
	if page.Counts[console.HealthLive]+page.Counts[console.HealthSilent] != len(b.fleet.all) { // the first may be waited for by now
		b.Errorf("of %d instances that reported to be live the console counts %v", len(b.fleet.all), page.Counts)
	}
}

// quiet is reports without news, and nothing else: they write nothing.
func (b *bench) quiet() {
	b.Helper()
	b.pass(b.fleet.period) // by then all have their connections
	b.fleet.cut()
	seq, before, begun := b.newest(), b.console.uses(), time.Now()
	b.pass(max(b.seconds/3, b.fleet.period))
	wrote, after, took := b.newest()-seq, b.console.uses(), time.Since(begun)
	t := b.fleet.cut()
	b.tell("without news", t, usedIn(before, after), took)
	rows := int64(took/(30*time.Second)) + 1
	b.report.row("what is written then", fmt.Sprintf("%d changes in %s: what was heard, every 30 s", wrote, took.Round(time.Second)))
	if wrote > rows {
		b.Errorf("%d reports without news made %d changes in %s", t.sent, wrote, took)
	}
}

// busy is reports of which one in a hundred has news, while pages are asked for.
func (b *bench) busy() {
	b.Helper()
	b.fleet.rate.Store(10)
	defer b.fleet.rate.Store(0)
	b.fleet.cut()
	seq, before, begun := b.newest(), b.console.uses(), time.Now()
	asked := b.browse()
	wrote, after, took := b.newest()-seq, b.console.uses(), time.Since(begun)
	t := b.fleet.cut()
	b.tell("1 % with news, and pages", t, usedIn(before, after), took)
	b.report.spread("a report with news", t.tookNews, 0.99, 50*time.Millisecond)
	for _, p := range benchedPages {
		b.report.spread(p.title, asked[p.title], 0.99, p.most)
	}
	written := after.written - before.written
	b.report.row("what is written then", fmt.Sprintf("%.1f changes a second for %.1f reports with news; %.0f KB a second", float64(wrote)/took.Seconds(), float64(t.news)/took.Seconds(), float64(written)/1024/took.Seconds()))
	b.report.memory(fmt.Sprintf("memory with %d instances that report", len(b.fleet.all)), after, 200<<20)
}

// tell writes down what became of reports.
func (b *bench) tell(title string, t tally, u used, took time.Duration) {
	lost := t.sent - t.answered
	b.report.aim("reports, "+title, fmt.Sprintf("%d sent (%.0f a second), %d answered, %d lost %s", t.sent, float64(t.sent)/took.Seconds(), t.answered, lost, reasons(t.faults)), lost == 0, "none lost")
	if lost > 0 {
		b.Errorf("of %d reports %d were lost: %v\n%s", t.sent, lost, t.faults, b.console.Log())
	}
	b.report.spread("a report, "+title, t.took, 0.99, 50*time.Millisecond)
	b.report.row("who asks was late by", fmt.Sprintf("p50 %s, p99 %s", ms(t.late.at(0.5)), ms(t.late.at(0.99))))
	b.report.row("CPU of the console", fmt.Sprintf("%s; %s a report; it waited %s for its core in %s", share(u.cpu, took), ms(u.cpu/time.Duration(max(t.sent, 1))), ms(u.waited), took.Round(time.Second)))
	if t.slowed > 0 {
		b.report.row("answers that ask for another period than 30 s", strconv.Itoa(t.slowed))
	}
}

func reasons(faults map[string]int) string {
	if len(faults) == 0 {
		return ""
	}
	return fmt.Sprint(faults)
}

func usedIn(before, after used) used {
	return used{cpu: after.cpu - before.cpu, waited: after.waited - before.waited}
}

// newest is the newest change, as a stream of it begins.
func (b *bench) newest() int64 {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
	defer cancel()
	r, err := b.owner.Request(ctx, "GET", "/stream", nil)
	must(b, err)
	resp, err := b.owner.HTTP.Do(r)
	must(b, err)
	defer resp.Body.Close()
	for in := bufio.NewScanner(resp.Body); in.Scan(); {
		if id, found := strings.CutPrefix(in.Text(), "id: "); found {
			seq, err := strconv.ParseInt(id, 10, 64)
			must(b, err)
			return seq
		}
	}
	b.Fatal("the stream has no id")
	return 0
}

// benchedPages are asked for, each twice a second.
var benchedPages = []struct {
	title, path string
	most        time.Duration // that p99 may take; 0: no aim
}{
	{"the fleet's first page, by health (API)", "/api/v1/instances?sort=health", 50 * time.Millisecond},
	{"the fleet's first page, by health, of a text (API)", "/api/v1/instances?sort=health&q=notice+fair-3", 50 * time.Millisecond},
	{"the fleet's first page (HTML)", "/instances?q=notice", 50 * time.Millisecond},
	{"an event's page (HTML)", "/events/" + benchedEvent, 0},
}

// browse asks for pages, one after the other, and returns how long each took.
func (b *bench) browse() map[string]figures {
	b.Helper()
	took := map[string]figures{}
	pause := time.NewTicker(500 * time.Millisecond / time.Duration(len(benchedPages)))
	defer pause.Stop()
	for end := time.After(b.seconds); ; {
		for _, p := range benchedPages {
			begun := time.Now()
			b.owner.page(b, p.path)
			of := took[p.title]
			of.add(time.Since(begun))
			took[p.title] = of
			select {
			case <-pause.C:
			case <-end:
				return took
			}
		}
	}
}

// check holds what the instances were answered against what the console knows of it,
// and, after a kill, against what its store holds.
func (b *bench) check() {
	b.Helper()
	for _, i := range b.fleet.all {
		var shown struct{ Report wire.Report }
		b.owner.must(b, "GET", "/instances/"+url.PathEscape(i.id), nil, &shown)
		if shown.Report.Seq != i.told {
			b.Errorf("%s was answered for report %d, and the console knows %d", i.id, i.told, shown.Report.Seq)
		}
	}
	b.console.End(syscall.SIGKILL)
	store, err := sqlite.Open(b.Context(), filepath.Join(b.dir, "store"))
	must(b, err)
	defer store.Close()
	keys, err := console.OpenKeys(filepath.Join(b.dir, "secrets.key"))
	must(b, err)
	c, err := console.New(b.Context(), console.Options{Store: store, Keys: keys, Clouds: map[string]console.Cloud{paper: paperCloud{}}, Cloud: paper})
	must(b, err)
	for _, i := range b.fleet.all {
		v, err := c.Instance(b.Context(), console.System, i.id)
		must(b, err)
		if v.Report == nil || v.Report.Seq < i.toldNews {
			b.Errorf("%s was answered for report %d with news, and after a kill that is not in the store: %v", i.id, i.toldNews, v.Report)
		}
	}
	b.report.row("after the bench, and a kill -9", fmt.Sprintf("%d instances, the newest report of each was known, and the newest with news kept", len(b.fleet.all)))
}
