package api

import "time"

// An Archive is a backup of an instance's state, read back and verified.
type Archive struct {
	Instance string    `json:"instance"`
	Name     string    `json:"name"`
	Size     int64     `json:"size"` // bytes
	SHA256   string    `json:"sha256"`
	Files    int       `json:"files"`
	Final    bool      `json:"final"`
	Taken    time.Time `json:"taken"`
	Verified time.Time `json:"verified"`
	Vault    string    `json:"vault,omitempty" jsonschema:"description=where it is kept, if that is not the console's vault; then its size and its sum are not known"`
}

// Archives are those of an event.
type Archives struct {
	Archives []Archive `json:"archives"`
}
