package api

import "time"

// Money is an amount in a currency, exact: 12.345678 USD.
type Money struct {
	Currency string `json:"currency"`
	Amount   string `json:"amount"`
}

// A Quote is what a launch costs until the end of its event.
type Quote struct {
	Free    bool        `json:"free"`              // nothing of it costs money
	Lines   []QuoteLine `json:"lines"`             // none of what is not known
	Total   []Money     `json:"total"`             // of the lines, by currency
	Whole   []Money     `json:"whole,omitempty"`   // the event, with what it has cost so far, where that is more
	AsOf    time.Time   `json:"as_of,omitzero"`    // of the price table
	Unknown []string    `json:"unknown,omitempty"` // sentences on what is not known
	Cap     string      `json:"cap,omitempty"`     // what its cap does to the event: a sentence
}

// A QuoteLine is a part of what an app costs.
type QuoteLine struct {
	App     string `json:"app"` // its title
	What    string `json:"what"`
	Hour    Money  `json:"hour"`
	Count   int    `json:"count"`
	Seconds int64  `json:"seconds"`
	Total   Money  `json:"total"`
}
