package console

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// People are all, by name.
func (c *Console) People(ctx context.Context, a Actor) (people []Person, err error) {
	if err := authorise(a, Admin, target{}); err != nil {
		return nil, err
	}
	err = c.store.View(ctx, func(tx Tx) error {
		people, err = list[Person](tx, Query{})
		return err
	})
	for i, p := range people {
		people[i] = p.shown()
	}
	return people, err
}

// Me is the person that an actor is.
func (c *Console) Me(ctx context.Context, a Actor) (p Person, err error) {
	if err := authorise(a, Account, target{owner: a.ID}); err != nil {
		return Person{}, err
	}
	err = c.store.View(ctx, func(tx Tx) error {
		p, err = get[Person](tx, a.ID)
		return err
	})
	return p.shown(), err
}

// AddPerson adds one. invitation is a link to hand on where no password was given.
func (c *Console) AddPerson(ctx context.Context, a Actor, n NewPerson) (added Person, invitation string, err error) {
	if err := authorise(a, Admin, target{}); err != nil {
		return Person{}, "", err
	}
	var w wrong
	p := n.person(c.now(), &w)
	if n.Password != "" {
		w.check("password", passwordFault(n.Password, p.Name, p.Display, p.Email))
	}
	if err := w.err(); err != nil {
		return Person{}, "", err
	}
	how := "with a password"
	i, link := c.newInvitation(forJoining, p.ID, joiningLasts)
	if n.Password != "" {
		link = ""
		if p.Password, err = c.door.passwords.hash(ctx, n.Password); err != nil {
			return Person{}, "", err
		}
	} else {
		how = "by a link that works for " + hours(joiningLasts)
	}
	err = c.store.Update(ctx, func(tx Tx) error {
		if _, err := get[Person](tx, p.ID); err == nil {
			return nil // it was done, and its answer was lost
		}
		if err := putPerson(tx, p); err != nil {
			return err
		}
		if p.invited() {
			if err := i.replace(tx); err != nil {
				return err
			}
		}
		return c.audit(tx, a, "add person", "person/"+p.ID, fmt.Sprintf("%s, %s, who comes in %s", p.title(), p.Role, how))
	})
	if err != nil {
		return Person{}, "", err
	}
	return p.shown(), link, nil
}

// putPerson writes one whose name and address nobody else has.
func putPerson(tx Tx, p Person) error {
	var w wrong
	people, err := list[Person](tx, Query{})
	if err != nil {
		return err
	}
	for _, other := range people {
		if other.ID == p.ID {
			continue
		}
		if other.Name == p.Name {
			w.add("name", "somebody here is called that already")
		}
		if sameEmail(other.Email, p.Email) {
			w.add("email", "somebody here has that address already")
		}
	}
	if err := w.err(); err != nil {
		return err
	}
	return put(tx, p)
}

// A PersonChange is what may be changed of a person. Nil: as it is.
type PersonChange struct {
	Display  *string `json:"display,omitempty"`
	Email    *string `json:"email,omitempty"`
	Role     *Role   `json:"role,omitempty"`
	Disabled *bool   `json:"disabled,omitempty"`
}

// ChangePerson changes one; the last owner stays one. Whoever is no owner may change how
// they are called.
func (c *Console) ChangePerson(ctx context.Context, a Actor, id string, change PersonChange) (changed Person, err error) {
	verb := Admin
	if id == a.ID && change == (PersonChange{Display: change.Display}) {
		verb = Account
	}
	if err := authorise(a, verb, target{owner: id}); err != nil {
		return Person{}, err
	}
	err = c.store.Update(ctx, func(tx Tx) error {
		was, err := get[Person](tx, id)
		if err != nil {
			return err
		}
		p, what, err := change.of(was)
		if err != nil {
			return err
		}
		changed = p
		if len(what) == 0 {
			return nil
		}
		if err := keepsAnOwner(tx, was, p); err != nil {
			return err
		}
		if p.Disabled && !was.Disabled {
			err = errors.Join(endSessions(tx, id, ""), removeInvitations(tx, id))
		}
		return errors.Join(err, putPerson(tx, p),
			c.audit(tx, a, "change person", "person/"+id, fmt.Sprintf("%s: %s", was.title(), strings.Join(what, ", "))))
	})
	if err != nil {
		return Person{}, err
	}
	return changed.shown(), nil
}

