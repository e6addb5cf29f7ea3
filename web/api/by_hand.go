package api

// A Paste is what somebody is to start a machine with.
type Paste struct {
	UserData string `json:"user_data" jsonschema:"description=with a token that enrols the instance once"`
}

// A Replace asks for another machine in the place of an instance's.
type Replace struct {
	Snapshot bool `json:"snapshot,omitempty" jsonschema:"description=keep the disks of the old one, so that the cause can be found"`
}

// A Replaced names the instance that took its place.
type Replaced struct {
	Instance string `json:"instance"`
}
