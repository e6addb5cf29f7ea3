package console

import (
	"context"
	"time"
)

// Kinds of what has to do with people.
const (
	KindPerson  Kind = "person"
	KindSession Kind = "session"
	KindToken   Kind = "token"
	KindLink    Kind = "link"
)

// A Person may sign in.
type Person struct {
	ID       string    `json:"id"`
	Name     string    `json:"name"` // what they sign in with
	Display  string    `json:"display,omitempty"`
	Email    string    `json:"email,omitempty"`
	Role     Role      `json:"role"`
	Disabled bool      `json:"disabled,omitempty"`
	Password string    `json:"password,omitempty"` // argon2id; empty: they sign in some other way
	Subject  string    `json:"subject,omitempty"`  // of an OpenID provider: issuer and subject
	Created  time.Time `json:"created"`
	Seen     time.Time `json:"seen,omitzero"`
}

// A NewPerson is what is given to make one.
type NewPerson struct {
	Name     string `json:"name"`
	Display  string `json:"display,omitempty"`
	Email    string `json:"email,omitempty"`
	Role     Role   `json:"role,omitempty"`
	Password string `json:"password,omitempty"` // empty: an invitation link is made
}

// A Session is what a browser that signed in has.
type Session struct {
	Secret  string // for the cookie; only its hash is kept
	Expires time.Time
	Person  Person
}

// Claimed says whether somebody owns this console already. Until then nothing else of it
// may be answered.
func (c *Console) Claimed(ctx context.Context) (bool, error) { return false, errNotYet }

// ClaimLink makes the one-time link with which the first owner claims this console, in
// the place of those made before. A *ConflictError: it was claimed.
func (c *Console) ClaimLink(ctx context.Context) (string, error) { return "", errNotYet }

// Claim makes the first owner, once, with the secret of the link.
func (c *Console) Claim(ctx context.Context, secret string, p NewPerson) (Session, error) {
	return Session{}, errNotYet
}

// RecoveryLink makes a one-time link with which an owner sets a new password: for
// whoever has the console's machine. name may be empty where there is one owner.
func (c *Console) RecoveryLink(ctx context.Context, name string) (string, error) {
	return "", errNotYet
}

// Join sets the password of whoever has an invitation or a recovery link, and signs in.
func (c *Console) Join(ctx context.Context, secret, password string) (Session, error) {
	return Session{}, errNotYet
}

// SignIn opens a session. from is the client's address: tries are limited by it and by
// name. The error for a wrong name and for a wrong password is the same; *BusyError
// where there were too many tries.
func (c *Console) SignIn(ctx context.Context, name, password, from string) (Session, error) {
	return Session{}, errNotYet
}

// An Identity is what an OpenID provider vouched for.
type Identity struct{ Issuer, Subject, Email, Name string }

// SignInAs opens a session for whoever an OpenID provider vouched for: a person with
// that subject, or one that was invited with that email.
func (c *Console) SignInAs(ctx context.Context, i Identity) (Session, error) {
	return Session{}, errNotYet
}

// SignOut ends a session; one that is not there is fine.
func (c *Console) SignOut(ctx context.Context, secret string) error { return errNotYet }

// ActorOfSession is who has a session's cookie; ErrSignIn where nobody does.
func (c *Console) ActorOfSession(ctx context.Context, secret string) (Actor, error) {
	return Actor{}, errNotYet
}

// ActorOfToken is who has an API token, or a helper's link; ErrSignIn where nobody does.
func (c *Console) ActorOfToken(ctx context.Context, secret string) (Actor, error) {
	return Actor{}, errNotYet
}

// People are all, by name.
func (c *Console) People(ctx context.Context, a Actor) ([]Person, error) { return nil, errNotYet }

// AddPerson adds one. invitation is a link to hand on where no password was given.
func (c *Console) AddPerson(ctx context.Context, a Actor, p NewPerson) (added Person, invitation string, err error) {
	return Person{}, "", errNotYet
}

// A PersonChange is what may be changed of a person. Nil: as it is.
type PersonChange struct {
	Display  *string `json:"display,omitempty"`
	Email    *string `json:"email,omitempty"`
	Role     *Role   `json:"role,omitempty"`
	Disabled *bool   `json:"disabled,omitempty"`
}

// ChangePerson changes one; the last owner stays one.
func (c *Console) ChangePerson(ctx context.Context, a Actor, id string, change PersonChange) (Person, error) {
	return Person{}, errNotYet
}

// ChangePassword sets one's own, and ends one's other sessions.
func (c *Console) ChangePassword(ctx context.Context, a Actor, old, password string) error {
	return errNotYet
}

// Invite makes a new link for a person who cannot sign in.
func (c *Console) Invite(ctx context.Context, a Actor, id string) (link string, err error) {
	return "", errNotYet
}

// A Token lets a program act as a person.
type Token struct {
	ID      string    `json:"id"`
	Person  string    `json:"person"`
	Title   string    `json:"title"`
	Reads   bool      `json:"reads,omitempty"` // it may change nothing
	Hash    []byte    `json:"hash"`
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires"`
}

// Tokens are one's own.
func (c *Console) Tokens(ctx context.Context, a Actor) ([]Token, error) { return nil, errNotYet }

// A NewToken is what is given to make one.
type NewToken struct {
	Title string `json:"title"`
	Reads bool   `json:"reads,omitempty"`
	Days  int    `json:"days,omitempty"` // until it expires; 0: 90; at most 366
}

// AddToken makes one; its secret is shown this once.
func (c *Console) AddToken(ctx context.Context, a Actor, n NewToken) (t Token, secret string, err error) {
	return Token{}, "", errNotYet
}

// RemoveToken ends one.
func (c *Console) RemoveToken(ctx context.Context, a Actor, id string) error { return errNotYet }

// A Link lets whoever has it help with one event, until that ends.
type Link struct {
	ID      string    `json:"id"`
	Event   string    `json:"event"`
	Title   string    `json:"title"`
	Hash    []byte    `json:"hash"`
	Created time.Time `json:"created"`
}

// Links are those of an event.
func (c *Console) Links(ctx context.Context, a Actor, event string) ([]Link, error) {
	return nil, errNotYet
}

// AddLink makes one; its address is shown this once.
func (c *Console) AddLink(ctx context.Context, a Actor, event, title string) (l Link, address string, err error) {
	return Link{}, "", errNotYet
}

// RemoveLink ends one.
func (c *Console) RemoveLink(ctx context.Context, a Actor, id string) error { return errNotYet }

// AuditLog is what was done, newest first, before the given entry (0: from the newest).
// event narrows it to what one's own event; owners and viewers see all of it.
func (c *Console) AuditLog(ctx context.Context, a Actor, event string, before int64, limit int) ([]AuditEntry, error) {
	return nil, errNotYet
}
