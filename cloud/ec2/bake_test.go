package ec2

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"popup/console"
	"popup/internal/testutil/ec2fake"
)

var _ console.Baker = (*Cloud)(nil)

func init() {
	uses["image"] = func(t *testing.T, s *site) {
		s.kitchen("one")
		image := s.bake("one")
		if err := s.Forget(t.Context(), image.ID); err != nil {
			t.Fatal(err)
		}
		s.terminate("one")
		s.clear("ev1")
	}
}

var baked = map[string]string{"popup:app": "board", "popup:service": "1a2b3c", tagEvent: "ev1"}

// clear removes all that is no machine of an event.
func (s *site) clear(event string) {
	s.t.Helper()
	things, err := s.Held(s.t.Context(), event)
	for _, thing := range things {
		err = errors.Join(err, s.Remove(s.t.Context(), thing))
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// kitchen is a machine that was launched to become an image, and has turned itself off.
func (s *site) kitchen(instance string) {
	s.t.Helper()
	l := s.ask(instance)
	l.Bake = true
	m, err := s.Launch(s.t.Context(), l)
	if err != nil {
		s.t.Fatal(err)
	}
	s.await("it runs", func() bool { return s.stateOf(m.ID) == "running" })
	s.fake.PowerOff(m.ID)
	s.await("it is off", func() bool { return s.stateOf(m.ID) == "stopped" })
}

func (s *site) bake(instance string) console.Image {
	s.t.Helper()
	image, err := s.Bake(s.t.Context(), instance, baked)
	if err != nil {
		s.t.Fatal(err)
	}
	return image
}

// TestAnImageIsBakedLaunchedAndForgotten, and outlives the event that it was baked in.
func TestAnImageIsBakedLaunchedAndForgotten(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		s.kitchen("one")
		image := s.bake("one")
		if again := s.bake("one"); again.ID != image.ID {
			t.Fatalf("baked %+v, and again %+v", image, again)
		}
		s.terminate("one")
		s.clear("ev1")
		s.open()
		if again := s.bake("one"); again.ID != image.ID {
			t.Fatalf("baked %+v, and once the machine is gone %+v", image, again)
		}
		images, err := s.Images(t.Context())
		if err != nil || len(images) != 1 || images[0].ID != image.ID || images[0].Tags["popup:service"] != "1a2b3c" || images[0].Tags[tagBaked] != "one" ||
			images[0].Tags[tagEvent] != "" || time.Since(images[0].Baked) > time.Minute {
			t.Fatalf("images are %+v, %v", images, err)
		}
		if left := s.fake.Left(); len(left) != 2 {
			t.Fatalf("left are %q, want the image and its snapshot", left)
		}
		l := s.ask("two")
		l.Image = image.ID
		if _, err := s.Launch(t.Context(), l); err != nil {
			t.Fatal(err)
		}
		if got := s.one(); got.Image != image.ID {
			t.Fatalf("launched %+v", got)
		}
		s.terminate("two")
		s.clear("ev1")
		for range 2 {
			if err := s.Forget(t.Context(), image.ID); err != nil {
				t.Fatal(err)
			}
		}
		if left := s.fake.Left(); len(left) != 0 {
			t.Fatalf("left are %q", left)
		}
	})
}

// TestBakeInSpiteOfFaults: each call fails, is lost or is late once, and there is one image.
func TestBakeInSpiteOfFaults(t *testing.T) {
	for _, profile := range profiles {
		for _, action := range []string{"DescribeImages", "DescribeInstances", "CreateImage", "CreateTags"} {
			for name, fault := range map[string]ec2fake.Fault{
				"throttled":   {Code: "RequestLimitExceeded", Status: 503, Times: 2},
				"answer lost": {Cut: true, Done: true},
				"5xx":         {Code: "InternalError", Status: 500, Done: true},
			} {
				t.Run(string(profile)+"/"+action+"/"+name, func(t *testing.T) {
					s := newSite(t, profile)
					s.kitchen("one")
					s.fake.Lag(30 * time.Millisecond)
					fault.Action = action
					s.fake.Inject(fault)
					image := s.bake("one")
					if images, err := s.Images(t.Context()); err != nil || len(images) != 1 || images[0].ID != image.ID || images[0].Tags["popup:service"] != "1a2b3c" {
						t.Fatalf("images are %+v, %v", images, err)
					}
				})
			}
		}
	}
}

// TestForgetThoughKilled: cut off at any call, what is left is found by whoever asks next.
func TestForgetThoughKilled(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		s.kitchen("one")
		for cut := 1; ; cut++ {
			image := s.bake("one")
			ctx, kill := context.WithCancel(t.Context())
			n := 0
			s.fake.Watch(func(ec2fake.Call) {
				if n++; n == cut {
					kill()
				}
			})
			err := s.Forget(ctx, image.ID)
			kill()
			s.fake.Watch(nil)
			s.open()
			if err == nil {
				if cut < 6 {
					t.Fatalf("forgotten with %d calls", cut-1)
				}
				return
			}
			if !errors.Is(err, context.Canceled) {
				t.Fatalf("cut off at call %d it says %v", cut, err)
			}
			if err := s.Forget(t.Context(), image.ID); err != nil {
				t.Fatal(err)
			}
			for _, left := range s.fake.Left() {
				if strings.Contains(left, "image") || strings.Contains(left, "snapshot") {
					t.Fatalf("cut off at call %d left are %q", cut, s.fake.Left())
				}
			}
		}
	})
}

func TestBakeSaysWhyNot(t *testing.T) {
	s := newSite(t, AWS)
	m := s.launch("one")
	s.await("it runs", func() bool { return s.stateOf(m.ID) == "running" })
	for instance, want := range map[string]string{"one": "becomes an image once it is turned off", "nobody": "no machine of nobody"} {
		if _, err := s.Bake(t.Context(), instance, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	s.kitchen("two")
	image := s.bake("two")
	other := *s
	other.with.Console = "console-2"
	other.open()
	if err := other.Forget(t.Context(), image.ID); err == nil || !strings.Contains(err.Error(), "not of this console") {
		t.Errorf("got %v", err)
	}
	if images, err := other.Images(t.Context()); err != nil || len(images) != 0 {
		t.Errorf("another console's images are %+v, %v", images, err)
	}
	s.fake.Deny("DeregisterImage")
	if err := s.Forget(t.Context(), image.ID); err == nil || !strings.Contains(err.Error(), "iam-policy") {
		t.Errorf("got %v", err)
	}
}
