package launcher

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

const (
	defaultDrain = 20 * time.Second
	// quietTime is how long nobody may ask anything before a stop no longer waits
	// for connections: browsers open some ahead and send nothing on them.
	quietTime = time.Second
	// stopTimeout is how long programs may take to be gone once they were killed.
	stopTimeout = 10 * time.Second
	// powerOffTimeout bounds the order to turn the machine off.
	powerOffTimeout = 20 * time.Second
)

// heedHurry ends rush when somebody asks for that, and returns when it has ended.
func (a *Appliance) heedHurry() {
	select {
	case <-a.opts.Hurry:
		a.log.Warn("ending at once")
		a.hurry()
	case <-a.rush.Done():
	}
}

// leave stops serving: what is asked right now is answered, within Drain, and
// the app is ended. Requests that take longer are cut off, which is no error.
func (a *Appliance) leave(server *http.Server) error {
	most := cmp.Or(a.opts.Drain, defaultDrain)
	drain, cancel := context.WithTimeout(a.rush, most)
	defer cancel()
	// First the control socket: a sync under way may still start an app.
	err := patiently(drain, a.control.close)
	asked, enough := context.WithCancel(drain)
	watched := make(chan struct{})
	go func() { defer close(watched); a.watchDrain(asked, enough, most) }()
	err = errors.Join(err, patiently(asked, server.Shutdown), patiently(asked, a.https.shutdown))
	enough()
	<-watched
	if n := a.front.Stats().InFlight; n > 0 {
		a.log.Warn(fmt.Sprintf("%s cut off", openRequests(n)))
	}
	// Before the app is ended: who reads slowly holds its handler until then.
	err = errors.Join(err, server.Close(), a.https.cut())
	if a.front.Close(drain) == nil {
		return err
	}
	a.log.Warn("the app has not ended though it was asked to, and is killed")
	a.hurry()
	last, stop := context.WithTimeout(context.WithoutCancel(drain), stopTimeout)
	defer stop()
	return errors.Join(err, a.front.Close(last))
}

// patiently calls wait, and does not call it an error that ctx ended first.
func patiently(ctx context.Context, wait func(context.Context) error) error {
	err := wait(ctx)
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil
	}
	return err
}

// watchDrain says once what a stop waits for, and calls enough when all that is
// left is connections on which nothing is asked.
func (a *Appliance) watchDrain(ctx context.Context, enough func(), most time.Duration) {
	tick := time.NewTicker(quietTime / 4)
	defer tick.Stop()
	busy, said := time.Now(), false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		n := a.front.Stats().InFlight
		if n == 0 && time.Since(busy) >= quietTime {
			enough()
		}
		if n > 0 {
			busy = time.Now()
		}
		if n > 0 && !said {
			said = true
			a.log.Info(fmt.Sprintf("waiting for %s, at most %s; Ctrl-C again ends at once", openRequests(n), most))
		}
	}
}

func openRequests(n int64) string {
	if n == 1 {
		return "1 open request"
	}
	return fmt.Sprintf("%d open requests", n)
}

// powerOff turns the machine off where its end has come and the plan says so.
func (a *Appliance) powerOff() error {
	if !a.over() || a.opts.PowerOff == nil {
		return nil
	}
	// Time of its own: a reader who held on to the last page must not keep the machine on.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(a.ctx), powerOffTimeout)
	defer cancel()
	a.leaveState()
	a.console.lastWord(ctx)
	return a.opts.PowerOff(ctx)
}
