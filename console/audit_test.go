package console

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"strings"
	"testing"
	"time"
)

// TestPeopleAreAudited: whatever somebody does about people is in the log, in sentences,
// and neither there nor elsewhere in the store is a secret.
func TestPeopleAreAudited(t *testing.T) {
	c, s := claimed(t)
	olga := c.in(t, s)
	fair := c.anEvent(t, "fair", olga.ID)
	_, link, err := c.AddPerson(t.Context(), olga, NewPerson{Name: "otto", Email: "otto@example.org"})
	check(t, err)
	joined, err := c.Join(t.Context(), path.Base(link), "seven eight nine")
	check(t, err)
	check(t, c.ChangePassword(t.Context(), c.in(t, joined), "seven eight nine", "ten eleven twelve"))
	in := c.signIn(t, "otto", "ten eleven twelve")
	check(t, c.SignOut(t.Context(), joined.Secret))
	token, secret, err := c.AddToken(t.Context(), c.in(t, in), NewToken{Title: "laptop"})
	check(t, err)
	check(t, c.RemoveToken(t.Context(), olga, token.ID))
	_, secret2, err := c.AddToken(t.Context(), c.in(t, in), NewToken{Title: "chart", Reads: true})
	check(t, err)
	help, address, err := c.AddLink(t.Context(), olga, fair.ID, "Paul")
	check(t, err)
	check(t, c.RemoveLink(t.Context(), olga, help.ID))
	_, address2, err := c.AddLink(t.Context(), olga, fair.ID, "Paul")
	check(t, err)
	invitation, err := c.Invite(t.Context(), olga, c.in(t, in).ID)
	check(t, err)
	recovery, err := c.RecoveryLink(t.Context(), "")
	check(t, err)
	_, err = c.ChangePerson(t.Context(), olga, c.in(t, in).ID, PersonChange{Role: new(RoleOrganiser), Disabled: new(true), Display: new("Otto"), Email: new("")})
	check(t, err)

	log, err := c.AuditLog(t.Context(), aViewer, "", 0, 0)
	check(t, err)
	var got []string
	for _, e := range log {
		got = append([]string{fmt.Sprintf("%s %s: %s", e.Action, strings.NewReplacer(olga.ID, "OLGA", in.Person.ID, "OTTO", fair.ID, "FAIR").Replace(e.Actor+" "+e.Object), e.Detail)}, got...)
	}
	want := []string{
		"claim OLGA person/OLGA: olga claimed this console by its link, and owns it",
		"add person OLGA person/OTTO: otto, viewer, who comes in by a link that works for 48 hours",
		"set password OTTO person/OTTO: otto set a password by a link to join, and signed in",
		"change password OTTO person/OTTO: otto changed their password",
		"sign in OTTO person/OTTO: otto signed in with a password from 192.0.2.1",
		"sign out OTTO person/OTTO: otto signed out",
		`make token OTTO person/OTTO: otto made the token "laptop", which may change things, until 2026-07-30`,
		`remove token OLGA person/OTTO: olga removed the token "laptop"`,
		`make token OTTO person/OTTO: otto made the token "chart", which only reads, until 2026-07-30`,
		`make link OLGA event/FAIR: a link to help with FAIR, for "Paul"`,
		`remove link OLGA event/FAIR: the link for "Paul" was removed`,
		`make link OLGA event/FAIR: a link to help with FAIR, for "Paul"`,
		"invite OLGA person/OTTO: a link for otto to set a password, which works for 48 hours",
		"recover console person/OLGA: a link for olga to set a new password, which works for 1 hour",
		`change person OLGA person/OTTO: otto: is shown as "Otto", has another email address, organiser instead of viewer, disabled`,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("the log is\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	check(t, VerifyAudit(t.Context(), c.store))

	var all bytes.Buffer
	check(t, c.store.Backup(t.Context(), &all))
	for _, secret := range []string{s.Secret, joined.Secret, in.Secret, secret, secret2, path.Base(link), path.Base(address), path.Base(address2),
		path.Base(invitation), path.Base(recovery), aPassword, "seven eight nine", "ten eleven twelve"} {
		if secret = strings.TrimPrefix(secret, tokenPrefix); len(secret) < 10 || bytes.Contains(all.Bytes(), []byte(secret)) {
			t.Errorf("the store holds %q", secret)
		}
	}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestAuditLogOfAnEvent(t *testing.T) {
	c := newConsole(t)
	c.write(t, func(tx Tx) error { return c.audit(tx, System, "old", "event/fair", "of one before, with the same id") })
	c.clock.advance(time.Second)
	fair, other := Event{ID: "fair", Name: "the-fair", Owner: anOrganiser.ID, Created: c.now()}, Event{ID: "other", Owner: "paula", Created: c.now()}
	c.write(t, func(tx Tx) error {
		return errors.Join(put(tx, fair), put(tx, other), put(tx, Deployment{ID: "d", Event: "fair"}), put(tx, Deployment{ID: "d2", Event: "other"}),
			put(tx, Instance{ID: "i", Deployment: "d", Event: "fair"}), put(tx, Instance{ID: "i2", Deployment: "d2", Event: "other"}),
			put(tx, Operation{ID: "o", Event: "fair"}))
	})
	objects := []string{"event/fair", "instance/i", "deployment/d", "operation/o", "event/other", "instance/i2", "deployment/d2", "person/fair", "event/i", "fair", ""}
	const rounds = 250 // so that there are several pages, and most entries are others'
	c.write(t, func(tx Tx) error {
		for i := range rounds {
			for _, object := range objects {
				if err := c.audit(tx, System, fmt.Sprint(i), object, ""); err != nil {
					return err
				}
			}
		}
		return nil
	})
	for _, id := range []string{"fair", "the-fair"} {
		var got []AuditEntry
		for before := int64(0); ; before = got[len(got)-1].Seq {
			page, err := c.AuditLog(t.Context(), anOrganiser, id, before, 300)
			check(t, err)
			if len(page) == 0 {
				break
			}
			got = append(got, page...)
		}
		if len(got) != 4*rounds {
			t.Fatalf("%s: there are %d entries; want %d", id, len(got), 4*rounds)
		}
		for i, e := range got {
			if e.Object != objects[3-i%4] || e.Action != fmt.Sprint(rounds-1-i/4) {
				t.Fatalf("%s: entry %d is %s %s", id, i, e.Action, e.Object)
			}
		}
	}
	helper := Actor{Kind: ActorLink, ID: "l", Role: RoleHelper, Event: "fair"}
	for _, x := range []struct {
		actor Actor
		event string
		want  error
	}{
		{anOwner, "", nil}, {aViewer, "", nil}, {anOrganiser, "", ErrForbidden}, {helper, "", ErrForbidden}, {aStranger, "", ErrSignIn},
		{anOwner, "other", nil}, {aViewer, "other", nil}, {anOrganiser, "other", ErrNotFound}, {helper, "other", ErrNotFound}, {aStranger, "other", ErrSignIn},
		{helper, "fair", ErrForbidden}, {anOwner, "nothing", ErrNotFound},
	} {
		log, err := c.AuditLog(t.Context(), x.actor, x.event, 0, 2)
		if !errors.Is(err, x.want) || x.want == nil && len(log) != 2 || x.want != nil && log != nil {
			t.Errorf("%s of %q: %d entries, %v; want %v", x.actor.Role, x.event, len(log), err, x.want)
		}
	}
}
