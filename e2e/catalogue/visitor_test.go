package catalogue

import (
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"syscall"
	"testing"

	"popup/internal/testutil"
)

// A guestbook is a started one.
type guestbook struct {
	url string
	cmd *exec.Cmd
	log *testutil.Buffer
}

// guestbookCommand is how the manifest starts the app, with the settings it needs.
func guestbookCommand(t testing.TB, state string, env ...string) *exec.Cmd {
	t.Helper()
	m := manifest(t, "guestbook")
	cmd := exec.Command("/bin/sh", "-c", m.Serve.StartCommand)
	cmd.Dir = filepath.Join(shipped("guestbook"), m.Service.RootDir)
	cmd.Env = append([]string{"PATH=/usr/local/bin:/usr/bin:/bin", "PORT=0", "STATE_DIR=" + state, "GUESTBOOK_KEY=a key for this test alone",
		"GUESTBOOK_TITLE=" + m.Env["GUESTBOOK_TITLE"].Value, "GUESTBOOK_WELCOME=" + m.Env["GUESTBOOK_WELCOME"].Value}, env...)
	return cmd
}

var listening = regexp.MustCompile(`listening on (http://\S+)`)

func startGuestbook(t testing.TB, state string, env ...string) *guestbook {
	t.Helper()
	g := &guestbook{cmd: guestbookCommand(t, state, env...), log: &testutil.Buffer{}}
	g.cmd.Stderr, g.cmd.Stdout = g.log, g.log
	if err := g.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.cmd.Process.Kill(); g.cmd.Wait() })
	until(t, "the guestbook listens", func() bool { return listening.MatchString(g.log.String()) })
	g.url = listening.FindStringSubmatch(g.log.String())[1]
	return g
}

// stop ends the guestbook as popup does, and returns how it ended.
func (g *guestbook) stop(t testing.TB) error {
	t.Helper()
	if err := g.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	return g.cmd.Wait()
}

// threads is how many threads the process has: one for each running answer, and its own.
func (g *guestbook) threads(t testing.TB) int {
	t.Helper()
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", g.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	return len(tasks)
}

// A visitor is a browser with cookies, which follows no redirect.
type visitor struct {
	http.Client
	book *guestbook
}

func (g *guestbook) visitor(t testing.TB) *visitor {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &visitor{book: g, Client: http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// token opens the page and returns what its form is signed with.
func (v *visitor) token(t testing.TB) string {
	t.Helper()
	res, err := v.Get(v.book.url)
	if err != nil {
		t.Fatal(err)
	}
	token := ""
	elements(t, text(t, res), func(name string, attributes map[string]string) {
		if name == "input" && attributes["name"] == "token" {
			token = attributes["value"]
		}
	})
	if token == "" {
		t.Fatal("the page has no form")
	}
	return token
}

// sign sends the form and returns the status and the page.
func (v *visitor) sign(t testing.TB, token, name, message string) (int, string) {
	t.Helper()
	res, err := v.PostForm(v.book.url+"/sign", url.Values{"token": {token}, "name": {name}, "message": {message}})
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, text(t, res)
}
