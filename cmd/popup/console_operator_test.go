package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"popup/internal/testutil"
)

// An operated is a console that runs in this process, by its verb.
type operated struct {
	t     *testing.T
	dir   string
	url   string
	claim string // the link that was announced; empty: somebody owns it
	stop  func()
}

// operate starts popup console on a folder and waits until it answers.
func operate(t *testing.T, dir string) *operated {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	out, in := io.Pipe()
	lines := make(chan string, 2) // all that it announces
	go func() {
		for each := bufio.NewScanner(out); each.Scan(); {
			lines <- each.Text()
		}
		close(lines)
	}()
	var log testutil.Buffer
	ended := make(chan int, 1)
	go func() {
		defer close(ended)
		ended <- run(ctx, []string{"console", "--listen", "127.0.0.1:0", "--data-dir", dir}, in, &log)
		_ = in.Close()
	}()
	o := &operated{t: t, dir: dir}
	o.stop = func() {
		t.Helper()
		if ctx.Err() != nil {
			return
		}
		cancel()
		if code := <-ended; code != exitDone {
			t.Errorf("told to stop, the console exits %d: %s", code, log.String())
		}
	}
	t.Cleanup(o.stop)
	for line := range lines {
		if link, ok := strings.CutPrefix(line, "claim: "); ok {
			o.claim = link
			return o
		}
		o.url = strings.TrimPrefix(line, "listening on ")
		if o.owned() {
			return o
		}
	}
	t.Fatalf("the console ended with %d: %s", <-ended, log.String())
	return nil
}

// owned says whether somebody owns it, as anybody may ask.
func (o *operated) owned() bool {
	o.t.Helper()
	resp, err := http.Get(o.url + "/sign-in")
	if err != nil {
		o.t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// lets says whether somebody gets in with a password.
func (o *operated) lets(password string) bool {
	o.t.Helper()
	body, err := json.Marshal(map[string]string{"name": "mara", "password": password, "title": "test"})
	if err != nil {
		o.t.Fatal(err)
	}
	resp, err := http.Post(o.url+"/api/v1/login", "application/json", bytes.NewReader(body))
	if err != nil {
		o.t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode/100 == 2
}

// verb runs popup console VERB on a folder, and wants an exit code and a text.
func verb(t *testing.T, dir string, code int, says string, args ...string) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	got := run(t.Context(), append([]string{"console", "--data-dir", dir}, args...), &stdout, &stderr)
	if all := stdout.String() + stderr.String(); got != code || !strings.Contains(all, says) {
		t.Errorf("console %s exits %d and says %q; want %d and %q", strings.Join(args, " "), got, all, code, says)
	}
	return stdout.String()
}

const firstPassword, secondPassword = "correct horse battery", "another horse battery"

// TestConsoleOperator does what an operator does: claims a console, backs it up while it
// runs and while it does not, loses the password, and makes another console of the backup.
func TestConsoleOperator(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(t.TempDir(), "backup.db")
	verb(t, dir, exitUsage, "there is no console in "+dir, "backup", "-o", file)
	verb(t, dir, exitUsage, "no console runs on "+dir, "recover")

	c := operate(t, dir)
	if c.claim == "" {
		t.Fatal("nobody owns it, and there is no claim link")
	}
	link := strings.TrimSpace(strings.TrimPrefix(verb(t, dir, exitDone, "claim: "+c.url, "claim"), "claim: "))
	testutil.FillForm(t, http.DefaultClient, link, url.Values{"name": {"mara"}, "password": {firstPassword}})
	verb(t, dir, exitFailed, "claimed", "claim")
	if !c.lets(firstPassword) {
		t.Fatal("its owner does not get in")
	}

	verb(t, dir, exitUsage, "say where to write it", "backup")
	verb(t, dir, exitDone, "wrote "+file, "backup", "-o", file)
	verb(t, dir, exitUsage, "is there already", "backup", "-o", file)
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 || info.Size() == 0 {
		t.Errorf("the backup is %v, %v", info, err)
	}

	link = strings.TrimSpace(strings.TrimPrefix(verb(t, dir, exitDone, "recover: "+c.url, "recover"), "recover: "))
	testutil.FillForm(t, http.DefaultClient, link, url.Values{"password": {secondPassword}})
	if c.lets(firstPassword) || !c.lets(secondPassword) {
		t.Error("the password that was lost still counts, or the new one does not")
	}
	verb(t, dir, exitFailed, `no owner is called "nobody"`, "recover", "nobody")
	c.stop()

	offline := verb(t, dir, exitDone, "SQLite format 3", "backup", "-o", "-")
	if len(offline) < 1<<12 {
		t.Errorf("a backup of a console that does not run has %d bytes", len(offline))
	}
	verb(t, dir, exitFailed, "is there already", "restore", file)
	if again := operate(t, dir); again.claim != "" || !again.lets(secondPassword) {
		t.Error("a restore that was refused changed the console")
	} else {
		again.stop()
	}

	other := t.TempDir()
	verb(t, other, exitUsage, "read the backup", "restore", file+".missing")
	verb(t, other, exitFailed, "refuse the backup", "restore", os.Args[0]) // no backup at all
	verb(t, other, exitDone, "there is no secrets.key", "restore", file)
	key, err := os.ReadFile(filepath.Join(dir, "secrets.key"))
	if err == nil {
		err = os.WriteFile(filepath.Join(other, "secrets.key"), key, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	if restored := operate(t, other); restored.claim != "" || !restored.lets(firstPassword) {
		t.Error("the restored console does not know its owner by the password of then")
	}
}
