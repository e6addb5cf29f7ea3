package bench

import (
	"fmt"
	"strings"
	"testing"
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
	default:
		relayed := others["popup, relay"]
		aim("requests of the origin for a poll of a relay", relayed.asked, 0)
		aim("CPU of the origin for a poll of a relay, ms", relayed.origin, own.origin/100)
		if sc.cold {
			break
		}
		aim("bytes of a poll", own.down, 310)
		if peer, ok := others["git-sync"]; ok {
			aim("client CPU of a poll, ms", own.client, peer.client/100)
		}
	}
	return text.String()
}

func TestAimsOfARelay(t *testing.T) {
	const missed = "not reached"
	for _, c := range []struct {
		name  string
		relay sample
		wrong int
	}{
		{"the relay's own web server is not the origin", sample{relay: 9}, 0},
		{"a hundredth", sample{origin: 0.02}, 0},
		{"more than a hundredth", sample{origin: 0.03}, 1},
		{"one poll of many got through", sample{asked: 0.01}, 1},
		{"as without a relay", sample{origin: 2, asked: 1}, 2},
	} {
		rows := []*row{{name: "popup", samples: []sample{{origin: 2, asked: 1}}}, {name: "popup, relay", samples: []sample{c.relay}}}
		if text := (scenario{polls: 1}).aims(rows); strings.Count(text, missed) != c.wrong {
			t.Errorf("%s: not %d times %q:\n%s", c.name, c.wrong, missed, text)
		}
	}
}
