package console

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"popup/apps"
	"popup/console/catalogue"
	"popup/internal/wire"
	"popup/userdata"
)

// A bakingCloud makes images of machines that are off.
type bakingCloud struct {
	*holdingCloud
	now    func() time.Time
	images []Image // guarded by the fakeCloud's mutex, as is what follows
	asks   int     // how often it was asked for an image
}

func (f *bakingCloud) Bake(_ context.Context, instance string, tags map[string]string) (Image, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asks++
	id := "image-of-" + instance
	made := slices.ContainsFunc(f.images, func(i Image) bool { return i.ID == id })
	if m, there := f.machines[instance]; !made && (!there || m.State != MachineStopped) {
		return Image{}, fmt.Errorf("the machine of %s is not off: %v", instance, m)
	}
	image := Image{ID: id, Tags: tags, Baked: f.now(), Ready: true}
	if !made {
		f.images = append(f.images, image)
	}
	return image, f.failure("bake", instance)
}

func (f *bakingCloud) Images(context.Context) ([]Image, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.images), f.failure("images", "")
}

func (f *bakingCloud) Forget(_ context.Context, image string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.images = slices.DeleteFunc(f.images, func(i Image) bool { return i.ID == image })
	return f.failure("forget", image)
}

func (f *bakingCloud) baked() (ids []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, i := range f.images {
		ids = append(ids, i.ID)
	}
	return ids
}

func newBaking(t *testing.T, change ...func(*Options)) (*living, *bakingCloud) {
	l := newLiving(t, change...)
	f := &bakingCloud{holdingCloud: newHoldingCloud(l.cloud), now: l.now}
	l.opts.Clouds["local"] = f
	return l, f
}

// bakes has a console bake, and its machine start.
func (l *living) bakes(t *testing.T, r BakeRequest) (Operation, Instance) {
	t.Helper()
	o, err := l.Bake(t.Context(), anOwner, r, "")
	if err != nil {
		t.Fatal(err)
	}
	l.settle(t)
	return o, l.instances(t, o.Event)[0]
}

// turnsOff has the machine of an instance be off.
func (l *living) turnsOff(t *testing.T, id string) {
	t.Helper()
	l.cloud.change(func(f *fakeCloud) {
		m := f.machines[id]
		m.State = MachineStopped
		f.machines[id] = m
	})
	l.polls(t, 3)
}

var bakedReport = wire.Report{Baked: &wire.Baked{Release: "4e1ea5e", Revision: "da7a"}}

// TestBake: from one machine an image, of which nothing is left but the image, and from
// which the next launch starts.
func TestBake(t *testing.T) {
	l, f := newBaking(t)
	o, i := l.bakes(t, BakeRequest{App: "guestbook"})
	ask := f.launches[0]
	if !ask.Bake || ask.Image != "" || !strings.Contains(string(ask.UserData), "bake: true") || len(l.cloud.instances()) != 1 {
		t.Fatalf("asked for %+v", ask)
	}
	f.makes(o.Event, Thing{Kind: ThingGroup, ID: "sg-1"})
	if _, err := l.Bake(t.Context(), anOrganiser, BakeRequest{App: "guestbook"}, ""); err == nil || !strings.Contains(err.Error(), "is being made in local already") {
		t.Errorf("baked twice at once: %v", err)
	}
	l.polls(t, 3)
	l.reports(t, i.ID, bakedReport)
	l.polls(t, 3)
	if f.asks != 0 {
		t.Fatal("an image was asked for of a machine that runs")
	}
	f.change(func(c *fakeCloud) {
		c.fails = func(call, _ string) error {
			if call == "terminate" {
				return errors.New("it does not go")
			}
			return nil
		}
	})
	l.turnsOff(t, i.ID)
	checkState(t, "operation, while its machine is there", stored[Operation](t, l.testConsole, o.ID).State, OperationRunning)
	f.change(func(c *fakeCloud) { c.fails = nil })
	l.later(t, longestPause)
	b, err := l.BakeOf(t.Context(), anOwner, o)
	if err != nil || b.State != BakeDone || b.Image != f.images[0].ID || b.Failure != "" {
		t.Fatalf("the bake is %+v, %v", b, err)
	}
	for tag, want := range map[string]string{tagImageApp: "guestbook", tagImageRelease: "4e1ea5e", tagImageRevision: "da7a", tagImageVersion: "test"} {
		checkState(t, tag, f.images[0].Tags[tag], want)
	}
	checkState(t, "operation", stored[Operation](t, l.testConsole, o.ID).State, OperationDone)
	checkState(t, "event", stored[Event](t, l.testConsole, o.Event).State, EventArchived)
	if len(l.cloud.instances()) != 0 || len(f.left()) != 0 {
		t.Errorf("left are %v and %v", l.cloud.instances(), f.left())
	}
	if all, err := l.Events(t.Context(), anOwner); err != nil || len(all) != 0 {
		t.Errorf("events are %v, %v", all, err)
	}
	p, err := l.Preview(t.Context(), anOwner, fair(AppRequest{App: "guestbook"}, AppRequest{App: "notice"}))
	if err != nil || !strings.Contains(strings.Join(p.Notes, "\n"), "starts from an image of 1 May") {
		t.Errorf("a preview says %q, %v", p.Notes, err)
	}
	_, all := l.launched(t, fair(AppRequest{App: "guestbook"}, AppRequest{App: "notice"}))
	for _, ask := range f.launches[1:] {
		want := map[bool]string{true: f.images[0].ID}[ask.Instance == all[0].ID]
		if ask.Image != want || ask.Bake {
			t.Errorf("%s was launched from %q, want %q", ask.Instance, ask.Image, want)
		}
	}
}

