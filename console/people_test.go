package console

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestAddPerson(t *testing.T) {
	c, s := claimed(t)
	olga := c.in(t, s)
	for want, n := range map[string]NewPerson{
		"name":                        {},
		"name ":                       {Name: strings.Repeat("x", 65)},
		"name  ":                      {Name: "two words"},
		"name   ":                     {Name: "$(reboot)"},
		"name    ":                    {Name: "a\xff"},
		"name     ":                   {Name: " OLGA "}, // taken
		"email":                       {Name: "otto", Email: "Olga@EXAMPLE.org"},
		"email ":                      {Name: "otto", Email: "Otto <otto@example.org>"},
		"email  ":                     {Name: "otto", Email: "otto@example.org\r\nBcc: x"},
		"email   ":                    {Name: "otto", Email: strings.Repeat("x", 250) + "@example.org"},
		"email    ":                   {Name: "otto", Email: "o\u202Eo@example.org"},
		"display":                     {Name: "otto", Display: strings.Repeat("x", 200)},
		"display ":                    {Name: "otto", Display: "O\u202Eotto"},
		"role":                        {Name: "otto", Role: "root"},
		"role ":                       {Name: "otto", Role: RoleHelper},
		"password":                    {Name: "otto", Password: "otto"},
		"name email display password": {Name: "o o", Email: "x", Display: "a\nb", Password: "password123"},
	} {
		sorted := map[string]string{"name email display password": "name display email password"}[want]
		if sorted == "" {
			sorted = strings.TrimSpace(want)
		}
		if p, link, err := c.AddPerson(t.Context(), olga, n); faults(err) != sorted || link != "" || p.ID != "" {
			t.Errorf("%+v: %q, %v; want %q", n, faults(err), err, sorted)
		}
	}
	p, link, err := c.AddPerson(t.Context(), olga, NewPerson{Name: "Žofie@example.org", Password: aPassword})
	if err != nil || link != "" || p.Role != RoleViewer || p.Password != "" || p.Invited || p.Name != "žofie@example.org" {
		t.Errorf("%+v, %q, %v", p, link, err)
	}
	for _, a := range []Actor{anOrganiser, aViewer, {Kind: ActorLink, ID: "l", Role: RoleHelper}, {Kind: ActorPerson, ID: olga.ID, Role: RoleOwner, Reads: true}, aStranger} {
		if _, _, err := c.AddPerson(t.Context(), a, NewPerson{Name: "otto"}); err == nil {
			t.Errorf("%+v adds somebody", a)
		}
		if people, err := c.People(t.Context(), a); err == nil || people != nil {
			t.Errorf("%+v sees everybody", a)
		}
	}
	people, err := c.People(t.Context(), olga)
	if err != nil || len(people) != 2 || people[0].Name != "olga" || people[0].Password != "" {
		t.Errorf("there are %+v, %v", people, err)
	}
}

