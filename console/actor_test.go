package console

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// TestRoles goes through every role, verb and target. Each cell of the table lists what
// is allowed; what is not is forbidden, or not even there ("-"), or asks to sign in ("in").
func TestRoles(t *testing.T) {
	all := []Verb{See, Start, Help, Manage, Fetch, Review, Admin, Account}
	const me = "me"
	own, other := target{event: "e1", owner: me}, target{event: "e2", owner: "you"}
	targets := []target{{}, own, other, {owner: me}, {owner: "you"}}
	names := []string{"nothing", "own event", "other's event", "own account", "other's account"}
	person := func(r Role) Actor { return Actor{Kind: ActorPerson, ID: me, Role: r} }
	token := func(r Role) Actor { return Actor{Kind: ActorPerson, ID: me, Role: r, Token: "t"} }
	reads := func(r Role) Actor { return Actor{Kind: ActorPerson, ID: me, Role: r, Token: "t", Reads: true} }
	const every, mine = "see launch help manage fetch review admin", "see launch help manage fetch review"
	for _, c := range []struct {
		name  string
		actor Actor
		may   [5]string
	}{
		{"owner", person(RoleOwner), [5]string{every, every, every, every + " account", every}},
		{"organiser", person(RoleOrganiser), [5]string{"see launch", mine, "-", "see launch account", "see launch"}},
		{"viewer", person(RoleViewer), [5]string{"see review", "see review", "see review", "see review account", "see review"}},
		{"helper", Actor{Kind: ActorLink, ID: "l", Role: RoleHelper, Event: "e1"}, [5]string{"see", "see help", "-", "see", "see"}},
		{"helper whose link has its event's owner's id", Actor{Kind: ActorLink, ID: "you", Role: RoleHelper, Event: "e1"}, [5]string{"see", "see help", "-", "see", "see"}},
		{"link that says it is an owner", Actor{Kind: ActorLink, ID: me, Role: RoleOwner}, [5]string{"see", "-", "-", "see", "see"}},
		{"person that says they help", Actor{Kind: ActorPerson, ID: me, Role: RoleHelper, Event: "e1"}, [5]string{"", "-", "-", "", ""}},
		{"person without a role", person(""), [5]string{"", "-", "-", "", ""}},
		{"person with another's role", person("root"), [5]string{"", "-", "-", "", ""}},
		{"owner's token", token(RoleOwner), [5]string{every, every, every, every, every}},
		{"organiser's token", token(RoleOrganiser), [5]string{"see launch", mine, "-", "see launch", "see launch"}},
		{"owner's reading token", reads(RoleOwner), [5]string{"see fetch review", "see fetch review", "see fetch review", "see fetch review", "see fetch review"}},
		{"organiser's reading token", reads(RoleOrganiser), [5]string{"see", "see fetch review", "-", "see", "see"}},
		{"viewer's reading token", reads(RoleViewer), [5]string{"see review", "see review", "see review", "see review", "see review"}},
		{"nobody", Actor{}, [5]string{"in", "in", "in", "in", "in"}},
		{"nobody that says they own", Actor{ID: me, Role: RoleOwner}, [5]string{"in", "in", "in", "in", "in"}},
		{"instance", Actor{Kind: ActorInstance, ID: me, Role: RoleOwner}, [5]string{"in", "in", "in", "in", "in"}},
		{"the console", System, [5]string{every + " account", every + " account", every + " account", every + " account", every + " account"}},
	} {
		for i, where := range targets {
			for _, v := range all {
				want := ErrForbidden
				switch {
				case c.may[i] == "in":
					want = ErrSignIn
				case c.may[i] == "-":
					want = ErrNotFound
				case slices.Contains(strings.Fields(c.may[i]), string(v)):
					want = nil
				}
				if err := authorise(c.actor, v, where); !errors.Is(err, want) {
					t.Errorf("%s, %s, %s: %v; want %v", c.name, v, names[i], err, want)
				}
			}
		}
	}
}

// TestNobodysAccount: an actor without an id has no account, not even one without an id.
func TestNobodysAccount(t *testing.T) {
	if err := authorise(Actor{Kind: ActorPerson, Role: RoleViewer}, Account, target{}); !errors.Is(err, ErrForbidden) {
		t.Error(err)
	}
}
