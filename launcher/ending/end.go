package ending

import (
	"errors"
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // an end means the same on a machine without zone files

	"popup/internal/wire"
)

const endHelp = "write 2026-05-31, or 2026-05-31T18:00"

// ParseEnd is the instant end means. A date means the end of that day in
// end.Zone, which is the first instant of the next day there. A date and a time
// is local to the zone; one that comes twice, because clocks are set back, means
// the later. RFC 3339, with an offset of its own, is read too. An empty zone is
// UTC. The answer is in the zone.
func ParseEnd(end wire.End) (time.Time, error) {
	zone, err := loadZone(end.Zone)
	if err != nil {
		return time.Time{}, err
	}
	at := strings.TrimSpace(end.At)
	if at == "" {
		return time.Time{}, errors.New("end has no date; " + endHelp)
	}
	if day, err := time.Parse(time.DateOnly, at); err == nil {
		return firstInstant(day.AddDate(0, 0, 1), zone), nil
	}
	for _, layout := range []string{"2006-01-02T15:04", "2006-01-02T15:04:05", "2006-01-02 15:04", "2006-01-02 15:04:05"} {
		if wall, err := time.Parse(layout, at); err == nil {
			return localInstant(end, wall, zone)
		}
	}
	if t, err := time.Parse(time.RFC3339, at); err == nil {
		return t.In(zone), nil
	}
	return time.Time{}, fmt.Errorf("end %s is not a date; %s", quote(at), endHelp)
}

func loadZone(name string) (*time.Location, error) {
	if name == "" {
		return time.UTC, nil
	}
	zone, err := time.LoadLocation(name)
	if err != nil || name == "Local" {
		return nil, fmt.Errorf("zone %s of the end is not known; write one like Europe/Berlin", quote(name))
	}
	return zone, nil
}

// firstInstant is when the day of wall (a midnight) begins in zone. Where clocks
// are set forward at midnight that is not 00:00.
func firstInstant(wall time.Time, zone *time.Location) time.Time {
	if found := instants(wall, zone); len(found) > 0 {
		return found[0]
	}
	return gapEnd(wall, zone)
}

func localInstant(end wire.End, wall time.Time, zone *time.Location) (time.Time, error) {
	found := instants(wall, zone)
	if len(found) == 0 {
		return time.Time{}, fmt.Errorf("end %s does not exist in %s, where clocks are set forward over it; write %s",
			quote(end.At), zone, gapEnd(wall, zone).Format("2006-01-02T15:04"))
	}
	return found[len(found)-1], nil
}

// instants are the moments, in order, at which clocks in zone show wall: one, or
// two where clocks are set back over it, or none where they are set forward.
func instants(wall time.Time, zone *time.Location) []time.Time {
	var found []time.Time
	for _, around := range []time.Duration{-24 * time.Hour, 24 * time.Hour} {
		_, offset := wall.Add(around).In(zone).Zone()
		t := wall.Add(-time.Duration(offset) * time.Second).In(zone)
		shown := t.Format(time.DateTime) == wall.Format(time.DateTime)
		if shown && (len(found) == 0 || !found[0].Equal(t)) {
			found = append(found, t)
		}
	}
	if len(found) == 2 && found[1].Before(found[0]) {
		found[0], found[1] = found[1], found[0]
	}
	return found
}

// gapEnd is the instant at which clocks in zone are set forward over wall.
func gapEnd(wall time.Time, zone *time.Location) time.Time {
	_, offset := wall.Add(-24 * time.Hour).In(zone).Zone()
	start, _ := wall.Add(-time.Duration(offset) * time.Second).In(zone).ZoneBounds()
	return start
}

// quote shows what a stranger wrote: on one line and not much of it.
func quote(s string) string {
	const most = 60
	if runes := []rune(s); len(runes) > most {
		s = string(runes[:most]) + "…"
	}
	return fmt.Sprintf("%q", s)
}
