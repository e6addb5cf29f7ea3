package ec2

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"maps"
	"math/rand"
	"slices"
	"strings"
	"testing"

	"popup/console"
	"popup/internal/testutil/ec2fake"
)

func TestLaunchAsksForWhatIsDue(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		s.launch("one")
		i := s.one()
		aws := s.opts.Profile == AWS
		if string(i.UserData) != string(s.ask("one").UserData) || i.Behaviour != "terminate" || i.Spot || i.Protected {
			t.Errorf("launched %+v", i)
		}
		want := map[string]string{"Name": "one", "popup:console": "console-1", "popup:event": "ev1", "popup:event-name": "fair",
			"popup:deployment": "dep1", "popup:instance": "one", "popup:app": "board", "popup:version": "1.2.3"}
		if !maps.Equal(i.Tags, want) {
			t.Errorf("tagged %v, want %v", i.Tags, want)
		}
		if aws && (i.MetadataTokens != "required" || i.MetadataHops != 1) {
			t.Errorf("its metadata takes tokens %s over %d hops", i.MetadataTokens, i.MetadataHops)
		}
		rules := []string{"tcp 80-80 from 0.0.0.0/0", "tcp 443-443 from 0.0.0.0/0"}
		if aws {
			rules = append(rules, "tcp 80-80 from ::/0", "tcp 443-443 from ::/0")
		}
		groups := s.fake.Groups()
		if len(groups) != 1 || !slices.Equal(i.Groups, []string{groups[0].ID}) || !slices.Equal(sorted(groups[0].Rules), sorted(rules)) ||
			!maps.Equal(groups[0].Tags, map[string]string{"popup:console": "console-1", "popup:event": "ev1", "popup:event-name": "fair"}) {
			t.Errorf("its groups are %v of %+v", i.Groups, groups)
		}
		disk := s.fake.Volumes()[0]
		if disk.Encrypted != aws || aws && (disk.Type != "gp3" || disk.Tags["popup:event"] != "ev1") || disk.Size != 8 {
			t.Errorf("its root volume is %+v", disk)
		}
		s.fake.PowerOff(i.ID)
		s.await("gone with its disk", func() bool { return len(s.live()) == 0 && len(s.fake.Volumes()) == 0 })
	})
}

func sorted(list []string) []string { return slices.Sorted(slices.Values(list)) }

func TestLaunchOptions(t *testing.T) {
	s := newSite(t, AWS, func(o *Options) { o.Spot, o.RootGiB, o.VolumeType, o.InstanceProfile = true, 20, "gp2", "board" })
	s.fake.AddProfile("board")
	s.launch("one")
	if i, disk := s.one(), s.fake.Volumes()[0]; !i.Spot || i.Profile != "board" || disk.Size != 20 || disk.Type != "gp2" {
		t.Errorf("launched %+v on %+v", i, disk)
	}
	s.terminate("one")
	l := s.ask("baked")
	l.Bake, l.Disk = true, 30<<30+1
	if _, err := s.Launch(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	if i, disk := s.one(), s.fake.Volumes()[0]; i.Spot || i.Behaviour != "stop" || disk.Size != 31 {
		t.Errorf("to bake there is %+v on %+v", i, disk)
	}
}

// What architecture an app runs on decides on image and type.
func TestArchitectures(t *testing.T) {
	s := newSite(t, AWS)
	for instance, want := range map[string]struct{ arch, machine, image string }{
		"any": {"", "t4g.small", s.fake.Image("", "debian-13", "arm64")}, "arm": {"arm64", "t4g.small", s.fake.Image("", "debian-13", "arm64")},
		"amd": {"amd64", "t3.small", s.fake.Image("", "debian-13", "x86_64")},
	} {
		l := s.ask(instance)
		if want.arch != "" {
			l.Architectures = []string{want.arch}
		}
		if _, err := s.Launch(t.Context(), l); err != nil {
			t.Fatal(err)
		}
		if i := s.one(); i.Type != want.machine || i.Image != want.image {
			t.Errorf("%s is a %s from %s, want %+v", instance, i.Type, i.Image, want)
		}
		s.terminate(instance)
	}
}

// Every name of an image is one that SSM knows, for both architectures.
func TestImageNames(t *testing.T) {
	for _, name := range Images() {
		s := newSite(t, AWS, func(o *Options) { o.Image = name })
		for _, arch := range []string{"arm64", "amd64"} {
			l := s.ask(arch)
			l.Architectures = []string{arch}
			if err := s.Check(t.Context(), l); err != nil {
				t.Errorf("%s for %s: %v", name, arch, err)
			}
		}
	}
}

// Instances are spread over zones, and one that was refused is tried elsewhere.
func TestSpread(t *testing.T) {
	s := newSite(t, AWS)
	zones := s.fake.Zones("")
	for n := 1; n <= 6; n++ {
		l := s.ask(strings.Repeat("x", n))
		l.Number = n
		if _, err := s.Launch(t.Context(), l); err != nil {
			t.Fatal(err)
		}
	}
	for n, i := range s.live() {
		if i.Zone != zones[n%3] {
			t.Errorf("instance %d is in %s, want %s", n+1, i.Zone, zones[n%3])
		}
	}
	s.fake.Full(zones[0], true)
	l := s.ask("one")
	_, err := s.Launch(t.Context(), l)
	if r := refusal(t, err); !r.Elsewhere || !strings.Contains(r.Reason, "--ec2-subnet") {
		t.Errorf("without room it is refused by %+v", r)
	}
	l.Attempt = 1
	m, err := s.Launch(t.Context(), l)
	if all := s.live(); err != nil || all[6].Zone != zones[1] || all[6].ID != m.ID {
		t.Errorf("the next attempt is %+v, %v, at %+v", m, err, all[6])
	}
	if asked := s.called("RunInstances"); asked != 8 {
		t.Errorf("it was asked for machines %d times; a refusal is final", asked)
	}
}

func refusal(t *testing.T, err error) *console.RefusedError {
	t.Helper()
	r, ok := errors.AsType[*console.RefusedError](err)
	if !ok {
		t.Fatalf("it is not refused for good: %v", err)
	}
	return r
}

// A machine that ended before anybody heard of it makes room for another attempt.
func TestEndedRightAway(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		m := s.launch("one")
		s.fake.Kill(m.ID, "Client.VolumeLimitExceeded", "Volume limit exceeded")
		s.await("ended", func() bool { return s.fake.Instances()[0].State == "terminated" })
		s.open()
		l := s.ask("one")
		_, err := s.Launch(t.Context(), l)
		if r := refusal(t, err); !r.Elsewhere || !strings.Contains(r.Reason, "no more volumes") {
			t.Errorf("refused by %+v", r)
		}
		l.Attempt = 1
		if again, err := s.Launch(t.Context(), l); err != nil || again.ID == m.ID {
			t.Errorf("the next attempt is %+v, %v", again, err)
		}
		s.one()
	})
}

