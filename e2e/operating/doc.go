// Package operating does what docs/operating.md says, with the tag dqlite.
package operating
