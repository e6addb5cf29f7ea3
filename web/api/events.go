package api

import "time"

// An Event is an event as the API shows it.
type Event struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	Title     string    `json:"title"`
	State     string    `json:"state" jsonschema:"enum=draft,enum=scheduled,enum=open,enum=frozen,enum=ended,enum=archived,enum=purged"`
	Owner     string    `json:"owner"`
	End       string    `json:"end"`
	Zone      string    `json:"zone"`
	Start     string    `json:"start,omitempty"`
	Freeze    string    `json:"freeze,omitempty"`
	StartsAt  time.Time `json:"starts_at,omitzero"`
	FreezesAt time.Time `json:"freezes_at,omitzero"`
	EndsAt    time.Time `json:"ends_at"`
	Held      string    `json:"held,omitempty"`
	Webhook   string    `json:"webhook,omitempty" jsonschema:"description=its host alone: the rest may be a secret"`
	Created   time.Time `json:"created"`
	EndedBy   string    `json:"ended_by,omitempty"`
	EndedAt   time.Time `json:"ended_at,omitzero"`
	Stuck     string    `json:"stuck,omitempty"`
	PurgeAt   time.Time `json:"purge_at,omitzero"`
	Page      string    `json:"page"` // its public page
	// What it may cost, and what it has cost so far, by currency.
	Cap        string    `json:"cap,omitempty"`
	CapEndsAt  time.Time `json:"cap_ends_at,omitzero" jsonschema:"description=when it ends before ends_at because of its cap"`
	CapSays    string    `json:"cap_says,omitempty"`
	CapReached bool      `json:"cap_reached,omitempty" jsonschema:"description=it was ended because of its cap"`
	Spent      []Money   `json:"spent,omitempty"`
	Unpriced   bool      `json:"unpriced,omitempty" jsonschema:"description=what some of it costs is not known"`
}

// Events are those that somebody sees.
type Events struct {
	Events []Event `json:"events"`
}

// A Confirm repeats the name of what is gone afterwards, so that nobody does it by
// mistake.
type Confirm struct {
	Name string `json:"name"`
}

// A Receipt says what became of everything that was made for an event.
type Receipt struct {
	Event     Event         `json:"event"`
	Instances []ReceiptLine `json:"instances"`
	// What clouds made beside the machines of instances.
	Things []ReceiptThing `json:"things"`
	// Unknown is why a cloud could not say what there is.
	Unknown string `json:"unknown,omitempty"`
}

// A ReceiptThing is a volume, an address, a security group, a snapshot; or a machine that
// no instance has.
type ReceiptThing struct {
	Kind      string    `json:"kind"`
	ID        string    `json:"id"` // its cloud's name for it
	Cloud     string    `json:"cloud"`
	Place     string    `json:"place,omitempty"` // where it is: a region, a zone
	Title     string    `json:"title,omitempty"` // of the app that it was made for
	Gone      bool      `json:"gone"`            // proven gone
	GoneAt    time.Time `json:"gone_at,omitzero"`
	Left      bool      `json:"left,omitempty"` // it is left behind
	Why       string    `json:"why,omitempty"`  // it is there, and what to try
	Holds     string    `json:"holds,omitempty" jsonschema:"description=the instance whose state it may hold, until that is given up by name"`
	Dismissed string    `json:"dismissed,omitempty" jsonschema:"description=who said that it may stay"`
}

// A ReceiptLine is one instance of a receipt.
type ReceiptLine struct {
	Instance string    `json:"instance"`
	Title    string    `json:"title"`
	Gone     bool      `json:"gone"`
	GoneAt   time.Time `json:"gone_at,omitzero"`
	State    string    `json:"state"`
	Archive  *Archive  `json:"archive,omitempty"`
}

// A Public is what anybody may know of an event.
type Public struct {
	Name     string      `json:"name"`
	Title    string      `json:"title"`
	State    string      `json:"state"`
	EndsAt   time.Time   `json:"ends_at"`
	Zone     string      `json:"zone"`
	Apps     []PublicApp `json:"apps"`
	Reminder string      `json:"reminder,omitempty"`
}

// A PublicApp is one app of an event, for anybody.
type PublicApp struct {
	Title   string `json:"title"`
	Address string `json:"address,omitempty"`
	Live    bool   `json:"live"`
	Says    string `json:"says,omitempty"`
}
