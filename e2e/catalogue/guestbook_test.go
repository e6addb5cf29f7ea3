package catalogue

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"

	"popup/internal/testutil"
)

func TestGuestbookKeepsWhatIsWritten(t *testing.T) {
	state := t.TempDir()
	g := startGuestbook(t, state)
	reads(t, page(t, g, "/"), "Guestbook", "Nice that you are here.", "0 entries", "Nobody has written yet.")
	v := g.visitor(t)
	if status, body := v.sign(t, v.token(t), "  Ada\n Lovelace ", "First line\r\n\r\n\r\n\r\nsecond  line\x00\x1b[31m \n"); status != http.StatusSeeOther {
		t.Fatalf("%d %s", status, body)
	}
	reads(t, page(t, g, "/?thanks=1"), "Thank you", "1 entry", "Ada Lovelace", "First line second line[31m")
	if body := page(t, g, "/"); !strings.Contains(body, "First line\n\nsecond  line[31m</p>") {
		t.Errorf("the lines are not as they were written: %s", body)
	}
	if err := g.stop(t); err != nil {
		t.Errorf("SIGTERM: %v\n%s", err, g.log)
	}
	g = startGuestbook(t, state, "GUESTBOOK_TITLE=Summer <fair>")
	reads(t, page(t, g, "/"), "Summer <fair>", "1 entry", "Ada Lovelace")
	if status, body := get(t, g.url+manifest(t, "guestbook").HealthCheck.HTTPPath); status != 200 || !strings.Contains(body, healthText(t, "guestbook")) {
		t.Errorf("health: %d %s", status, body)
	}
}

func page(t testing.TB, g *guestbook, path string) string {
	t.Helper()
	status, body := get(t, g.url+path)
	if status != 200 {
		t.Fatalf("GET %s: %d %s\n%s", path, status, body, g.log)
	}
	return body
}

func TestGuestbookShowsHostileWordsAsText(t *testing.T) {
	g := startGuestbook(t, t.TempDir(), `GUESTBOOK_TITLE="><script>alert(1)</script>`)
	v := g.visitor(t)
	const words = `"><script>alert(1)</script></textarea><img src=x onerror=alert(1)>` + "\u202e"
	for _, name := range []string{words[:50], "Robert'); DROP TABLE entries;--"} {
		if status, _ := v.sign(t, v.token(t), name, words); status != http.StatusSeeOther {
			t.Fatalf("%q: %d", name, status)
		}
	}
	status, nameless := v.sign(t, v.token(t), "", words)
	if status != http.StatusUnprocessableEntity {
		t.Errorf("without a name: %d", status)
	}
	status, silent := v.sign(t, v.token(t), `x" onerror="alert(1)`, "")
	if status != http.StatusUnprocessableEntity {
		t.Errorf("without a message: %d", status)
	}
	for _, body := range []string{page(t, g, "/"), nameless, silent} {
		elements(t, body, func(name string, attributes map[string]string) {
			if name == "script" || name == "img" || attributes["onerror"] != "" {
				t.Errorf("the page has a %s of a visitor's: %v", name, attributes)
			}
		})
		reads(t, body, "<img src=x onerror=alert(1)>", "Robert'); DROP TABLE entries;--", "2 entries")
	}
}

func TestGuestbookRefusesFormsOfOthers(t *testing.T) {
	g := startGuestbook(t, t.TempDir())
	mine, theirs := g.visitor(t), g.visitor(t)
	token, other := mine.token(t), theirs.token(t)
	at, _, _ := strings.Cut(token, ".")
	for name, bad := range map[string]string{
		"none": "", "another visitor's": other, "garbage": "x", "of another time": "1" + token, "unsigned": at + "." + strings.Repeat("0", 64),
	} {
		status, body := mine.sign(t, bad, "Eve", "my own words")
		if status != http.StatusForbidden {
			t.Errorf("%s: %d", name, status)
		}
		reads(t, body, "Your words are still here", "my own words")
	}
	if status, _ := g.visitor(t).sign(t, token, "Eve", "without a cookie"); status != http.StatusForbidden {
		t.Errorf("without a cookie: %d", status)
	}
	if status, _ := mine.sign(t, token, "Ada", "hello"); status != http.StatusSeeOther {
		t.Errorf("the right token: %d", status)
	}
	reads(t, page(t, g, "/"), "1 entry")
}

