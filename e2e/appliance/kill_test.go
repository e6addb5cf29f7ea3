package appliance

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"popup/internal/testutil"
)

// kill -9 at random moments of boots and syncs: after each restart the served
// tree is whole, equal to some day, and in the end it is the newest.
//
// N is the number of kills: 20 unless the environment says more. SEED repeats a run.
func TestKillAtRandomMoments(t *testing.T) {
	kills, seed := envInt(t, "N", 20), uint64(envInt(t, "SEED", int(time.Now().UnixNano())))
	t.Logf("N=%d SEED=%d", kills, seed)
	random := rand.New(rand.NewPCG(seed, 0))

	days := testutil.Days(t, 52)
	known := map[string]string{} // a tree's own description -> its day
	for _, day := range days {
		known[fingerprint(untar(t, day.Tarball))] = day.Name
	}
	repo := testutil.NewRepo(t)
	repo.CommitDay(days[0])
	root := tempRoot(t)
	current := filepath.Join(root, "var/lib/popup/data/current")
	for n := range kills {
		u := startUp(t, root, "--config", qaBoard, "--data", repo.URL())
		if n%4 != 0 { // the others are killed while they boot
			u.until("live", func() bool { return u.status().Live })
			repo.CommitDay(days[(n+1)%len(days)])
			go func() { _, _ = u.client().Sync(t.Context()) }() // the kill cuts it short
		}
		time.Sleep(time.Duration(random.IntN(400)) * time.Millisecond)
		u.kill()
		if _, err := os.Stat(current); err != nil {
			continue // killed before anything was published
		}
		if tree := readTree(t, current); known[fingerprint(tree)] == "" {
			t.Fatalf("after kill %d the published tree is no day: %d entries", n, len(tree))
		}
	}
	newest := repo.CommitDay(days[len(days)-1])
	u := startUp(t, root, "--config", qaBoard, "--data", repo.URL())
	u.until("live", func() bool { return u.status().Live })
	if _, err := u.client().Sync(t.Context()); err != nil {
		t.Fatalf("sync after the kills: %v", err)
	}
	if got := u.status().Serving.Revision; string(got) != newest {
		t.Errorf("%s is served after the kills; want %s", got, newest)
	}
	if err := u.stop(); err != nil { // while it runs, what is being made is no leftover
		t.Fatal(err)
	}
	if left, err := filepath.Glob(filepath.Join(root, "var/lib/popup/*/tmp-*")); err != nil || len(left) > 0 {
		t.Errorf("leftovers after the kills: %v %v", left, err)
	}
}

func fingerprint(tree map[string]string) string {
	return fmt.Sprint(tree) // fmt prints maps sorted
}

func envInt(t *testing.T, name string, unset int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return unset
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s=%s is not a number", name, text)
	}
	return n
}
