package launcher

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"popup/internal/wire"
	"popup/launcher/ending"
	"popup/launcher/front"
)

// writesTimeout is how long a freeze waits for writes under way before the final backup.
const writesTimeout = time.Minute

// watchEnd asks again and again how far the end has come and does what that asks
// for. It returns when the instance is over, or baked, or when ctx ends.
func (a *Appliance) watchEnd(ctx context.Context) error {
	if a.opts.Plan.Bake {
		return a.bake(ctx)
	}
	if a.opts.Plan.End == nil && a.console == nil {
		<-ctx.Done()
		return nil
	}
	e, err := a.openEnding()
	if err != nil {
		return err
	}
	if a.memory.get().Archived != "" {
		a.refuseWrites(func() { a.frozen = true }, firstRetry) // until it is known whether that was the end
	}
	for {
		d := a.decide(ctx, e)
		if ctx.Err() != nil {
			return nil
		}
		a.applyStep(e, d)
		if d.Step == ending.Over {
			return a.finish(ctx)
		}
		again := time.NewTimer(d.Next)
		select {
		case <-again.C:
		case <-ctx.Done():
		case <-a.console.movedEnd():
			if err := e.SetEnd(a.plannedEnd()); err != nil {
				a.log.Error("move the end", "err", err)
			}
		}
		again.Stop()
	}
}

// decide says how far the end has come. What the console ended is over, whatever
// the clock says.
func (a *Appliance) decide(ctx context.Context, e *ending.Ending) ending.Decision {
	if !a.console.endOrdered() {
		return e.Decide(ctx)
	}
	return ending.Decision{Step: ending.Over, At: time.Now().UTC(), Reason: "It was ended from the console."}
}

func (a *Appliance) openEnding() (*ending.Ending, error) {
	var snapshot *ending.Snapshot
	if kept := a.memory.get().Ending; len(kept) > 0 {
		snapshot = &ending.Snapshot{}
		if err := json.Unmarshal(kept, snapshot); err != nil {
			return nil, fmt.Errorf("read what is remembered of the end: %w", err)
		}
	}
	origins := []string{a.opts.Plan.Service.URL}
	if a.opts.Plan.Data != nil {
		origins = append(origins, a.opts.Plan.Data.URL)
	}
	opts, clock := ending.Options{End: a.plannedEnd(), Snapshot: snapshot}, ending.SystemClock{Origins: origins}
	if a.console != nil {
		opts.Ask, clock.Console = a.askEnd, a.console.clockAhead
	}
	opts.Clock = clock
	return ending.New(opts)
}

// applyStep shows a decision, and writes it down where it is news.
func (a *Appliance) applyStep(e *ending.Ending, d ending.Decision) {
	frozen := d.Step >= ending.Frozen
	a.refuseWrites(func() { a.frozen = frozen }, d.Next)
	var now *EndStatus // nil: it has none
	if !d.At.IsZero() {
		now = &EndStatus{At: d.At, Step: d.Step.String(), Reason: d.Reason, Detail: d.Detail, Archive: a.memory.get().Archived}
	}
	a.mu.Lock()
	news := (a.end == nil) != (now == nil) || now != nil && (a.end.Step != now.Step || !a.end.At.Equal(now.At))
	a.end = now
	a.mu.Unlock()
	if kept, err := json.Marshal(e.Snapshot()); err != nil {
		a.log.Error("remember the end", "err", err)
	} else if err := a.memory.update(func(f *facts) { f.keep(kept, frozen) }); err != nil {
		a.log.Error("remember the end", "err", err)
	}
	if news {
		a.log.Info("end", "step", d.Step.String(), "at", d.At)
		a.record(Entry{Event: "end", Message: d.Step.String() + ": " + d.Reason})
		a.showAbout()
	}
}

// keep remembers what was decided. An archive that writes were let in after is
// not the final one any more.
func (f *facts) keep(ending json.RawMessage, frozen bool) {
	f.Ending = ending
	if !frozen {
		f.Archived = ""
	}
}

// finish takes the final backup and says goodbye. State that could not be
// archived keeps the instance alive: it is the only thing here that is precious.
func (a *Appliance) finish(ctx context.Context) error {
	unlock, err := a.lockChange(ctx)
	if err != nil {
		return nil // told to stop first; the next start goes on from here
	}
	defer unlock()
	writes, cancel := context.WithTimeout(ctx, writesTimeout)
	err = a.front.WaitWrites(writes)
	cancel()
	if err != nil && ctx.Err() == nil {
		a.record(Entry{Event: "end", Message: "writes under way were not waited for any longer"})
	}
	tries := 0
	for delay := firstRetry; a.memory.get().Archived == "" && a.opts.Plan.Manifest.State != nil; delay = min(2*delay, lastRetry) {
		tries++
		name, err := a.backup(ctx, backupOrder{Prepare: tries <= scriptTries, Final: true})
		if err == nil {
			err = a.memory.update(func(f *facts) { f.Archived = name })
		}
		if err == nil {
			break
		}
		a.log.Error("final backup", "err", err)
		a.record(Entry{Event: "backup", Message: err.Error()})
		if pause(ctx, jitter(delay)) != nil {
			return nil
		}
	}
	if r := a.serving(); r != nil {
		if err := a.script(ctx, r, "predestroy", r.manifest.Scripts.Predestroy); err != nil {
			a.record(Entry{Event: "script", Message: err.Error()})
		}
	}
	over := &front.Over{Event: a.opts.Plan.Manifest.Name, Archive: a.memory.get().Archived}
	a.mu.Lock()
	if a.end != nil {
		over.End, a.end.Archive = a.end.At, over.Archive
	}
	a.ended = true
	a.mu.Unlock()
	a.front.SetOver(over)
	a.record(Entry{Event: "over", Message: over.Archive})
	return nil
}

// over reports whether the instance has come to its end.
func (a *Appliance) over() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.ended
}

// scriptTries is how often the final backup asks the app's pre_backup script. A
// script that keeps failing must not keep the state from being archived as it is.
const scriptTries = 3

// endAt is when the plan says it is over, for a status before the first decision.
func endAt(end wire.End) *EndStatus {
	if end.At == "" {
		return nil
	}
	at, err := ending.ParseEnd(end)
	if err != nil {
		return nil // New says so
	}
	return &EndStatus{At: at, Step: ending.Running.String()}
}
