// Package release looks at what make release leaves, with the tag dqlite.
package release
