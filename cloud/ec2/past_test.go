package ec2

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"popup/console"
	"popup/internal/testutil/ec2fake"
	"popup/store/storetest/embedded"
)

// inStore is a fake with two regions, and what opens a console's cloud on it that is told of
// one. All of these consoles have one store.
func inStore(t *testing.T) (*ec2fake.Fake, func(region string) *site) {
	t.Helper()
	fake := ec2fake.New(t, ec2fake.Options{Regions: []string{"eu-central-1", "us-east-1"}})
	store, err := embedded.Open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return fake, func(region string) *site {
		return newSiteOn(t, fake, func(o *Options) { o.Store, o.Regions = store, []string{region} })
	}
}

// A console that is told of another region, as by an AWS_REGION that changed, loses no
// machine: it would launch another for each, and call these proven gone.
func TestRegionThatIsNotNamedAnyMore(t *testing.T) {
	fake, told := inStore(t)
	was := told("eu-central-1").launch("one")
	s := told("us-east-1")
	s.await("it is listed", func() bool { m := s.machine(); return m != nil && m.ID == was.ID })
	if again := s.launch("one"); again.ID != was.ID {
		t.Errorf("launched again it is %s, and was %s", again.ID, was.ID)
	}
	if other := s.launch("two"); fake.Instances()[1].Region != "us-east-1" {
		t.Errorf("another is launched where nothing more is to be: %+v", other)
	}
	s.terminate("two")
	held, err := s.Held(t.Context(), "ev1")
	if err != nil || len(held) != 4 { // the machine with its volume, and a group in each region
		t.Errorf("held are %+v, %v", held, err)
	}
	s.terminate("one")
	if left := s.live(); len(left) > 0 {
		t.Errorf("ended, there are %+v", left)
	}
	for _, thing := range held {
		if thing.Kind == console.ThingGroup {
			if err := s.Remove(t.Context(), thing); err != nil {
				t.Error(err)
			}
		}
	}
}

// Of consoles that are told of another region one after the other, each lists what any of
// them launched, also one that was open before.
func TestRegionOfAnotherConsole(t *testing.T) {
	fake, told := inStore(t)
	told("eu-central-1")
	second := told("eu-central-1")
	if m := second.machine(); m != nil {
		t.Fatalf("listed is %+v", m)
	}
	first := told("us-east-1")
	second.with.Forget = []string{"us-east-1"} // though one is there that launches in it
	second.open()
	was := first.launch("one")
	if at := fake.Instances()[0].Region; at != "us-east-1" {
		t.Fatalf("it was launched in %s", at)
	}
	second.await("another console lists it", func() bool { m := second.machine(); return m != nil && m.ID == was.ID })
	if again := second.launch("one"); again.ID != was.ID {
		t.Errorf("launched again it is %s, and was %s", again.ID, was.ID)
	}
	second.terminate("one")
	if left := first.live(); len(left) > 0 {
		t.Errorf("ended, there are %+v", left)
	}
}

// What one console kept in a file is taken over once.
func TestFileOfRegions(t *testing.T) {
	_, told := inStore(t)
	s := told("eu-central-1")
	was := s.launch("one")
	s.with.Forget, s.with.Regions = s.with.Regions, []string{"us-east-1"}
	s.open()
	s.with.Forget = nil
	if m := s.machine(); m != nil {
		t.Fatalf("its region is forgotten, and listed is %+v", m)
	}
	s.with.File = filepath.Join(t.TempDir(), "regions.json")
	for _, bad := range []string{"", "{", `{"regions":["../x"]}`} {
		s.note(bad)
		s.refused("so that no machine is forgotten")
	}
	s.note(`{"endpoint":"https://elsewhere.test","regions":["eu-central-1"]}`)
	s.refused("launched in eu-central-1 at https://elsewhere.test before, and would not be found at " + s.with.Endpoint)
	s.note(`{"endpoint":"` + s.with.Endpoint + `","regions":["eu-central-1"]}`)
	other := told("us-east-1")
	s.open()
	for _, c := range []*site{s, other} {
		c.await("it is listed", func() bool { m := c.machine(); return m != nil && m.ID == was.ID })
	}
	if _, err := os.Stat(s.with.File); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the file is still there: %v", err)
	}
	s.open()
	if m := s.machine(); m == nil || m.ID != was.ID {
		t.Errorf("opened again, listed is %+v", m)
	}
	s.note(`{"endpoint":"https://elsewhere.test","regions":["us-west-2"]}`)
	s.with.Forget = []string{"us-west-2"}
	s.open()
	if _, err := os.Stat(s.with.File); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the file whose region is forgotten is still there: %v", err)
	}
}

func (s *site) note(text string) {
	s.t.Helper()
	if err := os.WriteFile(s.with.File, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// refused has a console start, which fails with these words.
func (s *site) refused(words string) {
	s.t.Helper()
	if _, err := open(s.t.Context(), s.with); err == nil || !strings.Contains(err.Error(), words) {
		s.t.Errorf("opened: %v, want %q", err, words)
	}
}

// What was launched at another endpoint, or is in a region that the store does not say, is
// not taken for gone, at the start nor later.
func TestRegionThatCannotBeAsked(t *testing.T) {
	_, told := inStore(t)
	s := told("eu-central-1")
	elsewhere := *s
	elsewhere.with.Endpoint = "https://elsewhere.test"
	words := "launched in eu-central-1 at " + s.with.Endpoint + " before, and would not be found at https://elsewhere.test"
	elsewhere.refused(words)
	elsewhere.with.Forget = []string{"eu-central-1"}
	elsewhere.open()
	s.unlisted("at https://elsewhere.test before, and would not be found at " + s.with.Endpoint)
	for _, doc := range []string{`{}`, `{"region":"us-east-1"}`, `[]`} {
		if err := s.with.Store.Update(t.Context(), func(tx console.Tx) error {
			return tx.Put(console.Record{Kind: kindRegion, ID: "eu-central-1", Doc: []byte(doc)})
		}); err != nil {
			t.Fatal(err)
		}
		s.unlisted("restore a backup")
		s.refused("restore a backup")
	}
}

// unlisted has machines listed, which fails with these words.
func (s *site) unlisted(words string) {
	s.t.Helper()
	if all, err := s.Machines(s.t.Context()); err == nil || !strings.Contains(err.Error(), words) {
		s.t.Errorf("listed are %+v, %v, want %q", all, err, words)
	}
}

// A region that is named twice, or by two names of one endpoint, shows each machine twice,
// which is no second machine of an instance.
func TestMachineThatIsSeenTwice(t *testing.T) {
	fake := ec2fake.New(t, ec2fake.Options{Regions: []string{"eu-central-1", "us-east-1"}})
	s := newSiteOn(t, fake, func(o *Options) { o.Regions = []string{"eu-central-1", "us-east-1", "eu-central-1"} })
	was := s.launch("one")
	if m := s.machine(); m == nil || m.ID != was.ID || len(s.live()) != 1 {
		t.Errorf("listed is %+v, and there are %d machines", m, len(s.live()))
	}
	s.regions = append(s.regions, s.regions...)
	if m := s.machine(); m == nil || m.ID != was.ID || len(s.live()) != 1 {
		t.Errorf("seen twice, listed is %+v, and there are %d machines", m, len(s.live()))
	}
}
