package ec2fake

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// A Fault makes calls fail, or lets them wait.
type Fault struct {
	Action string // empty: any
	Region string // empty: any
	// Where picks calls by their parameters; nil: all. It is called by one goroutine at a time.
	Where func(url.Values) bool
	Skip  int // so many calls go well before
	Times int // so many calls fail; 0: one; below 0: all from then on

	// Code and Message are the answer; empty: the call's own. Status is its HTTP status; 0: 400.
	Code, Message string
	Status        int
	Cut           bool          // the connection ends without an answer
	Done          bool          // what was asked is done all the same
	Delay         time.Duration // before it is done
}

// Inject adds a fault. The first that fits a call is used.
func (f *Fake) Inject(fault Fault) {
	if fault.Times == 0 {
		fault.Times = 1
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = append(f.faults, &fault)
}

// Heal removes all faults.
func (f *Fake) Heal() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = nil
}

// Fail answers the next n calls of an action with an error, and does nothing. Below 0: all calls.
func (f *Fake) Fail(action string, n int, code, message string, status int) {
	f.Inject(Fault{Action: action, Times: n, Code: code, Message: message, Status: status})
}

// Lose does what the next n calls of an action ask for, and ends the connection instead of answering.
func (f *Fake) Lose(action string, n int) {
	f.Inject(Fault{Action: action, Times: n, Cut: true, Done: true})
}

// Throttle has the next n calls of an action asked to come later.
func (f *Fake) Throttle(action string, n int) {
	f.Fail(action, n, "RequestLimitExceeded", "Request limit exceeded.", http.StatusServiceUnavailable)
}

// Deny takes away the right to an action, and Heal gives it back.
func (f *Fake) Deny(action string) {
	refused := unauthorized(action)
	f.Fail(action, -1, refused.Code, refused.Message, refused.Status)
}

// hit is the fault that a call meets; nil: none. f.mu is held.
func (f *Fake) hit(call Call) *Fault {
	for _, fault := range f.faults {
		if fault.Times == 0 || fault.Action != "" && fault.Action != call.Action || fault.Region != "" && fault.Region != call.Region ||
			fault.Where != nil && !fault.Where(call.Params) {
			continue
		}
		if fault.Skip > 0 {
			fault.Skip--
			continue
		}
		if fault.Times > 0 {
			fault.Times--
		}
		met := *fault
		return &met
	}
	return nil
}

// wait lasts as long as the fault says; false: whoever asked is gone.
func (fault *Fault) wait(ctx context.Context) bool {
	timer := time.NewTimer(fault.Delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (fault *Fault) refusal(action string) error {
	if fault.Code == "" {
		return refuse("Cut", "the connection ended before %s was done", action)
	}
	refused := refuse(fault.Code, "%s", fault.Message)
	if fault.Status != 0 {
		refused.Status = fault.Status
	}
	return refused
}
