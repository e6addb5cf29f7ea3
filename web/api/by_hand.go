package api

// A Paste is what somebody is to start a machine with.
type Paste struct {
	UserData string `json:"user_data" jsonschema:"description=with a token that enrols the instance once"`
}
