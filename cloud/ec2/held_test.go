package ec2

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"popup/console"
	"popup/internal/testutil/ec2fake"
)

// ofTheTest are what these tests call themselves.
var ofTheTest = []string{"ec2:AllocateAddress", "ec2:CreateSnapshot", "ec2:CreateVolume"}

// makeThings makes a volume, a snapshot of it, and an address, for the event ev1, as
// another part of a console would. The answers are their ids.
func (s *site) makeThings() (ids []string) {
	s.t.Helper()
	ctx, r := s.t.Context(), s.regions[0]
	zone := s.live()[0].Zone
	v, err := r.ec2.CreateVolume(ctx, &ec2.CreateVolumeInput{AvailabilityZone: aws.String(zone), Size: aws.Int32(1)})
	if err != nil {
		s.t.Fatal(err)
	}
	s.await("the volume is there", func() bool {
		return slices.ContainsFunc(s.fake.Volumes(), func(o ec2fake.Volume) bool { return o.ID == *v.VolumeId && o.State == "available" })
	})
	snapshot, err := r.ec2.CreateSnapshot(ctx, &ec2.CreateSnapshotInput{VolumeId: v.VolumeId})
	if err != nil {
		s.t.Fatal(err)
	}
	client := ec2.New(ec2.Options{BaseEndpoint: &s.fake.URL, Region: r.name, Credentials: r.keys})
	address, err := client.AllocateAddress(ctx, &ec2.AllocateAddressInput{Domain: types.DomainTypeVpc})
	if err != nil {
		s.t.Fatal(err)
	}
	ids = []string{*v.VolumeId, *snapshot.SnapshotId, *address.AllocationId}
	for _, id := range ids {
		if err := s.tag(ctx, r, id, s.tagsOf(s.ask(""))); err != nil {
			s.t.Fatal(err)
		}
	}
	return ids
}

// removeAll removes all that is no machine, and wants nothing left.
func (s *site) removeAll(events ...string) {
	s.t.Helper()
	for _, event := range events {
		things, err := s.Held(s.t.Context(), event)
		if err != nil {
			s.t.Fatal(err)
		}
		for _, thing := range append(things, things...) { // whoever did not hear of it asks again
			if err := s.Remove(s.t.Context(), thing); err != nil {
				s.t.Errorf("%+v: %v", thing, err)
			}
		}
	}
	if left := s.fake.Left(); len(left) > 0 {
		s.t.Errorf("left are %q", left)
	}
}

// kinds are the things' ids by their kinds.
func (s *site) kinds(event string) map[console.ThingKind][]string {
	s.t.Helper()
	things, err := s.Held(s.t.Context(), event)
	if err != nil {
		s.t.Fatal(err)
	}
	by := map[console.ThingKind][]string{}
	for _, t := range things {
		if t.Place != s.regions[0].name {
			s.t.Errorf("%+v is in no region of ours", t)
		}
		by[t.Kind] = append(by[t.Kind], t.ID)
	}
	return by
}

func TestWhatAnEventHolds(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		m := s.launch("one")
		made := s.makeThings()
		if _, err := s.Launch(t.Context(), func() console.Launch { l := s.ask("other"); l.EventID = "ev2"; return l }()); err != nil {
			t.Fatal(err)
		}
		held := s.kinds("ev1")
		if !slices.Equal(held[console.ThingMachine], []string{m.ID}) || !slices.Contains(held[console.ThingVolume], made[0]) ||
			!slices.Equal(held[console.ThingSnapshot], made[1:2]) || !slices.Equal(held[console.ThingAddress], made[2:]) || len(held[console.ThingGroup]) != 1 {
			t.Errorf("held are %v; made were %s and %q", held, m.ID, made)
		}
		if disks := s.live()[0].Volumes; s.opts.Profile == AWS && !slices.Contains(held[console.ThingVolume], disks[0]) {
			t.Errorf("its root volume %s is not held: %v", disks[0], held)
		}
		s.terminate("one")
		s.terminate("other")
		s.removeAll("ev2", "ev1")
	})
}

// What a machine that is going still uses is waited for.
func TestRemoveWaitsForWhoUsesIt(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		m := s.launch("one")
		group := s.kinds("ev1")[console.ThingGroup][0]
		thing := console.Thing{Kind: console.ThingGroup, ID: group, Place: s.regions[0].name}
		short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if err := s.Remove(short, thing); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("removed under a machine: %v", err)
		}
		s.fake.PowerOff(m.ID)
		if err := s.Remove(t.Context(), thing); err != nil {
			t.Error(err)
		}
		if left := s.kinds("ev1"); len(left) > 0 {
			t.Errorf("left are %v", left)
		}
	})
}

func TestRemoveFaults(t *testing.T) {
	for _, fault := range []ec2fake.Fault{
		{Code: "RequestLimitExceeded", Message: "later", Status: 503, Times: 3}, {Code: "InternalError", Status: 500, Times: 2}, {Cut: true}, {Cut: true, Done: true},
	} {
		s := newSite(t, AWS)
		s.launch("one")
		s.makeThings()
		s.terminate("one")
		for _, action := range []string{"DeleteVolume", "DeleteSnapshot", "ReleaseAddress", "DeleteSecurityGroup"} {
			fault.Action = action
			s.fake.Inject(fault)
		}
		s.removeAll("ev1")
	}
}

func TestRemoveRefusesWhatItCannot(t *testing.T) {
	s := newSite(t, AWS)
	for _, c := range []struct {
		thing console.Thing
		want  string
	}{
		{console.Thing{Kind: console.ThingMachine, ID: "i-1", Place: "us-east-1"}, "not removed in this way"},
		{console.Thing{Kind: console.ThingVolume, ID: "vol-1", Place: "moon-1"}, "--ec2-region moon-1"},
	} {
		if err := s.Remove(t.Context(), c.thing); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v; want %q", c.thing, err, c.want)
		}
	}
}

// A group that was cut off before it had tags goes with its event all the same.
func TestGroupWithoutTagsIsHeld(t *testing.T) {
	s := newSite(t, Compat)
	s.fake.Inject(ec2fake.Fault{Action: "CreateTags", Code: "UnauthorizedOperation", Status: 403})
	if _, err := s.Launch(t.Context(), s.ask("one")); err == nil {
		t.Fatal("launched without tags")
	}
	if n := len(s.fake.Groups()); n != 1 {
		t.Fatalf("there are %d groups", n)
	}
	s.removeAll("ev1")
}
