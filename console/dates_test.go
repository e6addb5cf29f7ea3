package console

import (
	"strings"
	"testing"
	"time"

	"popup/apps"
)

const day = 24 * time.Hour

func TestDates(t *testing.T) {
	berlin := func(month time.Month, day, hour, minute int) time.Time {
		zone, err := time.LoadLocation("Europe/Berlin")
		if err != nil {
			t.Fatal(err)
		}
		return time.Date(2026, month, day, hour, minute, 0, 0, zone)
	}
	santiago := time.Date(2026, 9, 6, 4, 0, 0, 0, time.UTC) // when 6 September begins there, at 01:00
	life := func(ttl, most time.Duration) apps.Lifetime {
		return apps.Lifetime{DefaultTTL: apps.Duration(ttl), MaxTTL: apps.Duration(most)}
	}
	for name, c := range map[string]struct {
		dates  dates
		start  time.Time
		freeze time.Time
		end    time.Time
		button string
	}{
		"a day":           {dates{End: "2026-05-31", Zone: "Europe/Berlin"}, time.Time{}, berlin(5, 31, 23, 50), berlin(6, 1, 0, 0), "31 May"},
		"a time":          {dates{End: "2026-05-31T18:00", Zone: "Europe/Berlin"}, time.Time{}, berlin(5, 31, 17, 50), berlin(5, 31, 18, 0), "31 May 18:00"},
		"a length":        {dates{End: "2h", Zone: "UTC"}, time.Time{}, aDay.Add(110 * time.Minute), aDay.Add(2 * time.Hour), "1 May 14:00"},
		"an offset":       {dates{End: "2026-05-31T18:00:00+02:00"}, time.Time{}, berlin(5, 31, 17, 50), berlin(5, 31, 18, 0), "31 May 16:00"},
		"nothing":         {dates{}, time.Time{}, aDay.Add(7*day + 12*time.Hour - 10*time.Minute), aDay.Add(7*day + 12*time.Hour), "8 May"},
		"what apps live":  {dates{Life: life(3*day, 0)}, time.Time{}, aDay.Add(3*day + 12*time.Hour - 10*time.Minute), aDay.Add(3*day + 12*time.Hour), "4 May"},
		"the most":        {dates{Life: life(3*day, 3*day)}, time.Time{}, aDay.Add(3*day - 10*time.Minute), aDay.Add(3 * day), "4 May 12:00"},
		"less than a day": {dates{Life: life(time.Hour, 0)}, time.Time{}, aDay.Add(54 * time.Minute), aDay.Add(time.Hour), "1 May 13:00"},
		"another year":    {dates{End: "2027-01-31"}, time.Time{}, time.Date(2027, 1, 31, 23, 50, 0, 0, time.UTC), time.Date(2027, 2, 1, 0, 0, 0, 0, time.UTC), "31 January 2027"},
		"short":           {dates{End: "5m"}, time.Time{}, aDay.Add(270 * time.Second), aDay.Add(5 * time.Minute), "1 May 12:05"},
		"a start": {dates{Start: "2026-05-10", Freeze: "2026-05-30", End: "2026-05-31", Zone: "Europe/Berlin"},
			berlin(5, 10, 0, 0), berlin(5, 30, 0, 0), berlin(6, 1, 0, 0), "31 May"},
		"no midnight": {dates{Start: "2026-09-06", End: "2026-09-06", Zone: "America/Santiago"},
			santiago, santiago.Add(23*time.Hour - 10*time.Minute), santiago.Add(23 * time.Hour), "6 September"},
		"a start today": {dates{Start: "2026-05-01", End: "2026-05-31"}, time.Time{}, time.Date(2026, 5, 31, 23, 50, 0, 0, time.UTC), time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC), "31 May"},
		"under way":     {dates{End: "2026-05-02", Begun: aDay.Add(-300 * day), Start: "2026-01-01"}, time.Time{}, time.Date(2026, 5, 2, 23, 50, 0, 0, time.UTC), time.Date(2026, 5, 3, 0, 0, 0, 0, time.UTC), "2 May"},
	} {
		var e Event
		var w wrong
		c.dates.set(&e, aDay, &w)
		if err := w.err(); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !e.StartsAt.Equal(c.start) || !e.FreezesAt.Equal(c.freeze) || !e.EndsAt.Equal(c.end) || e.until(aDay) != c.button {
			t.Errorf("%s: from %s, frozen %s, until %s, %q", name, e.StartsAt, e.FreezesAt, e.EndsAt, e.until(aDay))
		}
		// What is kept means the same when it is read again.
		again := dates{Start: e.Start, Freeze: e.Freeze, End: e.End, Zone: e.Zone, Life: c.dates.Life, Begun: c.dates.Begun}
		before := e
		if again.set(&e, aDay, &w); w.err() != nil || !e.EndsAt.Equal(before.EndsAt) || !e.FreezesAt.Equal(before.FreezesAt) || !e.StartsAt.Equal(before.StartsAt) {
			t.Errorf("%s: read again it is until %s, %v", name, e.EndsAt, w.err())
		}
	}
}

