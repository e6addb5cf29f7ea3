package console

import (
	"errors"
	"testing"

	"popup/console/catalogue"
)

// TestLaunchFetchesForWhoMayLaunch: a repository is looked at for nobody who may launch
// nothing, whatever event they name.
func TestLaunchFetchesForWhoMayLaunch(t *testing.T) {
	c := newConsole(t, func(o *Options) {
		o.Catalogue.(*fakeCatalogue).inspect = func(string) (catalogue.Proposal, error) {
			t.Error("it was fetched")
			return catalogue.Proposal{}, errors.New("it was fetched")
		}
	})
	e, err := c.CreateEvent(t.Context(), anOwner, EventRequest{Title: "Fair"})
	if err != nil {
		t.Fatal(err)
	}
	r := LaunchRequest{Apps: []AppRequest{{Repository: "https://example.org/fork.git"}}}
	for name, who := range map[string]struct {
		actor Actor
		want  error
	}{
		"a viewer": {aViewer, ErrForbidden},
		"a helper": {Actor{Kind: ActorLink, ID: "link", Role: RoleHelper, Event: e.ID}, ErrForbidden},
		"a reader": {Actor{Kind: ActorPerson, ID: "olga", Role: RoleOwner, Token: "t", Reads: true}, ErrForbidden},
		"nobody":   {aStranger, ErrSignIn},
	} {
		for _, event := range []string{"", e.ID, "no-such-event"} {
			r.Event.ID = event
			if _, err := c.Preview(t.Context(), who.actor, r); !errors.Is(err, who.want) {
				t.Errorf("%s, into %q: %v", name, event, err)
			}
		}
	}
}
