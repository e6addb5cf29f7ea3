//go:build dqlite

package dqlite

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"popup/console"
)

// TestALostFolderLetsNobodyIn: what issues certificates is in each folder, and a key that no
// member let in is worth nothing all the same.
func TestALostFolderLetsNobodyIn(t *testing.T) {
	t.Parallel()
	c := grown(t, newMember(t))
	o, in := joined(t, c)
	var a Authority
	check(t, readFile(filepath.Join(o.Dir, authorityFile), &a))
	thief := linked(t, options(t, a))
	stolen := options(t, a)
	stolen.Identity = issued(t, a, o.Address) // it says that it is one of them
	impostor := linked(t, stolen)
	for _, at := range []*Cluster{c, in} {
		r := at.engine.(*running)
		check(t, r.look(waiting(t)))
		for _, l := range []*link{thief, impostor} {
			if _, err := l.askAbout(waiting(t), at.address()); err == nil || !strings.Contains(err.Error(), "503") {
				t.Errorf("a member answers %v", err)
			}
			if _, err := (&node{link: l}).leaderOf(waiting(t), at.address()); err == nil {
				t.Error("the engine answers")
			}
		}
	}
	check(t, write(waiting(t), in, "after")) // members are not disturbed
	check(t, write(waiting(t), c, "after"))
	_, third := joined(t, in)
	check(t, write(waiting(t), third, "third"))
}

// TestWhoIsBarred: whoever cannot look lets those in that may have joined meanwhile.
func TestWhoIsBarred(t *testing.T) {
	t.Parallel()
	const own = "own"
	now := time.Now()
	keys := func(all ...string) map[string]bool {
		is := map[string]bool{}
		for _, key := range all {
			is[key] = true
		}
		return is
	}
	all := roll{in: keys("a", "b"), gone: keys("c"), known: keys("a:1", "b:1", "c:1")}
	at := func(addresses ...string) (members []Member) {
		for _, address := range addresses {
			members = append(members, Member{Member: console.Member{Address: address}})
		}
		return members
	}
	for name, test := range map[string]struct {
		roll  roll
		after time.Duration
		key   string
		want  error
	}{
		"a member":                     {all.of(at("a:1", "b:1")), 0, "b", nil},
		"one that is being removed":    {all.of(at("a:1", "c:1")), 0, "c", errBarred},
		"an unknown key":               {all.of(at("a:1")), 0, "x", errNotMember},
		"an unknown key, soon":         {all.of(at("a:1")), rollTime - 1, "x", errNotMember},
		"an unknown key, not looked":   {all.of(at("a:1")), rollTime, "x", nil},
		"one that left, not looked":    {all.of(at("a:1")), time.Hour, "c", errBarred},
		"itself":                       {all.of(at("a:1")), 0, own, nil},
		"before the first look":        {roll{}, 0, "x", nil},
		"with a member not written in": {all.of(at("a:1", "d:1")), 0, "x", nil},
		"that left, with one of those": {all.of(at("a:1", "d:1")), 0, "c", errBarred},
	} {
		l := &link{id: own}
		l.bar(test.roll, now)
		if err := l.judge(test.key, now.Add(test.after)); err != test.want {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
}