func TestDatesThatAreWrong(t *testing.T) {
	for name, c := range map[string]struct {
		dates dates
		want  string // of the error
	}{
		"past":              {dates{End: "2026-04-30"}, "end: 2026-04-30 is over already; it is 1 May 2026 12:00 there now"},
		"now":               {dates{End: "2026-05-01T12:00"}, "end: 2026-05-01T12:00 is over already"},
		"no date":           {dates{End: "soon"}, `end: the end "soon" is neither a day, a time nor a length of time`},
		"no such day":       {dates{End: "2026-02-30"}, "end: the end"},
		"huge":              {dates{End: strings.Repeat("9", 1<<20)}, "end: that is neither a day nor a time"},
		"for ever":          {dates{End: "2999-01-01"}, "end: it may last until 2 May 2027 12:00 at most"},
		"longer than apps":  {dates{End: "2026-05-31", Life: apps.Lifetime{MaxTTL: apps.Duration(3 * day)}}, "end: it may last until 4 May 2026 12:00 at most"},
		"ends before start": {dates{Start: "2026-06-02", End: "2026-05-31"}, "end: it ends before it starts"},
		"starts in years":   {dates{Start: "2028-01-01", End: "2028-01-02"}, "start: that is more than a year away"},
		"start is no date":  {dates{Start: "now()", End: "7d"}, "start: "},
		"freezes at once":   {dates{Freeze: "2026-05-01", End: "7d"}, "freeze: it would be frozen before it starts"},
		"freezes too late":  {dates{Freeze: "2026-06-02", End: "2026-05-31"}, "freeze: it would be frozen after its end"},
		"freeze is no date": {dates{Freeze: "\n", End: "7d"}, "freeze: "},
		"no zone":           {dates{Zone: "Mars/Olympus"}, "zone: there is no such time zone"},
		"the machine's":     {dates{Zone: "Local"}, "zone: there is no such time zone"},
		"a path":            {dates{Zone: "../../etc/passwd"}, "zone: there is no such time zone"},
		"an absolute path":  {dates{Zone: "/etc/passwd"}, "zone: there is no such time zone"},
		"a file":            {dates{Zone: "zone.tab"}, "zone: there is no such time zone"},
		"a huge zone":       {dates{Zone: strings.Repeat("A", 1<<20)}, "zone: there is no such time zone"},
		"a zero":            {dates{Zone: "UTC\x00"}, "zone: there is no such time zone"},
	} {
		var w wrong
		c.dates.set(new(Event), aDay, &w)
		err := w.err()
		if err == nil || !strings.HasPrefix(err.Error(), c.want) || len(err.Error()) > 300 {
			t.Errorf("%s: %.200v; want %s", name, err, c.want)
		}
	}
}

// FuzzDates: whatever is given, an event that is accepted has its dates in order, and a
// plan says the same end.
func FuzzDates(f *testing.F) {
	for _, seed := range [][4]string{{"", "", "", ""}, {"2026-05-10", "2026-05-30", "2026-05-31", "Europe/Berlin"}, {"", "", "7d", "UTC"},
		{"2026-10-25T02:30", "", "2026-10-25T02:31", "Europe/Berlin"}, {"1s", "1s", "1s", "../x"}, {"", "", "10000-01-01", "Asia/Kathmandu"}} {
		f.Add(seed[0], seed[1], seed[2], seed[3])
	}
	f.Fuzz(func(t *testing.T, start, freeze, end, zone string) {
		var e Event
		var w wrong
		dates{Start: start, Freeze: freeze, End: end, Zone: zone}.set(&e, aDay, &w)
		if w.err() != nil {
			return
		}
		begins := e.StartsAt
		if begins.IsZero() {
			begins = aDay
		}
		if begins.Before(aDay) || !begins.Before(e.FreezesAt) || !e.FreezesAt.Before(e.EndsAt) || e.EndsAt.Sub(begins) > longestEvent {
			t.Errorf("from %s, frozen %s, until %s", begins, e.FreezesAt, e.EndsAt)
		}
		if e.until(aDay) == "" || e.Zone == "" || len(e.End) > 16 {
			t.Errorf("the end is kept as %q in %q", e.End, e.Zone)
		}
	})
}
