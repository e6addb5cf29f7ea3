package ec2

import (
	"context"
	"strings"
	"testing"
	"time"

	"popup/console"
	"popup/internal/testutil/ec2fake"
)

// TestAVolumeMoves to the machine that replaces another, once that one is off or gone.
func TestAVolumeMoves(t *testing.T) {
	for how, end := range map[string]func(*site, string){
		"stopped": func(s *site, machine string) {
			s.fake.Stop(machine)
			s.await("it is off", func() bool { return s.stateOf(machine) == "stopped" })
		},
		"terminated": func(s *site, _ string) { s.terminate("one") },
		"powered off": func(s *site, machine string) {
			s.fake.PowerOff(machine)
			s.await("it is gone", func() bool { return s.stateOf(machine) == "terminated" })
		},
	} {
		t.Run(how, func(t *testing.T) {
			each(t, func(t *testing.T, s *site) {
				v := s.makeVolume(s.volumeAsk("one"))
				one := s.launchWith("one", v)
				s.attach(v.ID, "one")
				s.attach(v.ID, "one")
				if got := s.volume(); got.Instance != one || got.Device != stateDevice {
					t.Fatalf("attached is %+v", got)
				}
				two := s.launchWith("two", v)
				if err := s.Attach(t.Context(), v.ID, "two"); err == nil || !strings.Contains(err.Error(), one) || !strings.Contains(err.Error(), "running") {
					t.Fatalf("taken away from a machine that runs: %v", err)
				}
				if got := s.volume(); got.Instance != one {
					t.Fatalf("attached is %+v", got)
				}
				end(s, one)
				s.attach(v.ID, "two")
				if got := s.volume(); got.Instance != two {
					t.Fatalf("attached is %+v", got)
				}
			})
		})
	}
}

// TestAttachInSpiteOfFaults: each call fails, is lost, or is late once, and it is asked again.
func TestAttachInSpiteOfFaults(t *testing.T) {
	for _, action := range []string{"DescribeVolumes", "DescribeInstances", "AttachVolume", "DetachVolume"} {
		for name, fault := range map[string]ec2fake.Fault{
			"throttled":   {Code: "RequestLimitExceeded", Status: 503, Times: 2},
			"answer lost": {Cut: true, Done: true},
			"cut":         {Cut: true},
			"5xx":         {Code: "InternalError", Status: 500},
		} {
			t.Run(action+"/"+name, func(t *testing.T) {
				s := newSite(t, AWS)
				v := s.makeVolume(s.volumeAsk("one"))
				s.launchWith("one", v)
				s.attach(v.ID, "one")
				s.turnOff("one")
				two := s.launchWith("two", v)
				fault.Action = action
				s.fake.Inject(fault)
				s.attach(v.ID, "two")
				if got := s.volume(); got.Instance != two {
					t.Fatalf("attached is %+v", got)
				}
			})
		}
	}
}

// TestAttachThoughKilled: cut off at any call, it is done by whoever asks next.
func TestAttachThoughKilled(t *testing.T) {
	s := newSite(t, AWS)
	v := s.makeVolume(s.volumeAsk("one"))
	s.launchWith("one", v)
	s.attach(v.ID, "one")
	s.turnOff("one")
	two := s.launchWith("two", v)
	for try := range 200 {
		ctx, kill := context.WithCancel(t.Context())
		n := 0
		s.fake.Watch(func(ec2fake.Call) {
			if n++; n == 1+try%8 {
				kill()
			}
		})
		err := s.Attach(ctx, v.ID, "two")
		kill()
		s.fake.Watch(nil)
		s.open()
		if err == nil {
			if got := s.volume(); got.Instance != two {
				t.Fatalf("attached is %+v", got)
			}
			return
		}
		<-time.After(time.Millisecond)
	}
	t.Fatal("it is never attached")
}

func TestAttachSaysWhyNot(t *testing.T) {
	s := newSite(t, AWS)
	v := s.makeVolume(s.volumeAsk("one"))
	s.launchWith("one", v)
	far := s.ask("far")
	far.Number = 2
	if _, err := s.Launch(t.Context(), far); err != nil {
		t.Fatal(err)
	}
	other := *s
	other.with.Console = "console-2"
	other.open()
	for _, c := range []struct {
		cloud                  *Cloud
		volume, instance, want string
	}{
		{s.Cloud, "vol-01234567", "one", "no volume vol-01234567 in us-east-1"},
		{s.Cloud, v.ID, "nobody", "no machine of nobody"},
		{s.Cloud, v.ID, "far", "is in us-east-1a, and the machine"},
		{other.Cloud, v.ID, "one", "not of this console"},
	} {
		if err := c.cloud.Attach(t.Context(), c.volume, c.instance); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %q", err, c.want)
		}
	}
	s.turnOff("one")
	if err := s.Attach(t.Context(), v.ID, "one"); err == nil || !strings.Contains(err.Error(), "given to one that runs") {
		t.Errorf("got %v", err)
	}
}