// TestBakeComesToNothing: it says why, and nothing is left.
func TestBakeComesToNothing(t *testing.T) {
	for name, c := range map[string]struct {
		does func(l *living, f *bakingCloud, i Instance)
		says string
	}{
		"its build fails": {func(l *living, f *bakingCloud, i Instance) {
			l.reports(t, i.ID, wire.Report{Baked: &wire.Baked{Failure: "build: no compiler"}})
		}, "its machine says: build: no compiler"},
		"off too soon": {func(l *living, f *bakingCloud, i Instance) { l.turnsOff(t, i.ID) }, "turned off before it said"},
		"never off": {func(l *living, f *bakingCloud, i Instance) {
			l.reports(t, i.ID, bakedReport)
			l.later(t, bakeOff)
		}, "is not turned off"},
		"never done": {func(l *living, f *bakingCloud, i Instance) { l.later(t, bakeInstalls) }, "not done after 3 hours"},
		"lost": {func(l *living, f *bakingCloud, i Instance) {
			l.cloud.change(func(f *fakeCloud) { clear(f.machines) })
			l.polls(t, 4)
		}, "went away without having been told to"},
		"ended by hand": {func(l *living, f *bakingCloud, i Instance) {
			e := stored[Event](t, l.testConsole, i.Event)
			if _, err := l.EndEvent(t.Context(), anOwner, e.ID, e.Name); err != nil {
				t.Fatal(err)
			}
		}, "was ended before the image was there"},
		"no image": {func(l *living, f *bakingCloud, i Instance) {
			f.change(func(f *fakeCloud) {
				f.fails = func(call, _ string) error {
					if call == "bake" {
						f.machines[i.ID] = Machine{Instance: i.ID, State: MachineStopped}
						return errors.New("the disk is too large")
					}
					return nil
				}
			})
			l.reports(t, i.ID, bakedReport)
			l.turnsOff(t, i.ID)
			f.change(func(*fakeCloud) { f.images = nil })
			for range bakeTries {
				l.later(t, longestPause)
			}
		}, "the disk is too large"},
	} {
		l, f := newBaking(t)
		o, i := l.bakes(t, BakeRequest{App: "notice"})
		c.does(l, f, i)
		l.polls(t, 8)
		o = stored[Operation](t, l.testConsole, o.ID)
		if o.State != OperationFailed || !strings.Contains(o.Failure, c.says) {
			t.Errorf("%s: %s, %q, want %q", name, o.State, o.Failure, c.says)
		}
		if len(l.cloud.instances()) != 0 || len(l.instances(t, o.Event)) != 1 {
			t.Errorf("%s: machines are %v, instances %d", name, l.cloud.instances(), len(l.instances(t, o.Event)))
		}
	}
}

// TestBakeRefused in sentences.
func TestBakeRefused(t *testing.T) {
	offers := appsForTests(t)
	m, err := apps.Parse("app.yaml", []byte(`manifest_version: 1
id: kiosk
name: Kiosk
service: {repository: "https://example.org/kiosk.git"}
serve: {type: static}
build_command: make
env: {TITLE: {required: true}}
`))
	if err != nil {
		t.Fatal(err)
	}
	offers["kiosk"] = catalogue.App{Loaded: apps.Loaded{Manifest: m}, Written: m, Commit: "c0ffee", Origin: userdata.Origin{Repository: "https://example.org/kiosk.git"}}
	l, _ := newBaking(t, func(o *Options) {
		o.Catalogue = &fakeCatalogue{apps: offers}
		o.Clouds["other"], o.Reach["other"] = newFakeCloud(), Reach{SameMachine: true}
	})
	for _, c := range []struct {
		by   Actor
		r    BakeRequest
		says string
	}{
		{aViewer, BakeRequest{App: "notice"}, ErrForbidden.Error()},
		{aViewer, BakeRequest{App: "notice", Cloud: "other"}, ErrForbidden.Error()},
		{aStranger, BakeRequest{App: "notice"}, ErrSignIn.Error()},
		{anOwner, BakeRequest{App: "notice", Cloud: "other"}, "other makes no images"},
		{anOwner, BakeRequest{App: "notice", Cloud: "moon"}, "there is no such cloud"},
		{anOwner, BakeRequest{App: "nothing"}, "nothing"},
		{anOwner, BakeRequest{}, "give either an app"},
		{anOwner, BakeRequest{App: "kiosk"}, "is built with the setting TITLE"},
	} {
		if _, err := l.Bake(t.Context(), c.by, c.r, ""); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%+v: %v, want %q", c.r, err, c.says)
		}
	}
	if _, i := l.bakes(t, BakeRequest{App: "tally"}); i.State != InstanceStarting { // what it is asked for does not matter before it is started
		t.Errorf("tally is %s: %s", i.State, i.Failure)
	}
	e := stored[Event](t, l.testConsole, l.must(l.Bake(t.Context(), anOwner, BakeRequest{App: "notice"}, "k")).Event)
	if again := l.must(l.Bake(t.Context(), anOwner, BakeRequest{App: "notice"}, "k")); again.Event != e.ID {
		t.Error("asked again with the same key it bakes another")
	}
	if _, err := l.Launch(t.Context(), anOwner, LaunchRequest{Event: EventRequest{ID: e.ID}, Apps: []AppRequest{{App: "notice"}}}, ""); err == nil || !strings.Contains(err.Error(), "for an image alone") {
		t.Errorf("launched into it: %v", err)
	}
}

