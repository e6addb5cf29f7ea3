package peers

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"popup/console"
)

func TestOthersInOrder(t *testing.T) {
	for _, c := range []struct{ members, want string }{ // ! is the one that asks, - one that does not answer
		{"a! b c", "b c"}, {"a b! c", "c a"}, {"a b c!", "a b"},
		{"a! b- c", "c b"}, {"a- b! c-", "c a"}, {"a- b c! d", "d b a"},
		{"a!", ""}, {"", ""}, {"a b", "a b"},
	} {
		var members []console.Member
		for _, m := range strings.Fields(c.members) {
			members = append(members, console.Member{Address: m[:1], Self: strings.HasSuffix(m, "!"), Answers: !strings.HasSuffix(m, "-")})
		}
		if got := strings.Join(inOrder(members), " "); got != c.want {
			t.Errorf("of %q it asks %q, want %q", c.members, got, c.want)
		}
	}
}

// asked counts who asks about its state.
type asked struct {
	console.Cluster
	times int
	err   error
}

func (a *asked) State(context.Context) (console.ClusterState, error) {
	a.times++
	return console.ClusterState{Members: []console.Member{{Address: "a", Self: true}, {Address: "b", Answers: true}}}, a.err
}

func TestOthersAreKnownForAWhile(t *testing.T) {
	cluster := &asked{err: errors.New("nobody leads")}
	list := Others(cluster)
	if _, err := list(t.Context()); err == nil {
		t.Error("who cannot be known is known")
	}
	cluster.err = nil
	begun := time.Now()
	for range 100 {
		got, err := list(t.Context())
		if err != nil || !slices.Equal(got, []string{"b"}) {
			t.Fatalf("%v, %v", got, err)
		}
		got[0] = "x"
	}
	if most := 2 + int(time.Since(begun)/knownFor); cluster.times > most {
		t.Errorf("they were asked %d times, want at most %d", cluster.times, most)
	}
}
