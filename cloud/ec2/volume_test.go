package ec2

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"popup/console"
	"popup/internal/testutil/ec2fake"
)

var _ console.VolumeKeeper = (*Cloud)(nil)

func init() {
	uses["volume"] = func(t *testing.T, s *site) {
		v := s.makeVolume(s.volumeAsk("one"))
		s.launchWith("one", v)
		s.attach(v.ID, "one")
		s.turnOff("one")
		s.launchWith("two", v)
		s.attach(v.ID, "two")
		if _, err := s.Snapshot(t.Context(), "two", "sick"); err != nil {
			t.Fatal(err)
		}
		s.removeVolume(v.ID)
		s.terminate("one")
		s.terminate("two")
		s.removeAll("ev1")
	}
}

func (s *site) volumeAsk(instance string) console.VolumeAsk {
	l := s.ask(instance)
	l.VolumeSize = 3<<30 - 1
	return console.VolumeAsk{Launch: l}
}

func (s *site) makeVolume(ask console.VolumeAsk) console.Volume {
	s.t.Helper()
	v, err := s.MakeVolume(s.t.Context(), ask)
	if err != nil {
		s.t.Fatal(err)
	}
	return v
}

// launchWith launches a machine where a volume can be attached, and waits until it runs.
func (s *site) launchWith(instance string, v console.Volume) string {
	s.t.Helper()
	l := s.ask(instance)
	l.Volume = v.ID
	m, err := s.Launch(s.t.Context(), l)
	if err != nil {
		s.t.Fatal(err)
	}
	s.await(instance+" runs", func() bool { return s.stateOf(m.ID) == "running" })
	return m.ID
}

func (s *site) stateOf(machine string) string {
	for _, i := range s.fake.Instances() {
		if i.ID == machine {
			return i.State
		}
	}
	return ""
}

func (s *site) attach(volume, instance string) {
	s.t.Helper()
	if err := s.Attach(s.t.Context(), volume, instance); err != nil {
		s.t.Fatal(err)
	}
}

// turnOff stops the machine of an instance, as who wants to keep it does.
func (s *site) turnOff(instance string) {
	s.t.Helper()
	o, err := s.owner(s.t.Context(), instance)
	if err != nil {
		s.t.Fatal(err)
	}
	s.fake.Stop(o.id())
	s.await("it is off", func() bool { return s.stateOf(o.id()) == "stopped" })
}

// volume is the only volume for state that there is.
func (s *site) volume() ec2fake.Volume {
	s.t.Helper()
	all := slices.DeleteFunc(s.fake.Volumes(), func(v ec2fake.Volume) bool { return v.Tags[tagVolume] == "" })
	if len(all) != 1 {
		s.t.Fatalf("there are %d volumes for state: %+v", len(all), all)
	}
	return all[0]
}

func (s *site) removeVolume(id string) {
	s.t.Helper()
	o, err := s.owner(s.t.Context(), "two")
	if err != nil {
		s.t.Fatal(err)
	}
	s.fake.Stop(o.id())
	s.terminate("two")
	if err := s.Remove(s.t.Context(), console.Thing{Kind: console.ThingVolume, ID: id, Place: s.regions[0].name}); err != nil {
		s.t.Fatal(err)
	}
}

func TestAVolumeIsMadeOnce(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		v := s.makeVolume(s.volumeAsk("one"))
		if again := s.makeVolume(s.volumeAsk("two")); again != v {
			t.Fatalf("made %+v, and asked again %+v", v, again)
		}
		s.open()
		if again := s.makeVolume(s.volumeAsk("one")); again != v {
			t.Fatalf("made %+v, and asked by another process %+v", v, again)
		}
		got := s.volume()
		if got.ID != v.ID || got.Zone != v.Place || got.Size != 3 || got.Tags[tagEvent] != "ev1" || got.Tags[tagDeployment] != "dep1" || got.Tags[tagInstance] != "" {
			t.Fatalf("made %+v", got)
		}
		if aws := s.with.Profile != Compat; got.Encrypted != aws || aws && got.Type != "gp3" {
			t.Fatalf("made %+v", got)
		}
		held, err := s.Held(t.Context(), "ev1")
		if err != nil || len(held) != 1 || held[0].Kind != console.ThingVolume || held[0].Deployment != "dep1" {
			t.Fatalf("held are %+v, %v", held, err)
		}
		if other := s.volumeAsk("one"); true {
			other.Deployment = "dep2"
			if v2 := s.makeVolume(other); v2.ID == v.ID {
				t.Fatal("two deployments have one volume")
			}
		}
	})
}

