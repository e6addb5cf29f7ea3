package bench

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// A sample is what one sync took.
type sample struct {
	client, origin float64 // ms of CPU
	relay          float64 // ms of CPU of the web server of a relay; 0: none was asked
	requests       float64
	asked          float64 // those of the requests that the origin got
	down, up       float64 // bytes
	peak           float64 // MiB of memory
}

// A row is one contender in one scenario.
type row struct {
	name    string
	samples []sample
}

// ended ends a contender, and fills in what only that tells.
func (r *row) ended(t testing.TB, c contender) {
	t.Helper()
	peak, err := c.end()
	if err != nil {
		t.Fatalf("end %s: %v", r.name, err)
	}
	for i := range r.samples {
		if r.samples[i].peak == 0 {
			r.samples[i].peak = float64(peak) / (1 << 20)
		}
	}
}

// median is of each column by itself.
func (r *row) median() sample {
	of := func(column func(sample) float64) float64 {
		values := make([]float64, len(r.samples))
		for i, s := range r.samples {
			values[i] = column(s)
		}
		slices.Sort(values)
		middle := len(values) / 2
		if len(values)%2 == 0 {
			return (values[middle-1] + values[middle]) / 2
		}
		return values[middle]
	}
	return sample{
		client: of(func(s sample) float64 { return s.client }), origin: of(func(s sample) float64 { return s.origin }),
		relay: of(func(s sample) float64 { return s.relay }), requests: of(func(s sample) float64 { return s.requests }),
		asked: of(func(s sample) float64 { return s.asked }), down: of(func(s sample) float64 { return s.down }),
		up: of(func(s sample) float64 { return s.up }), peak: of(func(s sample) float64 { return s.peak }),
	}
}

// A report is tables of medians.
type report struct{ strings.Builder }

// add writes the table of one scenario. The first row is what others are held against.
func (r *report) add(title string, rows []*row) {
	fmt.Fprintf(r, "\n### %s\n\n", title)
	fmt.Fprintln(r, "| | client CPU ms | times popup's | origin CPU ms | relay's CPU ms | requests | of the origin | bytes down | bytes up | peak RSS MiB |")
	fmt.Fprintln(r, "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|")
	own := rows[0].median().client
	for _, row := range rows {
		m, relay := row.median(), "–"
		if m.relay > 0 {
			relay = figure(m.relay)
		}
		fmt.Fprintf(r, "| %s | %s | %s | %s | %s | %.3g | %.3g | %.0f | %.0f | %.1f |\n",
			row.name, figure(m.client), figure(m.client/own), figure(m.origin), relay, m.requests, m.asked, m.down, m.up, m.peak)
	}
}

// figure shows three digits that count.
func figure(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	case v == 0:
		return "0"
	case v < 0.001:
		return fmt.Sprintf("%.5f", v)
	case v < 0.1:
		return fmt.Sprintf("%.3f", v)
	}
	return fmt.Sprintf("%.2f", v)
}