func TestChangePerson(t *testing.T) {
	c, s := claimed(t)
	olga := c.in(t, s)
	otto, _ := c.add(t, NewPerson{Name: "otto", Role: RoleOrganiser, Password: aPassword})
	his := c.in(t, c.signIn(t, "otto", aPassword))
	change := func(a Actor, id string, what PersonChange) error {
		_, err := c.ChangePerson(t.Context(), a, id, what)
		return err
	}
	for name, x := range map[string]struct {
		err  error
		want error
	}{
		"his own role":                {change(his, otto.ID, PersonChange{Role: new(RoleOwner)}), ErrForbidden},
		"his own role with the name":  {change(his, otto.ID, PersonChange{Display: new("O"), Role: new(RoleOwner)}), ErrForbidden},
		"his own email":               {change(his, otto.ID, PersonChange{Email: new("olga2@example.org")}), ErrForbidden},
		"how another is shown":        {change(his, olga.ID, PersonChange{Display: new("Silly")}), ErrForbidden},
		"nobody":                      {change(olga, "nobody", PersonChange{}), ErrNotFound},
		"by nobody":                   {change(Actor{}, otto.ID, PersonChange{}), ErrSignIn},
		"by nobody, of nobody's name": {change(Actor{}, "", PersonChange{Display: new("x")}), ErrSignIn},
	} {
		if !errors.Is(x.err, x.want) {
			t.Errorf("%s: %v; want %v", name, x.err, x.want)
		}
	}
	if p, err := c.ChangePerson(t.Context(), his, otto.ID, PersonChange{Display: new(" Otto O. ")}); err != nil || p.Display != "Otto O." || p.Password != "" {
		t.Errorf("how he is shown: %+v, %v", p, err)
	}
	if p, err := c.Me(t.Context(), his); err != nil || p.Display != "Otto O." || p.Password != "" {
		t.Errorf("he is %+v, %v", p, err)
	}
	if err := change(olga, otto.ID, PersonChange{Role: new(RoleHelper), Email: new("x"), Display: new("a\nb")}); faults(err) != "display email role" {
		t.Errorf("the faults are %q, %v", faults(err), err)
	}
	if err := change(olga, otto.ID, PersonChange{Email: new("olga@example.ORG")}); faults(err) != "email" {
		t.Errorf("two have one address: %v", err)
	}
	entries := func() int {
		log, err := c.AuditLog(t.Context(), System, "", 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		return len(log)
	}
	before := entries()
	if err := change(olga, otto.ID, PersonChange{Display: new("Otto O."), Role: new(RoleOrganiser)}); err != nil || entries() != before {
		t.Errorf("what changes nothing is noted: %v", err)
	}
}

// TestOneOwnerStays: whoever is the last one who can sign in stays an owner.
func TestOneOwnerStays(t *testing.T) {
	c, s := claimed(t)
	olga := c.in(t, s)
	off, less := PersonChange{Disabled: new(true)}, PersonChange{Role: new(RoleViewer)}
	refused := func(id, why string) {
		t.Helper()
		for _, change := range []PersonChange{off, less} {
			if _, err := c.ChangePerson(t.Context(), olga, id, change); !conflicts(err) {
				t.Errorf("%s: %v", why, err)
			}
		}
	}
	refused(olga.ID, "there is one")
	paula, link := c.add(t, NewPerson{Name: "paula", Role: RoleOwner})
	refused(olga.ID, "the other did not join yet")
	if _, err := c.Join(t.Context(), secretOf(t, link, "join"), aPassword); err != nil {
		t.Fatal(err)
	}
	if _, err := c.ChangePerson(t.Context(), olga, paula.ID, off); err != nil {
		t.Fatal(err)
	}
	refused(olga.ID, "the other is disabled")
	if _, err := c.ChangePerson(t.Context(), olga, paula.ID, PersonChange{Disabled: new(false)}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.ChangePerson(t.Context(), olga, olga.ID, less); err != nil {
		t.Errorf("there are two: %v", err)
	}
	refused(paula.ID, "she is the last")
}

func TestChangePassword(t *testing.T) {
	c, s := claimed(t)
	here, there := c.in(t, s), c.signIn(t, "olga", aPassword)
	recovery, err := c.RecoveryLink(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.ChangePassword(t.Context(), here, "wrong wrong", "seven eight nine"); faults(err) != "old" {
		t.Errorf("with a wrong one: %v", err)
	}
	if err := c.ChangePassword(t.Context(), here, aPassword, "olga@example.org"); faults(err) != "password" {
		t.Errorf("to a bad one: %v", err)
	}
	c.in(t, there)
	if err := c.ChangePassword(t.Context(), here, aPassword, "seven eight nine"); err != nil {
		t.Fatal(err)
	}
	c.in(t, s)
	c.outside(t, there.Secret, "she changed her password elsewhere")
	if _, err := c.Invited(t.Context(), secretOf(t, recovery, "join")); !errors.Is(err, ErrLinkOver) {
		t.Errorf("a link from before sets it again: %v", err)
	}
	c.signIn(t, "olga", "seven eight nine")
	// Neither who tries to sign in as her nor another who changes theirs gets in her way.
	c.add(t, NewPerson{Name: "otto", Password: aPassword})
	otto := c.in(t, c.signIn(t, "otto", aPassword))
	for i := range 5 {
		if _, err := c.SignIn(t.Context(), "olga", "wrong wrong", "198.51.100."+string(rune('1'+i))); !errors.Is(err, ErrWrongPassword) {
			t.Error(err)
		}
		if err := c.ChangePassword(t.Context(), otto, "wrong wrong", "ten eleven twelve"); faults(err) != "old" {
			t.Error(err)
		}
	}
	check(t, c.ChangePassword(t.Context(), here, "seven eight nine", aPassword))
	check(t, c.ChangePassword(t.Context(), here, aPassword, "seven eight nine"))
	c.clock.advance(time.Minute)
	for i := range 7 {
		err := c.ChangePassword(t.Context(), here, strings.Repeat("wrong", 1+i*500), "ten eleven twelve")
		var busy *BusyError
		if errors.As(err, &busy) != (i >= 5) {
			t.Errorf("try %d: %v", i, err)
		}
	}
	for _, a := range []Actor{aStranger, {Kind: ActorLink, ID: here.ID, Role: RoleHelper}} {
		if err := c.ChangePassword(t.Context(), a, "seven eight nine", "ten eleven twelve"); err == nil {
			t.Errorf("%+v changes it", a)
		}
	}
}
