package console

import (
	"fmt"
	"slices"
	"time"
)

// KindOperation is of operations.
const KindOperation Kind = "operation"

// An OperationState is how far an operation is.
type OperationState string

// The states of an operation.
const (
	OperationRunning OperationState = "running"
	OperationDone    OperationState = "done"
	OperationFailed  OperationState = "failed"
)

// An Operation is something that takes its time: a launch, an end.
type Operation struct {
	ID    string         `json:"id"`
	Verb  string         `json:"verb"` // verbLaunch or verbEnd
	Event string         `json:"event"`
	By    string         `json:"by"` // an actor's id
	State OperationState `json:"state"`
	// Instances are those it is about; their own states tell how far each is.
	Instances []string  `json:"instances,omitempty"`
	Created   time.Time `json:"created"`
	Finished  time.Time `json:"finished,omitzero"`
	Failure   string    `json:"failure,omitempty"` // a sentence
	// Key is a hash of who asked and its Idempotency-Key, and Request of what was asked.
	Key     string `json:"key,omitempty"`
	Request []byte `json:"request,omitempty"`
}

func (o Operation) record() Record {
	return Record{Kind: KindOperation, ID: o.ID, Name: o.Key, Parent: o.Event, Topic: o.Event, State: string(o.State),
		Sort: o.Created.UTC().Format(sortableTime)}
}

// settle says whether an operation that runs is done by now, of all instances of its event.
func (o *Operation) settle(all []Instance, now time.Time) bool {
	failure, done := "", 0
	for _, i := range all {
		if !slices.Contains(o.Instances, i.ID) {
			continue
		}
		over := i.State.Over()
		switch {
		case o.Verb == verbLaunch && i.State == InstanceLive, over && o.Verb != verbLaunch && i.State != InstanceLost:
		case over || o.Verb == verbLaunch && i.State == InstanceEnding:
			failure = i.became()
		default:
			continue
		}
		done++
	}
	if done < len(o.Instances) {
		return false
	}
	o.State, o.Finished, o.Failure = OperationDone, now, failure
	if failure != "" {
		o.State = OperationFailed
	}
	return true
}

// became says in a sentence how an instance came to its end.
func (i Instance) became() string {
	switch {
	case i.Failure != "":
		return fmt.Sprintf("%s: %s", i.ID, i.Failure)
	case i.State == InstanceLost:
		return i.ID + " went away without having been told to."
	case i.State == InstanceFailed:
		return i.ID + " could not be launched."
	}
	return i.ID + " was ended before it was live."
}
