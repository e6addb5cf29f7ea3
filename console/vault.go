package console

import "time"

// An Archive is a backup of an instance's state in the console's vault, read back and
// verified.
type Archive struct {
	Instance string    `json:"instance"`
	Name     string    `json:"name"`
	Size     int64     `json:"size"` // bytes
	SHA256   string    `json:"sha256"`
	Files    int       `json:"files"`
	Final    bool      `json:"final,omitempty"` // taken at its end, after the last write
	Taken    time.Time `json:"taken"`
	Verified time.Time `json:"verified"`
}
