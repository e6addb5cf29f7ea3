package api

import "time"

// A Person is somebody who may sign in.
type Person struct {
	ID       string    `json:"id"`
	Name     string    `json:"name"`
	Display  string    `json:"display,omitempty"`
	Email    string    `json:"email,omitempty"`
	Role     string    `json:"role" jsonschema:"enum=owner,enum=organiser,enum=viewer"`
	Disabled bool      `json:"disabled"`
	Created  time.Time `json:"created"`
	Seen     time.Time `json:"seen,omitzero"`
}

// People are all who may sign in.
type People struct {
	People []Person `json:"people"`
}

// An AddedPerson is a new person, and the link for them where no password was given.
type AddedPerson struct {
	Person     Person `json:"person"`
	Invitation string `json:"invitation,omitempty"`
}

// A LinkMade is a link that is shown this once.
type LinkMade struct {
	Link string `json:"link"`
}

// A Password changes one's own.
type Password struct {
	Old      string `json:"old"`
	Password string `json:"password"`
}

// A Me is who asks.
type Me struct {
	Kind  string `json:"kind" jsonschema:"enum=person,enum=link"`
	ID    string `json:"id"`
	Name  string `json:"name"`
	Role  string `json:"role" jsonschema:"enum=owner,enum=organiser,enum=viewer,enum=helper"`
	Event string `json:"event,omitempty"`
	Reads bool   `json:"reads"`
	// TokenID is of the token that was sent; empty: none was.
	TokenID string `json:"token_id,omitempty"`
}

// A Token lets a program act as a person; what it is, is shown once.
type Token struct {
	ID      string    `json:"id"`
	Title   string    `json:"title"`
	Reads   bool      `json:"reads"`
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires"`
}

// Tokens are one's own.
type Tokens struct {
	Tokens []Token `json:"tokens"`
}

// An AddedToken is a new token, with what is shown this once.
type AddedToken struct {
	Token  Token  `json:"token"`
	Secret string `json:"secret"`
}

// A Login asks for a token with a password.
type Login struct {
	Name     string `json:"name"`
	Password string `json:"password"`
	Title    string `json:"title"` // of the token
	Reads    bool   `json:"reads,omitempty"`
	Days     int    `json:"days,omitempty"`
}

// A Link lets whoever has it help with one event.
type Link struct {
	ID      string    `json:"id"`
	Event   string    `json:"event"`
	Title   string    `json:"title"`
	Created time.Time `json:"created"`
}

// Links are the helpers' links of an event.
type Links struct {
	Links []Link `json:"links"`
}

// A NewLink asks for a helpers' link.
type NewLink struct {
	Title string `json:"title"`
}

// An AddedLink is a new helpers' link, with its address, which is shown this once.
type AddedLink struct {
	Link    Link   `json:"link"`
	Address string `json:"address"`
}