func (l *living) must(o Operation, err error) Operation {
	if err != nil {
		panic(err)
	}
	return o
}

// A cutBaker is a cutCloud that makes images.
type cutBaker struct {
	cutCloud
	images map[string]int // how many of each machine
}

func (f cutBaker) Bake(_ context.Context, instance string, _ map[string]string) (i Image, err error) {
	err = f.around(func() error {
		for _, m := range f.world.machines {
			if m.Instance == instance && f.images[m.ID] == 0 {
				f.images[m.ID]++
			}
		}
		i = Image{ID: "image-1", Ready: true}
		return nil
	})
	return i, err
}

func (f cutBaker) Images(context.Context) ([]Image, error) {
	return nil, f.around(func() error { return nil })
}
func (f cutBaker) Forget(context.Context, string) error { return errors.New("there is none to forget") }

// TestBakeCut kills a console at every moment of a bake, and has another one go on: there
// is one image of one machine, and nothing else is left.
func TestBakeCut(t *testing.T) {
	for moment := 1; ; moment++ {
		store, err := OpenStore(t.Context(), t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		l := &cutLife{t: t, store: store, clock: &testClock{now: aDay}, keys: filepath.Join(t.TempDir(), "key")}
		l.world = &cutWorld{now: l.clock.Now, machines: map[string]Machine{}}
		killed, images := &cutter{left: moment}, map[string]int{}
		l.bakes(killed, images)
		l.bakes(&cutter{left: -1}, images)
		if err := store.Close(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Fatalf("killed at moment %d", moment)
		}
		if !killed.dead {
			t.Logf("killed at %d moments", moment-1)
			return
		}
	}
}

// bakes has a console bake, from wherever the one before it came to.
func (l *cutLife) bakes(k *cutter, images map[string]int) {
	t := l.t
	t.Helper()
	c := newConsole(t, func(o *Options) {
		o.Store, o.Keys, o.Now = cutStore{l.store, k}, openKeys(t, l.keys), l.clock.Now
		o.Clouds = map[string]Cloud{"local": cutBaker{cutCloud{k, l.world}, images}}
	})
	c.clock = l.clock
	a := &living{c, newReconciler(c.Console)}
	o, err := c.Bake(t.Context(), anOwner, BakeRequest{App: "notice"}, "once")
	if err != nil && !k.dead {
		t.Fatal(err)
	}
	for range 3 {
		a.later(t, pollEvery)
		if err == nil {
			l.installs(a.instances(t, o.Event)[0].ID)
		}
	}
	for range 5 {
		a.later(t, pollEvery)
	}
	if k.dead {
		return
	}
	o = stored[Operation](t, c, o.ID)
	if total := len(images); o.State != OperationDone || total != 1 {
		t.Errorf("the bake is %s, %q, with %d images", o.State, o.Failure, total)
	}
	if len(l.world.machines) != 0 || l.world.group != "" {
		t.Errorf("left are %v, and the group of %q", l.world.machines, l.world.group)
	}
}

// installs has a machine that is there say that it is done, and be off.
func (l *cutLife) installs(instance string) {
	l.world.mu.Lock()
	defer l.world.mu.Unlock()
	for token, m := range l.world.machines {
		if m.Instance != instance || m.State == MachineStopped {
			continue
		}
		m.State = MachineStopped
		l.world.machines[token] = m
		err := l.store.Update(l.t.Context(), func(tx Tx) error {
			i, err := get[Instance](tx, instance)
			if err != nil {
				return err
			}
			i.Enrolled, i.Report, i.Heard = l.clock.Now(), &bakedReport, l.clock.Now()
			return put(tx, i)
		})
		if err != nil {
			l.t.Fatal(err)
		}
	}
}
