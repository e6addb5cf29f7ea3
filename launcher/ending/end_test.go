package ending

import (
	"strings"
	"testing"
	"time"

	"popup/internal/wire"
)

func TestParseEnd(t *testing.T) {
	for _, test := range []struct{ at, zone, want string }{
		{"2026-05-31", "", "2026-06-01T00:00:00Z"},
		{"2026-05-31", "Europe/Berlin", "2026-05-31T22:00:00Z"},
		{"2026-12-31", "Pacific/Auckland", "2026-12-31T11:00:00Z"},
		// Days that are 23 and 25 hours long.
		{"2026-03-29", "Europe/Berlin", "2026-03-29T22:00:00Z"},
		{"2026-10-25", "Europe/Berlin", "2026-10-25T23:00:00Z"},
		// Clocks are set forward at midnight: the next day begins at 01:00.
		{"2026-04-23", "Africa/Cairo", "2026-04-23T22:00:00Z"},
		{"2018-11-03", "America/Sao_Paulo", "2018-11-04T03:00:00Z"},
		// Clocks are set back to midnight: it comes twice, and the first ends the day.
		{"2026-10-31", "America/Havana", "2026-11-01T04:00:00Z"},
		// Samoa had no 30 December 2011.
		{"2011-12-29", "Pacific/Apia", "2011-12-30T10:00:00Z"},
		{"2026-05-31T18:00", "Europe/Berlin", "2026-05-31T16:00:00Z"},
		{"2026-05-31T18:00:30", "Europe/Berlin", "2026-05-31T16:00:30Z"},
		{"2026-05-31 18:00", "", "2026-05-31T18:00:00Z"},
		// 02:30 comes twice: an end is never before it was meant.
		{"2026-10-25T02:30", "Europe/Berlin", "2026-10-25T01:30:00Z"},
		{"2026-05-31T18:00:00-07:00", "Europe/Berlin", "2026-06-01T01:00:00Z"},
		{"2026-05-31T18:00:00Z", "Europe/Berlin", "2026-05-31T18:00:00Z"},
	} {
		got, err := ParseEnd(wire.End{At: test.at, Zone: test.zone})
		if err != nil {
			t.Errorf("%s in %q: %v", test.at, test.zone, err)
			continue
		}
		if text := got.UTC().Format(time.RFC3339); text != test.want {
			t.Errorf("%s in %q = %s, want %s", test.at, test.zone, text, test.want)
		}
		if test.zone != "" && got.Location().String() != test.zone {
			t.Errorf("%s is in zone %s, want %s", test.at, got.Location(), test.zone)
		}
	}
}

func TestParseEndSaysWhatIsWrong(t *testing.T) {
	for _, test := range []struct{ at, zone, want string }{
		{"31.05.2026", "", `end "31.05.2026" is not a date; write 2026-05-31, or 2026-05-31T18:00`},
		{"2026-02-30", "", `end "2026-02-30" is not a date; write 2026-05-31, or 2026-05-31T18:00`},
		{"", "", "end has no date; write 2026-05-31, or 2026-05-31T18:00"},
		{"next\nweek", "", `end "next\nweek" is not a date; write 2026-05-31, or 2026-05-31T18:00`},
		{"2026-05-31", "Berlin", `zone "Berlin" of the end is not known; write one like Europe/Berlin`},
		{"2026-05-31", "Local", `zone "Local" of the end is not known; write one like Europe/Berlin`},
		{"2026-05-31", "../../etc/passwd", `zone "../../etc/passwd" of the end is not known; write one like Europe/Berlin`},
		{"2026-03-29T02:30", "Europe/Berlin", `end "2026-03-29T02:30" does not exist in Europe/Berlin, where clocks are set forward over it; write 2026-03-29T03:00`},
	} {
		got, err := ParseEnd(wire.End{At: test.at, Zone: test.zone})
		if err == nil {
			t.Errorf("%q in %q = %s, want an error", test.at, test.zone, got)
		} else if err.Error() != test.want {
			t.Errorf("%q in %q:\n got %s\nwant %s", test.at, test.zone, err, test.want)
		}
	}
}

func FuzzParseEnd(f *testing.F) {
	for _, seed := range []string{"2026-05-31", "2026-05-31T18:00", "2026-05-31T18:00:00+02:00", "31.05.2026", "", "0000-01-01", "9999-12-31"} {
		f.Add(seed, "Europe/Berlin")
		f.Add(seed, "Pacific/Apia")
	}
	f.Fuzz(func(t *testing.T, at, zone string) {
		got, err := ParseEnd(wire.End{At: at, Zone: zone})
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\x1b") {
				t.Errorf("the error of %q has a control character: %q", at, err)
			}
			return
		}
		day, err := time.Parse(time.DateOnly, strings.TrimSpace(at))
		if err != nil {
			return
		}
		if y, m, d := got.Add(-time.Second).Date(); time.Date(y, m, d, 0, 0, 0, 0, time.UTC).After(day) {
			t.Errorf("the second before the end of %s in %s is on the next day", at, zone)
		}
		if y, m, d := got.Date(); !time.Date(y, m, d, 0, 0, 0, 0, time.UTC).After(day) {
			t.Errorf("the end of %s in %s is on that day still: %s", at, zone, got)
		}
	})
}
