package console

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"popup/console"
	"popup/console/catalogue"
	"popup/internal/wire"
	"popup/store/sqlite"
	"popup/userdata"
)

// A paperCloud has machines on paper alone. The console that is measured has no cloud of
// its name, and so neither asks for them nor ends them.
type paperCloud struct{}

const paper = "paper"

// elsewhere is where the machines on paper are told that their console is.
const elsewhere = "https://console.example.org"

var errPaper = errors.New("a cloud on paper makes nothing")

func (paperCloud) Check(context.Context, console.Launch) error { return nil }
func (paperCloud) Launch(context.Context, console.Launch) (console.Machine, error) {
	return console.Machine{}, errPaper
}
func (paperCloud) Machines(context.Context) ([]console.Machine, error) { return nil, errPaper }
func (paperCloud) Terminate(context.Context, string) error             { return errPaper }

// perEvent is how many instances an event has.
const perEvent = 100

// seed launches instances in a console's folder by the console's own use case. That a
// cloud made their machines it writes straight into the store, with tokens that are known
// here. They have yet to enrol. Nobody else has the folder open.
func seed(t testing.TB, dir string, number int) (all []*instance) {
	t.Helper()
	store, err := sqlite.Open(t.Context(), filepath.Join(dir, "store"))
	must(t, err)
	keys, err := console.OpenKeys(filepath.Join(dir, "secrets.key"))
	must(t, err)
	offered, err := catalogue.Open(t.Context(), catalogue.Options{Dir: t.TempDir()})
	must(t, err)
	c, err := console.New(t.Context(), console.Options{Store: store, Keys: keys, Catalogue: offered, Clouds: map[string]console.Cloud{paper: paperCloud{}}, Cloud: paper,
		URL: elsewhere, Binary: userdata.Binary{URLs: []string{elsewhere + "/popup"}, SHA256: map[string]string{runtime.GOARCH: fmt.Sprintf("%x", sha256.Sum256(nil))}}})
	must(t, err)
	for n := 0; n < number; n += perEvent {
		name := fmt.Sprintf("fair-%d", n/perEvent)
		o, err := c.Launch(t.Context(), console.System, console.LaunchRequest{
			Event: console.EventRequest{Name: name, Title: "Fair " + name, End: "30d"},
			Apps:  []console.AppRequest{{App: "notice", Count: min(perEvent, number-n)}}}, name)
		must(t, err)
		var some []*instance
		for _, id := range o.Instances {
			some = append(some, newInstance(id))
		}
		must(t, store.Update(t.Context(), func(tx console.Tx) (err error) {
			for _, i := range some {
				err = errors.Join(err, i.launched(tx))
			}
			return err
		}))
		all = append(all, some...)
	}
	must(t, offered.Close())
	must(t, store.Close())
	return all
}

func newInstance(id string) *instance {
	from := sha256.Sum256([]byte("an instance of a test: " + id))
	return &instance{id: id, token: "token-of-" + hex.EncodeToString(from[:8]), key: ed25519.NewKeyFromSeed(from[:]), report: healthy(id)}
}

// launched writes down that there is a machine, as a launch does.
func (i *instance) launched(tx console.Tx) error {
	r, err := tx.Get(console.KindInstance, i.id)
	if err != nil {
		return err
	}
	var kept console.Instance
	if err := json.Unmarshal(r.Doc, &kept); err != nil {
		return err
	}
	hash := sha256.Sum256([]byte(i.token))
	kept.State, kept.Due, kept.Launched, kept.TokenHash = console.InstanceStarting, time.Time{}, time.Now(), hash[:]
	kept.Machine, kept.Address = "paper-"+i.id, "http://"+i.id+".test"
	r.State, r.Due = string(kept.State), kept.Due
	if r.Doc, err = json.Marshal(kept); err != nil {
		return err
	}
	return tx.Put(r)
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
