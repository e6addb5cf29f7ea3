package console

import (
	"context"
	"errors"
	"io"
	"time"
)

// A Store keeps what the console knows. It is written in transactions, one after the
// other; what was acknowledged survives the loss of power. Its methods may be called
// from several goroutines, but not by a function that it runs: that is refused.
type Store interface {
	// Update runs fn in a transaction that sees a consistent state, and commits it when fn
	// returns nil. fn may run more than once, and a commit that answered with an error may
	// have happened all the same: fn has no effect outside the transaction, and what must
	// happen once carries an id that fn looks for.
	Update(ctx context.Context, fn func(Tx) error) error
	// View runs fn on a consistent state; writing in it fails with ErrReadOnly. fn may run more
	// than once here as well: it adds to nothing that it did not begin.
	View(ctx context.Context, fn func(Tx) error) error
	// Changed is closed at the next commit that this process hears of, and then another
	// channel is handed out: whoever waits looks at Changes after it.
	Changed() <-chan struct{}
	// Backup writes a copy of a consistent state, while others read and write.
	Backup(ctx context.Context, to io.Writer) error
	// Close waits for what runs; what comes later is refused. Closing twice is fine.
	Close() error
}

// A Tx is what a transaction may do. It is used by one goroutine, and not after its
// function returned.
type Tx interface {
	Records
	History
}

// Records are the objects.
type Records interface {
	// Get finds a record by its id. Its error is ErrNotFound where there is none.
	Get(kind Kind, id string) (Record, error)
	// Find finds a record by its name. Its error is ErrNotFound where there is none.
	Find(kind Kind, name string) (Record, error)
	// List returns records in order, at most q.Limit.
	List(q Query) ([]Record, error)
	// Put writes a record, new or not, and notes the change. One that is as it was is not
	// written, and is no change. Its error is ErrTaken where another of its kind has its name.
	Put(r Record) error
	// Delete removes a record, and notes the change. One that is not there is fine.
	Delete(kind Kind, id string) error
}

// History is what is only ever added to.
type History interface {
	// Audit adds an entry to the audit log. Seq, Prev and Hash are the store's to set, and
	// At where it is zero.
	Audit(e AuditEntry) error
	// AuditLog returns at most limit entries that come before the given one, newest first;
	// before 0: from the newest on. As everywhere, limit is at most 1000; 0: 1000.
	AuditLog(before int64, limit int) ([]AuditEntry, error)
	// Changes returns at most limit changes after the given one, oldest first. Its error is
	// ErrForgotten where some of these are no longer kept, or the given one never was: so
	// whoever followed a store that was restored since begins anew.
	Changes(after int64, limit int) ([]Change, error)
	// Newest is the newest change, whether it is still kept or not; 0: there was none.
	Newest() (int64, error)
	// Forget removes changes that are older, and returns how many.
	Forget(before time.Time) (int64, error)
}

// What a caller may look for.
var (
	ErrNotFound  = errors.New("there is no such thing")
	ErrTaken     = errors.New("that name is taken")
	ErrForgotten = errors.New("that is too long ago; begin anew")
	ErrReadOnly  = errors.New("this transaction only reads")
)

// What a store that several consoles keep fails with, where one of them was lost.
var (
	// ErrUnavailable: it could not be asked, for as long as it is patient. Nothing was written.
	ErrUnavailable = errors.New("the store cannot be reached")
	// ErrUncertain: a commit got no answer. It may have happened.
	ErrUncertain = errors.New("it is not known whether this was written")
)

// A Kind is what a record is of.
type Kind string

// A Record is an object as the store keeps it. What is looked for by stands beside
// its document, which only the console reads.
type Record struct {
	Kind   Kind
	ID     string    // unique within its kind
	Name   string    // unique within its kind as well; empty: it has none
	Parent string    // the id of what it belongs to; empty: nothing
	Topic  string    // the event whose followers are told of its changes; empty: nobody is
	State  string    // of its own words
	Sort   string    // lists are in this order, and then by ID
	Due    time.Time // when it must be looked at next, to the millisecond; zero: never
	Doc    []byte    // JSON
	Change int64     // the change that wrote it last; the store sets it
	// Quiet has Put write one that is there without a change, so that nobody is told: for what
	// is written every second. It is not kept.
	Quiet bool
}

// A Query says which records are listed. Zero fields do not narrow it.
type Query struct {
	Kind   Kind // required
	Parent string
	State  string
	Except string    // a state that is left out
	Due    time.Time // due at this time or before; then in the order of Due
	After  *Record   // continue after this one: its Sort (or Due) and ID count
	Limit  int       // at most 1000; 0: 1000
}

// A Change says that a record was written or removed.
type Change struct {
	Seq     int64 // counts up, with gaps
	At      time.Time
	Kind    Kind
	ID      string
	Topic   string
	Removed bool
}

// An AuditEntry says who did what. Each holds the hash of the one before it, so that
// one that was changed or left out shows.
type AuditEntry struct {
	Seq    int64
	At     time.Time
	Actor  string // who, as an id
	Action string // a verb
	Object string // kind and id
	Detail string // a sentence, without secrets
	Prev   []byte // Hash of the entry before; empty for the first
	Hash   []byte // SHA-256 over all the fields before
}
