package appliance

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"popup/internal/testutil"
	"popup/internal/wire"
)

// TestConsoleMovesTheEnd sooner, by a clock that it alone confirms, and while it is
// away the end that it said last holds.
func TestConsoleMovesTheEnd(t *testing.T) {
	t.Parallel()
	c, root, repo := newConsole(t), tempRoot(t), greeter(t)
	c.enrolled = wire.Enrolled{Settings: map[string]string{"GREETING": "hello"}}
	at := time.Now().UTC().Add(25 * time.Second).Truncate(time.Second)
	c.answer.Wanted = &wire.Wanted{Generation: 1, End: &wire.End{At: at.Format("2006-01-02T15:04:05")}}
	c.plan(root, repo, `end: {at: "2031-05-31", warn: 20s, freeze: 2s}`)
	u := startUp(t, root)
	u.until("the end is moved", func() bool { s := u.status(); return s.End != nil && s.End.At.Equal(at) })
	u.until("over", func() bool { status, _ := u.get("/"); return status == http.StatusGone })
	if late := time.Since(at); late < 0 || late > 20*time.Second {
		t.Errorf("it was over %s after its end", late)
	}
	u.until("reported", func() bool { r := c.last(); return r.End != nil && r.End.Step == "over" })
}

// TestConsoleEndsWhatHasNoEnd, without a word about a clock.
func TestConsoleEndsWhatHasNoEnd(t *testing.T) {
	t.Parallel()
	c, root, repo := newConsole(t), tempRoot(t), greeter(t)
	c.enrolled = wire.Enrolled{Settings: map[string]string{"GREETING": "hello"}}
	c.plan(root, repo, "")
	u := startUp(t, root)
	u.await("/", "one for hello")
	if s := u.status(); s.End != nil {
		t.Errorf("it ends at %+v", s.End)
	}
	c.say(func() { c.answer.Wanted = &wire.Wanted{Generation: 1, Ended: true} })
	u.until("over", func() bool { status, _ := u.get("/"); return status == http.StatusGone })
}

// TestConsoleIsNotNeeded by an app that takes no settings: it is served though its
// console answers nonsense from the first moment on, and its data can be pinned later.
func TestConsoleIsNotNeeded(t *testing.T) {
	t.Parallel()
	c, root, repo, data := newConsole(t), tempRoot(t), testutil.NewRepo(t), testutil.NewRepo(t)
	repo.Commit(map[string]string{"index.html": "welcome"})
	data.Commit(map[string]string{"day": "one"})
	pinned := data.Commit(map[string]string{"day": "two"})
	data.Commit(map[string]string{"day": "three"})
	garbage := 0
	c.misbehave = func(w http.ResponseWriter, r *http.Request) bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		if garbage++; garbage > 2 {
			return false
		}
		fmt.Fprint(w, "<html>sign in to the hotel's network</html>")
		return true
	}
	c.answer.Wanted = &wire.Wanted{Generation: 1, DataRevision: pinned}
	c.write(root, fmt.Sprintf(`plan_version: 1
instance: fair-7
manifest:
  manifest_version: 1
  id: board
  name: Board
  serve: {type: static}
  data: {repository: https://data.example.org/x.git, mount: days}
service: {url: %q}
data: {url: %q}
console: {url: %q, token: %s, pin: %q}
`, repo.URL(), data.URL(), c.URL, consoleToken, c.pin()))
	u := startUp(t, root)
	u.await("/days/day", "three")
	u.await("/days/day", "two")
	c.say(func() { c.answer.Wanted = &wire.Wanted{Generation: 2, DataRevision: "feedface"} })
	u.until("an unmet wish", func() bool {
		r := c.last()
		return r.Generation == 2 && r.Unmet == `pin data: "feedface" is not kept here, and only a full commit of a git repository can be fetched`
	})
	c.say(func() { c.answer.Wanted = &wire.Wanted{Generation: 3} })
	u.await("/days/day", "three")
	u.until("a met wish", func() bool { r := c.last(); return r.Generation == 3 && r.Unmet == "" && r.Data.Held == "" })
}
