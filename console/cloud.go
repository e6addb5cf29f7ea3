package console

import (
	"context"
	"time"

	"popup/internal/wire"
)

// A Cloud is where instances come from. Its methods may be called from several
// goroutines, and again after any error: asked the same twice it does it once.
type Cloud interface {
	// Check says why such a machine cannot be had, as a sentence for whoever launches
	// it that says what to try. Nil: nothing speaks against it. Nothing is started.
	Check(ctx context.Context, l Launch) error
	// Launch starts a machine with l's user-data, and returns it as soon as it is known
	// by its id. Where a machine was launched for l.Instance before, that one is returned.
	Launch(ctx context.Context, l Launch) (Machine, error)
	// Machines are all that were launched for this console and are not gone, those
	// whose Launch was never answered among them.
	Machines(ctx context.Context) ([]Machine, error)
	// Terminate ends the machine of an instance and removes what was made for it. It
	// returns nil once that is proven gone; where there is none, that is so.
	Terminate(ctx context.Context, instance string) error
}

// A Launch asks for one machine.
type Launch struct {
	Instance   string // its id, which is never used again
	Event      string // names for whoever looks at the cloud's own list
	EventID    string // of the event: what is made for it is marked with it
	Deployment string
	App        string
	Console    string // the URL at which the machine must reach this console
	Number     int    // of the instance within its deployment, from 1: it spreads them over zones
	// Attempt is how often this instance was refused by a *RefusedError: another place
	// is tried, and what was asked for before is known not to be there.
	Attempt int
	// Catalogued says that the app is one of the catalogue, which somebody here chose.
	// Any other is a stranger's.
	Catalogued bool
	UserData   []byte // without the token when it is only checked
	// What the app needs at least; 0 and nil: anything does.
	CPUs          float64
	Memory, Disk  int64 // bytes
	Architectures []string
	Image         string // an Image of a Baker's; empty: the cloud's own choice
	Volume        string // the id of the volume its state is on: it starts where that can be attached
	VolumeSize    int64  // bytes of a volume that is yet to be made for it; 0: there is to be none
	// Bake says that it becomes an image: turned off, it is kept.
	Bake bool
	// Tags are shown beside it in the cloud's own list: the version of popup, the commits
	// of service and data.
	Tags map[string]string
}

// A RefusedError says that a Launch made nothing, for certain, and why: a sentence that
// says what to try. Any other error of Launch leaves open what came of it.
type RefusedError struct {
	Reason string
	// Elsewhere says that another place may have what this one has not.
	Elsewhere bool
}

func (e *RefusedError) Error() string { return e.Reason }

// A MachineState is how a machine is, as its cloud sees it.
type MachineState string

// The states of a machine. One that is gone is not listed.
const (
	MachinePending MachineState = "pending" // it is being made, or it starts
	MachineRunning MachineState = "running"
	MachineStopped MachineState = "stopped" // it is there and does not run: turned off, ended, or broken
)

// A Machine is what a cloud knows of an instance.
type Machine struct {
	Instance string
	ID       string // the cloud's own name for it
	State    MachineState
	Address  string // where it is reached, as a URL; empty: the cloud does not know (yet)
	Launched time.Time
	Detail   string // a sentence on why it is as it is; may be empty
}

// What follows is what some clouds can do besides. A console asks whether one does by
// a type assertion; each is as safe to ask again as a Cloud is.

// An Identifier is a Cloud that vouches for its machines.
type Identifier interface {
	// Identify returns the id of the machine that a proof is of. The error is a sentence
	// for whoever reads the audit log.
	Identify(ctx context.Context, proof wire.Identity) (machine string, err error)
}

// A Holder is a Cloud that makes more for an event than its machines.
type Holder interface {
	// Held is all there is of an event, machines as well, as the cloud describes it now.
	Held(ctx context.Context, eventID string) ([]Thing, error)
	// Remove removes a thing that is no machine, and returns nil once that is proven gone.
	Remove(ctx context.Context, t Thing) error
}