// TestSnapshotsOfASickMachine are of all its disks, once, and go with the event.
func TestSnapshotsOfASickMachine(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		v := s.makeVolume(s.volumeAsk("one"))
		machine := s.launchWith("one", v)
		s.attach(v.ID, "one")
		var first []console.Thing
		for range 2 {
			made, err := s.Snapshot(t.Context(), "one", "it answers 500 ever since the update to 1a2b3c")
			if err != nil || len(made) != 2 {
				t.Fatalf("made %+v, %v", made, err)
			}
			if first != nil && (first[0] != made[0] || first[1] != made[1]) {
				t.Fatalf("made %+v, and then %+v", first, made)
			}
			first = made
			s.open()
		}
		held, err := s.Held(t.Context(), "ev1")
		if err != nil {
			t.Fatal(err)
		}
		snapshots := 0
		for _, thing := range held {
			if thing.Kind == console.ThingSnapshot && thing.Instance == "one" && thing.Deployment == "dep1" {
				snapshots++
			}
		}
		if snapshots != 2 {
			t.Fatalf("held are %+v", held)
		}
		if again, err := s.Snapshot(t.Context(), "one", "another reason"); err != nil || len(again) != 2 || again[0].ID == first[0].ID {
			t.Fatalf("for another reason made %+v, %v", again, err)
		}
		if _, err := s.Snapshot(t.Context(), "nobody", "x"); err == nil {
			t.Fatal("copied the disks of nobody")
		}
		s.terminate("one")
		s.removeAll("ev1")
		if left := s.fake.Left(); len(left) != 0 {
			t.Fatalf("left of %s are %q", machine, left)
		}
	})
}

// TestSnapshotsAreMadeOnce, though their answer is lost: EC2 has no token for them.
func TestSnapshotsAreMadeOnce(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		v := s.makeVolume(s.volumeAsk("one"))
		s.launchWith("one", v)
		s.attach(v.ID, "one")
		s.fake.Lag(50 * time.Millisecond)
		for n, fault := range []ec2fake.Fault{{Cut: true, Done: true}, {Cut: true}, {Code: "InternalError", Status: 500, Done: true}, {Code: "SnapshotCreationPerVolumeRateExceeded", Status: 400}} {
			for _, action := range []string{"CreateSnapshots", "CreateSnapshot"} {
				fault.Action = action
				s.fake.Inject(fault)
			}
			why := strings.Repeat("sick ", n+1)
			made, err := s.Snapshot(t.Context(), "one", why)
			if fault.Status == 400 {
				if err == nil {
					t.Fatal("a refusal is no error")
				}
				continue
			}
			if err != nil || len(made) != 2 {
				t.Fatalf("made %+v, %v", made, err)
			}
		}
		s.fake.Heal()
		if held, err := s.Held(t.Context(), "ev1"); err != nil || count(held, console.ThingSnapshot) != 6 {
			t.Fatalf("held are %+v, %v", held, err)
		}
	})
}

func count(things []console.Thing, kind console.ThingKind) (n int) {
	for _, t := range things {
		if t.Kind == kind {
			n++
		}
	}
	return n
}

// TestAVolumeFromASnapshot starts in another zone, and holds what was there.
func TestAVolumeFromASnapshot(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		v := s.makeVolume(s.volumeAsk("one"))
		s.launchWith("one", v)
		s.attach(v.ID, "one")
		made, err := s.Snapshot(t.Context(), "one", "the zone is lost")
		if err != nil {
			t.Fatal(err)
		}
		ask := s.volumeAsk("two")
		ask.Attempt, ask.Snapshot, ask.VolumeSize = 1, made[1].ID, 0
		var next console.Volume
		s.await("the snapshot is complete", func() bool {
			next, err = s.MakeVolume(t.Context(), ask)
			return err == nil
		})
		if again := s.makeVolume(ask); again != next || next.ID == v.ID || next.Place == v.Place {
			t.Fatalf("made %+v, then %+v and %+v", v, next, again)
		}
		for _, got := range s.fake.Volumes() {
			if got.ID == next.ID && (got.Size != 3 || got.Snapshot != made[1].ID) {
				t.Fatalf("made %+v", got)
			}
		}
	})
}
