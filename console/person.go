package console

import (
	"errors"
	"net/mail"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// KindPerson is of people.
const KindPerson Kind = "person"

// A Person may sign in.
type Person struct {
	ID       string    `json:"id"`
	Name     string    `json:"name"` // what they sign in with, in lower case
	Display  string    `json:"display,omitempty"`
	Email    string    `json:"email,omitempty"`
	Role     Role      `json:"role"`
	Disabled bool      `json:"disabled,omitempty"`
	Password string    `json:"password,omitempty"` // argon2id; empty: they sign in some other way. It is not handed out
	Subject  string    `json:"subject,omitempty"`  // of an OpenID provider: issuer and subject
	Created  time.Time `json:"created"`
	Seen     time.Time `json:"seen,omitzero"` // to the hour
	// Invited says that they have no way to sign in yet. It is not kept.
	Invited bool `json:"invited,omitempty"`
}

func (p Person) record() Record {
	return Record{Kind: KindPerson, ID: p.ID, Name: p.Name, State: string(p.Role), Sort: p.Name}
}

// shown is what is handed out of a person.
func (p Person) shown() Person {
	p.Invited = p.invited()
	p.Password = ""
	return p
}

func (p Person) invited() bool { return p.Password == "" && p.Subject == "" }

// title is what others call them.
func (p Person) title() string {
	if p.Display != "" {
		return p.Display
	}
	return p.Name
}

// A NewPerson is what is given to make one.
type NewPerson struct {
	Name     string `json:"name"`
	Display  string `json:"display,omitempty"`
	Email    string `json:"email,omitempty"`
	Role     Role   `json:"role,omitempty"`     // empty: a viewer
	Password string `json:"password,omitempty"` // empty: an invitation link is made
}

const (
	nameMost  = 64  // characters
	emailMost = 254 // bytes
)

// person is the one that is asked for, without a password; what is wrong with it is
// added to w.
func (n NewPerson) person(now time.Time, w *wrong) Person {
	p := Person{ID: newID(16), Name: personName(n.Name), Role: n.Role, Created: now}
	if p.Role == "" {
		p.Role = RoleViewer
	}
	w.check("name", nameFault(p.Name))
	p.setDisplay(n.Display, w)
	p.setEmail(n.Email, w)
	w.check("role", roleFault(p.Role))
	return p
}

func (p *Person) setDisplay(display string, w *wrong) {
	p.Display = strings.TrimSpace(display)
	w.check("display", checkTitle(p.Display))
}

func (p *Person) setEmail(email string, w *wrong) {
	p.Email = strings.TrimSpace(email)
	if p.Email == "" {
		return
	}
	if a, err := mail.ParseAddress(p.Email); err != nil || a.Address != p.Email || len(p.Email) > emailMost || strings.ContainsFunc(p.Email, misleads) {
		w.add("email", "is no address such as olga@example.org")
	}
}

// personName is a name as it is kept: however it is written, it is the same person's.
func personName(name string) string { return strings.ToLower(strings.TrimSpace(name)) }

func nameFault(name string) error {
	for _, r := range name {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r) && !strings.ContainsRune("._-+@", r) || r == utf8.RuneError {
			return errors.New("take letters, digits, dots, hyphens, or an email address")
		}
	}
	if n := utf8.RuneCountInString(name); n == 0 || n > nameMost {
		return errors.New("take 1 to 64 characters")
	}
	return nil
}

func roleFault(role Role) error {
	switch role {
	case RoleOwner, RoleOrganiser, RoleViewer:
		return nil
	case RoleHelper:
		return errors.New("helpers come by the link of an event; make one there")
	}
	return errors.New("is owner, organiser or viewer")
}

// ownersBeside counts the people who own this console, without one of them.
func ownersBeside(tx Tx, id string) (n int, err error) {
	owners, err := list[Person](tx, Query{State: string(RoleOwner)})
	for _, p := range owners {
		if p.ID != id && !p.Disabled && !p.invited() {
			n++
		}
	}
	return n, err
}

// sameEmail says whether two addresses are one person's: providers tell them in their own
// way. One with a letter that only looks like another's in upper case is longer.
func sameEmail(a, b string) bool { return a != "" && len(a) == len(b) && strings.EqualFold(a, b) }