// A ThingKind is what a Thing is.
type ThingKind string

// The kinds of things.
const (
	ThingMachine  ThingKind = "machine"
	ThingVolume   ThingKind = "volume"
	ThingSnapshot ThingKind = "snapshot"
	ThingAddress  ThingKind = "address"
	ThingGroup    ThingKind = "security group"
)

// A Thing is something a cloud made for an event, and may want money for.
type Thing struct {
	Kind       ThingKind `json:"kind"`
	ID         string    `json:"id"`              // the cloud's own name for it
	Place      string    `json:"place,omitempty"` // where it is: a region, a zone
	Deployment string    `json:"deployment,omitempty"`
	Instance   string    `json:"instance,omitempty"`
	Detail     string    `json:"detail,omitempty"` // a sentence; may be empty
}

// A Protector is a Cloud that can keep a machine from being ended by mistake, by
// somebody who has the cloud's own console open. Terminate lifts that by itself.
type Protector interface {
	Protect(ctx context.Context, instance string) error
}

// A VolumeKeeper is a Cloud that keeps a deployment's state on a disk of its own, which
// outlives the machine. A Holder removes it.
type VolumeKeeper interface {
	// MakeVolume makes the volume of a deployment, or returns the one that was made for it.
	MakeVolume(ctx context.Context, ask VolumeAsk) (Volume, error)
	// Attach gives a volume to the running machine of an instance. A machine that had it is
	// proven turned off or gone before; while it is not, that is the error.
	Attach(ctx context.Context, volume, instance string) error
	// Snapshot keeps what is on the disks of an instance's machine, so that the cause of
	// its sickness can be found, and returns what was made.
	Snapshot(ctx context.Context, instance, why string) ([]Thing, error)
}

// A VolumeAsk asks for a volume.
type VolumeAsk struct {
	Launch          // of the instance that it is for first, with its VolumeSize
	Snapshot string // what it begins with; empty: nothing, it reads blank
}

// A Volume is a disk for state.
type Volume struct {
	ID    string `json:"id"`
	Place string `json:"place,omitempty"` // where a machine must start to have it
}

// A Baker is a Cloud whose machines can become images.
type Baker interface {
	// Bake makes an image of the machine of an instance, which is turned off, and returns
	// it once it can be launched.
	Bake(ctx context.Context, instance string, tags map[string]string) (Image, error)
	// Images are all that were baked for this console.
	Images(ctx context.Context) ([]Image, error)
	// Forget removes an image and what it is kept in; nil once that is proven gone.
	Forget(ctx context.Context, image string) error
}

// An Image is what a machine can be launched from.
type Image struct {
	ID    string
	Tags  map[string]string
	Baked time.Time
	Ready bool // it is complete, and can be launched
}

// A Pricer is a Cloud that costs money.
type Pricer interface {
	// Price is what a machine like that costs. The error is a sentence on why that is not
	// known, and what to try.
	Price(ctx context.Context, l Launch) (Price, error)
}

// A Price is what one machine costs while it is there. Amounts are in millionths of the
// currency, so that sums are exact.
type Price struct {
	Currency string      `json:"currency,omitempty"` // USD
	AsOf     time.Time   `json:"as_of,omitzero"`     // of the table it is from
	Lines    []PriceLine `json:"lines,omitempty"`
}

// A PriceLine is one part of a price.
type PriceLine struct {
	What string `json:"what"` // t4g.small in eu-central-1
	Hour int64  `json:"hour"` // millionths an hour
	// Stays says that it is one a deployment, and is there from its first machine until all
	// of its event is removed: a volume for its state.
	Stays bool `json:"stays,omitempty"`
}

// ByHand is a Cloud that asks a person to do what other clouds do.
type ByHand interface {
	// Paste is the user-data that a machine is to be started with.
	Paste(ctx context.Context, instance string) ([]byte, error)
	// Confirm says that the machine is turned off: by a person, or by its own last report.
	Confirm(ctx context.Context, instance string) error
}
