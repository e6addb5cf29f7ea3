package apps

// Scaffold is an app.yaml for m, with comments for the person who goes on from there.
func Scaffold(m Manifest) ([]byte, error) { return nil, nil }
