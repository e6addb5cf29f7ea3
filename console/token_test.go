package console

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestTokens(t *testing.T) {
	c, s := claimed(t)
	olga := c.in(t, s)
	for _, n := range []NewToken{{}, {Title: " "}, {Title: "x", Days: -1}, {Title: "x", Days: 367}, {Title: "a\nb"}, {Title: strings.Repeat("x", 1000)}} {
		if _, secret, err := c.AddToken(t.Context(), olga, n); faults(err) == "" || secret != "" {
			t.Errorf("%+v: %v", n, err)
		}
	}
	all, secret, err := c.AddToken(t.Context(), olga, NewToken{Title: " laptop "})
	if err != nil || !strings.HasPrefix(secret, "popup_") || all.Title != "laptop" || all.Hash != nil || !all.Expires.Equal(aDay.AddDate(0, 0, 90)) {
		t.Fatalf("%+v, %v", all, err)
	}
	c.clock.advance(time.Second)
	reads, readsSecret, err := c.AddToken(t.Context(), olga, NewToken{Title: "chart", Reads: true, Days: 1})
	if err != nil {
		t.Fatal(err)
	}
	a, err := c.ActorOfToken(t.Context(), secret)
	if err != nil || a.ID != olga.ID || a.Role != RoleOwner || a.Reads || a.Token != all.ID || a.Session != "" {
		t.Errorf("the token is %+v, %v", a, err)
	}
	r, err := c.ActorOfToken(t.Context(), readsSecret)
	if err != nil || !r.Reads || r.Token != reads.ID {
		t.Errorf("the reading token is %+v, %v", r, err)
	}
	if _, _, err := c.AddPerson(t.Context(), r, NewPerson{Name: "otto"}); !errors.Is(err, ErrForbidden) {
		t.Errorf("it adds somebody: %v", err)
	}
	if _, err := c.AuditLog(t.Context(), r, "", 0, 1); err != nil {
		t.Errorf("it does not read: %v", err)
	}
	for _, a := range []Actor{a, r} {
		if _, more, err := c.AddToken(t.Context(), a, NewToken{Title: "more"}); !errors.Is(err, ErrForbidden) || more != "" {
			t.Errorf("a token makes another: %v", err)
		}
		if err := c.ChangePassword(t.Context(), a, aPassword, "seven eight nine"); !errors.Is(err, ErrForbidden) {
			t.Errorf("a token changes the password: %v", err)
		}
	}
	nobodys, _ := newSecret()
	for _, secret := range []string{"", "popup_", strings.TrimPrefix(secret, "popup_"), "popup_" + nobodys, "popup_" + s.Secret, secret + "x", s.Secret} {
		if a, err := c.ActorOfToken(t.Context(), secret); !errors.Is(err, ErrSignIn) {
			t.Errorf("%q is %+v, %v", secret, a, err)
		}
	}
	c.outside(t, strings.TrimPrefix(secret, "popup_"), "a token is no cookie")

	c.clock.advance(time.Minute)
	if _, err := c.ActorOfToken(t.Context(), secret); err != nil {
		t.Error(err)
	}
	mine, err := c.Tokens(t.Context(), olga)
	if err != nil || len(mine) != 2 || mine[0].ID != all.ID || !mine[0].Used.Equal(c.now()) || !mine[1].Used.Equal(aDay.Add(time.Second)) || mine[0].Hash != nil {
		t.Errorf("there are %+v, %v", mine, err)
	}
	c.add(t, NewPerson{Name: "paula", Role: RoleOwner, Password: aPassword})
	for _, off := range []bool{true, false} {
		_, err := c.ChangePerson(t.Context(), System, olga.ID, PersonChange{Disabled: &off})
		check(t, err)
		if _, err := c.ActorOfToken(t.Context(), secret); errors.Is(err, ErrSignIn) != off {
			t.Errorf("disabled is %v: %v", off, err)
		}
	}
	olga = c.in(t, c.signIn(t, "olga", aPassword))
	c.clock.advance(24 * time.Hour)
	if a, err := c.ActorOfToken(t.Context(), readsSecret); !errors.Is(err, ErrSignIn) {
		t.Errorf("after a day it is %+v, %v", a, err)
	}
	if mine, err = c.Tokens(t.Context(), olga); err != nil || len(mine) != 1 {
		t.Errorf("one that expired is shown: %+v, %v", mine, err)
	}
	if err := c.RemoveToken(t.Context(), olga, all.ID); err != nil {
		t.Fatal(err)
	}
	if a, err := c.ActorOfToken(t.Context(), secret); !errors.Is(err, ErrSignIn) {
		t.Errorf("removed it is %+v, %v", a, err)
	}
}

func TestRemoveToken(t *testing.T) {
	c, s := claimed(t)
	olga := c.in(t, s)
	c.add(t, NewPerson{Name: "otto", Role: RoleOrganiser, Password: aPassword})
	c.add(t, NewPerson{Name: "vera", Password: aPassword})
	otto, vera := c.in(t, c.signIn(t, "otto", aPassword)), c.in(t, c.signIn(t, "vera", aPassword))
	make := func(a Actor) (Token, Actor) {
		token, secret, err := c.AddToken(t.Context(), a, NewToken{Title: "x", Reads: true})
		if err != nil {
			t.Fatal(err)
		}
		by, err := c.ActorOfToken(t.Context(), secret)
		if err != nil {
			t.Fatal(err)
		}
		return token, by
	}
	ottos, byOtto := make(otto)
	second, _ := make(otto)
	veras, byVera := make(vera)
	for name, a := range map[string]Actor{"another": vera, "another's token": byVera, "his other token": byOtto, "nobody": {},
		"a link with the token's id": {Kind: ActorLink, ID: "l", Role: RoleHelper, Token: second.ID}} {
		if err := c.RemoveToken(t.Context(), a, second.ID); !errors.Is(err, ErrForbidden) && !errors.Is(err, ErrSignIn) {
			t.Errorf("%s removes it: %v", name, err)
		}
	}
	if err := c.RemoveToken(t.Context(), vera, "nothing"); !errors.Is(err, ErrForbidden) || errors.Is(err, ErrNotFound) {
		t.Errorf("whether a token is there is told: %v", err)
	}
	if err := c.RemoveToken(t.Context(), olga, "nothing"); !errors.Is(err, ErrNotFound) {
		t.Errorf("an owner is told %v", err)
	}
	for name, remove := range map[string]struct {
		by    Actor
		token string
	}{"itself": {byOtto, ottos.ID}, "one's own": {otto, second.ID}, "by an owner": {olga, veras.ID}} {
		if err := c.RemoveToken(t.Context(), remove.by, remove.token); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for range tokensMost {
		make(otto)
	}
	if _, _, err := c.AddToken(t.Context(), otto, NewToken{Title: "x"}); !conflicts(err) {
		t.Errorf("there may be any number: %v", err)
	}
}
