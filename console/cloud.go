package console

import (
	"context"
	"time"
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
	Deployment string
	App        string
	Console    string // the URL at which the machine must reach this console
	// Catalogued says that the app is one of the catalogue, which somebody here chose.
	// Any other is a stranger's.
	Catalogued bool
	UserData   []byte // without the token when it is only checked
}

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
