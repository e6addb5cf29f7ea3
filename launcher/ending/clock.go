package ending

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// A Clock says what time it is, and whether somebody else says the same. Its
// methods may be called from several goroutines at once.
type Clock interface {
	// Now is the machine's own clock, right or wrong.
	Now() time.Time
	// Confirm compares the machine's clock with others. An error means that it
	// could not be compared, and says why in a sentence for people.
	Confirm(ctx context.Context) (Confirmation, error)
}

// A Confirmation is the outcome of a comparison.
type Confirmation struct {
	OK     bool          // the clock is right within a minute
	By     string        // who was asked: "time synchronisation", "the clocks of a.org and b.org"
	Offset time.Duration // how far this clock is ahead; negative: behind; zero when not known
}

// tolerance is how far a right clock may be from another.
const tolerance = time.Minute

// SystemClock is the machine's clock. It is confirmed when the kernel says it is
// kept by NTP, or else when the console, or two Origins on different hosts, answer
// with a Date within a minute of it.
type SystemClock struct {
	// Console says how far this clock is ahead of the console's. Its word is enough
	// alone: it is the console that says when it is over. It should give up within half
	// a minute. Nil: there is no console.
	Console func(ctx context.Context) (ahead time.Duration, err error)

	// Origins are addresses of the service and the data. Of each http or https
	// address only the host is asked, with a HEAD of its root; others are passed over.
	Origins []string
	// HTTPClient asks the origins; nil means http.DefaultClient. Redirects are not
	// followed and an answer is waited for five seconds, whatever it says.
	HTTPClient *http.Client

	synchronised func() (bool, error) // nil: the kernel's word; a test's elsewhere
}

// Now is time.Now.
func (c SystemClock) Now() time.Time { return time.Now() }

// Confirm asks the kernel, then the console, and then the origins, which take six
// seconds at most.
func (c SystemClock) Confirm(ctx context.Context) (Confirmation, error) {
	synchronised := c.synchronised
	if synchronised == nil {
		synchronised = kernelSynchronised
	}
	inSync, syncErr := synchronised()
	if inSync {
		return Confirmation{OK: true, By: "time synchronisation"}, nil
	}
	var told Confirmation // by a console, whatever it says of the clock
	var consoleErr error
	if c.Console != nil {
		told, consoleErr = c.confirmByConsole(ctx)
	}
	if told.OK {
		return told, nil
	}
	confirmation, err := c.confirmByDates(ctx)
	switch {
	case err == nil:
		return confirmation, nil
	case told.By != "":
		return told, nil
	case consoleErr != nil:
		err = fmt.Errorf("%w; %w", err, consoleErr)
	}
	if syncErr != nil {
		err = fmt.Errorf("%w; and the kernel does not say whether its clock is synchronised (%w)", err, syncErr)
	}
	return Confirmation{}, err
}

func (c SystemClock) confirmByConsole(ctx context.Context) (Confirmation, error) {
	ahead, err := c.Console(ctx)
	if err != nil {
		return Confirmation{}, fmt.Errorf("ask the console for its date: %w", err)
	}
	return Confirmation{OK: ahead.Abs() <= tolerance, By: "the clock of the console", Offset: ahead}, nil
}
