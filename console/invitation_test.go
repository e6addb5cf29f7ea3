package console

import (
	"errors"
	"testing"
	"time"
)

func TestInvitation(t *testing.T) {
	c, s := claimed(t)
	olga := c.in(t, s)
	otto, link, err := c.AddPerson(t.Context(), olga, NewPerson{Name: "otto", Role: RoleOrganiser})
	if err != nil || !otto.Invited {
		t.Fatalf("%+v, %v", otto, err)
	}
	secret := secretOf(t, link, "join")
	if p, err := c.Invited(t.Context(), secret); err != nil || p.ID != otto.ID {
		t.Errorf("it invites %+v, %v", p, err)
	}
	for _, bad := range []string{"short", "otto", "password123"} {
		if _, err := c.Join(t.Context(), secret, bad); faults(err) != "password" {
			t.Errorf("with %q he joins: %v", bad, err)
		}
	}
	joined, err := c.Join(t.Context(), secret, "seven eight nine")
	if err != nil {
		t.Fatal(err)
	}
	if a := c.in(t, joined); a.ID != otto.ID || a.Role != RoleOrganiser || joined.Person.Invited || joined.Person.Password != "" {
		t.Errorf("Otto is %+v, %+v", a, joined.Person)
	}
	if _, err := c.Join(t.Context(), secret, "ten eleven twelve"); !errors.Is(err, ErrLinkOver) {
		t.Errorf("the link works twice: %v", err)
	}
	if _, err := c.Invited(t.Context(), secret); !errors.Is(err, ErrLinkOver) {
		t.Errorf("the link is shown twice: %v", err)
	}
	c.signIn(t, "otto", "seven eight nine")

	// He lost his password: an owner makes a link, and what he had ends when it is used.
	first, err := c.Invite(t.Context(), olga, otto.ID)
	if err != nil {
		t.Fatal(err)
	}
	second, err := c.Invite(t.Context(), olga, otto.ID)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Join(t.Context(), secretOf(t, first, "join"), "ten eleven twelve"); !errors.Is(err, ErrLinkOver) {
		t.Errorf("a link works that was replaced: %v", err)
	}
	c.in(t, joined)
	if _, err := c.Join(t.Context(), secretOf(t, second, "join"), "ten eleven twelve"); err != nil {
		t.Fatal(err)
	}
	c.outside(t, joined.Secret, "the password was set anew")
}

func TestInvitationsEnd(t *testing.T) {
	c, s := claimed(t)
	olga := c.in(t, s)
	otto, link := c.add(t, NewPerson{Name: "otto"})
	c.clock.advance(48*time.Hour - time.Second)
	if _, err := c.Invited(t.Context(), secretOf(t, link, "join")); err != nil {
		t.Errorf("before two days have passed: %v", err)
	}
	c.clock.advance(time.Second)
	if _, err := c.Join(t.Context(), secretOf(t, link, "join"), aPassword); !errors.Is(err, ErrLinkOver) {
		t.Errorf("after two days: %v", err)
	}
	link, err := c.Invite(t.Context(), olga, otto.ID)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.ChangePerson(t.Context(), olga, otto.ID, PersonChange{Disabled: new(true)}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Join(t.Context(), secretOf(t, link, "join"), aPassword); !errors.Is(err, ErrLinkOver) {
		t.Errorf("who was disabled joins: %v", err)
	}
	if _, err := c.Invite(t.Context(), olga, otto.ID); !conflicts(err) {
		t.Errorf("who was disabled is invited: %v", err)
	}
	if _, err := c.Invite(t.Context(), olga, "nobody"); !errors.Is(err, ErrNotFound) {
		t.Errorf("nobody is invited: %v", err)
	}
	other, _ := c.add(t, NewPerson{Name: "paula", Role: RoleOwner, Password: aPassword})
	if _, err := c.Invite(t.Context(), olga, other.ID); !conflicts(err) {
		t.Errorf("an owner becomes another: %v", err)
	}
	for _, a := range []Actor{anOrganiser, aViewer, aStranger} {
		if link, err := c.Invite(t.Context(), a, otto.ID); err == nil || link != "" {
			t.Errorf("%s invites", a.Role)
		}
	}
}

func TestRecovery(t *testing.T) {
	c := newConsole(t)
	_, err := c.RecoveryLink(t.Context(), "")
	if failsWith(t, err, "nobody owns this console yet", "claim it"); !conflicts(err) {
		t.Error(err)
	}
	c, s := claimed(t)
	link, err := c.RecoveryLink(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	recovered, err := c.Join(t.Context(), secretOf(t, link, "join"), "seven eight nine")
	if err != nil {
		t.Fatal(err)
	}
	if a := c.in(t, recovered); a.ID != s.Person.ID || a.Role != RoleOwner {
		t.Errorf("it recovers %+v", a)
	}
	c.outside(t, s.Secret, "the password was set anew")
	if _, err := c.SignIn(t.Context(), "olga", aPassword, "x"); !errors.Is(err, ErrWrongPassword) {
		t.Errorf("the old password works: %v", err)
	}
	c.signIn(t, "olga", "seven eight nine")

	paula, _ := c.add(t, NewPerson{Name: "paula", Role: RoleOwner, Password: aPassword})
	c.add(t, NewPerson{Name: "otto", Role: RoleOrganiser, Password: aPassword})
	_, err = c.RecoveryLink(t.Context(), "")
	failsWith(t, err, "several owners", "olga, paula")
	_, err = c.RecoveryLink(t.Context(), "otto")
	failsWith(t, err, `no owner is called "otto"`, "olga, paula")
	link, err = c.RecoveryLink(t.Context(), "Paula")
	if err != nil {
		t.Fatal(err)
	}
	if p, err := c.Invited(t.Context(), secretOf(t, link, "join")); err != nil || p.ID != paula.ID {
		t.Errorf("it is for %+v, %v", p, err)
	}
	if _, err := c.ChangePerson(t.Context(), System, s.Person.ID, PersonChange{Disabled: new(true)}); err != nil {
		t.Fatal(err)
	}
	_, err = c.RecoveryLink(t.Context(), "olga")
	failsWith(t, err, `no owner is called "olga"; there is paula`)
	c.clock.advance(time.Hour)
	if _, err := c.Join(t.Context(), secretOf(t, link, "join"), aPassword); !errors.Is(err, ErrLinkOver) {
		t.Errorf("after an hour: %v", err)
	}
}
