package console

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"popup/internal/wire"
)

// TestFleetFollowsTheStore: what is known after any changes is what a console reads that
// is started then.
func TestFleetFollowsTheStore(t *testing.T) {
	c := newConsole(t, withKeys(t))
	_, machines := party(t, c, "fair", "otto", 12)
	party(t, c, "ball", "oda", 3)
	random := rand.New(rand.NewPCG(1, 2))
	for step := range 60 {
		m := machines[random.IntN(len(machines))]
		c.write(t, func(tx Tx) error {
			switch random.IntN(5) {
			case 0:
				return tx.Delete(KindInstance, m.id)
			case 1:
				return put(tx, Deployment{ID: "dep-fair", Event: "id-fair", Title: fmt.Sprint("Wall ", step)})
			case 2:
				return put(tx, Event{ID: "id-fair", Name: "fair", Owner: fmt.Sprint("owner", step)})
			default:
				return put(tx, Instance{ID: m.id, Event: "id-fair", Deployment: "dep-fair", Cloud: fmt.Sprint(step), State: InstanceLive, Report: &wire.Report{Seq: uint64(step + 1), Why: fmt.Sprint(step)}, Heard: aDay})
			}
		})
		if random.IntN(3) > 0 {
			continue
		}
		if err := c.fleet.catchUp(t.Context()); err != nil {
			t.Fatal(err)
		}
		fresh := c.again(t).fleet
		if c.fleet.seq != fresh.seq || !reflect.DeepEqual(c.fleet.events, fresh.events) || !reflect.DeepEqual(c.fleet.deployments, fresh.deployments) ||
			!reflect.DeepEqual(c.fleet.members, fresh.members) {
			t.Fatalf("step %d: it differs from what is read afresh", step)
		}
		for event, members := range fresh.byEvent {
			if len(members) != len(c.fleet.byEvent[event]) {
				t.Fatalf("step %d: %s has %d instances; %d are there", step, event, len(c.fleet.byEvent[event]), len(members))
			}
		}
	}
}

// TestFleetBeginsAnew: where changes were forgotten, all is read, and what was heard stays.
func TestFleetBeginsAnew(t *testing.T) {
	c := newConsole(t, withKeys(t))
	_, machines := party(t, c, "fair", "otto", 2)
	m := machines[0].live(t)
	m.report.Numbers.Requests = 5
	m.mustSay(t)
	c.write(t, func(tx Tx) error {
		i, err := get[Instance](tx, machines[1].id)
		i.State = InstanceLost
		return errors.Join(err, put(tx, i))
	})
	c.write(t, func(tx Tx) error { _, err := tx.Forget(time.Now().Add(time.Hour)); return err })
	c.write(t, func(tx Tx) error { return put(tx, Event{ID: "id-fair", Name: "fair", Title: "Renamed"}) })
	page, err := c.Instances(t.Context(), aViewer, InstanceQuery{})
	if err == nil && page.Counts[HealthOver] > 0 {
		t.Fatal("it knew already")
	}
	if err := c.fleet.catchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	page, err = c.Instances(t.Context(), aViewer, InstanceQuery{})
	if err != nil || page.Counts[HealthOver] != 1 || page.Instances[0].EventTitle != "Renamed" || page.Instances[0].LastReport.Numbers.Requests != 5 {
		t.Errorf("%+v, %v", page, err)
	}
}