// of is a person with the change, and what that changes.
func (change PersonChange) of(p Person) (Person, []string, error) {
	var w wrong
	var what []string
	was := p
	if change.Display != nil {
		p.setDisplay(*change.Display, &w)
	}
	if change.Email != nil {
		p.setEmail(*change.Email, &w)
	}
	if change.Role != nil {
		p.Role = *change.Role
		w.check("role", roleFault(p.Role))
	}
	if change.Disabled != nil {
		p.Disabled = *change.Disabled
	}
	if p.Display != was.Display {
		what = append(what, fmt.Sprintf("is shown as %q", p.title()))
	}
	if p.Email != was.Email {
		what = append(what, "has another email address")
	}
	if p.Role != was.Role {
		what = append(what, fmt.Sprintf("%s instead of %s", p.Role, was.Role))
	}
	switch {
	case p.Disabled && !was.Disabled:
		what = append(what, "disabled")
	case was.Disabled && !p.Disabled:
		what = append(what, "enabled")
	}
	return p, what, w.err()
}

// keepsAnOwner refuses a change after which nobody who can sign in owns this console.
func keepsAnOwner(tx Tx, was, is Person) error {
	if was.Role != RoleOwner || was.Disabled || is.Role == RoleOwner && !is.Disabled {
		return nil
	}
	others, err := ownersBeside(tx, was.ID)
	if err == nil && others == 0 {
		return &ConflictError{fmt.Sprintf("%s is the last owner of this console who can sign in: make somebody else an owner first", was.title())}
	}
	return err
}

// ChangePassword sets one's own, and ends one's other sessions and the links that were
// made to set it. Tries with a wrong old one are limited.
func (c *Console) ChangePassword(ctx context.Context, a Actor, old, password string) error {
	p, err := c.Me(ctx, a)
	if err != nil {
		return err
	}
	account := "account/" + p.ID // whoever tries to sign in by the name does not count here
	try, err := c.door.tries.begin(account, account, c.now())
	if err != nil {
		return err
	}
	was, err := c.personWith(ctx, p.Name, old[:min(len(old), passwordMost+1)])
	switch {
	case was.Password == "" && (err == nil || errors.Is(err, ErrWrongPassword)):
		return &ConflictError{"you sign in by way of a provider, and have no password here"}
	case errors.Is(err, ErrWrongPassword):
		return &InputError{[]FieldError{{"old", "is not your password"}}}
	case err != nil:
		return err
	}
	try.succeeded(c.now())
	hash, err := c.newPassword(ctx, password, p)
	if err != nil {
		return err
	}
	return c.store.Update(ctx, func(tx Tx) error {
		p, err := get[Person](tx, a.ID)
		if err != nil {
			return err
		}
		if p.Password != was.Password && p.Password != hash || p.Disabled {
			return &ConflictError{"your password was changed meanwhile; sign in anew"}
		}
		p.Password = hash
		return errors.Join(put(tx, p), endSessions(tx, a.ID, a.Session), removeInvitations(tx, a.ID),
			c.audit(tx, a, "change password", "person/"+p.ID, fmt.Sprintf("%s changed their password", p.title())))
	})
}

// forgetPeople removes the sessions, tokens and invitations that are too old, and the
// links of events that are over: none of these lets anybody in any more.
func (c *Console) forgetPeople(ctx context.Context) error {
	return c.store.Update(ctx, func(tx Tx) error {
		for _, kind := range []Kind{KindSession, KindToken, KindInvitation} {
			old, err := tx.List(Query{Kind: kind, Due: c.now()}) // the others go the next time
			if err != nil {
				return err
			}
			for _, r := range old {
				if err := tx.Delete(kind, r.ID); err != nil {
					return err
				}
			}
		}
		links, err := list[Link](tx, Query{})
		for _, l := range links {
			e, gerr := get[Event](tx, l.Event)
			if errors.Is(gerr, ErrNotFound) || gerr == nil && e.State.Over() {
				gerr = tx.Delete(KindLink, l.ID)
			}
			err = errors.Join(err, gerr)
		}
		return err
	})
}
