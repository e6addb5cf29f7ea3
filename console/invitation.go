package console

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// KindInvitation is of links that work once.
const KindInvitation Kind = "invitation"

// A purpose is what an invitation is for.
type purpose string

const (
	forClaim    purpose = "claim"    // to become the first owner
	forJoining  purpose = "join"     // to set one's first password
	forRecovery purpose = "recovery" // to set one's password anew
)

const (
	joiningLasts  = 48 * time.Hour
	recoveryLasts = time.Hour
)

// ErrLinkOver says that a link that works once does so no more.
var ErrLinkOver = errors.New("this link was used already, was replaced, or is too old; ask for a new one")

// An invitation is a link that works once. Only the hash of its secret is kept.
type invitation struct {
	ID      string    `json:"id"`
	Purpose purpose   `json:"purpose"`
	Person  string    `json:"person,omitempty"` // an id
	Hash    []byte    `json:"hash"`
	Expires time.Time `json:"expires,omitzero"` // zero: never
}

func (i invitation) record() Record {
	return Record{Kind: KindInvitation, ID: i.ID, Name: hashName(i.Hash), Parent: i.Person, State: string(i.Purpose), Due: i.Expires}
}

// newInvitation makes one, and its link.
func (c *Console) newInvitation(why purpose, person string, lasts time.Duration) (i invitation, link string) {
	secret, hash := newSecret()
	i = invitation{ID: newID(16), Purpose: why, Person: person, Hash: hash}
	path := "/join/"
	if why == forClaim {
		path = "/claim/"
	}
	if lasts != 0 {
		i.Expires = c.now().Add(lasts)
	}
	return i, c.opts.URL + path + secret
}

// replace puts an invitation in the place of those for the same person.
func (i invitation) replace(tx Tx) error {
	if err := removeInvitations(tx, i.Person); err != nil {
		return err
	}
	return put(tx, i)
}

// removeInvitations ends the links of a person; "": those to claim the console.
func removeInvitations(tx Tx, person string) error {
	q := Query{Parent: person}
	if person == "" {
		q.State = string(forClaim)
	}
	old, err := list[invitation](tx, q)
	for _, i := range old {
		err = errors.Join(err, tx.Delete(KindInvitation, i.ID))
	}
	return err
}

// invitationOf finds what a secret invites to, and the person it is for.
func (c *Console) invitationOf(tx Tx, secret string) (i invitation, p Person, err error) {
	hash, ok := hashSecret(secret)
	if !ok {
		return i, p, ErrLinkOver
	}
	i, err = find[invitation](tx, hashName(hash))
	if errors.Is(err, ErrNotFound) || err == nil && !i.Expires.IsZero() && !c.now().Before(i.Expires) {
		return i, p, ErrLinkOver
	}
	if err != nil || i.Purpose == forClaim {
		return i, p, err
	}
	p, err = get[Person](tx, i.Person)
	return i, p, err
}

// Invite makes a new link for a person who cannot sign in, in the place of those made
// before, or who lost their password. *ConflictError: another owner, who has one: nobody
// becomes an equal.
func (c *Console) Invite(ctx context.Context, a Actor, id string) (link string, err error) {
	if err := authorise(a, Admin, target{}); err != nil {
		return "", err
	}
	i, link := c.newInvitation(forJoining, id, joiningLasts)
	err = c.store.Update(ctx, func(tx Tx) error {
		p, err := get[Person](tx, id)
		switch {
		case err != nil:
			return err
		case p.Disabled:
			return &ConflictError{fmt.Sprintf("%s is disabled: enable them first", p.title())}
		case p.Role == RoleOwner && !p.invited() && p.ID != a.ID:
			return &ConflictError{fmt.Sprintf("%s owns this console as you do: whoever has its machine makes a link for them with popup console recover", p.title())}
		}
		return errors.Join(i.replace(tx), c.audit(tx, a, "invite",
			"person/"+id, fmt.Sprintf("a link for %s to set a password, which works for %s", p.title(), hours(joiningLasts))))
	})
	if err != nil {
		return "", err
	}
	return link, nil
}

// RecoveryLink makes a one-time link with which an owner sets a new password: for
// whoever has the console's machine. name may be empty where there is one owner.
func (c *Console) RecoveryLink(ctx context.Context, name string) (link string, err error) {
	err = c.store.Update(ctx, func(tx Tx) error {
		p, err := ownerNamed(tx, personName(name))
		if err != nil {
			return err
		}
		var i invitation
		i, link = c.newInvitation(forRecovery, p.ID, recoveryLasts)
		return errors.Join(i.replace(tx), c.audit(tx, System, "recover",
			"person/"+p.ID, fmt.Sprintf("a link for %s to set a new password, which works for %s", p.title(), hours(recoveryLasts))))
	})
	if err != nil {
		return "", err
	}
	return link, nil
}

func ownerNamed(tx Tx, name string) (Person, error) {
	owners, err := list[Person](tx, Query{State: string(RoleOwner)})
	if err != nil {
		return Person{}, err
	}
	var names []string
	for _, p := range owners {
		if p.Disabled {
			continue
		}
		if p.Name == name {
			return p, nil
		}
		names = append(names, p.Name)
	}
	switch {
	case len(names) == 0:
		return Person{}, &ConflictError{"nobody owns this console yet: claim it with the link that it wrote when it started"}
	case name != "":
		return Person{}, &ConflictError{fmt.Sprintf("no owner is called %q; there is %s", name, strings.Join(names, ", "))}
	case len(names) == 1:
		return find[Person](tx, names[0])
	}
	return Person{}, &ConflictError{fmt.Sprintf("there are several owners; say which: %s", strings.Join(names, ", "))}
}

// Invited is whoever an invitation or a recovery link is for; ErrLinkOver where it
// does not work any more.
func (c *Console) Invited(ctx context.Context, secret string) (p Person, err error) {
	err = c.store.View(ctx, func(tx Tx) error {
		var i invitation
		if i, p, err = c.invitationOf(tx, secret); err == nil && i.Purpose == forClaim {
			return ErrLinkOver
		}
		return err
	})
	return p.shown(), err
}

// Join sets the password of whoever has an invitation or a recovery link, ends their
// sessions, and signs in. The error is ErrLinkOver where the link does not work any
// more, and an *InputError for the password.
func (c *Console) Join(ctx context.Context, secret, password string) (Session, error) {
	p, err := c.Invited(ctx, secret)
	if err != nil {
		return Session{}, err
	}
	hash, err := c.newPassword(ctx, password, p)
	if err != nil {
		return Session{}, err
	}
	s, opened := c.newSession(p.ID)
	err = c.store.Update(ctx, func(tx Tx) error {
		if _, err := get[session](tx, s.ID); err == nil {
			return nil // it was done, and its answer was lost
		}
		i, p, err := c.invitationOf(tx, secret)
		if err != nil {
			return err
		}
		p.Password, p.Seen = hash, c.now()
		opened.Person = p
		return errors.Join(put(tx, p), removeInvitations(tx, p.ID), endSessions(tx, p.ID, ""), put(tx, s),
			c.audit(tx, p.actor(), "set password", "person/"+p.ID, fmt.Sprintf("%s set a password by a link to %s, and signed in", p.title(), i.Purpose)))
	})
	if err != nil {
		return Session{}, err
	}
	return opened.shown(), nil
}

// hours says how long a link works.
func hours(d time.Duration) string {
	if d == time.Hour {
		return "1 hour"
	}
	return fmt.Sprintf("%d hours", d/time.Hour)
}
