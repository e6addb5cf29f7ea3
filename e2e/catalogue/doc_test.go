// Package catalogue runs the shipped apps as a reader meets them: real PHP, real
// Python, real files, asked over HTTP.
package catalogue

import "path/filepath"

// shipped is the folder of a shipped app.
func shipped(id string) string {
	return filepath.Join("..", "..", "apps", "catalogue", id)
}
