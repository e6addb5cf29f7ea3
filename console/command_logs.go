package console

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"popup/internal/wire"
)

// LogPeers are the other consoles, as far as instances sent them logs.
type LogPeers interface {
	// SentLog is what Console.SentLog is on the first one that has it; ErrNotFound where none
	// of those that answer does.
	SentLog(ctx context.Context, instance, command string) ([]byte, error)
}

// peerTime bounds how long the other consoles are asked for a log.
const peerTime = 5 * time.Second

// Bounds of logs that instances sent. They are kept in memory, and gone with the
// console: whoever wants one asks for a new one.
const (
	mostLogBytes = 64 << 20 // of all of them, compressed
	longestLog   = 4 << 20  // of one, as text; what goes beyond is left out
)

// sentLogs are the newest log of each instance that sent one.
type sentLogs struct {
	mu    sync.Mutex
	all   []sentLog // the oldest first
	bytes int
}

type sentLog struct {
	instance, command string
	body              []byte // gzip
}

// TakeLogs takes the log that a command asked for, compressed with gzip as it was sent.
// Its errors are Report's; *InputError as well for what is no log, or was not asked for.
func (c *Console) TakeLogs(ctx context.Context, command string, body []byte, s Signature) error {
	var w wrong
	if len(body) > wire.MaxLogs {
		w.add("body", fmt.Sprintf("it has %d bytes; a log has at most %d", len(body), wire.MaxLogs))
	}
	w.check("command", wire.CheckCommand(command))
	if err := w.err(); err != nil {
		return err
	}
	i, err := c.signed(ctx, s, wire.Signed{Method: "POST", Path: wire.PathLogs + command, Body: body})
	if err != nil {
		return err
	}
	asked := func(o Order) bool { return o.ID == command && o.Verb == wire.VerbLogs }
	if !slices.ContainsFunc(i.Commands, asked) { // it may have been asked for at another console, a moment ago
		if err := c.fleet.catchUp(ctx); err != nil {
			return err
		}
		i, _ = c.fleet.instance(i.ID)
	}
	if !slices.ContainsFunc(i.Commands, asked) {
		return &InputError{[]FieldError{{"command", "no such log was asked for"}}}
	}
	if _, err := unzip(body); err != nil {
		return &InputError{[]FieldError{{"body", "it is not a log compressed with gzip"}}}
	}
	c.fleet.logs.keep(sentLog{i.ID, command, bytes.Clone(body)})
	return nil
}

// Logs is what an instance sent for a logs command, as text that may hold anything;
// ErrNotFound until it came, and when a newer one took its place.
func (c *Console) Logs(ctx context.Context, a Actor, instance, command string) ([]byte, error) {
	var i Instance
	err := c.store.View(ctx, func(tx Tx) (err error) {
		i, _, err = c.instanceFor(tx, a, Help, instance)
		return err
	})
	if err != nil {
		return nil, err
	}
	body, err := c.SentLog(instance, command)
	if err != nil && c.opts.LogPeers != nil && i.answers(command) {
		ctx, cancel := context.WithTimeout(ctx, peerTime)
		defer cancel()
		body, err = c.opts.LogPeers.SentLog(ctx, instance, command)
	}
	if err != nil {
		return nil, err
	}
	return unzip(body)
}

// SentLog is what an instance sent to this very console for a logs command, compressed with
// gzip, for another console that shows it; ErrNotFound where it did not.
func (c *Console) SentLog(instance, command string) ([]byte, error) {
	if body := c.fleet.logs.find(instance, command); body != nil {
		return body, nil
	}
	return nil, ErrNotFound
}

// answers says whether an instance said what became of a command.
func (i *Instance) answers(command string) bool {
	return slices.ContainsFunc(i.Commands, func(o Order) bool { return o.ID == command && o.Result != nil })
}

// keep takes a log in the place of the one before, and lets go of the oldest.
func (l *sentLogs) keep(log sentLog) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = slices.DeleteFunc(l.all, func(o sentLog) bool {
		old := o.instance == log.instance
		if old {
			l.bytes -= len(o.body)
		}
		return old
	})
	l.all = append(l.all, log)
	l.bytes += len(log.body)
	for l.bytes > mostLogBytes {
		l.bytes -= len(l.all[0].body)
		l.all = slices.Delete(l.all, 0, 1)
	}
}

func (l *sentLogs) find(instance, command string) []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, log := range l.all {
		if log.instance == instance && log.command == command {
			return log.body
		}
	}
	return nil
}

// unzip unpacks a log, as far as it is kept.
func unzip(body []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("read the log: %w", err)
	}
	text, err := io.ReadAll(io.LimitReader(z, longestLog))
	if err != nil {
		return nil, fmt.Errorf("read the log: %w", err)
	}
	return text, nil
}
