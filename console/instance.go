package console

import (
	"slices"
	"time"

	"popup/internal/wire"
)

// KindInstance is of instances.
const KindInstance Kind = "instance"

// An InstanceState is how far an instance is, as far as the console has brought it. How
// it is doing meanwhile, its reports tell.
type InstanceState string

// The states of an instance.
const (
	InstancePlanned   InstanceState = "planned"   // it waits for its event's start, or for its turn
	InstanceLaunching InstanceState = "launching" // a cloud was asked for it, and may have it already
	InstanceStarting  InstanceState = "starting"  // its machine is there; the app has not been served yet
	InstanceLive      InstanceState = "live"      // the app was served at least once
	InstanceEnding    InstanceState = "ending"    // it is told to end, and its state is archived
	InstanceGone      InstanceState = "gone"      // its machine is proven gone
	InstanceLost      InstanceState = "lost"      // its machine went away without being told to
	InstanceFailed    InstanceState = "failed"    // its cloud refused it for good
)

// Over says that no machine is left of it, or ever was.
func (s InstanceState) Over() bool {
	return s == InstanceGone || s == InstanceLost || s == InstanceFailed
}

// An Instance is a machine that runs one deployment.
type Instance struct {
	ID         string        `json:"id"`
	Event      string        `json:"event"`
	Deployment string        `json:"deployment"`
	Number     int           `json:"number"` // within its deployment, from 1
	Cloud      string        `json:"cloud"`
	State      InstanceState `json:"state"`
	Machine    string        `json:"machine,omitempty"` // the cloud's own name for it
	Address    string        `json:"address,omitempty"` // where it is reached, by its cloud or by its own report
	TokenHash  []byte        `json:"token_hash,omitempty"`
	Nonce      []byte        `json:"nonce,omitempty"` // its token is made of it, and of the console's keys
	Key        []byte        `json:"key,omitempty"`   // ed25519, what it enrolled
	// Proof is the kind of proof that its user-data asks for; see wire.Console.Identity.
	Proof    string    `json:"proof,omitempty"`
	Created  time.Time `json:"created"`
	Launched time.Time `json:"launched,omitzero"`
	Enrolled time.Time `json:"enrolled,omitzero"`
	// Knocked is when somebody first reported in its name without having enrolled here:
	// itself, where the store is of a backup from before it did. Zero: nobody did.
	Knocked   time.Time `json:"knocked,omitzero"`
	LiveSince time.Time `json:"live_since,omitzero"`
	Ended     time.Time `json:"ended,omitzero"` // when it was told to end
	Gone      time.Time `json:"gone,omitzero"`
	// Wanted is what its console wants of it; generation 0: nothing but its plan.
	Wanted wire.Wanted `json:"wanted"`
	Pinned Pins        `json:"pinned,omitzero"` // what is wanted of it by hand
	// Commands are those that were not answered yet, and the newest that were.
	Commands []Order `json:"commands,omitempty"`
	// Report is the last that had news; its numbers are of then. Nil: it has not reported.
	Report *wire.Report `json:"report,omitempty"`
	Heard  time.Time    `json:"heard,omitzero"` // when Report came in
	Tries  int          `json:"tries,omitempty"`
	// Attempt is how often its cloud had no place for it where it was asked for one, and
	// Refusals how often it said that no other place would do.
	Attempt  int `json:"attempt,omitempty"`
	Refusals int `json:"refusals,omitempty"`
	// Plain says that its cloud refused it from the deployment's image, so that it starts
	// from the cloud's own choice.
	Plain bool `json:"plain,omitempty"`
	// Failure is why the last try to launch or end it did not work: a sentence.
	Failure string `json:"failure,omitempty"`
	// Archive is its final backup, once that was read back and verified.
	Archive *Archive `json:"archive,omitempty"`
	// Discarded is who gave its state up, an actor's id. Empty: nobody did.
	Discarded string `json:"discarded,omitempty"`
	// Stopped is when its machine was first seen turned off; zero: it runs.
	Stopped time.Time `json:"stopped,omitzero"`
	// Replaces is the id of the one that it was launched in the place of.
	Replaces string `json:"replaces,omitempty"`
	// Inherits says that its volume holds the state of one before it.
	Inherits bool `json:"inherits,omitempty"`
	// ReplacedBy is the id of the one that was launched in its place.
	ReplacedBy string `json:"replaced_by,omitempty"`
	// Attached is when its volume was first known to be attached; zero: it is not, or it has none.
	Attached time.Time `json:"attached,omitzero"`
	// Snapshot is why the disks of its machine are kept before that goes, and Snapped when
	// they were. Empty: they are not.
	Snapshot string    `json:"snapshot,omitempty"`
	Snapped  time.Time `json:"snapped,omitzero"`
	Due      time.Time `json:"due,omitzero"`
}

func (i Instance) record() Record {
	return Record{Kind: KindInstance, ID: i.ID, Parent: i.Deployment, Topic: i.Event, State: string(i.State), Sort: i.ID, Due: i.Due}
}

// shown is what is handed out of an instance.
func (i Instance) shown() Instance {
	i.TokenHash, i.Nonce, i.Key = nil, nil, nil
	return i
}

// instancesOf are those of an event, by their deployments.
func instancesOf(tx Tx, event string) (all []Instance, err error) {
	deployments, err := list[Deployment](tx, Query{Parent: event})
	for k := 0; k < len(deployments) && err == nil; k++ {
		var some []Instance
		some, err = instancesIn(tx, deployments[k])
		all = append(all, some...)
	}
	return all, err
}

// instancesIn are those of a deployment, by their numbers.
func instancesIn(tx Tx, d Deployment) ([]Instance, error) {
	all, err := list[Instance](tx, Query{Parent: d.ID})
	slices.SortFunc(all, func(x, y Instance) int { return x.Number - y.Number })
	return all, err
}

// An Order is a command and what became of it.
type Order struct {
	wire.Command
	By     string       `json:"by"` // an actor's id
	At     time.Time    `json:"at"`
	Result *wire.Result `json:"result,omitempty"` // nil: none came yet
}
