// Package catalogue runs the shipped apps as a reader meets them: real PHP, real
// Python, real files, asked over HTTP.
package catalogue

import (
	"os"
	"path/filepath"
	"testing"

	"popup/apps"
)

// shipped is the folder of a shipped app.
func shipped(id string) string {
	return filepath.Join("..", "..", "apps", "catalogue", id)
}

// manifest is the shipped app's own.
func manifest(t testing.TB, id string) apps.Manifest {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(shipped(id), apps.FileName))
	if err != nil {
		t.Fatal(err)
	}
	m, err := apps.Parse(id, text)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func healthText(t testing.TB, id string) string {
	t.Helper()
	return manifest(t, id).HealthCheck.Contains
}
