//go:build cluster

package cluster

import (
	"context"
	"maps"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"popup/internal/testutil"
	"popup/internal/testutil/ec2fake"
)

// diskSize is that of a console's disk, in MiB.
const diskSize = 512

// A scene is consoles that are used all the time, while things are taken from them.
type scene struct {
	*testing.T
	consoles  []*console
	cloud     *ec2fake.Fake
	registers *history
	launches  *launches
	fleet     *fleet
	streams   []*stream
	gaps      map[string][]time.Duration
	stop      func() // using them
}

// newScene starts so many consoles, and has them used.
func newScene(t *testing.T, count int) *scene {
	t.Helper()
	must(t, network())
	cloud := ec2fake.New(t, ec2fake.Options{Compat: true})
	listener, err := net.Listen("tcp", here+":0")
	must(t, err)
	server := &http.Server{Handler: cloud}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(listener) }) // it ends with Close
	t.Cleanup(func() { _ = server.Close(); serving.Wait() })

	s := &scene{T: t, cloud: cloud, gaps: map[string][]time.Duration{}}
	env := []string{"AWS_ENDPOINT_URL=http://" + listener.Addr().String(), "AWS_ACCESS_KEY_ID=" + cloud.AccessKey, "AWS_SECRET_ACCESS_KEY=" + cloud.SecretKey}
	for n := range count {
		s.consoles = append(s.consoles, newConsole(newMachine(t, n+1, diskSize), env, "--cloud", "ec2", "--ec2-profile", "compat", "--ec2-region", "eucalyptus", "--ec2-type", "m1.small", "--ec2-image", cloud.Image("eucalyptus", "debian-12", "x86_64")))
	}
	s.consoles[0].start()
	testutil.Claim(t, s.consoles[0].owner, s.consoles[0].process.Says("claim: ", time.Minute))
	s.registers = registers(t, s.consoles[0], 4)
	for _, c := range s.consoles[1:] {
		c.owner.Token = s.consoles[0].owner.Token
		s.join(c, s.consoles[0])
	}
	s.use()
	return s
}

// use has everything be used until stop.
func (s *scene) use() {
	ctx, cancel := context.WithCancel(context.Background())
	var using sync.WaitGroup
	s.launches = &launches{consoles: s.consoles}
	s.fleet = &fleet{t: s.T, cloud: s.cloud, consoles: s.consoles, seen: map[string]string{}, since: map[string]time.Time{}}
	for _, c := range s.consoles {
		for range 2 {
			using.Go(func() { s.registers.use(ctx, c, 100*time.Millisecond) })
		}
	}
	for i := range s.consoles {
		listener := &stream{consoles: slices.Concat(s.consoles[i:], s.consoles[:i]), heard: map[int64]string{}}
		s.streams = append(s.streams, listener)
		using.Go(func() { listener.follow(ctx) })
	}
	enough, launching := make(chan struct{}), make(chan error, 1)
	using.Go(func() { launching <- s.launches.use(ctx, enough, 2*time.Second) })
	using.Go(func() { s.fleet.power(ctx) })
	s.stop = func() {
		close(enough)
		if err := <-launching; err != nil {
			s.Error(err)
		}
		s.settle()
		s.lastWord()
		cancel()
		using.Wait()
	}
	s.Cleanup(func() { cancel(); using.Wait() })
}

// settle waits until all that was launched is live, or gone where it was ended.
func (s *scene) settle() {
	s.Helper()
	for late := time.After(3 * time.Minute); ; {
		why := s.unsettled()
		if why == "" {
			return
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-late:
			s.Errorf("it does not settle: %s", why)
			return
		}
	}
}

// unsettled says what is under way; empty: nothing.
func (s *scene) unsettled() string {
	for _, one := range s.launches.all {
		for _, id := range one.instances {
			var i struct{ State, Failure string }
			if err := s.consoles[0].owner.Ask(s.Context(), testutil.Ask{Method: "GET", Path: "/instances/" + id, Out: &i}); err != nil {
				return id + ": " + err.Error()
			}
			if one.ending && i.State != "gone" || !one.ending && i.State != "live" {
				return id + " is " + i.State + " " + i.Failure
			}
		}
	}
	return ""
}

// lastWord waits until all streams told of an event that is made after all else.
func (s *scene) lastWord() {
	s.Helper()
	err := insist(s.Context(), s.consoles[0].itself, testutil.Ask{Method: "POST", Path: "/events", In: map[string]any{"name": "last-word", "title": "The last word", "end": "7d"}})
	if err != nil && no(err) != http.StatusConflict { // one that was asked for before may have been made
		s.Errorf("make the last event: %v", err)
		return
	}
	var event struct{ ID string }
	must(s, insist(s.Context(), s.consoles[0].itself, testutil.Ask{Method: "GET", Path: "/events/last-word", Out: &event}))
	late := time.After(time.Minute)
	for i, listener := range s.streams {
		for !listener.told(event.ID) {
			select {
			case <-time.After(50 * time.Millisecond):
			case <-late:
				s.Errorf("stream %d does not tell of the last event", i)
				return
			}
		}
	}
}

// lost counts the launches that were acknowledged, and that a console knows nothing of.
func (s *scene) lost() (count int) {
	s.Helper()
	for _, one := range s.launches.all {
		for _, c := range s.consoles {
			var event struct{ ID string }
			if err := insist(s.Context(), c.itself, testutil.Ask{Method: "GET", Path: "/events/" + one.name, Out: &event}); err != nil || event.ID == "" {
				s.Errorf("%s does not know of %s, which was acknowledged: %v", c.name, one.name, err)
				count++
			}
		}
	}
	return count
}

// judge holds everything that was acknowledged against what there is.
func (s *scene) judge() {
	s.Helper()
	s.stop()
	s.registers.linearizable(s.T)
	s.launches.linearizable(s.T)
	s.fleet.launchedOnce(s.launches)
	whole(s.T, s.streams)
	acknowledged, unknown := s.registers.counts()
	sent, tried := s.fleet.counts()
	s.Logf("writes: %d acknowledged, %d without an answer; reports: %d answered, %d sent again; launches lost: %d", acknowledged, unknown, sent, tried, s.lost())
	for _, what := range slices.Sorted(maps.Keys(s.gaps)) {
		s.Logf("%s: %d times, no write for %s", what, len(s.gaps[what]), spread(s.gaps[what]))
	}
	s.Logf("other answers: %v", s.registers.said)
}
