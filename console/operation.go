package console

import "time"

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
	Verb  string         `json:"verb"` // launch, end, purge
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
		Sort: o.Created.UTC().Format(time.RFC3339Nano)}
}
