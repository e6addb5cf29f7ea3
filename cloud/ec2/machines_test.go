package ec2

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"popup/console"
	"popup/internal/testutil/ec2fake"
)

// raw asks EC2 for a machine past the cloud.
func (s *site) raw(l console.Launch, change func(*ec2.RunInstancesInput)) string {
	s.t.Helper()
	ctx := s.t.Context()
	places, err := s.places(ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	in, err := s.request(ctx, places[0], l)
	if err != nil {
		s.t.Fatal(err)
	}
	if change != nil {
		change(in)
	}
	out, err := places[0].region.ec2.RunInstances(ctx, in)
	if err != nil {
		s.t.Fatal(err)
	}
	return aws.ToString(out.Instances[0].InstanceId)
}

func TestStates(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		l := s.ask("one")
		l.Bake = true // turned off, it is kept
		m, err := s.Launch(t.Context(), l)
		if err != nil || m.State != console.MachinePending || m.Detail != "" {
			t.Errorf("launched it is %+v, %v", m, err)
		}
		is := func(state console.MachineState, detail string) func() bool {
			return func() bool {
				m := s.machine()
				return m != nil && m.State == state && strings.Contains(m.Detail, detail)
			}
		}
		s.await("it runs", is(console.MachineRunning, ""))
		if m := s.machine(); !strings.HasPrefix(strings.ReplaceAll(m.Address, ".", "-"), map[Profile]string{AWS: "http://ec2-198-51-", Compat: "http://198-51-"}[s.opts.Profile]) || m.Detail != "" || m.Instance != "one" {
			t.Errorf("running it is %+v", m)
		}
		s.fake.PowerOff(m.ID)
		s.await("it is off", is(console.MachineStopped, "it turned itself off"))
		if m := s.machine(); m.Address != "" {
			t.Errorf("off it is at %s", m.Address)
		}
		s.terminate("one")
		if m := s.machine(); m != nil {
			t.Errorf("ended there is %+v", m)
		}
	})
}

// A machine that is ending is listed until it is gone, and says why it ends.
func TestSpotInterruption(t *testing.T) {
	fake := ec2fake.New(t, ec2fake.Options{Takes: 300 * time.Millisecond})
	s := newSiteOn(t, fake, func(o *Options) { o.Spot = true })
	m := s.launch("one")
	s.await("it runs", func() bool { return s.machine().State == console.MachineRunning })
	if err := s.Protect(t.Context(), "one"); err != nil || s.called("ModifyInstanceAttribute") > 0 {
		t.Errorf("a spot machine is protected by %d calls, %v", s.called("ModifyInstanceAttribute"), err)
	}
	fake.Interrupt(m.ID)
	if m := s.machine(); m == nil || m.State != console.MachineStopped || !strings.Contains(m.Detail, "took this spot machine back") {
		t.Errorf("interrupted it is %+v", m)
	}
	s.await("it is gone", func() bool { return s.machine() == nil })
	if err := s.Protect(t.Context(), "one"); err == nil || !strings.Contains(err.Error(), "no machine of one") {
		t.Errorf("protected though it is gone: %v", err)
	}
}

// Protection keeps others from ending it, and not this console.
func TestProtection(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		m := s.launch("one")
		for range 2 {
			if err := s.Protect(t.Context(), "one"); err != nil {
				t.Fatal(err)
			}
		}
		_, err := s.regions[0].ec2.TerminateInstances(t.Context(), &ec2.TerminateInstancesInput{InstanceIds: []string{m.ID}})
		if !s.one().Protected || codeOf(err) != "OperationNotPermitted" {
			t.Errorf("it is %+v, and ends with %v", s.one(), err)
		}
		s.terminate("one")
	})
}

// What was launched and is not described yet is listed all the same, once.
func TestListedBeforeItIsDescribed(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		s.fake.Lag(150 * time.Millisecond)
		m := s.launch("one")
		if got := s.machine(); got == nil || got.ID != m.ID || s.opts.Profile == AWS && got.State != console.MachinePending || !got.Launched.Equal(m.Launched) {
			t.Errorf("listed is %+v, launched was %+v", got, m)
		}
		s.await("it is described", func() bool { return s.machine().State == console.MachineRunning })
		s.terminate("one")
		if got := s.machine(); got != nil {
			t.Errorf("ended there is %+v", got)
		}
	})
}

