package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestRecoverClusterIsConfirmed: what gives up something for good says so, and waits for
// the folder to be named.
func TestRecoverClusterIsConfirmed(t *testing.T) {
	t.Parallel()
	alone, dir := t.TempDir(), t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "cluster"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"recover-cluster", "--data-dir", alone}, "there is no console of a cluster in " + alone},
		{[]string{"recover-cluster", "--data-dir", dir}, "confirm by naming the folder: popup console recover-cluster " + dir},
		{[]string{"recover-cluster", alone, "--data-dir", dir}, "is not the folder of this console, which is " + dir + "; nothing was done"},
		{[]string{"recover-cluster", dir, "--data-dir", dir}, "built without dqlite"},
		{[]string{"backup", "-o", filepath.Join(alone, "backup"), "--data-dir", dir}, "built without dqlite"},
		{[]string{"restore", "/dev/null", "--data-dir", dir}, filepath.Join(dir, "cluster") + " is there already: move it away"},
	} {
		var stdout, stderr bytes.Buffer
		if code := run(t.Context(), append([]string{"console"}, c.args...), &stdout, &stderr); code != exitUsage || !strings.Contains(stderr.String(), c.says) {
			t.Errorf("%q exits %d and says %q, want it to say %q", c.args, code, stderr.String(), c.says)
		}
	}
}