func TestGuestbookIsBounded(t *testing.T) {
	g := startGuestbook(t, t.TempDir())
	v := g.visitor(t)
	token := v.token(t)
	for message, why := range map[string]string{
		"":                        "Please write a few words.",
		" \n\t ":                  "Please write a few words.",
		strings.Repeat("ä", 2001): "longer than 2,000 characters",
	} {
		status, body := v.sign(t, token, "Ada", message)
		if status != http.StatusUnprocessableEntity {
			t.Errorf("%.20q: %d", message, status)
		}
		reads(t, body, why)
	}
	if status, body := v.sign(t, token, strings.Repeat("x", 61), "hello"); status != http.StatusUnprocessableEntity {
		t.Errorf("a long name: %d", status)
	} else {
		reads(t, body, "longer than 60 characters")
	}
	if status, _ := v.sign(t, token, "Ada", strings.Repeat("ä", 2000)); status != http.StatusSeeOther {
		t.Errorf("2,000 characters: %d", status)
	}
	for name, c := range map[string]struct {
		body string
		want int
	}{
		"too much":   {"message=" + strings.Repeat("x", 40<<10), http.StatusRequestEntityTooLarge},
		"too many":   {strings.Repeat("a=1&", 50), http.StatusBadRequest},
		"not a form": {"\xff\x00=%zz", http.StatusForbidden},
	} {
		res, err := v.Post(g.url+"/sign", "application/x-www-form-urlencoded", strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		if text(t, res); res.StatusCode != c.want {
			t.Errorf("%s: %d, want %d", name, res.StatusCode, c.want)
		}
	}
	res, err := v.Post(g.url+"/sign", "application/x-www-form-urlencoded", struct{ *strings.Reader }{strings.NewReader("a=1")}) // sent in chunks
	if err != nil {
		t.Fatal(err)
	}
	if text(t, res); res.StatusCode != http.StatusLengthRequired {
		t.Errorf("without a length: %d", res.StatusCode)
	}
	for path, want := range map[string]int{"/?before=x": 404, "/?before=-1": 404, "/book.py": 404, "/../book.py": 404, "/guestbook.sqlite": 404, "/sign": 404} {
		if status, _ := get(t, g.url+path); status != want {
			t.Errorf("%s: %d, want %d", path, status, want)
		}
	}
}

// Two processes share the book, as while one release takes over from another,
// and visitors come at once: every entry that was accepted is there, once.
func TestGuestbookLosesNothingWhenManyWrite(t *testing.T) {
	state := t.TempDir()
	books := []*guestbook{startGuestbook(t, state), startGuestbook(t, state)}
	const each = 23
	var all sync.WaitGroup
	for i, g := range books {
		for j := range 2 {
			v := g.visitor(t)
			token := v.token(t)
			all.Go(func() {
				for k := range each {
					if status, _ := v.sign(t, token, "visitor", fmt.Sprintf("entry %d-%d-%d.", i, j, k)); status != http.StatusSeeOther {
						t.Errorf("%d", status)
					}
				}
			})
		}
	}
	all.Wait()
	seen := map[string]int{}
	for next := "/"; next != ""; {
		body := page(t, books[0], next)
		for _, words := range regexp.MustCompile(`entry \d+-\d+-\d+\.`).FindAllString(body, -1) {
			seen[words]++
		}
		next = ""
		for _, link := range links(t, body) {
			if strings.Contains(link, "before=") {
				next = strings.TrimPrefix(link, ".")
			}
		}
	}
	if len(seen) != 4*each {
		t.Errorf("%d entries, want %d", len(seen), 4*each)
	}
	for words, times := range seen {
		if times != 1 {
			t.Errorf("%s is there %d times", words, times)
		}
	}
}

// A backup may have copied the book in the middle of a write: the snapshot that
// the manifest's script made then takes its place.
func TestGuestbookTakesItsSnapshotWhenDamaged(t *testing.T) {
	state := t.TempDir()
	g := startGuestbook(t, state)
	v := g.visitor(t)
	v.sign(t, v.token(t), "Ada", "kept")
	m := manifest(t, "guestbook")
	for range 2 { // a second one replaces the first
		script := guestbookCommand(t, state)
		script.Args = []string{"/bin/sh", "-c", m.Scripts.PreBackup}
		if out, err := script.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	if err := g.stop(t); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(state, "guestbook.sqlite")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	torn := bytes.Clone(whole)
	copy(torn[4096:], bytes.Repeat([]byte{0xa5}, 4096))
	for name, damage := range map[string][]byte{"torn": torn, "no database at all": []byte("half a copy of something else, long enough to be taken for a header")} {
		if err := os.WriteFile(path, damage, 0o644); err != nil {
			t.Fatal(err)
		}
		g = startGuestbook(t, state)
		reads(t, page(t, g, "/"), "1 entry", "kept")
		if !strings.Contains(g.log.String(), "the snapshot took its place") {
			t.Errorf("%s: the log does not say it: %s", name, g.log)
		}
		if kept, err := os.ReadFile(path + ".damaged"); err != nil || !bytes.Equal(kept, damage) {
			t.Errorf("%s: the damaged file is gone: %v", name, err)
		}
		g.stop(t)
	}
}

func TestGuestbookSaysWhatIsMissing(t *testing.T) {
	taken := startGuestbook(t, t.TempDir())
	address, err := url.Parse(taken.url)
	if err != nil {
		t.Fatal(err)
	}
	broken := t.TempDir()
	if err := os.WriteFile(filepath.Join(broken, "guestbook.sqlite"), []byte(strings.Repeat("no database ", 99)), 0o644); err != nil {
		t.Fatal(err)
	}
	for env, c := range map[string]struct {
		code int
		says string
	}{
		"STATE_DIR=":              {2, "STATE_DIR is not set: give the folder that keeps the book, as a full path"},
		"STATE_DIR=here":          {2, "STATE_DIR is not right"},
		"STATE_DIR=/nowhere/else": {1, "open /nowhere/else/guestbook.sqlite: unable to open database file"},
		"STATE_DIR=" + broken:     {1, "guestbook.sqlite: file is not a database"},
		"PORT=":                   {2, "PORT is not set"},
		"PORT=http":               {2, "PORT is not right: give the port to listen on"},
		"PORT=99999":              {1, "port must be 0-65535"},
		"PORT=" + address.Port():  {1, "Address already in use"},
		"GUESTBOOK_KEY=":          {2, "GUESTBOOK_KEY is not set"},
		"GUESTBOOK_KEY=short":     {2, "give at least 16 characters that nobody can guess"},
	} {
		cmd := guestbookCommand(t, t.TempDir(), env)
		out := &testutil.Buffer{}
		cmd.Stderr = out
		err := cmd.Run()
		if cmd.ProcessState.ExitCode() != c.code || !strings.Contains(out.String(), c.says) || strings.Contains(out.String(), "Traceback") {
			t.Errorf("%s: %v, it says %q, want %d and %q", env, err, out, c.code, c.says)
		}
	}
}

// A stop waits for an answer that is under way.
func TestGuestbookEndsAfterTheLastAnswer(t *testing.T) {
	g := startGuestbook(t, t.TempDir())
	v := g.visitor(t)
	token := v.token(t)
	form := url.Values{"token": {token}, "name": {"Ada"}, "message": {"just in time"}}.Encode()
	until(t, "no answer is under way", func() bool { return g.threads(t) == 1 })
	body, writer := io.Pipe()
	req, err := http.NewRequest(http.MethodPost, g.url+"/sign", body)
	if err != nil {
		t.Fatal(err)
	}
	req.ContentLength = int64(len(form))
	answered := make(chan int, 1)
	go func() {
		res, err := v.Do(req)
		if err != nil {
			answered <- 0
			return
		}
		res.Body.Close()
		answered <- res.StatusCode
	}()
	if _, err := io.WriteString(writer, form[:10]); err != nil {
		t.Fatal(err)
	}
	until(t, "the form is being read", func() bool { return g.threads(t) > 1 })
	if err := g.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	until(t, "nobody new is let in", func() bool {
		res, err := http.Get(g.url + "/healthz")
		if err == nil {
			res.Body.Close()
		}
		return err != nil
	})
	if _, err := io.WriteString(writer, form[10:]); err != nil {
		t.Errorf("send the rest: %v", err)
	}
	writer.Close()
	if status := <-answered; status != http.StatusSeeOther {
		t.Errorf("the running form was answered with %d", status)
	}
	if err := g.cmd.Wait(); err != nil {
		t.Errorf("%v\n%s", err, g.log)
	}
}