// TestAVolumeIsMadeOnceThoughItsAnswerIsLost, or though what was made is not described yet.
func TestAVolumeIsMadeOnceThoughItsAnswerIsLost(t *testing.T) {
	for name, fault := range map[string]func(*ec2fake.Fake){
		"answer lost":  func(f *ec2fake.Fake) { f.Lose("CreateVolume", 2) },
		"request lost": func(f *ec2fake.Fake) { f.Inject(ec2fake.Fault{Action: "CreateVolume", Cut: true}) },
		"failed, and done": func(f *ec2fake.Fake) {
			f.Inject(ec2fake.Fault{Action: "CreateVolume", Code: "InternalError", Status: 500, Done: true})
		},
		"throttled":          func(f *ec2fake.Fake) { f.Throttle("CreateVolume", 3) },
		"described late":     func(f *ec2fake.Fake) { f.Lag(80 * time.Millisecond) },
		"looked at in vain":  func(f *ec2fake.Fake) { f.Fail("DescribeVolumes", 1, "InternalError", "", 500) },
		"answer lost, later": func(f *ec2fake.Fake) { f.Lag(50 * time.Millisecond); f.Lose("CreateVolume", 1) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, AWS)
			fault(s.fake)
			v := s.makeVolume(s.volumeAsk("one"))
			if got := s.volume(); got.ID != v.ID {
				t.Fatalf("made %+v, and there is %+v", v, got)
			}
		})
	}
}

// TestAVolumeIsMadeOnceThoughKilled: wherever the process is cut off, the next one finds it.
func TestAVolumeIsMadeOnceThoughKilled(t *testing.T) {
	for call := 1; ; call++ {
		s := newSite(t, AWS)
		ctx, kill := context.WithCancel(t.Context())
		n := 0
		s.fake.Watch(func(ec2fake.Call) {
			if n++; n == call {
				kill()
			}
		})
		_, err := s.MakeVolume(ctx, s.volumeAsk("one"))
		kill()
		s.fake.Watch(nil)
		if err == nil {
			if call < 3 {
				t.Fatalf("it was made with %d calls", call-1)
			}
			return
		}
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("cut off at call %d it says %v", call, err)
		}
		s.open()
		v := s.makeVolume(s.volumeAsk("one"))
		if got := s.volume(); got.ID != v.ID {
			t.Fatalf("cut off at call %d: there is %+v, and it was answered %+v", call, got, v)
		}
	}
}

// TestAVolumeThatCannotBeMarkedIsRemoved, where marks come afterwards.
func TestAVolumeThatCannotBeMarkedIsRemoved(t *testing.T) {
	s := newSite(t, Compat)
	s.fake.Deny("CreateTags")
	if v, err := s.MakeVolume(t.Context(), s.volumeAsk("one")); err == nil || !strings.Contains(err.Error(), "removed again") {
		t.Fatalf("made %+v, %v", v, err)
	}
	if left := s.fake.Left(); len(left) != 0 {
		t.Fatalf("left are %q", left)
	}
	s.fake.Heal()
	s.fake.Lose("CreateVolume", 1)
	if v, err := s.MakeVolume(t.Context(), s.volumeAsk("one")); err == nil || !strings.Contains(err.Error(), "not known") {
		t.Fatalf("made %+v, %v", v, err)
	}
	if n := s.called("CreateVolume"); n != 2 {
		t.Fatalf("it was asked for %d times", n)
	}
}

func TestABadVolumeIsRefused(t *testing.T) {
	s := newSite(t, AWS)
	for want, change := range map[string]func(*console.VolumeAsk){
		"1 to 16384 GiB":               func(a *console.VolumeAsk) { a.VolumeSize = 0 },
		"has 1 to 16384":               func(a *console.VolumeAsk) { a.VolumeSize = 1 << 60 },
		"names none":                   func(a *console.VolumeAsk) { a.EventID = "" },
		"no snapshot snap-01234567 in": func(a *console.VolumeAsk) { a.Snapshot = "snap-01234567" },
	} {
		ask := s.volumeAsk("one")
		change(&ask)
		if _, err := s.MakeVolume(t.Context(), ask); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	s.fake.Fail("CreateVolume", 1, "VolumeLimitExceeded", "too many", 400)
	_, err := s.MakeVolume(t.Context(), s.volumeAsk("one"))
	if refused, ok := errors.AsType[*console.RefusedError](err); !ok || !strings.Contains(refused.Reason, "no more volumes") {
		t.Errorf("got %v", err)
	}
	if left := s.fake.Left(); len(left) != 0 {
		t.Errorf("left are %q", left)
	}
}
