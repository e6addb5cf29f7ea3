package console

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// KindHeard is of what each console heard last.
const KindHeard Kind = "heard"

// A heardRow is when a console heard each instance last: one row a console, written now
// and then, so that reports without news cost the store nothing.
type heardRow struct {
	Console string `json:"console"` // an id
	// Packed is, compressed, for each instance in the order of their ids: the length of
	// the id, the id, the Unix time and the report's number, numbers as varints and the
	// last two as differences to those before. Ten thousand take some 100 KB.
	Packed []byte `json:"packed"`
	// Slowest is the longest time in which it told an instance to report again, in seconds.
	Slowest int `json:"slowest,omitempty"`
}

func (h heardRow) record() Record { return Record{Kind: KindHeard, ID: h.Console} }

// A hearing is when an instance was heard last.
type hearing struct {
	instance string
	at       int64 // Unix time
	seq      uint64
}

// thisConsole is the id of a console that shares its store with no other.
const thisConsole = "console"

// leftAfter is how long a console writes nothing down until it is taken to have left.
const leftAfter = time.Hour

// own is the id of this console's row.
func (f *fleet) own() string { return cmp.Or(f.c.opts.Name, thisConsole) }

// mostPacked bounds what a packed row may hold, in bytes: some million instances.
const mostPacked = 64 << 20

func pack(all []hearing) ([]byte, error) {
	slices.SortFunc(all, func(a, b hearing) int { return strings.Compare(a.instance, b.instance) })
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, gzip.BestSpeed)
	if err != nil {
		return nil, err
	}
	var last hearing
	var row []byte
	for _, h := range all {
		row = binary.AppendUvarint(row[:0], uint64(len(h.instance)))
		row = append(row, h.instance...)
		row = binary.AppendVarint(row, h.at-last.at)
		row = binary.AppendVarint(row, int64(h.seq-last.seq))
		if _, err := z.Write(row); err != nil {
			return nil, err
		}
		last = h
	}
	err = z.Close()
	return out.Bytes(), err
}

var errPacked = errors.New("it is not what a console packs")

func unpack(packed []byte) (all []hearing, err error) {
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, errPacked
	}
	text, err := io.ReadAll(io.LimitReader(z, mostPacked))
	if err != nil {
		return nil, errPacked
	}
	var last hearing
	for in := bytes.NewReader(text); in.Len() > 0; {
		length, err := binary.ReadUvarint(in)
		if err != nil || length > uint64(in.Len()) {
			return nil, errPacked
		}
		id := make([]byte, length)
		_, _ = io.ReadFull(in, id) // it is there
		at, err := binary.ReadVarint(in)
		if err != nil {
			return nil, errPacked
		}
		seq, err := binary.ReadVarint(in)
		if err != nil {
			return nil, errPacked
		}
		last = hearing{string(id), last.at + at, last.seq + uint64(seq)}
		all = append(all, last)
	}
	return all, nil
}

// writeHeard writes down when each instance was heard, if any was since it did so last.
func (f *fleet) writeHeard(ctx context.Context) error {
	f.writes.Lock()
	defer f.writes.Unlock()
	f.mu.Lock()
	var all []hearing
	var slowest time.Duration
	if f.unwritten > 0 {
		all = make([]hearing, 0, len(f.members))
		for id, m := range f.members {
			if !m.heard.IsZero() && !m.State.Over() {
				all = append(all, hearing{id, m.heard.Unix(), m.seq})
				if !m.far {
					slowest = max(slowest, m.next)
				}
			}
		}
	}
	written := f.unwritten
	f.mu.Unlock()
	if written == 0 {
		return nil
	}
	packed, err := pack(all)
	if err == nil {
		err = f.c.store.Update(ctx, func(tx Tx) error { return put(tx, heardRow{f.own(), packed, int(slowest / time.Second)}) })
	}
	if err != nil {
		return fmt.Errorf("write down what was heard: %w", err)
	}
	f.mu.Lock()
	f.unwritten -= written
	f.mu.Unlock()
	return nil
}

// hear takes in what a console heard, this one earlier or another. f.mu is held.
func (f *fleet) hear(row heardRow) {
	f.rows[row.Console] = f.c.now()
	all, err := unpack(row.Packed)
	if err != nil {
		f.c.log.Warn("read what a console heard", "console", row.Console, "err", err)
	}
	for _, h := range all {
		if m := f.members[h.instance]; m != nil && h.seq > m.seq {
			m.seq, m.far, m.next = h.seq, true, time.Duration(row.Slowest)*time.Second
			m.heard = later(m.heard, f.heardAt(time.Unix(h.at, 0).UTC()))
		}
	}
}

// heardAt is when something was heard elsewhere that is read now. Whoever follows the store
// hears of it a moment later; else it is what the other wrote, who may have had another clock.
func (f *fleet) heardAt(written time.Time) time.Time {
	now := f.c.now()
	if f.follows {
		return now
	}
	return earliest(written, now)
}

// forgetConsoles removes what consoles heard that wrote nothing down for long, since they
// left or heard nothing, once it is kept with what this one did.
func (c *Console) forgetConsoles(ctx context.Context) error {
	left := c.fleet.left()
	if len(left) == 0 {
		return nil
	}
	if err := c.fleet.writeHeard(ctx); err != nil {
		return err
	}
	return c.store.Update(ctx, func(tx Tx) error {
		for _, id := range left {
			if err := tx.Delete(KindHeard, id); err != nil {
				return err
			}
		}
		return nil
	})
}

// left are the consoles that wrote nothing down for long; what they did is to be written
// down here.
func (f *fleet) left() (ids []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for id, wrote := range f.rows {
		if id != f.own() && f.c.now().Sub(wrote) > leftAfter {
			ids = append(ids, id)
		}
	}
	f.unwritten += len(ids)
	return ids
}
