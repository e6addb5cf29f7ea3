package console

import (
	"strings"
	"testing"
	"time"

	"popup/internal/wire"
)

func TestJudge(t *testing.T) {
	live := &wire.Report{Live: true, Healthy: true}
	for name, c := range map[string]struct {
		instance  Instance
		j         judgement
		word, why string // why: a part of it
	}{
		"planned":           {Instance{State: InstancePlanned}, judgement{}, HealthWaiting, ""},
		"its cloud is full": {Instance{State: InstanceLaunching, Failure: "the cloud is full"}, judgement{}, HealthWaiting, "the cloud is full"},
		"no word yet":       {Instance{State: InstanceStarting, Launched: aDay}, judgement{now: aDay.Add(firstWord)}, HealthStarting, "not been heard of yet"},
		"no word":           {Instance{State: InstanceStarting, Launched: aDay}, judgement{now: aDay.Add(firstWord + time.Minute)}, HealthSilent, "16m0s after its launch"},
		"nobody listened":   {Instance{State: InstanceStarting, Launched: aDay}, judgement{since: aDay.Add(time.Hour), now: aDay.Add(time.Hour + firstWord)}, HealthStarting, ""},
		"it builds":         {Instance{State: InstanceStarting}, judgement{last: &wire.Report{Phases: []wire.Phase{{Name: "fetch", State: "done"}, {Name: "build", State: "running"}}}, heard: aDay, now: aDay}, HealthStarting, "build"},
		"it cannot build":   {Instance{State: InstanceStarting}, judgement{last: &wire.Report{Phases: []wire.Phase{{Name: "build", State: "failed", Cause: "no gcc"}}}, heard: aDay, now: aDay}, HealthStarting, "build: no gcc"},
		"live":              {Instance{State: InstanceLive}, judgement{last: live, heard: aDay, now: aDay.Add(90 * time.Second)}, HealthLive, ""},
		"silent":            {Instance{State: InstanceLive}, judgement{last: live, heard: aDay, now: aDay.Add(91 * time.Second)}, HealthSilent, "12:00 on 1 May"},
		"the console slept": {Instance{State: InstanceLive}, judgement{last: live, heard: aDay, since: aDay.Add(time.Hour), now: aDay.Add(time.Hour + 90*time.Second)}, HealthLive, ""},
		"a longer period":   {Instance{State: InstanceLive}, judgement{last: live, heard: aDay, now: aDay.Add(91 * time.Second), period: time.Minute}, HealthLive, ""},
		"ill":               {Instance{State: InstanceLive}, judgement{last: &wire.Report{Live: true, Why: "old data"}, heard: aDay, now: aDay}, HealthUnhealthy, "old data"},
		"live, wish unmet":  {Instance{State: InstanceLive}, judgement{last: &wire.Report{Live: true, Healthy: true, Unmet: "no such commit"}, heard: aDay, now: aDay}, HealthLive, "no such commit"},
		"it starts again":   {Instance{State: InstanceLive}, judgement{last: &wire.Report{}, heard: aDay, now: aDay}, HealthStarting, ""},
		"ending":            {Instance{State: InstanceEnding}, judgement{last: &wire.Report{End: &wire.Ending{Detail: "it takes a backup"}}, heard: aDay, now: aDay.Add(time.Hour)}, HealthEnding, "a backup"},
		"gone":              {Instance{State: InstanceGone}, judgement{last: live, heard: aDay, now: aDay}, HealthOver, ""},
		"lost":              {Instance{State: InstanceLost}, judgement{}, HealthOver, "went away"},
		"refused for good":  {Instance{State: InstanceFailed, Failure: "no such size"}, judgement{}, HealthOver, "no such size"},
	} {
		if c.j.period == 0 {
			c.j.period = 30 * time.Second
		}
		if word, why := judge(&c.instance, c.j); word != c.word || !strings.Contains(why, c.why) || c.why == "" && why != "" && c.instance.Launched.IsZero() {
			t.Errorf("%s: %s, %q; want %s, %q", name, word, why, c.word, c.why)
		}
	}
}
