//go:build cluster

package cluster

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"popup/internal/testutil"
	"popup/internal/testutil/ec2fake"
	"popup/internal/wire"
	"popup/userdata"
)

// reportPeriod is how often an instance reports, so that each fault meets some.
const reportPeriod = time.Second

// A fleet is what was launched at a fake of EC2: each machine talks to any console.
type fleet struct {
	t        *testing.T
	cloud    *ec2fake.Fake
	consoles []*console

	mu    sync.Mutex
	seen  map[string]string    // machine: the instance that it is
	since map[string]time.Time // when an instance was launched
	sent  int
	tried int // reports that were not answered
}

// power looks for machines that were launched until ctx ends.
func (f *fleet) power(ctx context.Context) {
	var running sync.WaitGroup
	defer running.Wait()
	for {
		for _, m := range f.cloud.Instances() {
			if f.seen[m.ID] == "" && m.State == "running" {
				i, err := f.boot(m)
				if err != nil {
					f.t.Errorf("machine %s: %v", m.ID, err)
					return
				}
				running.Go(func() { i.live(ctx) })
			}
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return
		}
	}
}

// boot reads what a machine is told to be.
func (f *fleet) boot(m ec2fake.Instance) (*instance, error) {
	plan, err := userdata.Read(m.UserData)
	if err != nil {
		return nil, err
	}
	public, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, err
	}
	i := &instance{fleet: f, machine: m.ID, plan: plan, key: key, public: public, began: time.Now()}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seen[m.ID], f.since[plan.Instance] = plan.Instance, time.Now()
	return i, nil
}

// counts says how many reports were answered, and how many had to be sent again.
func (f *fleet) counts() (sent, tried int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.sent, f.tried
}

// launchedOnce holds machines against instances.
func (f *fleet) launchedOnce(l *launches) {
	f.t.Helper()
	of := map[string]int{}
	for _, m := range f.cloud.Instances() {
		plan, err := userdata.Read(m.UserData)
		must(f.t, err)
		of[plan.Instance]++
	}
	for _, one := range l.all {
		for _, id := range one.instances {
			if n := of[id]; n > 1 || n == 0 && !one.ending { // it may end before it begins
				f.t.Errorf("%s was launched %d times", id, n)
			}
			delete(of, id)
		}
	}
	f.t.Logf("from the answer to a launch to its machine: %v", f.waited(l))
	for id := range of {
		f.t.Errorf("%s was launched, and nobody was told so", id)
	}
}

// waited says how long the launches waited for their machines.
func (f *fleet) waited(l *launches) string {
	var all []time.Duration
	for _, one := range l.all {
		for _, id := range one.instances {
			if at, found := f.since[id]; found {
				all = append(all, at.Sub(one.at).Round(time.Millisecond))
			}
		}
	}
	return spread(all)
}

// spread is how durations lie.
func spread(all []time.Duration) string {
	if len(all) == 0 {
		return "none"
	}
	return fmt.Sprintf("p50 %v, p90 %v, max %v", median(all), all[len(all)*9/10], all[len(all)-1])
}

// median sorts them, and is the one in the middle, or the later one of two.
func median(all []time.Duration) time.Duration {
	slices.Sort(all)
	return all[len(all)/2]
}

// An instance enrols and reports as popup up does, until it is told to end.
type instance struct {
	fleet   *fleet
	machine string
	plan    wire.Plan
	key     ed25519.PrivateKey
	public  ed25519.PublicKey
	began   time.Time
	seq     uint64
}

func (i *instance) live(ctx context.Context) {
	enrolment := wire.Enrolment{Version: wire.TalkVersion, Instance: i.id(), Token: i.plan.Console.Token, Key: i.public, Popup: "test", Arch: "amd64"}
	if !i.insist(ctx, wire.PathEnrol, func() any { return enrolment }, nil) {
		return
	}
	for {
		var answer wire.Answer
		if !i.insist(ctx, wire.PathReport, func() any { return i.report(nil) }, &answer) {
			return
		}
		if answer.Wanted != nil && answer.Wanted.Ended {
			i.insist(ctx, wire.PathReport, func() any { return i.report(&wire.Ending{Step: "over"}) }, nil)
			i.fleet.cloud.PowerOff(i.machine)
			return
		}
		select {
		case <-time.After(reportPeriod/2 + rand.N(reportPeriod)):
		case <-ctx.Done():
			return
		}
	}
}

func (i *instance) id() string { return i.plan.Instance }

func (i *instance) report(end *wire.Ending) wire.Report {
	i.seq++
	now := time.Now()
	return wire.Report{Version: wire.TalkVersion, Seq: i.seq, Time: now, Since: i.began, Popup: "test", App: string(i.plan.Manifest.ID), URL: "http://" + i.id() + ".example",
		Live: true, Healthy: true, Phases: []wire.Phase{{Name: "start", State: "done", Since: i.began}}, Serving: &wire.Serving{Release: "0123456789012345678901234567890123456789"}, End: end}
}

// insist asks one console after the other until it is answered; false: ctx ended before,
// or it was told no.
func (i *instance) insist(ctx context.Context, path string, what func() any, out any) bool {
	for {
		body, err := json.Marshal(what())
		if err == nil {
			err = i.tell(ctx, i.fleet.consoles[rand.N(len(i.fleet.consoles))], path, body, out)
		}
		i.fleet.mu.Lock()
		if i.fleet.sent++; err != nil {
			i.fleet.sent, i.fleet.tried = i.fleet.sent-1, i.fleet.tried+1
		}
		i.fleet.mu.Unlock()
		if err == nil || ctx.Err() != nil {
			return err == nil
		}
		switch no(err) {
		case 0, http.StatusTooManyRequests:
		case http.StatusGone:
			return false
		default:
			i.fleet.t.Errorf("%s: %s: %v", i.id(), path, err)
			return false
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			return false
		}
	}
}

func (i *instance) tell(ctx context.Context, c *console, path string, body []byte, out any) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, i.plan.Console.At(path), bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set(wire.HeaderInstance, i.id())
	r.Header.Set(wire.HeaderSignature, wire.Signed{Method: http.MethodPost, Path: path, Instance: i.id(), Body: body}.Sign(i.key))
	resp, err := c.client.Do(r)
	if err != nil {
		return err
	}
	if err := i.plan.Console.CheckPin(resp.TLS.PeerCertificates[0]); err != nil {
		return errors.Join(fmt.Errorf("%s: %w", c.name, err), resp.Body.Close())
	}
	return testutil.Read(resp, out)
}
