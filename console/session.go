package console

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"
)

// KindSession is of sessions.
const KindSession Kind = "session"

const (
	// sessionLasts is how long a session lasts that nobody uses.
	sessionLasts = 14 * 24 * time.Hour
	// sessionNoted is how often it is written down that it was used.
	sessionNoted = time.Hour
)

var (
	// ErrWrongPassword says that nobody has that name and that password.
	ErrWrongPassword = errors.New("the name or the password is wrong")
	// ErrNotInvited says that whoever a provider vouched for is nobody here.
	ErrNotInvited = errors.New("nobody was invited here with that email address; ask an owner of this console for an invitation")
)

// A Session is what a browser that signed in has.
type Session struct {
	Secret  string    // for the cookie; only its hash is kept
	Expires time.Time // unless it is used before: then it lasts longer
	Person  Person
}

func (s Session) shown() Session {
	s.Person = s.Person.shown()
	return s
}

// A session is what is kept of one.
type session struct {
	ID      string    `json:"id"`
	Person  string    `json:"person"` // an id
	Hash    []byte    `json:"hash"`
	Created time.Time `json:"created"`
	Used    time.Time `json:"used"` // to the hour
}

func (s session) record() Record {
	return Record{Kind: KindSession, ID: s.ID, Name: hashName(s.Hash), Parent: s.Person, Due: s.expires()}
}

func (s session) expires() time.Time { return s.Used.Add(sessionLasts) }

// newSession makes one for a person.
func (c *Console) newSession(person string) (s session, opened Session) {
	secret, hash := newSecret()
	now := c.now()
	s = session{ID: newID(16), Person: person, Hash: hash, Created: now, Used: now}
	return s, Session{Secret: secret, Expires: s.expires()}
}

// endSessions ends those of a person, but for one.
func endSessions(tx Tx, person, but string) error {
	all, err := list[session](tx, Query{Parent: person})
	for _, s := range all {
		if s.ID != but {
			err = errors.Join(err, tx.Delete(KindSession, s.ID))
		}
	}
	return err
}

// SignIn opens a session. from is the client's address: tries are limited by it and by
// name. The error for a wrong name and for a wrong password is the same,
// ErrWrongPassword, and takes as long; *BusyError where there were too many tries.
func (c *Console) SignIn(ctx context.Context, name, password, from string) (Session, error) {
	name = personName(name)
	if nameFault(name) != nil || len(password) > passwordMost {
		return Session{}, ErrWrongPassword // nobody has one like that
	}
	from = network(from)
	try, err := c.door.tries.begin(name, from, c.now())
	if err != nil {
		return Session{}, err
	}
	p, err := c.personWith(ctx, name, password)
	if err != nil {
		if errors.Is(err, ErrWrongPassword) {
			c.log.Info("sign in", "address", from, "person", p.ID, "err", err)
		}
		return Session{}, err
	}
	s, opened := c.newSession(p.ID)
	err = c.store.Update(ctx, func(tx Tx) error {
		now, err := get[Person](tx, p.ID)
		if err != nil || now.Disabled || now.Password != p.Password {
			return errors.Join(err, ErrWrongPassword) // they may not, or it was changed meanwhile
		}
		return c.enter(tx, now, s, fmt.Sprintf("%s signed in with a password from %s", now.title(), cmp.Or(from, "somewhere")))
	})
	if err != nil {
		return Session{}, err
	}
	try.succeeded(c.now())
	opened.Person = p
	return opened.shown(), nil
}

// personWith finds whoever has that name and that password. With ErrWrongPassword it
// returns the person with that name, if there is one.
func (c *Console) personWith(ctx context.Context, name, password string) (p Person, err error) {
	err = c.store.View(ctx, func(tx Tx) error {
		p, err = find[Person](tx, name)
		return err
	})
	if err != nil && !errors.Is(err, ErrNotFound) {
		return p, err
	}
	good, err := c.door.passwords.check(ctx, p.Password, password)
	if err == nil && !good {
		err = ErrWrongPassword
	}
	return p, err
}

// enter writes down that a person comes in.
func (c *Console) enter(tx Tx, p Person, s session, how string) error {
	p.Seen = s.Used
	return errors.Join(put(tx, p), put(tx, s), c.audit(tx, p.actor(), "sign in", "person/"+p.ID, how))
}

// An Identity is what an OpenID provider vouched for. Email is empty where the provider
// did not verify it.
type Identity struct{ Issuer, Subject, Email, Name string }

