package console

import (
	"context"
	"errors"
	"fmt"
)

var errClaimed = &ConflictError{"this console was claimed already; sign in"}

// Claimed says whether somebody owns this console already. Until then nothing else of it
// may be answered.
func (c *Console) Claimed(ctx context.Context) (claimed bool, err error) {
	if c.door.claimed.Load() {
		return true, nil
	}
	err = c.store.View(ctx, func(tx Tx) error {
		claimed, err = isClaimed(tx)
		return err
	})
	if claimed {
		c.door.claimed.Store(true)
	}
	return claimed, err
}

func isClaimed(tx Tx) (bool, error) {
	some, err := tx.List(Query{Kind: KindPerson, Limit: 1})
	return len(some) > 0, err
}

// ClaimLink makes the one-time link with which the first owner claims this console, in
// the place of those made before. A *ConflictError: it was claimed.
func (c *Console) ClaimLink(ctx context.Context) (string, error) {
	i, link := c.newInvitation(forClaim, "", 0)
	err := c.store.Update(ctx, func(tx Tx) error {
		if claimed, err := isClaimed(tx); err != nil {
			return err
		} else if claimed {
			return errClaimed
		}
		return i.replace(tx)
	})
	if err != nil {
		return "", err
	}
	return link, nil
}

// Claim makes the first owner, once, with the secret of the link, whatever role is
// asked for. Its errors: *InputError; ErrLinkOver for another link; *ConflictError
// where the console was claimed.
func (c *Console) Claim(ctx context.Context, secret string, n NewPerson) (Session, error) {
	if err := c.store.View(ctx, func(tx Tx) error { return c.mayClaim(tx, secret) }); err != nil {
		return Session{}, err
	}
	var w wrong
	n.Role = RoleOwner
	p := n.person(c.now(), &w)
	w.check("password", passwordFault(n.Password, p.Name, p.Display, p.Email))
	if err := w.err(); err != nil {
		return Session{}, err
	}
	var err error
	if p.Password, err = c.door.passwords.hash(ctx, n.Password); err != nil {
		return Session{}, err
	}
	p.Seen = c.now()
	s, opened := c.newSession(p.ID)
	opened.Person = p
	err = c.store.Update(ctx, func(tx Tx) error {
		if _, err := get[session](tx, s.ID); err == nil {
			return nil // it was done, and its answer was lost
		}
		if err := c.mayClaim(tx, secret); err != nil {
			return err
		}
		return errors.Join(put(tx, p), removeInvitations(tx, ""), put(tx, s),
			c.audit(tx, p.actor(), "claim", "person/"+p.ID, fmt.Sprintf("%s claimed this console by its link, and owns it", p.title())))
	})
	if err != nil {
		return Session{}, err
	}
	c.door.claimed.Store(true)
	return opened.shown(), nil
}

func (c *Console) mayClaim(tx Tx, secret string) error {
	claimed, err := isClaimed(tx)
	if err != nil {
		return err
	}
	if claimed {
		return errClaimed
	}
	_, _, err = c.invitationOf(tx, secret) // where nobody is, it invites nobody
	return err
}
