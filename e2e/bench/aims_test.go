package bench

import (
	"fmt"
	"strings"
)

// aims says of each aim what was reached. Those about a contender that is not there
// are left out.
func (sc scenario) aims(rows []*row) string {
	own, others := rows[0].median(), map[string]sample{}
	for _, r := range rows[1:] {
		others[r.name] = r.median()
	}
	var text strings.Builder
	aim := func(what string, got, most float64) {
		verdict := "reached"
		if got > most {
			verdict = "**not reached**"
		}
		fmt.Fprintf(&text, "- %s: %s, and at most %s is aimed at: %s\n", what, figure(got), figure(most), verdict)
	}
	git := others["git fetch --depth 1"]
	switch {
	case sc.clone:
		aim("client CPU of a clone, ms", own.client, git.client)
		aim("memory of a clone, MiB", own.peak, 64)
	case sc.polls == 0:
		aim("bytes of an update", own.down, 1.2*git.down)
		aim("client CPU of an update, ms", own.client, git.client/10)
	case !sc.cold:
		aim("bytes of a poll", own.down, 310)
		aim("CPU of the origin for a poll by way of a relay, ms", others["popup, relay"].origin, own.origin/100)
		aim("CPU of the relay for it, ms", others["popup, relay"].server, own.server/100)
		if peer, ok := others["git-sync"]; ok {
			aim("client CPU of a poll, ms", own.client, peer.client/100)
		}
	}
	return text.String()
}
