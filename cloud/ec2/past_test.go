package ec2

import (
	"os"
	"strings"
	"testing"

	"popup/console"
	"popup/internal/testutil/ec2fake"
)

// A console that is told of another region, as by an AWS_REGION that changed, loses no
// machine: it would launch another for each, and call these proven gone.
func TestRegionThatIsNotNamedAnyMore(t *testing.T) {
	fake := ec2fake.New(t, ec2fake.Options{Regions: []string{"eu-central-1", "us-east-1"}})
	s := newSiteOn(t, fake, func(o *Options) { o.Dir = t.TempDir() })
	was := s.launch("one")
	s.with.Regions = []string{"us-east-1"}
	s.open()
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

func TestBrokenNoteOfRegions(t *testing.T) {
	s := newSite(t, AWS, func(o *Options) { o.Dir = t.TempDir() })
	for _, bad := range []string{"", "{", `{"regions":["../x"]}`} {
		if err := os.WriteFile(regionsFile(s.with.Dir), []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := open(t.Context(), s.with); err == nil || !strings.Contains(err.Error(), "so that no machine is forgotten") {
			t.Errorf("%q: %v", bad, err)
		}
	}
	noted := s.with
	noted.Dir, noted.Endpoint = t.TempDir(), "https://elsewhere.test"
	if _, err := open(t.Context(), noted); err != nil {
		t.Fatal(err)
	}
	noted.Endpoint = s.with.Endpoint
	if _, err := open(t.Context(), noted); err == nil || !strings.Contains(err.Error(), "launched at https://elsewhere.test before, and would not be found at "+s.with.Endpoint) {
		t.Errorf("another endpoint: %v", err)
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
