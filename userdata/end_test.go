package userdata

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"popup/apps"
	"popup/internal/wire"
)

const aDay = 24 * time.Hour

func zone(t *testing.T, name string) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

func TestEnds(t *testing.T) {
	zurich, kathmandu := zone(t, "Europe/Zurich"), zone(t, "Asia/Kathmandu")
	now := time.Date(2026, 3, 28, 10, 20, 30, 0, time.UTC) // the day before summer time in Zurich
	for _, tc := range []struct {
		until string
		zone  *time.Location
		life  apps.Lifetime
		want  *wire.End
	}{
		{"", nil, apps.Lifetime{}, nil},
		{"", nil, apps.Lifetime{MaxTTL: apps.Duration(aDay)}, nil},
		{"", nil, apps.Lifetime{DefaultTTL: apps.Duration(aDay)}, &wire.End{At: "2026-03-29T10:21", PowerOff: true}},
		{"2h", nil, apps.Lifetime{DefaultTTL: apps.Duration(aDay)}, &wire.End{At: "2026-03-28T12:21", PowerOff: true}},
		{"24h", zurich, apps.Lifetime{}, &wire.End{At: "2026-03-29T12:21", Zone: "Europe/Zurich", PowerOff: true}},
		{"1h", kathmandu, apps.Lifetime{}, &wire.End{At: "2026-03-28T17:06", Zone: "Asia/Kathmandu", PowerOff: true}},
		{"2026-03-28", nil, apps.Lifetime{}, &wire.End{At: "2026-03-28", PowerOff: true}},
		{"2026-05-31", zurich, apps.Lifetime{}, &wire.End{At: "2026-05-31", Zone: "Europe/Zurich", PowerOff: true}},
		{"2026-05-31T18:00", nil, apps.Lifetime{}, &wire.End{At: "2026-05-31T18:00", PowerOff: true}},
		{"2026-05-31 18:00", nil, apps.Lifetime{}, &wire.End{At: "2026-05-31T18:00", PowerOff: true}},
		{"2026-05-31T18:00:00+09:00", zurich, apps.Lifetime{}, &wire.End{At: "2026-05-31T11:00", Zone: "Europe/Zurich", PowerOff: true}},
		// 29 March has 23 hours in Zurich, so its end is 35h39m30s away.
		{"2026-03-29", zurich, apps.Lifetime{MaxTTL: apps.Duration(35*time.Hour + 39*time.Minute + 30*time.Second)}, &wire.End{At: "2026-03-29", Zone: "Europe/Zurich", PowerOff: true}},
	} {
		got, err := end(tc.life, Overrides{Until: tc.until, Now: now, Zone: tc.zone})
		if err != nil {
			t.Errorf("%q: %v", tc.until, err)
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", tc.until, diff)
		}
	}
	if got, err := end(apps.Lifetime{DefaultTTL: 1}, Overrides{}); got != nil || err != nil {
		t.Errorf("without a now: %v, %v; want no end", got, err)
	}
}

// A day ends when the next begins, also where clocks are set forward over that midnight.
func TestDayEndsWithoutMidnight(t *testing.T) {
	for name, want := range map[string]string{"Africa/Cairo 2026-04-23": "2026-04-23T22:00:00Z", "America/Havana 2026-03-07": "2026-03-08T05:00:00Z", "America/Santiago 2026-09-05": "2026-09-06T04:00:00Z",
		"America/Havana 2026-03-08": "2026-03-09T04:00:00Z"} {
		place, day, _ := strings.Cut(name, " ")
		_, over, err := ParseUntil(day, time.Date(2026, 1, 1, 0, 0, 0, 0, zone(t, place)))
		if got := over.UTC().Format(time.RFC3339); err != nil || got != want {
			t.Errorf("%s: %s, %v; want %s", name, got, err, want)
		}
	}
}

func TestBadEnds(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	bound := apps.Lifetime{DefaultTTL: apps.Duration(7 * aDay), MaxTTL: apps.Duration(30 * aDay)}
	for _, tc := range []struct{ until, want string }{
		{"tomorrow", `the end "tomorrow" is neither a day, a time nor a length of time; write 2026-05-31, 2026-05-31T18:00 or 7d`},
		{"31.05.2026", `the end "31.05.2026" is neither`},
		{"2026-02-30", `the end "2026-02-30" is neither`},
		{"0s", `the end "0s" is neither`},
		{"-1d", `the end "-1d" is neither`},
		{"2026-04-30", "the end 2026-04-30 is in the past; it is 2026-05-01T12:00 now"},
		{"2026-05-01T12:00", "the end 2026-05-01T12:00 is in the past"},
		{"2026-05-31", "the end 2026-05-31 is later than this app may live, which is until 2026-05-31T12:00 (lifetime.max_ttl)"},
		{"31d", "is later than this app may live"},
	} {
		_, err := end(bound, Overrides{Until: tc.until, Now: now})
		wantError(t, err, tc.want)
	}
	_, err := end(bound, Overrides{Until: "7d"})
	wantError(t, err, "without the time now")
}