// subject is how it is kept. An issuer is a URL, and has no space.
func (i Identity) subject() string { return i.Issuer + " " + i.Subject }

// SignInAs opens a session for whoever an OpenID provider vouched for: a person with
// that subject, or one that was invited with that email and did not sign in yet. The
// error is ErrNotInvited for anybody else.
func (c *Console) SignInAs(ctx context.Context, i Identity) (Session, error) {
	if i.Issuer == "" || i.Subject == "" {
		return Session{}, ErrNotInvited
	}
	s, opened := c.newSession("")
	err := c.store.Update(ctx, func(tx Tx) error {
		p, err := personVouchedFor(tx, i)
		if err != nil {
			return err
		}
		p.Subject, s.Person = i.subject(), p.ID
		opened.Person = p
		return errors.Join(removeInvitations(tx, p.ID),
			c.enter(tx, p, s, fmt.Sprintf("%s signed in by way of %s", p.title(), i.Issuer)))
	})
	if err != nil {
		return Session{}, err
	}
	return opened.shown(), nil
}

func personVouchedFor(tx Tx, i Identity) (Person, error) {
	all, err := list[Person](tx, Query{})
	if err != nil {
		return Person{}, err
	}
	invited := -1
	for n, p := range all {
		if p.Subject == i.subject() {
			if p.Disabled {
				return Person{}, ErrNotInvited
			}
			return p, nil
		}
		if p.invited() && !p.Disabled && sameEmail(p.Email, i.Email) {
			invited = n
		}
	}
	if invited < 0 {
		return Person{}, ErrNotInvited
	}
	return all[invited], nil
}

// SignOut ends a session; one that is not there is fine.
func (c *Console) SignOut(ctx context.Context, secret string) error {
	hash, ok := hashSecret(secret)
	if !ok {
		return nil
	}
	return c.store.Update(ctx, func(tx Tx) error {
		s, err := find[session](tx, hashName(hash))
		if errors.Is(err, ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		p, err := get[Person](tx, s.Person)
		return errors.Join(err, tx.Delete(KindSession, s.ID), c.audit(tx, p.actor(), "sign out", "person/"+p.ID, p.title()+" signed out"))
	})
}

// ActorOfSession is who has a session's cookie, or a helper's link in its place;
// ErrSignIn where nobody does.
func (c *Console) ActorOfSession(ctx context.Context, secret string) (Actor, error) {
	hash, ok := hashSecret(secret)
	if !ok {
		return Actor{}, ErrSignIn
	}
	var s session
	a, err := c.admit(ctx, byCookie, hash, func(tx Tx) (a Actor, until time.Time, err error) {
		s, err = find[session](tx, hashName(hash))
		if errors.Is(err, ErrNotFound) {
			return helperWith(tx, hash)
		}
		if err != nil {
			return a, until, err
		}
		a, err = actorOf(tx, s.Person)
		a.Session = s.ID
		return a, s.expires(), c.inTime(s.expires(), err)
	})
	if err == nil && s.ID != "" && c.now().Sub(s.Used) >= sessionNoted {
		if err := c.noteUse(ctx, s.ID); err != nil {
			c.log.Error("note that a session is used", "err", err)
		}
	}
	return a, err
}

// inTime is err, or ErrSignIn where it is too late.
func (c *Console) inTime(until time.Time, err error) error {
	if err == nil && !c.now().Before(until) {
		return ErrSignIn
	}
	return err
}

// actorOf is a person as an actor; ErrSignIn where they may not come in.
func actorOf(tx Tx, person string) (Actor, error) {
	p, err := get[Person](tx, person)
	if errors.Is(err, ErrNotFound) || err == nil && p.Disabled {
		return Actor{}, ErrSignIn
	}
	return p.actor(), err
}

func (p Person) actor() Actor {
	return Actor{Kind: ActorPerson, ID: p.ID, Name: p.title(), Role: p.Role}
}

// noteUse lets a session last from now on.
func (c *Console) noteUse(ctx context.Context, id string) error {
	return c.store.Update(ctx, func(tx Tx) error {
		s, err := get[session](tx, id)
		if errors.Is(err, ErrNotFound) {
			return nil // it was ended meanwhile, and stays so
		}
		if err != nil {
			return err
		}
		p, err := get[Person](tx, s.Person)
		if err != nil {
			return err
		}
		s.Used, p.Seen = c.now(), c.now()
		return errors.Join(put(tx, s), put(tx, p))
	})
}
