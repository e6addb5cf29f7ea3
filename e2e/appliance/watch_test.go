package appliance

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// A crashed app comes back by itself; meanwhile the status says why it is not
// there, and afterwards nothing goes on saying so.
func TestCrashedAppIsStartedAgain(t *testing.T) {
	t.Parallel()
	u := startUp(t, tempRoot(t), "--config", toyRepo(t).URL())
	u.awaitHealthy()
	if resp, err := http.Get(u.url + "/crash"); err == nil {
		_ = resp.Body.Close() // what it answers is not looked at
	}
	u.until("unhealthy", func() bool { return !u.status().Healthy })
	if s := u.status(); !strings.Contains(s.Why, "status 7") || !strings.Contains(s.Why, "out of memory, they say") {
		t.Errorf("why is %q; want the exit status and the last output", s.Why)
	}
	status, public := u.get("/.well-known/popup/ready")
	if status != http.StatusServiceUnavailable || !strings.Contains(public, "ended by itself") || strings.Contains(public, "out of memory") {
		t.Errorf("ready answers %d %q while the app is down; want 503, and why, without its output", status, public)
	}
	u.await("/", "one for")
	if s := u.awaitHealthy(); s.Restarts != 1 || s.Why != "" {
		t.Errorf("after the restart: %d restarts, why %q; want 1 and none", s.Restarts, s.Why)
	}
	if starts := u.lines("starts"); len(starts) != 2 {
		t.Errorf("the app was started %d times; want 2", len(starts))
	}
}

// An app that ends again and again is started ever more slowly.
func TestCrashLoopDoesNotSpin(t *testing.T) {
	t.Parallel()
	u := startUp(t, tempRoot(t), "--config", writeFiles(t, t.TempDir(), toy("frail", true)))
	u.until("second start", func() bool { return len(u.lines("starts")) >= 2 })
	time.Sleep(6 * time.Second) // the window
	// Pauses of 1, 2 and 4 s, each a quarter less at worst, and 0.3 s of life.
	if n := len(u.lines("starts")); n < 3 || n > 5 {
		t.Errorf("%d starts within some 7 s; want 3 to 5", n)
	}
	if s := u.status(); s.Restarts < 2 {
		t.Errorf("the status counts %d restarts", s.Restarts)
	}
}

// One bad answer is not a sick app, three in a row are; a sick app is ended and started again.
func TestUnhealthyAppIsStartedAgain(t *testing.T) {
	t.Parallel()
	u := startUp(t, tempRoot(t), "--config", toyRepo(t).URL())
	u.awaitHealthy()
	u.touch("sick")
	u.until("unhealthy", func() bool { return !u.status().Healthy })
	if s := u.status(); !strings.Contains(s.Why, "answered 500") {
		t.Errorf("why is %q; want the answer in it", s.Why)
	}
	if s := u.awaitHealthy(); s.Restarts != 1 {
		t.Errorf("%d restarts; want 1", s.Restarts)
	}
	if n := len(u.lines("sick-answers")); n != 3 {
		t.Errorf("it was called sick after %d bad answers; want 3", n)
	}
}

// A sick app that cannot be started again is tried until it can, and the status
// says what its start says.
func TestSickAppThatCannotStartSaysWhy(t *testing.T) {
	t.Parallel()
	u := startUp(t, tempRoot(t), "--config", toyRepo(t).URL())
	u.awaitHealthy()
	u.touch("no-start")
	u.touch("sick")
	u.until("two starts have failed", func() bool { return len(u.lines("starts")) >= 3 })
	for range 50 {
		if s := u.status(); s.Healthy || strings.Contains(s.Why, "%!") {
			t.Fatalf("healthy %v, why %q; want a whole sentence", s.Healthy, s.Why)
		}
		time.Sleep(10 * time.Millisecond)
	}
	if s := u.status(); !strings.Contains(s.Why, "the database is locked") {
		t.Errorf("why is %q; want what the start says", s.Why)
	}
	u.remove("no-start")
	u.awaitHealthy()
}
