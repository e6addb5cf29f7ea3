package console

import (
	"errors"
	"path"
	"strings"
	"sync"
	"testing"
)

const aPassword = "three four five"

// secretOf is the secret of a link to a path of the console.
func secretOf(t testing.TB, link, where string) string {
	t.Helper()
	if !strings.HasPrefix(link, "http://127.0.0.1:8000/"+where+"/") {
		t.Fatalf("the link is %q; want one to /%s/", link, where)
	}
	return path.Base(link)
}

// claimed makes a console that Olga claimed, and returns her session.
func claimed(t testing.TB, change ...func(*Options)) (*testConsole, Session) {
	t.Helper()
	c := newConsole(t, change...)
	link, err := c.ClaimLink(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s, err := c.Claim(t.Context(), secretOf(t, link, "claim"), NewPerson{Name: "Olga", Email: "olga@example.org", Password: aPassword})
	if err != nil {
		t.Fatal(err)
	}
	return c, s
}

// in is who has a session, which must be one.
func (c *testConsole) in(t testing.TB, s Session) Actor {
	t.Helper()
	a, err := c.ActorOfSession(t.Context(), s.Secret)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// faults are the fields that an error is about, in their order.
func faults(err error) string {
	var input *InputError
	if !errors.As(err, &input) {
		return ""
	}
	var fields []string
	for _, f := range input.Fields {
		fields = append(fields, f.Field)
	}
	return strings.Join(fields, " ")
}

func conflicts(err error) bool {
	var conflict *ConflictError
	return errors.As(err, &conflict)
}

func TestClaim(t *testing.T) {
	c := newConsole(t)
	if is, err := c.Claimed(t.Context()); is || err != nil {
		t.Fatalf("a new console is claimed: %v, %v", is, err)
	}
	old, err := c.ClaimLink(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	link, err := c.ClaimLink(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	olga := NewPerson{Name: " Olga ", Display: "Olga O.", Role: RoleViewer, Password: aPassword}
	nobodys, _ := newSecret()
	for _, secret := range []string{secretOf(t, old, "claim"), nobodys, "", "x", strings.Repeat("a", 58)} {
		if _, err := c.Claim(t.Context(), secret, olga); !errors.Is(err, ErrLinkOver) {
			t.Errorf("with %q it is claimed: %v", secret, err)
		}
	}
	secret := secretOf(t, link, "claim")
	if _, err := c.Claim(t.Context(), secret, NewPerson{Name: "<b>", Email: "x", Display: "a\nb", Password: "short"}); faults(err) != "name display email password" {
		t.Errorf("the faults are %q, %v", faults(err), err)
	}
	if _, err := c.Join(t.Context(), secret, aPassword); !errors.Is(err, ErrLinkOver) {
		t.Errorf("a link to claim lets join: %v", err)
	}
	s, err := c.Claim(t.Context(), secret, olga)
	if err != nil {
		t.Fatal(err)
	}
	if s.Person.Name != "olga" || s.Person.Role != RoleOwner || s.Person.Password != "" || !s.Expires.Equal(aDay.Add(sessionLasts)) {
		t.Errorf("who claims gets %+v", s)
	}
	if a := c.in(t, s); a.ID != s.Person.ID || a.Role != RoleOwner || a.Name != "Olga O." || a.Kind != ActorPerson || a.Session == "" {
		t.Errorf("who claimed is %+v", a)
	}
	if is, err := c.Claimed(t.Context()); !is || err != nil {
		t.Errorf("it is not claimed: %v, %v", is, err)
	}
	if _, err := c.Claim(t.Context(), secret, olga); !conflicts(err) {
		t.Errorf("it is claimed twice: %v", err)
	}
	if _, err := c.ClaimLink(t.Context()); !conflicts(err) {
		t.Errorf("there is another link: %v", err)
	}
	again, err := New(t.Context(), c.opts)
	if err != nil {
		t.Fatal(err)
	}
	if is, err := again.Claimed(t.Context()); !is || err != nil {
		t.Errorf("after a restart it is not claimed: %v, %v", is, err)
	}
}

// TestClaimAtOnce: of many who have the link, one owns the console.
func TestClaimAtOnce(t *testing.T) {
	c := newConsole(t)
	link, err := c.ClaimLink(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	errs := make([]error, 4)
	for i := range errs {
		wg.Go(func() {
			_, errs[i] = c.Claim(t.Context(), secretOf(t, link, "claim"), NewPerson{Name: "olga" + string(rune('a'+i)), Password: aPassword})
		})
	}
	wg.Wait()
	var own int
	for _, err := range errs {
		if err == nil {
			own++
		} else if !conflicts(err) {
			t.Error(err)
		}
	}
	people, err := c.People(t.Context(), System)
	if own != 1 || len(people) != 1 || err != nil {
		t.Errorf("%d own it, and there are %v, %v", own, people, err)
	}
}
