//go:build dqlite

package dqlite

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"popup/console"
)

// stableTime is how long three must have voted before one of them may be lost: before, the
// engine may be without a leader for many seconds.
const stableTime = 10 * time.Second

// enough is how many must vote so that one may be lost.
const enough = 3

// standing is since when the same members vote, and all of them answer.
type standing struct {
	voters string    // empty: not so
	since  time.Time // of this machine's monotonic clock
}

// judge says how many of the members may be lost, and why no more.
func (s *standing) judge(members []Member, now time.Time) (tolerates int, why string) {
	var voters, silent []string
	led := false
	for _, m := range members {
		led = led || m.Leads && m.Answers
		if !m.Answers {
			silent = append(silent, m.Address)
		}
		if m.Role == console.Voter {
			voters = append(voters, m.Address)
		}
	}
	lost := slices.DeleteFunc(slices.Clone(silent), func(a string) bool { return !slices.Contains(voters, a) })
	is := strings.Join(voters, " ")
	if len(lost) > 0 || !led {
		is = "" // and it begins anew once that is over
	}
	if is != s.voters {
		s.voters, s.since = is, now
	}
	stable := now.Sub(s.since)
	switch {
	case !led:
		return 0, "no console leads the others: look whether most of them run and reach each other"
	case len(silent) > 0 && (len(lost) > 0 || len(voters) < enough):
		return 0, strings.Join(silent, " and ") + " does not answer: start it again, or, where it is lost for good, remove it, and let another one join"
	case len(members) == 1:
		return 0, "it is the only console of its cluster: let two more join (popup console cluster-token)"
	case len(members) == 2:
		return 0, "there are two consoles: let a third one join (popup console cluster-token)"
	case len(voters) < enough:
		return 0, fmt.Sprintf("%d of %d consoles have a say in what is kept, so far: wait a moment", len(voters), len(members))
	case stable < stableTime:
		return 0, fmt.Sprintf("three consoles have been there for %d s: wait until it is %d s", int(stable.Seconds()), int(stableTime.Seconds()))
	}
	return (len(voters) - 1) / 2, ""
}
