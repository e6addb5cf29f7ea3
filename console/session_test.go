package console

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

// outside fails where a secret still lets somebody in.
func (c *testConsole) outside(t testing.TB, secret, why string) {
	t.Helper()
	if a, err := c.ActorOfSession(t.Context(), secret); !errors.Is(err, ErrSignIn) {
		t.Errorf("%s, and %+v is in: %v", why, a, err)
	}
	if a, err := c.ActorOfToken(t.Context(), secret); !errors.Is(err, ErrSignIn) {
		t.Errorf("%s, and %+v is in by it as a token: %v", why, a, err)
	}
}

func (c *testConsole) add(t testing.TB, n NewPerson) (Person, string) {
	t.Helper()
	p, link, err := c.AddPerson(t.Context(), System, n)
	if err != nil {
		t.Fatal(err)
	}
	return p, link
}

func (c *testConsole) signIn(t testing.TB, name, password string) Session {
	t.Helper()
	s, err := c.SignIn(t.Context(), name, password, "192.0.2.1:1")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSignIn(t *testing.T) {
	c, _ := claimed(t)
	invited, _ := c.add(t, NewPerson{Name: "ivan"})
	gone, _ := c.add(t, NewPerson{Name: "gone", Password: aPassword})
	if _, err := c.ChangePerson(t.Context(), System, gone.ID, PersonChange{Disabled: new(true)}); err != nil {
		t.Fatal(err)
	}
	for i, who := range []struct{ name, password string }{
		{"olga", "three four six"}, {"olga", ""}, {"nobody", aPassword}, {"ivan", ""}, {"ivan", aPassword}, {"gone", aPassword},
		{"", aPassword}, {"olga\x00", aPassword}, {strings.Repeat("x", 1000), aPassword}, {"olga", strings.Repeat("x", 5000)}, {"' OR 1=1 --", aPassword},
	} {
		c.clock.advance(time.Hour)
		s, err := c.SignIn(t.Context(), who.name, who.password, "192.0.2.9")
		if !errors.Is(err, ErrWrongPassword) || err.Error() != ErrWrongPassword.Error() || s.Secret != "" {
			t.Errorf("%d: %q: %v", i, who.name, err)
		}
	}
	s, err := c.SignIn(t.Context(), " OLGA", aPassword, "192.0.2.1:4000")
	if err != nil {
		t.Fatal(err)
	}
	if a := c.in(t, s); a.Name != "olga" || a.Role != RoleOwner || s.Person.Password != "" {
		t.Errorf("Olga is %+v, %+v", a, s.Person)
	}
	if p := stored[Person](t, c, s.Person.ID); !p.Seen.Equal(c.now()) {
		t.Errorf("she was seen at %s", p.Seen)
	}
	if p := stored[Person](t, c, invited.ID); !p.Seen.IsZero() {
		t.Errorf("whoever never came in was seen at %s", p.Seen)
	}
	if err := c.SignOut(t.Context(), s.Secret); err != nil {
		t.Error(err)
	}
	c.outside(t, s.Secret, "she signed out")
	nobodys, _ := newSecret()
	for _, secret := range []string{s.Secret, nobodys, "", "x"} {
		if err := c.SignOut(t.Context(), secret); err != nil {
			t.Errorf("signing out with %q: %v", secret, err)
		}
		c.outside(t, secret, "it is nobody's")
	}
}

// TestSignInIsLimited: by name and by address, whether there is such a name or not.
func TestSignInIsLimited(t *testing.T) {
	c, _ := claimed(t)
	for _, name := range []string{"olga", "nobody"} {
		for i := range 7 {
			_, err := c.SignIn(t.Context(), name, "wrong wrong", "192.0.2."+string(rune('1'+i)))
			var busy *BusyError
			if errors.As(err, &busy) != (i >= 5) || !errors.Is(err, ErrWrongPassword) != (i >= 5) {
				t.Errorf("%s, try %d: %v", name, i, err)
			}
		}
		c.clock.advance(time.Hour)
	}
}

// TestManySignIns: those that succeed do not count.
func TestManySignIns(t *testing.T) {
	c, _ := claimed(t)
	for range 7 {
		c.signIn(t, "olga", aPassword)
	}
}

// TestPasswordIsChangedMeanwhile: while one was checked.
func TestPasswordIsChangedMeanwhile(t *testing.T) {
	for name, change := range map[string]func(p *Person){
		"another password": func(p *Person) { p.Password = aSecondHash },
		"disabled":         func(p *Person) { p.Disabled = true },
	} {
		c, s := claimed(t)
		store := c.store
		c.store = &slowStore{Store: store, before: func() {
			check(t, store.Update(t.Context(), func(tx Tx) error {
				p, err := get[Person](tx, s.Person.ID)
				change(&p)
				return errors.Join(err, put(tx, p))
			}))
		}}
		if in, err := c.SignIn(t.Context(), "olga", aPassword, "192.0.2.1"); !errors.Is(err, ErrWrongPassword) || in.Secret != "" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A slowStore has something else happen before each write.
type slowStore struct {
	Store
	before func()
}

func (s *slowStore) Update(ctx context.Context, fn func(Tx) error) error {
	s.before()
	return s.Store.Update(ctx, fn)
}

func TestSessionsLast(t *testing.T) {
	c, s := claimed(t)
	id := c.in(t, s).Session
	// Used a little each day it lasts, and is written down at most once an hour.
	for range 40 {
		c.clock.advance(12 * time.Hour)
		c.in(t, s)
		if kept := stored[session](t, c, id); !kept.Used.Equal(c.now()) {
			t.Fatalf("used at %s, it says %s", c.now(), kept.Used)
		}
		c.clock.advance(59 * time.Minute)
		c.in(t, s)
		if kept := stored[session](t, c, id); kept.Used.Equal(c.now()) {
			t.Fatal("it is written down each time")
		}
	}
	if p := stored[Person](t, c, s.Person.ID); c.now().Sub(p.Seen) != 59*time.Minute {
		t.Errorf("Olga was seen at %s", p.Seen)
	}
	c.clock.advance(sessionLasts - time.Hour)
	c.in(t, s)
	c.clock.advance(sessionLasts)
	c.outside(t, s.Secret, "nobody used it for 14 days")
	if err := c.forgetPeople(t.Context()); err != nil {
		t.Fatal(err)
	}
	err := c.store.View(t.Context(), func(tx Tx) error { _, err := get[session](tx, id); return err })
	if !errors.Is(err, ErrNotFound) {
		t.Errorf("it is kept: %v", err)
	}
}

// TestActorsAreRemembered: while nothing changes, the store is not asked again; when
// something is taken from somebody, it is gone at once.
func TestActorsAreRemembered(t *testing.T) {
	c, s := claimed(t)
	otto, _ := c.add(t, NewPerson{Name: "otto", Role: RoleOrganiser, Password: aPassword})
	theirs := c.signIn(t, "otto", aPassword)
	counted := &readsCounted{Store: c.store}
	c.store = counted
	for range 50 {
		c.in(t, s)
		c.in(t, theirs)
	}
	if counted.views != 2 {
		t.Errorf("the store was asked %d times for two", counted.views)
	}
	c.clock.advance(admittedFor)
	c.in(t, s)
	if counted.views != 3 {
		t.Errorf("after a while the store was asked %d times", counted.views)
	}
	if _, err := c.ChangePerson(t.Context(), c.in(t, s), otto.ID, PersonChange{Role: new(RoleViewer)}); err != nil {
		t.Fatal(err)
	}
	if a := c.in(t, theirs); a.Role != RoleViewer {
		t.Errorf("Otto is still %s", a.Role)
	}
	if _, err := c.ChangePerson(t.Context(), c.in(t, s), otto.ID, PersonChange{Disabled: new(true)}); err != nil {
		t.Fatal(err)
	}
	c.outside(t, theirs.Secret, "Otto was disabled")
	if _, err := c.ChangePerson(t.Context(), c.in(t, s), otto.ID, PersonChange{Disabled: new(false)}); err != nil {
		t.Fatal(err)
	}
	c.outside(t, theirs.Secret, "Otto was disabled before")
	c.door.actors = map[string]admitted{}
	for range admittedMost {
		c.door.actors[newID(8)] = admitted{}
	}
	if c.in(t, s); len(c.door.actors) > admittedMost {
		t.Errorf("%d are remembered", len(c.door.actors))
	}
}

// A readsCounted counts what is read.
type readsCounted struct {
	Store
	views int
}

func (s *readsCounted) View(ctx context.Context, fn func(Tx) error) error {
	s.views++
	return s.Store.View(ctx, fn)
}

func TestSignInAs(t *testing.T) {
	c, s := claimed(t)
	otto, link := c.add(t, NewPerson{Name: "otto", Email: "Otto@example.org"})
	c.add(t, NewPerson{Name: "kim", Email: "kim@example.org"})
	vera, _ := c.add(t, NewPerson{Name: "vera", Email: "vera@example.org", Password: aPassword})
	const issuer = "https://accounts.example.org"
	for name, i := range map[string]Identity{
		"an unknown person":          {issuer, "77", "paula@example.org", "Paula"},
		"no email":                   {issuer, "77", "", "Otto"},
		"an owner's email":           {issuer, "77", "olga@example.org", "Olga"},
		"that of who has a password": {issuer, "77", "vera@example.org", "Vera"},
		"one that only looks alike":  {issuer, "77", "\u212aim@example.org", "Kim"},
		"no subject":                 {issuer, "", "otto@example.org", "Otto"},
		"no issuer":                  {"", "77", "otto@example.org", "Otto"},
	} {
		if s, err := c.SignInAs(t.Context(), i); !errors.Is(err, ErrNotInvited) || s.Secret != "" {
			t.Errorf("%s: %+v, %v", name, s, err)
		}
	}
	first, err := c.SignInAs(t.Context(), Identity{issuer, "42", "otto@EXAMPLE.org", "O"})
	if err != nil {
		t.Fatal(err)
	}
	if a := c.in(t, first); a.ID != otto.ID || a.Role != RoleViewer || first.Person.Invited {
		t.Errorf("Otto is %+v, %+v", a, first.Person)
	}
	if _, err := c.Join(t.Context(), secretOf(t, link, "join"), aPassword); !errors.Is(err, ErrLinkOver) {
		t.Errorf("the invitation of who came in another way: %v", err)
	}
	// From now on the subject counts, whatever the email is by then.
	if again, err := c.SignInAs(t.Context(), Identity{issuer, "42", "", "O"}); err != nil || again.Person.ID != otto.ID {
		t.Errorf("the second time: %+v, %v", again, err)
	}
	for name, i := range map[string]Identity{
		"another subject with the same email": {issuer, "43", "otto@example.org", "O"},
		"another issuer's subject":            {"https://evil.example.org", "42", "otto@example.org", "O"},
		"the same, put together another way":  {issuer + " 4", "2", "", ""},
	} {
		if _, err := c.SignInAs(t.Context(), i); !errors.Is(err, ErrNotInvited) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := c.SignIn(t.Context(), "otto", "", "x"); !errors.Is(err, ErrWrongPassword) {
		t.Errorf("who has no password: %v", err)
	}
	if err := c.ChangePassword(t.Context(), c.in(t, first), "", "another password"); !conflicts(err) {
		t.Errorf("who has no password changes it: %v", err)
	}
	if _, err := c.ChangePerson(t.Context(), c.in(t, s), otto.ID, PersonChange{Disabled: new(true)}); err != nil {
		t.Fatal(err)
	}
	c.outside(t, first.Secret, "Otto was disabled")
	if _, err := c.SignInAs(t.Context(), Identity{issuer, "42", "otto@example.org", "O"}); !errors.Is(err, ErrNotInvited) {
		t.Errorf("who was disabled: %v", err)
	}
	if p := stored[Person](t, c, vera.ID); p.Subject != "" {
		t.Errorf("Vera is %q", p.Subject)
	}
}
