//go:build cluster

package cluster

import (
	"bufio"
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// silence is how long a stream may say nothing before whoever listens goes elsewhere: it
// has a heartbeat every 15 s.
const silence = 20 * time.Second

// A stream is followed at one console after the other, each time from where it was.
type stream struct {
	person   *person
	consoles []*console
	last     string           // the id of the last event
	heard    map[int64]string // changes, by their numbers
	wrong    []string         // what a stream must not say
	moved    int
}

// follow listens until ctx ends.
func (s *stream) follow(ctx context.Context) {
	s.heard = map[int64]string{}
	for at := 0; ctx.Err() == nil; at++ {
		s.listen(ctx, s.consoles[at%len(s.consoles)])
		s.moved++
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

// listen hears one stream to its end.
func (s *stream) listen(ctx context.Context, c *console) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r, err := s.person.request(ctx, "GET", "/stream", nil)
	if err != nil {
		s.wrong = append(s.wrong, err.Error())
		return
	}
	if s.last != "" {
		r.Header.Set("Last-Event-ID", s.last)
	}
	quiet := time.AfterFunc(silence, cancel)
	defer quiet.Stop()
	resp, err := c.client.Do(r)
	if err != nil {
		return
	}
	defer resp.Body.Close() //nolint:errcheck // it ends here
	var kind, id string
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		quiet.Reset(silence)
		field, value, _ := strings.Cut(lines.Text(), ": ")
		switch field {
		case "event":
			kind = value
		case "id":
			id = value
		case "data":
			s.hear(kind, id, value)
		}
	}
}

func (s *stream) hear(kind, id, data string) {
	seq, err := strconv.ParseInt(id, 10, 64)
	before, _ := strconv.ParseInt(s.last, 10, 64)
	switch {
	case err != nil:
		s.wrong = append(s.wrong, "the id "+id)
	case kind == "begin" && s.last != "" && id != s.last:
		s.wrong = append(s.wrong, "it goes on from "+id+" and was at "+s.last)
	case kind == "begin":
	case kind != "change" || seq <= before:
		s.wrong = append(s.wrong, kind+" "+id+" after "+s.last)
	default:
		s.heard[seq] = data
	}
	s.last = id
}

// whole holds what several heard against each other: where both listened, it is the same.
func whole(t *testing.T, all []*stream) {
	t.Helper()
	for _, s := range all {
		for _, wrong := range s.wrong {
			t.Errorf("a stream said %s", wrong)
		}
	}
	var from, to int64
	for i, s := range all {
		seqs := slices.Sorted(maps.Keys(s.heard))
		if len(seqs) == 0 {
			t.Fatal("a stream said nothing")
		}
		if i == 0 {
			to = seqs[len(seqs)-1]
		}
		from, to = max(from, seqs[0]), min(to, seqs[len(seqs)-1])
	}
	for _, s := range all {
		for seq, data := range all[0].heard {
			if seq >= from && seq <= to && s.heard[seq] != data {
				t.Errorf("one stream said %q of change %d, and another %q", data, seq, s.heard[seq])
			}
		}
		for seq := range s.heard {
			if _, found := all[0].heard[seq]; seq >= from && seq <= to && !found {
				t.Errorf("a stream never told of change %d", seq)
			}
		}
	}
	t.Logf("%d streams told of %d changes without a hole, and moved %d times", len(all), len(all[0].heard), all[0].moved)
}
