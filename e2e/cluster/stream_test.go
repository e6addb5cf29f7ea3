//go:build cluster

package cluster

import (
	"bufio"
	"context"
	"fmt"
	"maps"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"popup/internal/testutil"
)

// silence is how long a stream may say nothing before whoever listens goes elsewhere: it
// has a heartbeat every 15 s.
const silence = 20 * time.Second

// A stream is followed at one console after the other, each time from where it was.
type stream struct {
	consoles []*console
	last     string   // the id of the last event
	wrong    []string // what a stream must not say
	moved    int

	mu    sync.Mutex
	heard map[int64]string // changes, by their numbers
}

// follow listens until ctx ends.
func (s *stream) follow(ctx context.Context) {
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
	r, err := c.owner.Request(ctx, "GET", "/stream", nil)
	if err != nil {
		s.wrong = append(s.wrong, err.Error())
		return
	}
	if s.last != "" {
		r.Header.Set("Last-Event-ID", s.last)
	}
	quiet := time.AfterFunc(silence, cancel)
	defer quiet.Stop()
	endless := http.Client{Transport: c.client.Transport}
	resp, err := endless.Do(r)
	if err != nil {
		return
	}
	defer resp.Body.Close() //nolint:errcheck // it ends here
	if resp.StatusCode != http.StatusOK {
		if err := testutil.Read(resp, nil); err == nil || no(err) != 0 {
			s.wrong = append(s.wrong, fmt.Sprintf("%s, %v, instead of changes", resp.Status, err))
		}
		return
	}
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
		s.mu.Lock()
		s.heard[seq] = data
		s.mu.Unlock()
	}
	s.last = id
}

// told says whether a change of what has this id was heard.
func (s *stream) told(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, data := range s.heard {
		if strings.Contains(data, strconv.Quote(id)) {
			return true
		}
	}
	return false
}

// holes hold what several heard against each other: where both listened, it is the same.
func holes(all []*stream) (wrong []string) {
	from, to := int64(0), int64(math.MaxInt64)
	for _, s := range all {
		wrong = append(wrong, s.wrong...)
		seqs := slices.Sorted(maps.Keys(s.heard))
		if len(seqs) == 0 {
			return append(wrong, "nothing")
		}
		from, to = max(from, seqs[0]), min(to, seqs[len(seqs)-1])
	}
	for _, s := range all {
		for _, other := range all {
			for seq, data := range other.heard {
				if seq >= from && seq <= to && s.heard[seq] != data {
					wrong = append(wrong, fmt.Sprintf("%q of change %d, and another %q", s.heard[seq], seq, data))
				}
			}
		}
	}
	return wrong
}

// whole fails where streams had holes.
func whole(t *testing.T, all []*stream) {
	t.Helper()
	for _, wrong := range holes(all) {
		t.Errorf("a stream said %s", wrong)
	}
	t.Logf("%d streams told of %d changes without a hole, and moved %d times", len(all), len(all[0].heard), all[0].moved)
}

func TestStreamsAreJudged(t *testing.T) {
	begin, change := func(id string) [3]string { return [3]string{"begin", id, "{}"} }, func(id string) [3]string { return [3]string{"change", id, "data " + id} }
	usual := [][3]string{begin("1"), change("2"), change("3"), begin("3"), change("4"), change("5")}
	for name, c := range map[string]struct {
		said [][3]string
		want bool
	}{
		"the same":              {usual, true},
		"it began later":        {usual[2:], true},
		"it ended sooner":       {usual[:5], true},
		"a hole":                {[][3]string{begin("1"), change("2"), change("3"), begin("3"), change("5")}, false},
		"another begin":         {[][3]string{begin("1"), change("2"), begin("3"), change("4"), change("5")}, false},
		"told twice":            {[][3]string{begin("1"), change("2"), change("3"), begin("3"), change("3"), change("4"), change("5")}, false},
		"it had to begin anew":  {[][3]string{begin("1"), change("2"), {"reload", "3", "{}"}, change("4"), change("5")}, false},
		"something else":        {[][3]string{begin("1"), change("2"), {"change", "3", "other"}, change("4"), change("5")}, false},
		"nothing":               {usual[:1], false},
		"an id that is no such": {[][3]string{begin("x")}, false},
	} {
		a, b := &stream{heard: map[int64]string{}}, &stream{heard: map[int64]string{}}
		for _, said := range usual {
			a.hear(said[0], said[1], said[2])
		}
		for _, said := range c.said {
			b.hear(said[0], said[1], said[2])
		}
		if wrong := holes([]*stream{a, b}); (len(wrong) == 0) != c.want {
			t.Errorf("%s: wrong is %q", name, wrong)
		}
	}
}
