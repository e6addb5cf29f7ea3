package apps

import (
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // a small machine has no zone files of its own

	"github.com/robfig/cron/v3"
)

const scheduleHelp = `write five fields like "*/15 8-18 * * 1-5" (minute hour day month weekday), or @every 10m, @hourly, @daily; CRON_TZ=Europe/Berlin before them sets the zone`

var cronParser = cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.Descriptor)

// checkSchedule checks a cron line: five fields, a descriptor, or @every with at
// least a minute, and before it, if wanted, TZ=ZONE or CRON_TZ=ZONE.
func checkSchedule(line string) error {
	if err := checkLine(line, 200); err != nil {
		return err
	}
	rest := line
	if strings.HasPrefix(line, "TZ=") || strings.HasPrefix(line, "CRON_TZ=") {
		zone, after, ok := strings.Cut(line, " ")
		if !ok { // the parser would slice beyond its end
			return flaw{quote(line) + " has a zone and no schedule", scheduleHelp}
		}
		_, name, _ := strings.Cut(zone, "=")
		if _, err := time.LoadLocation(name); err != nil || name == "" {
			return flaw{fmt.Sprintf("%s names the unknown time zone %s", quote(line), quote(name)), "write one like Europe/Berlin"}
		}
		rest = strings.TrimSpace(after)
	}
	if every, ok := strings.CutPrefix(rest, "@every "); ok {
		return checkEvery(line, every)
	}
	if n := len(strings.Fields(rest)); !strings.HasPrefix(rest, "@") && n != 5 {
		return flaw{fmt.Sprintf("%s has %d fields and not five", quote(line), n), scheduleHelp}
	}
	schedule, err := cronParser.Parse(rest)
	if err != nil {
		return flaw{fmt.Sprintf("%s is not a schedule (%v)", quote(line), err), scheduleHelp}
	}
	if schedule.Next(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return flaw{quote(line) + " never comes", ""}
	}
	return nil
}

func checkEvery(line, every string) error {
	d, err := time.ParseDuration(every)
	if err != nil {
		return flaw{quote(line) + " is not a schedule", "write @every and a time with h, m or s, like @every 10m"}
	}
	if d < time.Minute {
		return flaw{quote(line) + " is more often than once a minute", "write @every 1m or longer"}
	}
	return nil
}
