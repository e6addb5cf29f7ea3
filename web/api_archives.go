package web

import (
	"time"

	"popup/console"
)

// An archiveJSON is a backup of an instance's state, read back and verified.
type archiveJSON struct {
	Instance string    `json:"instance"`
	Name     string    `json:"name"`
	Size     int64     `json:"size"` // bytes
	SHA256   string    `json:"sha256"`
	Files    int       `json:"files"`
	Final    bool      `json:"final"`
	Taken    time.Time `json:"taken"`
	Verified time.Time `json:"verified"`
}

func showArchive(a *console.Archive) *archiveJSON {
	if a == nil {
		return nil
	}
	return &archiveJSON{a.Instance, a.Name, a.Size, a.SHA256, a.Files, a.Final, a.Taken, a.Verified}
}

// archiveRoutes are about what is kept of an event.
var archiveRoutes = []route{}
