package console

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"popup/console"
	"popup/console/catalogue"
	"popup/internal/wire"
	"popup/store/sqlite"
	"popup/userdata"
)

// A paperCloud has machines on paper alone: it keeps what each was told. The console
// that is measured has no cloud of its name, and so neither asks for them nor ends them.
type paperCloud struct {
	mu     sync.Mutex
	tokens map[string]string // by instance
}

const paper = "paper"

// elsewhere is where the machines on paper are told that their console is.
const elsewhere = "https://console.example.org"

func (*paperCloud) Check(context.Context, console.Launch) error { return nil }

func (p *paperCloud) Launch(_ context.Context, l console.Launch) (console.Machine, error) {
	plan, err := userdata.Read(l.UserData)
	if err != nil {
		return console.Machine{}, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tokens[l.Instance] = plan.Console.Token
	return machineOf(l.Instance), nil
}

func machineOf(instance string) console.Machine {
	return console.Machine{Instance: instance, ID: "paper-" + instance, State: console.MachineRunning, Address: "http://" + instance + ".test"}
}

func (p *paperCloud) Machines(context.Context) (all []console.Machine, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for instance := range p.tokens {
		all = append(all, machineOf(instance))
	}
	return all, nil
}

func (p *paperCloud) Terminate(context.Context, string) error { return nil }

// perEvent is how many instances an event has.
const perEvent = 100

// seed launches instances in a console's folder, by the console's own use cases with a
// cloud on paper, and returns them with the tokens they were told. Nobody has the folder
// open meanwhile.
func seed(t testing.TB, dir string, number int) []*instance {
	t.Helper()
	store, err := sqlite.Open(t.Context(), filepath.Join(dir, "store"))
	must(t, err)
	keys, err := console.OpenKeys(filepath.Join(dir, "secrets.key"))
	must(t, err)
	offered, err := catalogue.Open(t.Context(), catalogue.Options{Dir: t.TempDir()})
	must(t, err)
	cloud := &paperCloud{tokens: map[string]string{}}
	c, err := console.New(t.Context(), console.Options{Store: store, Keys: keys, Catalogue: offered, Clouds: map[string]console.Cloud{paper: cloud}, Cloud: paper,
		URL: elsewhere, Binary: userdata.Binary{URLs: []string{elsewhere + "/popup"}, SHA256: map[string]string{runtime.GOARCH: fmt.Sprintf("%x", sha256.Sum256(nil))}}})
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	var loops sync.WaitGroup
	loops.Go(func() { _ = c.Run(ctx) }) // what keeps it from ending well shows in the store
	var ids []string
	for n := 0; n < number; n += perEvent {
		name := fmt.Sprintf("fair-%d", n/perEvent)
		o, err := c.Launch(t.Context(), console.System, console.LaunchRequest{
			Event: console.EventRequest{Name: name, Title: "Fair " + name, End: "30d"},
			Apps:  []console.AppRequest{{App: "notice", Count: min(perEvent, number-n)}}}, name)
		must(t, err)
		ids = append(ids, o.Instances...)
	}
	eventually(t, "launched all on paper", 10*time.Minute, func() bool {
		page, err := c.Instances(t.Context(), console.System, console.InstanceQuery{Limit: 1})
		must(t, err)
		return page.Counts[console.HealthStarting] == number
	})
	cancel()
	loops.Wait()
	must(t, offered.Close())
	must(t, store.Close())
	slices.Sort(ids)
	all := make([]*instance, len(ids))
	for k, id := range ids {
		from := sha256.Sum256([]byte("an instance of a test: " + id))
		all[k] = &instance{id: id, token: cloud.tokens[id], key: ed25519.NewKeyFromSeed(from[:]), report: healthy(id)}
	}
	return all
}

// healthy is what a healthy instance reports.
func healthy(id string) wire.Report {
	now := time.Now().UTC().Truncate(time.Second)
	r := wire.Report{Version: wire.TalkVersion, Since: now, Popup: "0.9.0", App: "notice", URL: "http://" + id + ".test", Generation: 1, Live: true, Healthy: true,
		Serving: &wire.Serving{Release: "4b825dc642cb6eb9a060e54bf8d69288fbee4904", Revision: "9bca2626fb04eca12fd1df9a9d7fb5cf1ddd6a25", Since: now},
		End:     &wire.Ending{At: now.AddDate(0, 0, 30), Step: "running"}, Notes: []string{"the app's user shares the machine's network"}}
	for _, name := range []string{"enrol", "fetch service", "fetch data", "packages", "build", "start", "check"} {
		r.Phases = append(r.Phases, wire.Phase{Name: name, State: "done", Attempt: 1, Since: now})
	}
	stream := wire.Stream{Source: "https://git.example.org/community/notices", Wanted: r.Serving.Release, LastTry: now, LastSuccess: now, Confirmed: now,
		StaleAt: now.Add(time.Hour), NextTry: now}
	service, data := stream, stream
	r.Service, r.Data = &service, &data
	r.Numbers = wire.Numbers{Requests: 12345, Errors: 3, DiskFree: 5 << 30, DiskSize: 9 << 30, MemoryFree: 1 << 30, MemorySize: 2 << 30, MemoryPopup: 40 << 20}
	return r
}

// eventually waits until done says so.
func eventually(t testing.TB, what string, within time.Duration, done func() bool) {
	t.Helper()
	late, tick := time.After(within), time.NewTicker(100*time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("within %s it never %s", within, what)
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		}
	}
}
