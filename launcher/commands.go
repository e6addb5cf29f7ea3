package launcher

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"popup/internal/wire"
)

// commandTimeout bounds one command: a sync may fetch and build much.
const commandTimeout = 30 * time.Minute

// accept writes down commands that are new before any of them is done: each is
// done once, or said not to have been.
func (l *link) accept(commands []wire.Command) error {
	k := l.kept.get()
	var fresh []wire.Command
	for _, c := range commands {
		again := k.knows(c.ID)
		for _, f := range fresh {
			again = again || f.ID == c.ID
		}
		if !again {
			fresh = append(fresh, c)
		}
	}
	if len(fresh) == 0 {
		return nil
	}
	err := l.kept.update(func(t *consoleFacts) {
		for _, c := range fresh {
			t.Commands = append(t.Commands, done{Result: wire.Result{ID: c.ID, Verb: c.Verb}})
		}
	})
	if err != nil {
		return err
	}
	l.mu.Lock()
	l.pending = append(l.pending, fresh...)
	l.mu.Unlock()
	wake(l.work)
	return nil
}

// reported notes that the console has these results.
func (l *link) reported(results []wire.Result) error {
	if len(results) == 0 {
		return nil
	}
	return l.kept.update(func(t *consoleFacts) {
		for _, r := range results {
			for i := range t.Commands {
				if t.Commands[i].ID == r.ID {
					t.Commands[i].Reported = true
				}
			}
		}
	})
}

// obey does what the console commands, one after the other, until ctx ends.
func (l *link) obey(ctx context.Context) {
	select {
	case <-l.app.prepared:
	case <-ctx.Done():
		return
	}
	for {
		select {
		case <-l.work:
		case <-ctx.Done():
			return
		}
		for c, ok := l.nextCommand(); ok && ctx.Err() == nil; c, ok = l.nextCommand() {
			l.do(ctx, c)
		}
		l.pin(ctx)
	}
}

func (l *link) nextCommand() (wire.Command, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.pending) == 0 {
		return wire.Command{}, false
	}
	c := l.pending[0]
	l.pending = l.pending[1:]
	return c, true
}

// do runs one command and keeps what came of it. What a stop cut short is told
// after the next start.
func (l *link) do(stop context.Context, c wire.Command) {
	ctx, cancel := context.WithTimeout(stop, commandTimeout)
	defer cancel()
	text, err := l.run(ctx, c)
	if stop.Err() != nil {
		return
	}
	result := wire.Result{ID: c.ID, Verb: c.Verb, OK: err == nil, Text: text, At: time.Now().UTC()}
	if err != nil {
		result.Text = err.Error()
	}
	l.log.Info("command", "verb", sentence(c.Verb), "id", c.ID, "ok", result.OK, "says", sentence(result.Text))
	keepErr := l.kept.update(func(t *consoleFacts) {
		for i := range t.Commands {
			if t.Commands[i].ID == c.ID {
				t.Commands[i].Result = result
			}
		}
	})
	if keepErr != nil {
		l.log.Error("command", "id", c.ID, "err", keepErr)
	}
	l.app.record(Entry{Event: "command", Message: sentence(c.Verb) + ": " + sentence(result.Text)})
}

// run does what c says, and tells in a sentence what came of it.
func (l *link) run(ctx context.Context, c wire.Command) (string, error) {
	a := l.app
	switch c.Verb {
	case wire.VerbSync, wire.VerbRetry:
		report, err := a.Sync(ctx, SyncOrder{Retry: c.Verb == wire.VerbRetry})
		return report.sentence(), err
	case wire.VerbRollback, wire.VerbRelease:
		report, err := a.Rollback(ctx, RollbackOrder{What: c.Args["what"], To: c.Args["to"], Release: c.Verb == wire.VerbRelease})
		return report.sentence(), err
	case wire.VerbRestart:
		return "the app was started again", a.startAgain(ctx)
	case wire.VerbLogs:
		return "the log was sent", l.sendLogs(ctx, c.ID)
	case wire.VerbDrain:
		return "writes are refused, and none is under way", a.drain(ctx)
	case wire.VerbEnd:
		return "it ends now", l.endNow()
	}
	return "", fmt.Errorf("%s is not known to this version of popup", strconv.Quote(clip(c.Verb, 40)))
}

// sentence says what is served after a sync.
func (r SyncReport) sentence() string {
	text := "it serves release " + r.Served.Release.Short()
	if r.Served.Revision != "" {
		text += " with data " + r.Served.Revision.Short()
	}
	if !r.Changed {
		return text + ", as before"
	}
	return text + " now"
}

// startAgain starts what is served beside itself, and flips to that when it is healthy.
func (a *Appliance) startAgain(ctx context.Context) error {
	if err := a.mayChange(); err != nil {
		return err
	}
	unlock, err := a.lockChange(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	r := a.serving()
	if r == nil {
		return errNotLive
	}
	a.restarts.Add(1)
	a.record(Entry{Event: "restart"})
	return a.activate(ctx, r.pair)
}

// drain refuses writes until popup is started again, and waits for those under way.
func (a *Appliance) drain(ctx context.Context) error {
	a.refuseWrites(func() { a.drained = true }, 0)
	ctx, cancel := context.WithTimeout(ctx, writesTimeout)
	defer cancel()
	if err := a.front.WaitWrites(ctx); err != nil {
		return errors.New("new writes are refused, and some that began before still run; ask again for them")
	}
	return nil
}

// refuseWrites changes why writes are refused, if they are.
func (a *Appliance) refuseWrites(change func(), retry time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	change()
	on := a.frozen || a.shut || a.drained
	a.front.SetReadOnly(on, retry) // before anybody reads that it is so
	a.readOnly = on
}

// logEntries is how much of the journal goes with a log.
const logEntries = 200

// sendLogs sends what was logged since popup was started, as far as it is kept, and
// before it the journal, which is older.
func (l *link) sendLogs(ctx context.Context, id string) error {
	entries, err := l.app.journal.Tail(logEntries)
	if err != nil {
		return err
	}
	var journal bytes.Buffer
	for _, e := range entries {
		line, err := json.Marshal(e)
		if err != nil {
			return fmt.Errorf("send the log: %w", err)
		}
		journal.Write(append(line, '\n'))
	}
	const most = 48 << 10 // of the journal: with the log it fits, whatever it compresses to
	var body bytes.Buffer
	z := gzip.NewWriter(&body)
	for _, part := range [][]byte{newest(journal.Bytes(), most), l.logs.lines()} {
		if _, err := z.Write(part); err != nil {
			return fmt.Errorf("send the log: %w", err)
		}
	}
	if err := z.Close(); err != nil {
		return fmt.Errorf("send the log: %w", err)
	}
	if body.Len() > wire.MaxLogs {
		return fmt.Errorf("send the log: it has %d bytes, and at most %d are taken", body.Len(), wire.MaxLogs)
	}
	_, err = l.call(ctx, outgoing{path: wire.PathLogs + id, body: body.Bytes(), encoding: "gzip", most: wire.MaxAnswer})
	return err
}
