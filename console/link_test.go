package console

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// anEvent writes one of an owner's.
func (c *testConsole) anEvent(t testing.TB, name, owner string) Event {
	t.Helper()
	e := Event{ID: newID(16), Name: name, Title: strings.ToUpper(name), State: EventOpen, Owner: owner, EndsAt: aDay.AddDate(0, 0, 30), Created: c.now()}
	c.write(t, func(tx Tx) error { return put(tx, e) })
	return e
}

func TestLinks(t *testing.T) {
	c := newConsole(t)
	fair, other := c.anEvent(t, "fair", anOrganiser.ID), c.anEvent(t, "other", "paula")
	l, address, err := c.AddLink(t.Context(), anOrganiser, fair.Name, " Paul's phone ")
	if err != nil || l.Title != "Paul's phone" || l.Hash != nil {
		t.Fatalf("%+v, %v", l, err)
	}
	secret := secretOf(t, address, "h")
	want := Actor{Kind: ActorLink, ID: l.ID, Name: "Paul's phone", Role: RoleHelper, Event: fair.ID}
	for i := range 2 {
		a, err := c.ActorOfSession(t.Context(), secret)
		b, berr := c.ActorOfToken(t.Context(), secret)
		if a != want || b != want || err != nil || berr != nil {
			t.Errorf("%d: who has it is %+v, %v, and %+v, %v", i, a, err, b, berr)
		}
	}
	if _, err := c.ActorOfToken(t.Context(), tokenPrefix+secret); !errors.Is(err, ErrSignIn) {
		t.Errorf("a link is a token: %v", err)
	}
	for name, ask := range map[string]func(a Actor, event string) error{
		"add":  func(a Actor, event string) error { _, _, err := c.AddLink(t.Context(), a, event, "x"); return err },
		"list": func(a Actor, event string) error { _, err := c.Links(t.Context(), a, event); return err },
	} {
		for _, who := range []struct {
			actor Actor
			event string
			want  error
		}{
			{want, fair.ID, ErrForbidden}, {want, other.ID, ErrNotFound}, {aViewer, fair.ID, ErrForbidden}, {anOrganiser, other.ID, ErrNotFound},
			{anOrganiser, other.Name, ErrNotFound}, {anOwner, "nothing", ErrNotFound}, {anOrganiser, "nothing", ErrNotFound}, {want, "nothing", ErrNotFound}, {aStranger, fair.ID, ErrSignIn}, {aStranger, "nothing", ErrSignIn},
		} {
			// What is not theirs to see and what is not there are told alike.
			if err := ask(who.actor, who.event); !errors.Is(err, who.want) || err.Error() != who.want.Error() {
				t.Errorf("%s as %s, %s: %v; want %v", name, who.actor.Role, who.event, err, who.want)
			}
		}
	}
	if _, _, err := c.AddLink(t.Context(), anOrganiser, fair.ID, " "); faults(err) != "title" {
		t.Errorf("nobody knows whose link it is: %v", err)
	}
	if links, err := c.Links(t.Context(), anOwner, fair.ID); err != nil || len(links) != 1 || links[0].ID != l.ID || links[0].Hash != nil {
		t.Errorf("there are %+v, %v", links, err)
	}
	for _, who := range []struct {
		actor Actor
		id    string
		want  error
	}{{want, l.ID, ErrForbidden}, {aViewer, l.ID, ErrForbidden}, {aStranger, l.ID, ErrSignIn}, {aStranger, "nothing", ErrSignIn}, {anOwner, "nothing", ErrNotFound}} {
		if err := c.RemoveLink(t.Context(), who.actor, who.id); !errors.Is(err, who.want) {
			t.Errorf("%s removes %s: %v; want %v", who.actor.Role, who.id, err, who.want)
		}
	}
	if err := c.RemoveLink(t.Context(), anOrganiser, l.ID); err != nil {
		t.Fatal(err)
	}
	c.outside(t, secret, "the link was removed")
}

// TestLinksDieWithTheirEvent: at once, and for good.
func TestLinksDieWithTheirEvent(t *testing.T) {
	c := newConsole(t)
	for _, state := range eventStates {
		e := c.anEvent(t, "fair-"+string(state), anOrganiser.ID)
		l, address, err := c.AddLink(t.Context(), anOrganiser, e.ID, "Paul")
		if err != nil {
			t.Fatal(err)
		}
		secret := secretOf(t, address, "h")
		if _, err := c.ActorOfSession(t.Context(), secret); err != nil {
			t.Fatal(err)
		}
		e.State = state
		c.write(t, func(tx Tx) error { return put(tx, e) })
		over := slices.Contains([]EventState{EventEnded, EventArchived, EventPurged}, state)
		if !over {
			if _, err := c.ActorOfSession(t.Context(), secret); err != nil {
				t.Errorf("%s: %v", state, err)
			}
		} else {
			c.outside(t, secret, "the event is "+string(state))
			if _, _, err := c.AddLink(t.Context(), anOrganiser, e.ID, "Paul"); !conflicts(err) {
				t.Errorf("%s: somebody may still help: %v", state, err)
			}
		}
		if err := c.forgetPeople(t.Context()); err != nil {
			t.Fatal(err)
		}
		err = c.store.View(t.Context(), func(tx Tx) error { _, err := get[Link](tx, l.ID); return err })
		if errors.Is(err, ErrNotFound) != over {
			t.Errorf("%s: the link: %v", state, err)
		}
		c.write(t, func(tx Tx) error { return tx.Delete(KindEvent, e.ID) })
		c.outside(t, secret, "the event is no more")
	}
	e := c.anEvent(t, "many", anOrganiser.ID)
	for range linksMost {
		if _, _, err := c.AddLink(t.Context(), anOrganiser, e.ID, "Paul"); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := c.AddLink(t.Context(), anOrganiser, e.ID, "Paul"); !conflicts(err) {
		t.Errorf("there may be any number: %v", err)
	}
}
