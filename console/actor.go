package console

import (
	"errors"
	"slices"
)

// A Role is what a person may do here.
type Role string

// The roles.
const (
	RoleOwner     Role = "owner"     // everything
	RoleOrganiser Role = "organiser" // events of their own, and all about them
	RoleViewer    Role = "viewer"    // sees everything but secrets, archives and people's settings; changes nothing
	RoleHelper    Role = "helper"    // one event, by a link that dies with it: sees it, and helps it along
)

// An ActorKind says what sort of somebody asks.
type ActorKind string

// The kinds of actors.
const (
	ActorPerson   ActorKind = "person"
	ActorLink     ActorKind = "link"     // a helper's
	ActorInstance ActorKind = "instance" // it proved so by its key
	ActorConsole  ActorKind = "console"  // the console itself
	ActorNobody   ActorKind = ""         // somebody who did not sign in
)

// An Actor is who asks for something. Web and client hand it to every use case.
type Actor struct {
	Kind  ActorKind
	ID    string
	Name  string // to be shown
	Role  Role
	Event string // of a helper
	// Session and Token are the ids of what they came with; one of them is set, or neither.
	Session, Token string
	// Reads is set for an API token that may change nothing.
	Reads bool
}

// System is the console itself.
var System = Actor{Kind: ActorConsole, ID: "console", Name: "the console"}

// ErrForbidden says that the actor sees the object, and may not do that with it.
var ErrForbidden = errors.New("that is not yours to do; ask an owner of this console")

// ErrSignIn says that nobody may do that without having signed in.
var ErrSignIn = errors.New("sign in first")

// A Verb is what an actor wants with an object.
type Verb string

// The verbs, each with what it includes.
const (
	See     Verb = "see"     // an event, its deployments, instances, operations; the catalogue
	Start   Verb = "launch"  // make an event, or launch into one
	Help    Verb = "help"    // commands to instances: sync, roll back, restart, read-only, logs
	Manage  Verb = "manage"  // an event's dates, freeze, extend, end, discard, purge, its links
	Fetch   Verb = "fetch"   // an event's archives
	Review  Verb = "review"  // the audit log: of an event, or all of it
	Admin   Verb = "admin"   // people, settings, backups
	Account Verb = "account" // one's own password, tokens, sessions
)

// reading are the verbs that change nothing.
var reading = []Verb{See, Fetch, Review}

// A target is what authorise is asked about. Zero: nothing in particular.
type target struct {
	event string // its id
	owner string // of the event, or of the account: a person's id
}

func (e Event) target() target { return target{event: e.ID, owner: e.Owner} }

// authorise is the one place that says who may do what. What an actor may not even see
// is ErrNotFound to them.
func authorise(a Actor, v Verb, t target) error {
	if a.Kind == ActorConsole {
		return nil
	}
	if a.Kind != ActorPerson && a.Kind != ActorLink {
		return ErrSignIn
	}
	if t.event != "" && !sees(a, t) {
		return ErrNotFound
	}
	if a.Reads && !slices.Contains(reading, v) || !slices.Contains(allowed(a, t), v) {
		return ErrForbidden
	}
	return nil
}

// May says whether an actor may do something that is about no event: to look at the
// catalogue (See), or at a stranger's repository (Start). Its errors are a use case's.
func May(a Actor, v Verb) error { return authorise(a, v, target{}) }

// sees says whether an event and what belongs to it is there for an actor.
func sees(a Actor, t target) bool {
	switch a.role() {
	case RoleOwner, RoleViewer:
		return true
	case RoleOrganiser:
		return t.owner == a.ID
	case RoleHelper:
		return t.event == a.Event
	}
	return false
}

// allowed are the verbs of an actor who sees the target.
func allowed(a Actor, t target) (verbs []Verb) {
	one := t.event != ""
	switch role := a.role(); {
	case role == RoleOwner:
		verbs = []Verb{See, Start, Help, Manage, Fetch, Review, Admin}
	case role == RoleOrganiser && one:
		verbs = []Verb{See, Start, Help, Manage, Fetch, Review}
	case role == RoleOrganiser:
		verbs = []Verb{See, Start}
	case role == RoleViewer:
		verbs = []Verb{See, Review}
	case role == RoleHelper && one:
		verbs = []Verb{See, Help}
	case role == RoleHelper:
		verbs = []Verb{See}
	}
	// An account is its person's alone, in front of a browser: a token that got lost must
	// not make others of its kind.
	if a.Kind == ActorPerson && a.Token == "" && !one && t.owner != "" && t.owner == a.ID && verbs != nil {
		verbs = append(verbs, Account)
	}
	return verbs
}

// role is what counts: whoever has a link is a helper, and nobody else is.
func (a Actor) role() Role {
	switch {
	case a.Kind == ActorLink:
		return RoleHelper
	case a.Role == RoleHelper:
		return ""
	}
	return a.Role
}
