package ec2

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"popup/console"
	"popup/internal/testutil/ec2fake"
)

// launchCalls are the actions that one launch makes, in their order.
func launchCalls(t *testing.T, profile Profile) []string {
	t.Helper()
	s := newSite(t, profile)
	s.launch("one")
	var actions []string
	for _, c := range s.fake.Calls() {
		actions = append(actions, c.Action)
	}
	return actions
}

// A console that is killed at any call of a launch, before it was done or after, launches
// one machine all the same when it is started again, and knows it.
func TestKilledAtAnyCall(t *testing.T) {
	for _, profile := range profiles {
		for n, action := range launchCalls(t, profile) {
			for _, done := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/%02d %s done=%t", profile, n, action, done), func(t *testing.T) {
					s := newSite(t, profile)
					s.fake.Inject(ec2fake.Fault{Skip: n, Cut: true, Done: done, Times: 1})
					s.killedAfter(n)
					s.fake.Heal()
					s.open()
					s.wantOne(len(s.live()) > 0)
				})
			}
		}
	}
}

// killedAfter has a launch see no answer from its call n on.
func (s *site) killedAfter(n int) {
	s.t.Helper()
	ctx, kill := context.WithCancel(s.t.Context())
	defer kill()
	var mu sync.Mutex
	calls := 0
	s.fake.Watch(func(ec2fake.Call) {
		mu.Lock()
		defer mu.Unlock()
		if calls++; calls > n+1 { // the answer was lost, and it is asked again
			kill()
		}
	})
	_, _ = s.Launch(ctx, s.ask("one")) // nobody hears of it
	s.fake.Watch(nil)
}

// wantOne wants the one machine that a console which starts knows, and gets; listed says
// that it is there before it is asked for again.
func (s *site) wantOne(listed bool) {
	s.t.Helper()
	if m := s.machine(); listed != (m != nil) || listed && m.Instance != "one" {
		s.t.Errorf("after the kill there is %+v, want one: %t", m, listed)
	}
	m := s.launch("one")
	if i := s.one(); i.ID != m.ID || i.Tags[tagInstance] != "one" || len(i.Groups) != 1 {
		s.t.Errorf("launched is %+v as %+v", m, i)
	}
	if groups := s.fake.Groups(); len(groups) != 1 || len(groups[0].Rules) < 2 || groups[0].Tags[tagEvent] != "ev1" {
		s.t.Errorf("the groups are %+v", groups)
	}
	s.terminate("one")
	s.removeAll("ev1")
}

// So it is where EC2 describes late what it made: nothing is launched twice by it.
func TestKilledAndDescribedLate(t *testing.T) {
	for _, profile := range profiles {
		for _, action := range []string{"CreateSecurityGroup", "AuthorizeSecurityGroupIngress", "RunInstances", "CreateTags"} {
			t.Run(string(profile)+"/"+action, func(t *testing.T) {
				s := newSite(t, profile)
				s.fake.Lag(80 * time.Millisecond)
				s.fake.Inject(ec2fake.Fault{Action: action, Cut: true, Done: true, Times: 1})
				ctx, kill := context.WithTimeout(t.Context(), 60*time.Millisecond)
				defer kill()
				_, _ = s.Launch(ctx, s.ask("one")) // killed on its way
				s.fake.Heal()
				s.open()
				m := s.launch("one")
				if i := s.one(); i.ID != m.ID {
					t.Errorf("launched is %+v, and there is %+v", m, i)
				}
				s.open()
				s.terminate("one")
				s.removeAll("ev1")
			})
		}
	}
}

// One that was launched by a process that was killed, and that EC2 does not describe yet,
// is not taken to be gone.
func TestTerminateWaitsForWhatIsNotDescribed(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		s.fake.Lag(100 * time.Millisecond)
		s.fake.Lose("RunInstances", mostAttempts) // no answer is faster than the kill
		ctx, kill := context.WithCancel(t.Context())
		s.fake.Watch(func(c ec2fake.Call) {
			if c.Action == "RunInstances" && s.called("RunInstances") > 0 {
				kill()
			}
		})
		if _, err := s.Launch(ctx, s.ask("one")); err == nil {
			t.Fatal("launched though it was killed")
		}
		s.fake.Watch(nil)
		s.fake.Heal()
		s.open()
		s.terminate("one")
		if left := s.live(); len(left) > 0 {
			t.Errorf("proven gone, and there is %+v", left)
		}
	})
}

// So it is where this process itself heard no answer.
func TestTerminateWaitsForWhatWasNotAnswered(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		s.fake.Lag(time.Second)
		s.opened = time.Now().Add(-time.Hour)
		s.fake.Inject(ec2fake.Fault{Action: "RunInstances", Cut: true, Done: true})
		s.fake.Fail("RunInstances", mostAttempts, "InternalError", "failed", 500)
		if _, err := s.Launch(t.Context(), s.ask("one")); err == nil {
			t.Fatal("launched though nobody answered")
		}
		s.fake.Heal()
		s.terminate("one")
		if left := s.live(); len(left) > 0 {
			t.Errorf("proven gone, and there is %+v", left)
		}
	}, func(o *Options) { o.Settle = 2 * time.Second })
}

// Each fault, once, on each action of a whole life: what is asked comes about all the same.
func TestFaultsOnce(t *testing.T) {
	for _, profile := range profiles {
		for name, fault := range map[string]ec2fake.Fault{
			"throttled": {Code: "RequestLimitExceeded", Message: "later", Status: 503, Times: 3}, "failed": {Code: "InternalError", Message: "failed", Status: 500},
			"unavailable": {Code: "Unavailable", Status: 503}, "cut off": {Cut: true}, "answer lost": {Cut: true, Done: true}, "slow": {Delay: 30 * time.Millisecond},
		} {
			t.Run(string(profile)+"/"+name, func(t *testing.T) {
				s := newSite(t, profile)
				for _, action := range []string{"DescribeSubnets", "DescribeImages", "GetParameter", "DescribeSecurityGroups", "CreateSecurityGroup",
					"AuthorizeSecurityGroupIngress", "RunInstances", "CreateTags", "DescribeInstances", "ModifyInstanceAttribute", "TerminateInstances", "DeleteSecurityGroup"} {
					fault.Action = action
					s.fake.Inject(fault)
				}
				m := s.launch("one")
				if err := s.Protect(t.Context(), "one"); err != nil {
					t.Error(err)
				}
				if i := s.one(); i.ID != m.ID || !i.Protected {
					t.Errorf("launched is %+v, and there is %+v", m, i)
				}
				s.terminate("one")
				s.removeAll("ev1")
			})
		}
	}
}

// EC2 that does not answer leaves open what came of it; what it refuses does not.
func TestUnknownOutcome(t *testing.T) {
	for _, fault := range []ec2fake.Fault{{Code: "RequestLimitExceeded", Status: 503}, {Code: "InternalError", Status: 500}, {Cut: true}, {Code: "AuthFailure", Status: 401},
		{Code: "RequestExpired"}} {
		s := newSite(t, AWS)
		fault.Action, fault.Times = "RunInstances", -1
		s.fake.Inject(fault)
		_, err := s.Launch(t.Context(), s.ask("one"))
		if _, final := errors.AsType[*console.RefusedError](err); err == nil || final {
			t.Errorf("%+v is a refusal: %v", fault, err)
		}
	}
}
