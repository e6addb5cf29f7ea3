package wire

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"time"
)

// A Report says how an instance is. Texts in it may be cut short.
type Report struct {
	Version int `json:"version"`
	// Seq is higher than in any report before, also across restarts: a lower one is
	// late, or somebody's copy.
	Seq        uint64    `json:"seq"`
	Time       time.Time `json:"time"`  // by the instance's clock, right or wrong
	Since      time.Time `json:"since"` // when its popup was started
	Popup      string    `json:"popup"` // its version
	App        string    `json:"app"`
	URL        string    `json:"url"` // where it thinks it is reached
	Generation int64     `json:"generation,omitempty"`
	// Unmet is why what is wanted in that generation does not hold; empty: it does.
	Unmet    string   `json:"unmet,omitempty"`
	Live     bool     `json:"live"`          // a checked app is being served
	Healthy  bool     `json:"healthy"`       // it passed its last check, and its data is fresh
	Why      string   `json:"why,omitempty"` // why it is not
	ReadOnly bool     `json:"read_only,omitempty"`
	Phases   []Phase  `json:"phases,omitempty"`
	Serving  *Serving `json:"serving,omitempty"` // nil until the first flip
	Service  *Stream  `json:"service,omitempty"`
	Data     *Stream  `json:"data,omitempty"`
	End      *Ending  `json:"end,omitempty"`
	Baked    *Baked   `json:"baked,omitempty"` // of a plan to bake: what came of it, once it is told
	Numbers  Numbers  `json:"numbers"`
	Results  []Result `json:"results,omitempty"` // told until a report with them was answered
	Notes    []string `json:"notes,omitempty"`   // what works less well than it should
}

// A Phase is one step of a boot.
type Phase struct {
	Name    string    `json:"name"`
	State   string    `json:"state"`
	Cause   string    `json:"cause,omitempty"`  // for anybody
	Detail  string    `json:"detail,omitempty"` // for who may see the instance: output of commands, addresses
	Attempt int       `json:"attempt,omitempty"`
	Since   time.Time `json:"since,omitzero"`
	NextTry time.Time `json:"next_try,omitzero"`
}

// Serving names what is served.
type Serving struct {
	Release  string    `json:"release"`
	Revision string    `json:"revision,omitempty"`
	Since    time.Time `json:"since,omitzero"`
}

// A Stream is how the releases or the revisions are doing.
type Stream struct {
	Source      string    `json:"source,omitempty"`
	Wanted      string    `json:"wanted,omitempty"` // the newest that was seen, or the one that is held
	Held        string    `json:"held,omitempty"`
	ErrorClass  string    `json:"error_class,omitempty"` // of the last try; empty: it went well
	ErrorKind   string    `json:"error_kind,omitempty"`
	Error       string    `json:"error,omitempty"`
	Refused     int       `json:"refused,omitempty"` // how many are remembered as refused
	Via         string    `json:"via,omitempty"`     // "relay" or "origin", where there is a relay
	LastTry     time.Time `json:"last_try,omitzero"`
	LastSuccess time.Time `json:"last_success,omitzero"`
	Confirmed   time.Time `json:"confirmed,omitzero"` // when what is served was last known to be what is wanted
	StaleAt     time.Time `json:"stale_at,omitzero"`
	NextTry     time.Time `json:"next_try,omitzero"`
}

// Ending says how far an instance is on its way out.
type Ending struct {
	At      time.Time `json:"at,omitzero"`
	Step    string    `json:"step"` // running, warned, frozen, grace, over
	Reason  string    `json:"reason,omitempty"`
	Detail  string    `json:"detail,omitempty"`
	Archive string    `json:"archive,omitempty"` // the name of the final backup
}

// Baked says what came of a bake. A machine without a Failure has nothing of its own left
// on it, and is turned off.
type Baked struct {
	Release  string `json:"release,omitempty"`
	Revision string `json:"revision,omitempty"`
	Failure  string `json:"failure,omitempty"` // why nothing may be made of it: a sentence
}