// Of two machines of an instance, which there should never be, the first one stays.
func TestDuplicates(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		var ids []string
		for attempt := range 3 {
			l := s.ask("one")
			l.Attempt = attempt
			ids = append(ids, s.raw(l, nil))
			s.fake.Advance(time.Second)
		}
		if m := s.machine(); m == nil || m.ID != ids[0] {
			t.Errorf("of %q listed is %+v", ids, m)
		}
		if i := s.one(); i.ID != ids[0] {
			t.Errorf("of %q %s is left", ids, i.ID)
		}
		if m := s.launch("one"); m.ID != ids[0] {
			t.Errorf("launched again it is %s, of %q", m.ID, ids)
		}
		s.terminate("one")
	})
}

// What others have in the account is neither listed nor touched.
func TestOthersAreLeftAlone(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		mine, with := s.Cloud, s.with
		s.with.Console = "console-2"
		s.open()
		other := s.launch("one")
		s.Cloud, s.with = mine, with
		theirs := s.raw(s.ask("two"), func(in *ec2.RunInstancesInput) { in.TagSpecifications, in.ClientToken = nil, aws.String("theirs") })
		if m := s.machine(); m != nil {
			t.Errorf("listed is %+v", m)
		}
		s.terminate("one")
		if left := s.live(); len(left) != 2 || left[0].ID != other.ID || left[1].ID != theirs {
			t.Errorf("left are %+v", left)
		}
		if held := s.kinds("ev1"); len(held) > 0 {
			t.Errorf("of theirs is held %v", held)
		}
	})
}

// A machine whose tags were cut off is known by its token; where its name has no room in
// that, by whoever asks for it again.
func TestMachineWithoutTags(t *testing.T) {
	for _, instance := range []string{"one", strings.Repeat("long-", 15) + "1"} {
		s := newSite(t, Compat)
		id := s.raw(s.ask(instance), nil)
		m := s.machine()
		if listed := m != nil; listed != (len(instance) < 40) || listed && (m.Instance != instance || m.ID != id) {
			t.Errorf("listed is %+v", m)
		}
		if m := s.launch(instance); m.ID != id || s.one().Tags[tagInstance] != instance {
			t.Errorf("asked for again it is %+v, as %+v", m, s.one())
		}
		if m := s.machine(); m == nil || m.Instance != instance {
			t.Errorf("then listed is %+v", m)
		}
		s.terminate(instance)
	}
}

func TestPages(t *testing.T) {
	const many = 1200
	s := newSite(t, AWS)
	names := make(chan string)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for name := range names {
				s.raw(s.ask(name), nil)
			}
		})
	}
	for n := range many {
		names <- fmt.Sprintf("i%04d", n)
	}
	close(names)
	wg.Wait()
	s.fake.Forget()
	all, err := s.Machines(t.Context())
	if err != nil || len(all) != many || all[many-1].Instance != "i1199" {
		t.Errorf("listed are %d, %v", len(all), err)
	}
	if pages := s.called("DescribeInstances"); pages != 2 {
		t.Errorf("they came on %d pages", pages)
	}
	s.fake.Throttle("DescribeInstances", 3)
	if all, err = s.Machines(t.Context()); err != nil || len(all) != many {
		t.Errorf("throttled, listed are %d, %v", len(all), err)
	}
}

// Half a list is none: what a region that does not answer has is not known to be gone.
func TestHalfAListIsNone(t *testing.T) {
	fake := ec2fake.New(t, ec2fake.Options{})
	s := newSiteOn(t, fake, func(o *Options) { o.Regions = fake.Regions() })
	for n, instance := range []string{"one", "two", "three", "four"} {
		l := s.ask(instance)
		l.Number = n + 1
		if _, err := s.Launch(t.Context(), l); err != nil {
			t.Fatal(err)
		}
	}
	in := map[string]int{}
	for _, i := range s.live() {
		in[i.Region]++
	}
	if in["us-east-1"] != 3 || in["eu-central-1"] != 1 {
		t.Errorf("there are %v", in)
	}
	fake.Inject(ec2fake.Fault{Action: "DescribeInstances", Region: "eu-central-1", Code: "InternalError", Status: 500, Times: -1})
	if all, err := s.Machines(t.Context()); err == nil || len(all) > 0 {
		t.Errorf("listed are %+v, %v", all, err)
	}
	if err := s.Terminate(t.Context(), "one"); err == nil {
		t.Error("proven gone by half of it")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Held(ctx, "ev1"); err == nil {
		t.Error("held by nobody's answer")
	}
}
