package api

// A Notice says that something changed.
type Notice struct {
	Kind  string `json:"kind"`
	ID    string `json:"id"`
	Event string `json:"event,omitempty"`
	Gone  bool   `json:"gone,omitempty"`
}
