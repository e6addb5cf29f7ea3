package console

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// KindLink is of helpers' links.
const KindLink Kind = "link"

const linksMost = 100 // of an event

// A Link lets whoever has it help with one event, until that ends.
type Link struct {
	ID      string    `json:"id"`
	Event   string    `json:"event"`
	Title   string    `json:"title"`
	Hash    []byte    `json:"hash,omitempty"` // it is not handed out
	Created time.Time `json:"created"`
}

func (l Link) record() Record {
	return Record{Kind: KindLink, ID: l.ID, Name: hashName(l.Hash), Parent: l.Event, Topic: l.Event, Sort: l.Created.UTC().Format(sortableTime)}
}

func (l Link) shown() Link {
	l.Hash = nil
	return l
}

// helperWith is whoever has a link; ErrSignIn where it is none, or its event is over.
func helperWith(tx Tx, hash []byte) (a Actor, until time.Time, err error) {
	l, err := find[Link](tx, hashName(hash))
	if errors.Is(err, ErrNotFound) {
		return a, until, ErrSignIn
	}
	if err != nil {
		return a, until, err
	}
	e, err := get[Event](tx, l.Event)
	switch {
	case errors.Is(err, ErrNotFound), err == nil && e.State.Over():
		return a, until, ErrSignIn
	case err != nil:
		return a, until, err
	}
	return Actor{Kind: ActorLink, ID: l.ID, Name: l.Title, Role: RoleHelper, Event: l.Event}, forEver, nil
}

// forEver is later than any moment that is asked about.
var forEver = time.Unix(1<<40, 0)

// Links are those of an event, oldest first.
func (c *Console) Links(ctx context.Context, a Actor, event string) (links []Link, err error) {
	err = c.store.View(ctx, func(tx Tx) error {
		e, err := c.event(tx, a, Manage, event)
		if err != nil {
			return err
		}
		links, err = list[Link](tx, Query{Parent: e.ID})
		return err
	})
	for i, l := range links {
		links[i] = l.shown()
	}
	return links, err
}

// AddLink makes one for an event that is not over; its address is shown this once.
func (c *Console) AddLink(ctx context.Context, a Actor, event, title string) (l Link, address string, err error) {
	secret, hash := newSecret()
	l = Link{ID: newID(16), Title: strings.TrimSpace(title), Hash: hash, Created: c.now()}
	err = c.store.Update(ctx, func(tx Tx) error {
		e, err := c.event(tx, a, Manage, event)
		if err != nil {
			return err
		}
		var w wrong
		w.check("title", checkLabel(l.Title))
		if err := w.err(); err != nil {
			return err
		}
		if e.State.Over() {
			return &ConflictError{fmt.Sprintf("%s is over: nobody can help with it any more", e.Title)}
		}
		links, err := list[Link](tx, Query{Parent: e.ID})
		if err != nil || slices.ContainsFunc(links, func(o Link) bool { return o.ID == l.ID }) {
			return err // where it is there, it was done, and its answer was lost
		}
		if len(links) >= linksMost {
			return &ConflictError{fmt.Sprintf("%s has %d links; remove one first", e.Title, linksMost)}
		}
		l.Event = e.ID
		return errors.Join(put(tx, l), c.audit(tx, a, "make link", "event/"+e.ID, fmt.Sprintf("a link to help with %s, for %q", e.Title, l.Title)))
	})
	if err != nil {
		return Link{}, "", err
	}
	return l.shown(), c.opts.URL + "/h/" + secret, nil
}

// RemoveLink ends one.
func (c *Console) RemoveLink(ctx context.Context, a Actor, id string) error {
	return c.store.Update(ctx, func(tx Tx) error {
		l, err := get[Link](tx, id)
		if err != nil {
			return cmp.Or(authorise(a, See, target{}), err)
		}
		e, err := c.event(tx, a, Manage, l.Event)
		if err != nil {
			return err
		}
		return errors.Join(tx.Delete(KindLink, id), c.audit(tx, a, "remove link", "event/"+e.ID, fmt.Sprintf("the link for %q was removed", l.Title)))
	})
}

// checkLabel says what is wrong with what a link or a token is called.
func checkLabel(title string) error {
	if title == "" {
		return errors.New("say who or what it is for, so that you know which one to remove")
	}
	return checkTitle(title)
}