// Numbers count from the report's Since on, so that a lost report loses none.
type Numbers struct {
	Requests    int64 `json:"requests"`
	Errors      int64 `json:"errors"` // answers of 500 and above
	Restarts    int   `json:"restarts"`
	DiskFree    int64 `json:"disk_free,omitempty"` // bytes of where popup keeps its trees
	DiskSize    int64 `json:"disk_size,omitempty"`
	MemoryFree  int64 `json:"memory_free,omitempty"` // bytes of the machine that a program could still have
	MemorySize  int64 `json:"memory_size,omitempty"`
	MemoryPopup int64 `json:"memory_popup,omitempty"` // resident bytes of popup itself
}

// An Answer to a report says what is wanted of the instance.
type Answer struct {
	Wanted   *Wanted   `json:"wanted,omitempty"` // nil: as before
	Commands []Command `json:"commands,omitempty"`
	Next     int       `json:"next,omitempty"` // seconds to the next report without news; 0: as the enrolment said
}

// Wanted is how the instance is to be. It is applied again and again to the same effect.
type Wanted struct {
	// Generation rises with every change; a lower one than was seen is late, and passed over.
	Generation int64 `json:"generation"`
	// ServiceRef is the branch or tag to follow, where that is not the plan's.
	ServiceRef    string `json:"service_ref,omitempty"`
	ServiceCommit string `json:"service_commit,omitempty"` // the release to stay at; empty: follow
	DataRevision  string `json:"data_revision,omitempty"`  // the revision to stay at; empty: follow
	ReadOnly      bool   `json:"read_only,omitempty"`      // writes are refused
	// End is when it is over, later or sooner than the plan says. Nil: no word about it.
	// Warn and Freeze of 0 are the plan's; PowerOff always is.
	End   *End `json:"end,omitempty"`
	Ended bool `json:"ended,omitempty"` // it is over now, whatever the clock says; that is never taken back
}

// What a command may ask for. Another verb is answered that it is not known.
const (
	VerbSync     = "sync"     // look for what is new, now
	VerbRetry    = "retry"    // the same, and what was refused is tried again
	VerbRollback = "rollback" // Args: what (service or data), to (empty: the one before)
	VerbRelease  = "release"  // Args: what; what is held may go forward again
	VerbRestart  = "restart"  // start the app again
	VerbLogs     = "logs"     // send the log to PathLogs
	VerbDrain    = "drain"    // refuse writes until popup is started again, and wait for those under way
	VerbEnd      = "end"      // end now
)

// A Command is done once for its ID.
type Command struct {
	ID   string            `json:"id"`
	Verb string            `json:"verb"`
	Args map[string]string `json:"args,omitempty"`
}

// A Result is what became of a command.
type Result struct {
	ID   string    `json:"id"`
	Verb string    `json:"verb"`
	OK   bool      `json:"ok"`
	Text string    `json:"text,omitempty"` // a sentence
	At   time.Time `json:"at"`             // when it was done
}

// mostCommands is how many commands of one answer are taken.
const mostCommands = 20

var commandForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`)

// CheckCommand says what is wrong with a command's id, which is part of a path.
func CheckCommand(id string) error {
	if !commandForm.MatchString(id) {
		return errors.New("a command's id has 1 to 64 letters, digits, - and _, and begins with a letter or a digit")
	}
	return nil
}

// ParseAnswer reads what a console answered, at most MaxAnswer bytes. A command
// without a proper id is left out: what came of it could not be told.
func ParseAnswer(body []byte) (Answer, error) {
	var a Answer
	if len(body) > MaxAnswer {
		return a, fmt.Errorf("read the answer: it has more than %d bytes", MaxAnswer)
	}
	if err := json.Unmarshal(body, &a); err != nil {
		return Answer{}, fmt.Errorf("read the answer: it is not the JSON of a console: %w", err)
	}
	given := a.Commands
	a.Commands = nil
	for _, c := range given {
		if CheckCommand(c.ID) == nil && len(a.Commands) < mostCommands {
			a.Commands = append(a.Commands, c)
		}
	}
	if a.Next != 0 {
		a.Next = int(Period(a.Next) / time.Second)
	}
	return a, nil
}

// A Problem is how a console says no (RFC 9457).
type Problem struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
}
