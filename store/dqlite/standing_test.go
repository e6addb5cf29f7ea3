//go:build dqlite

package dqlite

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"popup/console"
)

// of are members: v is a voter and s a spare, in capitals where they do not answer, and the
// one after a * leads.
func of(text string) (members []Member) {
	for i, is := range strings.Fields(text) {
		is, leads := strings.CutPrefix(is, "*")
		m := console.Member{Address: fmt.Sprintf("n%d:9000", i), Leads: leads, Answers: is == strings.ToLower(is), Role: console.Voter}
		if strings.ToLower(is) == "s" {
			m.Role = console.Spare
		}
		members = append(members, Member{Member: m})
	}
	return members
}

func TestWhatIsTolerated(t *testing.T) {
	t.Parallel()
	at := time.Now()
	var s standing
	for i, step := range []struct {
		after     time.Duration
		members   string
		tolerates int
		why       string
	}{
		{0, "*v", 0, "only console"},
		{20 * time.Second, "*v s", 0, "let a third one join"},
		{time.Second, "*v v s", 0, "2 of 3 consoles"},
		{time.Second, "*v v v", 0, "for 0 s"},
		{9 * time.Second, "*v v v", 0, "for 9 s: wait until it is 10 s"},
		{time.Second, "*v v v", 1, ""},
		{time.Second, "v *v v", 1, ""}, // another one leads
		{time.Second, "*v v v s", 1, ""},
		{time.Second, "*v v v S", 1, ""},
		{time.Second, "*v V v s", 0, "n1:9000 does not answer"},
		{time.Second, "*v v v s", 0, "for 0 s"},
		{10 * time.Second, "*v v v s", 1, ""},
		{time.Second, "v v v s", 0, "no console leads"},
		{time.Second, "*v v v s", 0, "for 0 s"},
		{30 * time.Second, "*v v s v", 0, "for 0 s"}, // others vote
		{30 * time.Second, "*v v", 0, "let a third one join"},
		{30 * time.Second, "*v V", 0, "n1:9000 does not answer"},
		{30 * time.Second, "", 0, "no console leads"},
	} {
		at = at.Add(step.after)
		tolerates, why := s.judge(of(step.members), at)
		if tolerates != step.tolerates || (why == "") != (step.why == "") || !strings.Contains(why, step.why) {
			t.Errorf("step %d, %q: %d, %q, want %d, %q", i, step.members, tolerates, why, step.tolerates, step.why)
		}
	}
}

// TestEntriesOnTheDisk: what is counted in the files is what was written, and the same on
// each node.
func TestEntriesOnTheDisk(t *testing.T) {
	t.Parallel()
	c := grown(t, newMember(t))
	_, _ = joined(t, c)
	_, third := joined(t, c)
	until(t, c, "three that vote", func(s console.ClusterState) bool { return strings.Contains(s.Why, "wait until") || s.Tolerates == 1 })
	r := c.engine.(*running)
	before := lastEntry(r.node.dir)
	const more = 40
	for i := range more {
		check(t, write(waiting(t), third, fmt.Sprint(i)))
	}
	after := lastEntry(r.node.dir)
	if before <= 0 || after < before+more || after > before+3*more {
		t.Errorf("%d entries before, and %d after %d writes", before, after, more)
	}
	until(t, c, "nobody behind", func(s console.ClusterState) bool {
		for _, m := range s.Members {
			if m.Behind != 0 {
				return false
			}
		}
		return true
	})
	if n := lastEntry(t.TempDir()); n != 0 {
		t.Errorf("a folder of none has %d", n)
	}
	if n := lastEntry("/nonexistent"); n != -1 {
		t.Errorf("no folder has %d", n)
	}
}
