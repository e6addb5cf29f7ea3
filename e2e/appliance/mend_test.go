package appliance

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"popup/internal/testutil"
)

// What somebody edits in a published tree, data or release, is mended by the next
// sync that is asked for, and readers get what is right.
func TestLocalEditsAreMended(t *testing.T) {
	repo := testutil.NewRepo(t)
	repo.Commit(map[string]string{"day": "one"})
	root := tempRoot(t)
	u := startUp(t, root, "--config", dataApp(t, "", ""), "--data", repo.URL())
	u.await("/days/day", "one")
	for path, file := range map[string]string{"/days/day": "data/current/day", "/": "service/current/index.html"} {
		_, before := u.get(path)
		published := filepath.Join(root, "var/lib/popup", file)
		if err := os.Chmod(published, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(published, []byte("edited by hand"), 0o644); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		_, err := u.client().Sync(ctx)
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		if _, after := u.get(path); after != before {
			t.Errorf("%s is %q; want %q", path, after, before)
		}
		if text, err := os.ReadFile(published); err != nil || string(text) == "edited by hand" {
			t.Errorf("%s still holds %q, %v", published, text, err)
		}
	}
}
