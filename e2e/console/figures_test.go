package console

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// figures are durations of the same thing.
type figures []time.Duration

func (f *figures) add(d time.Duration) { *f = append(*f, d) }

// at is the one that a part of all do not exceed; 0 where there are none.
func (f figures) at(part float64) time.Duration {
	if len(f) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(f))
	return sorted[min(int(part*float64(len(sorted))), len(sorted)-1)]
}

func TestFigures(t *testing.T) {
	var f figures
	if f.at(0.5) != 0 {
		t.Error("there is a median of nothing")
	}
	for n := range 100 {
		f.add(time.Duration(100-n) * time.Millisecond)
	}
	if got := []time.Duration{f.at(0), f.at(0.5), f.at(0.99), f.at(1)}; !slices.Equal(got, []time.Duration{1e6, 51e6, 100e6, 100e6}) {
		t.Errorf("of 1 to 100 ms they are %s", got)
	}
}

// A report is a table of what was measured.
type report struct {
	strings.Builder
	missed []string
}

// row writes a line of it.
func (r *report) row(what, got string) { fmt.Fprintf(r, "| %s | %s | |\n", what, got) }

// spread writes how long something took. Where most is not 0 it is what the given part
// of it may take.
func (r *report) spread(what string, f figures, part float64, most time.Duration) {
	got := fmt.Sprintf("p50 %s, p99 %s, longest %s (of %d)", ms(f.at(0.5)), ms(f.at(0.99)), ms(f.at(1)), len(f))
	if most == 0 {
		r.row(what, got)
		return
	}
	name := map[float64]string{0.99: "p99", 1: "longest"}[part]
	r.aim(what, got, len(f) > 0 && f.at(part) <= most, name+" at most "+ms(most))
}

// memory writes how much is resident.
func (r *report) memory(what string, u used, most int64) {
	r.aim(what, fmt.Sprintf("%.1f MB (its own %.1f, of its program %.1f; at most so far %.1f)", mb(u.resident), mb(u.anonymous), mb(u.file), mb(u.peak)),
		u.resident <= most, fmt.Sprintf("at most %.0f MB", mb(most)))
}

// aim writes a line that says whether it is as it is to be.
func (r *report) aim(what, got string, met bool, aim string) {
	verdict := "met"
	if !met {
		verdict = "**NOT met**"
		r.missed = append(r.missed, what)
	}
	fmt.Fprintf(r, "| %s | %s | %s: %s |\n", what, got, aim, verdict)
}

func ms(d time.Duration) string {
	if d >= time.Second {
		return fmt.Sprintf("%.2f s", d.Seconds())
	}
	return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
}

func mb(bytes int64) float64 { return float64(bytes) / (1 << 20) }
