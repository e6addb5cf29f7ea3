package console

import (
	"math"
	"time"

	"popup/internal/wire"
)

// minutesKept is how many minutes of what an instance counted are remembered.
const minutesKept = 60

// A history is what an instance counted in the last hour, minute by minute. It is made of
// differences between reports, so that a lost report loses nothing.
type history struct {
	since            time.Time // when the popup was started whose counts were taken last
	requests, errors int64     // its counts
	newest           int64     // the minute of the Unix time that the last bucket is of
	buckets          [minutesKept]struct{ requests, errors uint32 }
}

// add takes what a report counted, at the time it came in.
func (h *history) add(now time.Time, r wire.Report) {
	n := r.Numbers
	first := h.newest == 0 // what was counted before nobody knows when
	started := !r.Since.Equal(h.since) || n.Requests < h.requests || n.Errors < h.errors
	if started {
		h.since, h.requests, h.errors = r.Since, 0, 0
	}
	requests, errors := n.Requests-h.requests, n.Errors-h.errors
	h.requests, h.errors = n.Requests, n.Errors
	h.turn(now)
	if first {
		return
	}
	last := &h.buckets[h.newest%minutesKept]
	last.requests, last.errors = plus(last.requests, requests), plus(last.errors, errors)
}

// turn empties the buckets of the minutes that passed since the newest.
func (h *history) turn(now time.Time) {
	minute := now.Unix() / 60
	if minute <= h.newest {
		return
	}
	for m := max(h.newest+1, minute-minutesKept+1); m <= minute; m++ {
		h.buckets[m%minutesKept].requests, h.buckets[m%minutesKept].errors = 0, 0
	}
	h.newest = minute
}

func plus(a uint32, b int64) uint32 { return uint32(min(int64(a)+max(b, 0), math.MaxUint32)) }

// samples are the minutes of the hour before now, oldest first.
func (h *history) samples(now time.Time) []Sample {
	if h == nil {
		return nil
	}
	samples := make([]Sample, 0, minutesKept)
	minute := now.Unix() / 60
	for m := minute - minutesKept + 1; m <= minute; m++ {
		s := Sample{At: time.Unix(m*60, 0).UTC()}
		if m > h.newest-minutesKept && m <= h.newest {
			b := h.buckets[m%minutesKept]
			s.Requests, s.Errors = int64(b.requests), int64(b.errors)
		}
		samples = append(samples, s)
	}
	return samples
}

// total is how many requests were counted in the hour before now.
func (h *history) total(now time.Time) (requests int64) {
	if h == nil {
		return 0
	}
	for m := max(now.Unix()/60, h.newest) - minutesKept + 1; m <= h.newest; m++ {
		requests += int64(h.buckets[m%minutesKept].requests)
	}
	return requests
}
