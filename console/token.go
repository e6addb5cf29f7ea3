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

// KindToken is of API tokens.
const KindToken Kind = "token"

const (
	tokenDays     = 90 // where nothing is said
	tokenMostDays = 366
	tokensMost    = 50 // of a person
)

// A Token lets a program act as a person.
type Token struct {
	ID      string    `json:"id"`
	Person  string    `json:"person"`
	Title   string    `json:"title"`
	Reads   bool      `json:"reads,omitempty"` // it may change nothing
	Hash    []byte    `json:"hash,omitempty"`  // it is not handed out
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires"`
	// Used is when it was used last, since the console was started. It is not kept.
	Used time.Time `json:"used,omitzero"`
}

func (t Token) record() Record {
	return Record{Kind: KindToken, ID: t.ID, Name: hashName(t.Hash), Parent: t.Person, Sort: t.Created.UTC().Format(sortableTime), Due: t.Expires}
}

func (t Token) shown(used time.Time) Token {
	t.Hash, t.Used = nil, used
	return t
}

// A NewToken is what is given to make one.
type NewToken struct {
	Title string `json:"title"`
	Reads bool   `json:"reads,omitempty"`
	Days  int    `json:"days,omitempty"` // until it expires; 0: 90; at most 366
}

// ActorOfToken is who has an API token, or a helper's link; ErrSignIn where nobody does.
func (c *Console) ActorOfToken(ctx context.Context, secret string) (Actor, error) {
	text, isToken := strings.CutPrefix(secret, tokenPrefix)
	hash, ok := hashSecret(text)
	if !ok {
		return Actor{}, ErrSignIn
	}
	if !isToken {
		return c.admit(ctx, byLink, hash, func(tx Tx) (Actor, time.Time, error) { return helperWith(tx, hash) })
	}
	a, err := c.admit(ctx, byToken, hash, func(tx Tx) (a Actor, until time.Time, err error) {
		t, err := find[Token](tx, hashName(hash))
		if errors.Is(err, ErrNotFound) {
			return a, until, ErrSignIn
		}
		if err != nil {
			return a, until, err
		}
		a, err = actorOf(tx, t.Person)
		a.Token, a.Reads = t.ID, t.Reads
		return a, t.Expires, c.inTime(t.Expires, err)
	})
	if err == nil {
		c.door.note(a.Token, c.now())
	}
	return a, err
}

// Tokens are one's own, oldest first.
func (c *Console) Tokens(ctx context.Context, a Actor) (tokens []Token, err error) {
	if err := authorise(a, Account, target{owner: a.ID}); err != nil {
		return nil, err
	}
	err = c.store.View(ctx, func(tx Tx) error {
		tokens, err = list[Token](tx, Query{Parent: a.ID})
		return err
	})
	used := c.door.lastUsed()
	for i, t := range tokens {
		tokens[i] = t.shown(used[t.ID])
	}
	return slices.DeleteFunc(tokens, func(t Token) bool { return !c.now().Before(t.Expires) }), err
}

// AddToken makes one; its secret is shown this once.
func (c *Console) AddToken(ctx context.Context, a Actor, n NewToken) (t Token, secret string, err error) {
	if err := authorise(a, Account, target{owner: a.ID}); err != nil {
		return Token{}, "", err
	}
	var w wrong
	n.Title = strings.TrimSpace(n.Title)
	w.check("title", checkLabel(n.Title))
	if n.Days == 0 {
		n.Days = tokenDays
	}
	if n.Days < 1 || n.Days > tokenMostDays {
		w.add("days", fmt.Sprintf("is 1 to %d", tokenMostDays))
	}
	if err := w.err(); err != nil {
		return Token{}, "", err
	}
	secret, hash := newSecret()
	now := c.now()
	t = Token{ID: newID(16), Person: a.ID, Title: n.Title, Reads: n.Reads, Hash: hash, Created: now, Expires: now.AddDate(0, 0, n.Days)}
	err = c.store.Update(ctx, func(tx Tx) error {
		mine, err := list[Token](tx, Query{Parent: a.ID})
		if err != nil || slices.ContainsFunc(mine, func(m Token) bool { return m.ID == t.ID }) {
			return err // where it is there, it was done, and its answer was lost
		}
		if len(mine) >= tokensMost {
			return &ConflictError{fmt.Sprintf("you have %d tokens; remove one first", tokensMost)}
		}
		scope := "which may change things"
		if t.Reads {
			scope = "which only reads"
		}
		return errors.Join(put(tx, t), c.audit(tx, a, "make token", "person/"+a.ID,
			fmt.Sprintf("%s made the token %q, %s, until %s", a.Name, t.Title, scope, t.Expires.UTC().Format(time.DateOnly))))
	})
	if err != nil {
		return Token{}, "", err
	}
	return t.shown(time.Time{}), tokenPrefix + secret, nil
}

// RemoveToken ends one of one's own, or whosever it is where an owner asks. A token may
// end itself.
func (c *Console) RemoveToken(ctx context.Context, a Actor, id string) error {
	return c.store.Update(ctx, func(tx Tx) error {
		t, err := get[Token](tx, id)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
		if itself := err == nil && a.Kind == ActorPerson && a.Token == t.ID; !itself {
			verb := Admin // whether it is there is an owner's to know
			if t.Person == a.ID {
				verb = Account
			}
			err = cmp.Or(authorise(a, verb, target{owner: t.Person}), err)
		}
		if err != nil {
			return err
		}
		return errors.Join(tx.Delete(KindToken, id), c.audit(tx, a, "remove token", "person/"+t.Person, fmt.Sprintf("%s removed the token %q", a.Name, t.Title)))
	})
}
