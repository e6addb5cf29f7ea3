//go:build dqlite

package dqlite

import (
	"context"
	"strings"
	"testing"

	"popup/console"
)

func TestWhoMayGo(t *testing.T) {
	t.Parallel()
	const voter, spare, silentSpare = "voter", "spare", "silent spare"
	for _, c := range []struct {
		members string
		without int
		want    string // empty: it may go
	}{
		{"voter,voter,voter", 0, ""},
		{"silent voter,voter,voter", 0, ""},
		{"voter,silent voter,voter", 0, "could not go on"},
		{"silent voter,silent voter,voter", 0, "recover-cluster"},
		{"voter,voter", 0, ""},
		{"silent voter,voter", 0, "recover-cluster"},
		{"voter,silent voter", 0, "recover-cluster"},
		{"voter,spare", 0, ""},
		{"voter,silent spare", 0, "could not go on"},
		{"voter,silent spare", 1, ""},
		{"voter,voter,voter,silent spare", 0, ""},
	} {
		var members []Member
		for i, kind := range strings.Split(c.members, ",") {
			m := console.Member{Address: string(rune('a' + i)), Role: console.Voter, Answers: kind == voter || kind == spare}
			if kind == spare || kind == silentSpare {
				m.Role = console.Spare
			}
			members = append(members, Member{Member: m})
		}
		err := goesOn(members, members[c.without].Address)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("of %s number %d goes: %v, want %q", c.members, c.without, err, c.want)
		}
	}
}

// TestWhoLeftUnnoticed: a leave that was cut short opens nothing for long.
func TestWhoLeftUnnoticed(t *testing.T) {
	t.Parallel()
	c := grown(t, newMember(t))
	o, in := joined(t, c)
	left, stays := in.engine.(*running), c.engine.(*running)
	check(t, left.remove(waiting(t), left.node.app.ID()))
	check(t, c.Remove(waiting(t), o.Address))
	is, err := calledRoll(waiting(t), c)
	check(t, err)
	if !is.gone[left.node.link.id] {
		t.Error("who was removed is still in")
	}
	says(t, c.Remove(waiting(t), o.Address), "no such console")

	over, cancel := context.WithCancel(t.Context())
	cancel()
	check(t, stays.depart(over, c.address(), "leave cluster", "test"))
}
