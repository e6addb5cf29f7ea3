//go:build browser

package browser

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"popup/console"
	"popup/console/catalogue"
	"popup/internal/testutil"
	"popup/store/sqlite"
	"popup/templates"
	"popup/web"
)

// A pricedCloud has machines that do nothing, and cost money.
type pricedCloud struct {
	mu       sync.Mutex
	machines map[string]console.Machine
}

func (p *pricedCloud) Check(context.Context, console.Launch) error { return nil }

func (p *pricedCloud) Launch(_ context.Context, l console.Launch) (console.Machine, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.machines[l.Instance] = console.Machine{Instance: l.Instance, ID: "i-" + l.Instance, State: console.MachineRunning}
	return p.machines[l.Instance], nil
}

func (p *pricedCloud) Machines(context.Context) (all []console.Machine, _ error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range p.machines {
		all = append(all, m)
	}
	return all, nil
}

func (p *pricedCloud) Terminate(_ context.Context, instance string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.machines, instance)
	return nil
}

// Price is 2 USD an hour for two apps.
func (p *pricedCloud) Price(context.Context, console.Launch) (console.Price, error) {
	return console.Price{Currency: "USD", AsOf: time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC), Lines: []console.PriceLine{
		{What: "a large machine in eu-central-1", Hour: 996_904}, {What: "20 GiB of gp3 for its disk", Hour: 3_096}}}, nil
}

// startPriced starts a console in this process, whose clock ahead moves.
func startPriced(t *testing.T, ahead *atomic.Int64) *site {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	store, err := sqlite.Open(ctx, t.TempDir())
	keys, keysErr := console.OpenKeys(filepath.Join(t.TempDir(), "keys"))
	offered, offeredErr := catalogue.Open(ctx, catalogue.Options{Dir: t.TempDir()})
	listener, listenErr := net.Listen("tcp", "127.0.0.1:0")
	if err := errors.Join(err, keysErr, offeredErr, listenErr); err != nil {
		t.Fatal(err)
	}
	at := "http://" + listener.Addr().String()
	opts := console.Options{Store: store, Keys: keys, Catalogue: offered, Clouds: map[string]console.Cloud{"ec2": &pricedCloud{machines: map[string]console.Machine{}}}, Cloud: "ec2",
		Reach: map[string]console.Reach{"ec2": {SameMachine: true}}, URL: at, Version: "test", Now: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }}
	opts.Binary.URLs = []string{at + "/download/{arch}"}
	opts.Binary.SHA256 = map[string]string{"amd64": strings.Repeat("e", 64)}
	c, err := console.New(ctx, opts)
	if err != nil {
		t.Fatal(err)
	}
	server, err := web.New(web.Options{Console: c, Catalogue: offered, URL: at, Version: "test", Clouds: []string{"ec2"}, Cloud: "ec2"})
	if err != nil {
		t.Fatal(err)
	}
	served := &httptest.Server{Listener: listener, Config: &http.Server{Handler: server.Handler()}}
	served.Start()
	var running sync.WaitGroup
	running.Go(func() {
		if err := c.Run(ctx); err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		cancel()
		served.CloseClientConnections()
		served.Close()
		running.Wait()
		if err := errors.Join(offered.Close(), store.Close()); err != nil {
			t.Error(err)
		}
	})
	claim, err := c.ClaimLink(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return &site{t: t, url: at, claim: claim}
}

// TestBrowserMoney goes past the pages that speak of money: before the launch, while it
// runs, and frozen because of its cap.
func TestBrowserMoney(t *testing.T) {
	var ahead atomic.Int64
	ahead.Store(-int64(2 * time.Hour))
	r := &tour{t: t, site: startPriced(t, &ahead), axe: readAxe(t), seen: map[string]bool{}}
	if out := os.Getenv("OUT"); out != "" {
		r.out = filepath.Join(testutil.RepositoryRoot(t), out)
	}
	b := newTab(t, look{})
	b.excuse("status of 422")
	b.claim(r.site)
	b.choose()
	b.follow("button", "Change something")
	b.press("DisclosureTriangle", "More about the event")
	b.fill("Cap optional", "lots")
	b.follow("button", "Check your answers")
	b.reads("That is not an amount; write it like 25 or 25.50.")
	b.fill("Cap optional", "4.50") // 2:15 hours, 10 minutes of them for the end
	b.follow("button", "Check your answers")
	b.reads("At most 4.50 USD, by its cap. Without one: about 3", "Its cap of 4.50 USD is reached before its end")
	b.press("DisclosureTriangle", "What costs how much")
	r.at(b, templates.ConsoleCheck, "priced")
	b.follow("button", "Launch until…")
	b.come(r.site.url + "/events/" + eventName)
	b.reads("so far, of 4.50 USD", "it freezes on")
	b.fill("Cap optional", "5")
	b.follow("button", "Save the cap")
	b.reads("That is saved.", "of 5.00 USD")
	b.fill("Cap optional", "4.50")
	b.follow("button", "Save the cap")
	r.at(b, templates.ConsoleEvent, "priced")
	ahead.Store(0)
	b.until("is frozen because of its cap", func() (bool, string) {
		b.come(r.site.url + "/events/" + eventName)
		return b.has("heading", "Let it go on"), "it is not"
	})
	b.reads("because of its cap of 4.50 USD", "Raise the cap, and it goes on.")
	r.at(b, templates.ConsoleEvent, "capped")
	b.come(r.site.url)
	r.at(b, templates.ConsoleEvents, "priced")
}
