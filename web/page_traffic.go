package web

import (
	"popup/console"
)

// A traffic is the last hour of an instance, drawn minute by minute.
type traffic struct {
	Says          string // the same in words
	Width, Height int
	Bars          []bar
}

// A bar is one minute: its requests, and the errors among them.
type bar struct {
	X, Y, Width, Height int
	Errors, ErrorsY     int
}

const (
	barStep   = 10
	barWidth  = 8
	barHeight = 60
)

// trafficOf draws samples; nil where there are none.
func trafficOf(samples []console.Sample) *traffic {
	if len(samples) == 0 {
		return nil
	}
	var requests, errors, most int64
	for _, s := range samples {
		requests, errors, most = requests+s.Requests, errors+s.Errors, max(most, s.Requests, s.Errors)
	}
	t := &traffic{Width: len(samples) * barStep, Height: barHeight, Says: counted(requests, "request", "requests") + ", no errors"}
	if errors > 0 {
		t.Says = counted(requests, "request", "requests") + ", " + counted(errors, "error", "errors")
	}
	if requests > 0 {
		t.Says += "; the busiest minute had " + thousands(most)
	}
	t.Says += "."
	for n, s := range samples {
		b := bar{X: n * barStep, Width: barWidth, Height: scaled(s.Requests, most), Errors: scaled(s.Errors, most)}
		b.Y, b.ErrorsY = barHeight-b.Height, barHeight-b.Errors
		t.Bars = append(t.Bars, b)
	}
	return t
}

// scaled is the height of a bar: one that counts something is seen.
func scaled(n, most int64) int {
	if n <= 0 || most <= 0 {
		return 0
	}
	return max(2, int(float64(n)/float64(most)*barHeight))
}
