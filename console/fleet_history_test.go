package console

import (
	"slices"
	"testing"
	"time"

	"popup/internal/wire"
)

func TestHistory(t *testing.T) {
	var h history
	report := func(minute int, since time.Time, requests int64) {
		h.add(aDay.Add(time.Duration(minute)*time.Minute), wire.Report{Since: since, Numbers: wire.Numbers{Requests: requests, Errors: requests / 10}})
	}
	report(0, aDay, 1000) // before anybody listened
	report(0, aDay, 1010)
	report(2, aDay, 1040)                 // the report of minute 1 was lost
	report(3, aDay.Add(3*time.Minute), 7) // popup was started anew
	report(4, aDay.Add(3*time.Minute), 5) // it miscounted
	now := aDay.Add(4 * time.Minute)
	got := h.samples(now)
	var counts []int64
	for _, s := range got[len(got)-5:] {
		counts = append(counts, s.Requests)
	}
	if len(got) != 60 || !got[59].At.Equal(now) || !got[0].At.Equal(now.Add(-59*time.Minute)) || !slices.Equal(counts, []int64{10, 0, 30, 7, 5}) || got[57].Errors != 3 || h.total(now) != 52 {
		t.Errorf("counted %v, %d, %+v", counts, h.total(now), got[57])
	}
	if later := aDay.Add(62 * time.Minute); h.total(later) != 12 || h.samples(later)[0].Requests != 7 {
		t.Errorf("an hour later: %d, %+v", h.total(later), h.samples(later)[0])
	}
	report(200, aDay.Add(3*time.Minute), 6)
	if n := h.total(aDay.Add(200 * time.Minute)); n != 1 {
		t.Errorf("after hours of silence: %d", n)
	}
}