// A newer image between two tries makes no second machine.
func TestOtherWordsAreTheSameMachine(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		s.fake.Lose("RunInstances", mostAttempts)
		if _, err := s.Launch(t.Context(), s.ask("one")); err == nil {
			t.Fatal("launched though no answer came")
		}
		s.fake.Heal()
		s.open()
		s.fake.Inject(ec2fake.Fault{Action: "DescribeInstances", Times: 0, Skip: 1 << 20})
		l := s.ask("one")
		l.UserData = []byte("#!/bin/sh\n# another version\n")
		m, err := s.Launch(t.Context(), l)
		if err != nil || m.ID != s.one().ID {
			t.Errorf("asked in other words there is %+v, %v", m, err)
		}
	})
}

// Described late, the same token in other words is a mismatch; it is waited for.
func TestMismatchIsWaitedFor(t *testing.T) {
	s := newSite(t, AWS)
	s.launch("other") // the group is there
	s.await("known", func() bool { return s.machine() != nil })
	s.fake.Lag(100e6)
	first := s.launch("one")
	s.open()
	l := s.ask("one")
	l.UserData = []byte("#!/bin/sh\n# another version\n")
	m, err := s.Launch(t.Context(), l)
	if err != nil || m.ID != first.ID {
		t.Errorf("asked in other words there is %+v, %v; want %s", m, err, first.ID)
	}
}

func TestUserData(t *testing.T) {
	noise := make([]byte, mostUserData+1)
	rand.New(rand.NewSource(1)).Read(noise)
	for _, c := range []struct {
		name    string
		profile Profile
		data    []byte
		zipped  bool
		want    string
	}{
		{"as much as fits", Compat, noise[:mostUserData], false, ""},
		{"one byte more", Compat, noise, false, "the user-data has 16385 bytes, and EC2 takes 16384"},
		{"one byte more on AWS", AWS, bytes.Repeat([]byte("#"), mostUserData+1), true, ""},
		{"what does not get smaller", AWS, noise, false, "EC2 takes 16384"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t, c.profile)
			l := s.ask("one")
			l.UserData = c.data
			_, err := s.Launch(t.Context(), l)
			if c.want != "" {
				if r := refusal(t, err); !strings.Contains(r.Reason, c.want) || r.Elsewhere || len(s.live()) > 0 {
					t.Errorf("refused by %+v, with %d machines", r, len(s.live()))
				}
				if err := s.Check(t.Context(), l); err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("looked at before: %v", err)
				}
				return
			}
			got := s.one().UserData
			if c.zipped {
				r, err := gzip.NewReader(bytes.NewReader(got))
				if err != nil {
					t.Fatal(err)
				}
				if got, err = io.ReadAll(r); err != nil {
					t.Fatal(err)
				}
			}
			if err != nil || !bytes.Equal(got, c.data) {
				t.Errorf("it gets %d bytes of user-data, %v", len(got), err)
			}
		})
	}
}
