package web

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"popup/console"
	"popup/console/catalogue"
	"popup/internal/wire"
	"popup/templates"
	"popup/web/api"
	"popup/web/oidc"
)

const launchBody = `{"event":{"title":"Spring fair","end":"7d"},"apps":[{"app":"notice"},{"app":"notice","title":"Another"}]}`

// TestLaunchOverTheAPI: looked at, asked for, asked for again, and watched.
func TestLaunchOverTheAPI(t *testing.T) {
	s := newOwnedSite(t)
	ask := func(path, body, key string) exchange {
		return s.do(t, request{who: "otto", method: "POST", path: path, body: body, header: map[string]string{api.HeaderKey: key}})
	}
	preview := decode[api.Preview](t, ask("/api/v1/launches?validate_only=true", launchBody, ""), 200)
	if !preview.New || preview.Count != 2 || len(preview.Apps) != 2 || !strings.HasPrefix(preview.Button, "Launch until ") {
		t.Errorf("it would do %+v", preview)
	}
	if events := decode[api.Events](t, s.do(t, request{who: "otto", method: "GET", path: "/api/v1/events"}), 200); len(events.Events) != 1 {
		t.Errorf("a look made %+v", events)
	}
	first := ask("/api/v1/launches", launchBody, "k1")
	operation := decode[api.Operation](t, first, 202)
	if first.header.Get("Location") != "/api/v1/operations/"+operation.ID || len(operation.Instances) != 2 {
		t.Errorf("launched %+v at %q", operation, first.header.Get("Location"))
	}
	if again := decode[api.Operation](t, ask("/api/v1/launches", launchBody, "k1"), 202); again.ID != operation.ID {
		t.Errorf("asked again it is %s beside %s", again.ID, operation.ID)
	}
	other := ask("/api/v1/launches", strings.Replace(launchBody, "Spring", "Autumn", 1), "k1")
	if fields := errorsOf(t, other); other.status != 422 || len(fields) != 1 || fields[0] != api.HeaderKey {
		t.Errorf("another launch under the same key: %d %s", other.status, other.body)
	}
	if got := ask("/api/v1/launches", launchBody, strings.Repeat("k", mostKey+1)); got.status != 422 {
		t.Errorf("a key that is too long: %d", got.status)
	}
	eventually(t, "is done", func() bool {
		for _, id := range operation.Instances {
			if s.cloud.userData(id) == "" {
				return false
			}
			d := s.device(t, id)
			decode[wire.Enrolled](t, d.enrol(t), 200)
			decode[wire.Answer](t, d.report(t), 200)
		}
		operation.Instances = nil
		got := decode[api.Operation](t, s.do(t, request{who: "otto", method: "GET", path: "/api/v1/operations/" + operation.ID}), 200)
		return got.State == string(console.OperationDone)
	})
}

// TestInstancesTalk: enrolled, reported, commanded and heard, over real HTTP.
func TestInstancesTalk(t *testing.T) {
	s := newOwnedSite(t)
	id := s.instanceOf(t, s.fair)
	d := s.device(t, id)
	if got := d.report(t); got.status != 403 {
		t.Errorf("a report before it enrolled: %d %s", got.status, got.body)
	}
	decode[wire.Enrolled](t, d.enrol(t), 200)
	other := *d
	other.key = s.device(t, id).key
	if got := other.enrol(t); got.status != 403 || !strings.Contains(got.body, "another key") {
		t.Errorf("another key: %d %s", got.status, got.body)
	}
	decode[wire.Answer](t, d.report(t), 200)
	at := "/api/v1/instances/" + id
	shown := decode[api.Instance](t, s.do(t, request{who: "otto", method: "GET", path: at}), 200)
	if shown.Health != console.HealthLive || shown.Report == nil || shown.Release == "" || shown.Heard.IsZero() {
		t.Errorf("it reported, and is shown as %+v", shown)
	}
	order := decode[api.Order](t, s.do(t, request{who: "otto", method: "POST", path: at + "/commands", body: `{"verb":"logs"}`}), 202)
	answer := decode[wire.Answer](t, d.report(t), 200)
	if len(answer.Commands) != 1 || answer.Commands[0].ID != order.ID {
		t.Fatalf("it is told %+v", answer)
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	io.WriteString(z, "a line of the log\n")
	z.Close()
	encoded := map[string]string{"Content-Type": "text/plain", "Content-Encoding": "gzip"}
	if got := d.send(t, wire.PathLogs+order.ID, packed.Bytes(), encoded); got.status != 204 {
		t.Errorf("its log: %d %s", got.status, got.body)
	}
	if got := s.do(t, request{who: "otto", method: "GET", path: at + "/logs/" + order.ID}); got.body != "a line of the log\n" {
		t.Errorf("the log: %d %q", got.status, got.body)
	}
	for path, most := range map[string]int{wire.PathEnrol: wire.MaxEnrolment, wire.PathReport: wire.MaxReport, wire.PathLogs + order.ID: wire.MaxLogs} {
		if got := d.send(t, path, bytes.Repeat([]byte(" "), most+1), nil); got.status != 413 {
			t.Errorf("%s with %d bytes: %d", path, most+1, got.status)
		}
	}
	unknown := *d
	unknown.id = "not-known-1"
	if got := unknown.enrol(t); got.status != 503 || got.header.Get("Retry-After") != "5" {
		t.Errorf("an instance that is not known yet: %d, Retry-After %q", got.status, got.header.Get("Retry-After"))
	}
}

// TestConnectionsOfInstances: one that is to report soon keeps its connection, and one
// that waits for long does not.
func TestConnectionsOfInstances(t *testing.T) {
	s := newOwnedSite(t)
	d := s.device(t, s.instanceOf(t, s.fair))
	decode[wire.Enrolled](t, d.enrol(t), 200)
	got := d.report(t)
	answer := decode[wire.Answer](t, got, 200)
	if answer.Wanted == nil || answer.Next != 5 || closes(got) {
		t.Fatalf("told what is wanted: %+v, and it closes: %v", answer, closes(got))
	}
	body, err := json.Marshal(wire.Report{Version: wire.TalkVersion, Seq: d.seq + 1, Live: true, Healthy: true, Generation: answer.Wanted.Generation})
	must(t, err)
	got = d.send(t, wire.PathReport, body, nil)
	if answer = decode[wire.Answer](t, got, 200); answer.Next != 30 || !closes(got) {
		t.Errorf("told nothing: %+v, and it closes: %v", answer, closes(got))
	}
}

func closes(e exchange) bool { return e.header.Get("Connection") == "close" }

var looksSecret = regexp.MustCompile(`(?i)"[a-z_]*(hash|password|subject|token_hash|nonce|sealed|private)[a-z_]*":|argon2|T0P-SECRET`)

// TestNothingSecretIsShown: of what is kept, no answer holds what opens anything.
func TestNothingSecretIsShown(t *testing.T) {
	s := newOwnedSite(t)
	id := s.instanceOf(t, s.fair)
	d := s.device(t, id)
	decode[wire.Enrolled](t, d.enrol(t), 200)
	decode[wire.Answer](t, d.report(t), 200)
	answers := 0
	for _, r := range s.routes {
		if r.method != http.MethodGet || r.gives == nil && r.media == "" || r.path == "/api/v1/backup" || r.path == "/api/v1/openapi.json" {
			continue
		}
		for _, who := range []string{"olga", "otto", "vera", "helper"} {
			got := s.try(t, r, who, id)
			if got.status != 200 {
				continue
			}
			answers++
			if found := looksSecret.FindString(got.body); found != "" {
				t.Errorf("%s as %s holds %s", r.path, who, found)
			}
			if strings.Contains(got.body, d.once) {
				t.Errorf("%s as %s holds the token that enrols", r.path, who)
			}
			for name, known := range s.who {
				if known.token != "" && strings.Contains(got.body, known.token) {
					t.Errorf("%s as %s holds what %s signs in with", r.path, who, name)
				}
			}
		}
	}
	if answers < 60 {
		t.Errorf("only %d answers were looked at", answers)
	}
}

// TestLogin: a name and a password make a token, once for each try, and not too often.
func TestLogin(t *testing.T) {
	s := newOwnedSite(t)
	login := func(password string) exchange {
		return s.do(t, request{method: "POST", path: "/api/v1/login", body: fmt.Sprintf(`{"name":"otto","password":%q,"title":"laptop"}`, password)})
	}
	added := decode[api.AddedToken](t, login(password), 201)
	s.who["laptop"] = credential{token: added.Secret}
	if me := decode[api.Me](t, s.do(t, request{who: "laptop", method: "GET", path: "/api/v1/me"}), 200); me.ID != s.otto.ID || me.Role != "organiser" {
		t.Errorf("the token is of %+v", me)
	}
	log := decode[api.AuditLog](t, s.do(t, request{who: "olga", method: "GET", path: "/api/v1/audit?page_size=1"}), 200)
	if len(log.Entries) != 1 || log.Entries[0].Action != "sign out" || log.Entries[0].Actor != s.otto.ID {
		t.Errorf("its session goes on: %+v", log.Entries)
	}
	wrong := login("not that")
	if wrong.status != 401 || !strings.Contains(wrong.body, console.ErrWrongPassword.Error()) {
		t.Errorf("a wrong password: %d %s", wrong.status, wrong.body)
	}
	for range 10 {
		wrong = login("not that")
	}
	if wrong.status != http.StatusTooManyRequests || wrong.header.Get("Retry-After") == "" {
		t.Errorf("after many tries: %d %s", wrong.status, wrong.body)
	}
	if got := s.do(t, request{method: "GET", path: "/api/v1/me", header: map[string]string{"Authorization": "Bearer popup_nothing"}}); got.status != 401 || got.header.Get("WWW-Authenticate") == "" {
		t.Errorf("a token that is none: %d %v", got.status, got.header)
	}
}

// TestDownload: what instances run comes whole, in parts, and is kept by caches.
func TestDownload(t *testing.T) {
	content := bytes.Repeat([]byte("popup"), 1000)
	sum := sha256.Sum256(content)
	path := filepath.Join(t.TempDir(), "popup")
	must(t, os.WriteFile(path, content, 0o600))
	s := newSite(t, func(o *Options) { o.Binaries = map[string]string{hex.EncodeToString(sum[:]): path} })
	s.claim(t)
	at := "/download/" + hex.EncodeToString(sum[:])
	whole := s.do(t, request{method: "GET", path: at})
	if whole.body != string(content) || whole.header.Get("Content-Type") != mediaFile || !strings.Contains(whole.header.Get("Cache-Control"), "immutable") {
		t.Errorf("%d bytes, %v", len(whole.body), whole.header)
	}
	if part := s.do(t, request{method: "GET", path: at, header: map[string]string{"Range": "bytes=4990-"}}); part.status != 206 || part.body != string(content[4990:]) {
		t.Errorf("the rest of it: %d %q", part.status, part.body)
	}
	if same := s.do(t, request{method: "GET", path: at, header: map[string]string{"If-None-Match": whole.header.Get("ETag")}}); same.status != 304 {
		t.Errorf("the same again: %d", same.status)
	}
	if head := s.do(t, request{method: "HEAD", path: at}); head.status != 200 || head.header.Get("Content-Length") != "5000" {
		t.Errorf("its head: %d %v", head.status, head.header)
	}
	for _, other := range []string{"/download/" + strings.Repeat("0", 64), "/download/..%2fpopup", "/download/"} {
		if got := s.do(t, request{method: "GET", path: other}); got.status != 404 {
			t.Errorf("%s: %d", other, got.status)
		}
	}
}

// TestDownloadOutlivesRequests: on a slow line it takes longer than any other answer may.
func TestDownloadOutlivesRequests(t *testing.T) {
	const size = 64 << 20 // more than what lies between a server and who reads later
	path := filepath.Join(t.TempDir(), "popup")
	must(t, os.WriteFile(path, nil, 0o600))
	must(t, os.Truncate(path, size))
	s := newSite(t, func(o *Options) { o.Binaries = map[string]string{"sum": path} })
	s.claim(t)
	resp, err := http.Get(s.impatient(t) + "/download/sum")
	must(t, err)
	defer resp.Body.Close()
	passed := time.NewTimer(300 * time.Millisecond)
	defer passed.Stop()
	<-passed.C
	if n, err := io.Copy(io.Discard, resp.Body); n != size || err != nil {
		t.Errorf("after a moment %d bytes of %d come: %v", n, size, err)
	}
}

// TestProblems: what each error means to who asked.
func TestProblems(t *testing.T) {
	for _, test := range []struct {
		err    error
		status int
		says   string
	}{
		{wrongField("end", "is over"), 422, "end: is over"},
		{fmt.Errorf("launch: %w", &console.ConflictError{Reason: "it is over; make another"}), 409, "it is over; make another"},
		{&console.BusyError{Reason: "later", After: time.Second}, 503, "later"},
		{&tooMany{&console.BusyError{Reason: "later", After: time.Second}}, 429, "later"},
		{fmt.Errorf("read event: %w", console.ErrNotFound), 404, ""},
		{console.ErrForbidden, 403, ""},
		{console.ErrSignIn, 401, ""},
		{console.ErrTaken, 409, ""},
		{console.ErrForgotten, 410, ""},
		{console.ErrLinkOver, 410, ""},
		{console.ErrOver, 410, ""},
		{console.ErrWrongPassword, 401, console.ErrWrongPassword.Error()},
		{console.ErrNotInvited, 403, console.ErrNotInvited.Error()},
		{oidc.ErrBeginAgain, 400, oidc.ErrBeginAgain.Error()},
		{oidc.ErrRefused, 403, oidc.ErrRefused.Error()},
		{&catalogue.NotFoundError{}, 404, ""},
		{&catalogue.InputError{Field: "repository", Message: "is none", Try: "give another"}, 422, "repository: is none; give another"},
		{errForged, 403, ""},
		{errMethod, 405, ""},
		{errMedia, 415, ""},
		{&http.MaxBytesError{Limit: 1}, 413, ""},
		{context.DeadlineExceeded, 503, ""},
		{errors.New("SQL logic error near SELECT"), 500, sayBroken},
	} {
		p := problemOf(test.err)
		if p.Status != test.status || p.Detail == "" || test.says != "" && p.Detail != test.says || strings.Contains(p.Detail, "SQL") {
			t.Errorf("%v is told as %+v", test.err, p)
		}
		if later := p.Status == 429 || p.Status == 503; later != (p.After > 0) || (p.Status == 422) != (len(p.Errors) > 0) {
			t.Errorf("%v is told without the field, or when to try again: %+v", test.err, p)
		}
	}
}

// TestCompressed: what is text and long travels small, and arrives as it was.
func TestCompressed(t *testing.T) {
	s := newOwnedSite(t)
	style, err := templates.AssetPath("console.css")
	must(t, err)
	for _, path := range []string{"/api/v1/openapi.json", "/sign-in", style} {
		plain := s.send(t, request{method: "GET", path: path})
		got := s.send(t, request{method: "GET", path: path, header: map[string]string{"Accept-Encoding": "gzip"}})
		if got.header.Get("Content-Encoding") != "gzip" || len(got.body) > len(plain.body)*2/3 || !strings.Contains(got.header.Get("Vary"), "Accept-Encoding") {
			t.Errorf("%s: %d bytes of %d, %v", path, len(got.body), len(plain.body), got.header)
			continue
		}
		z, err := gzip.NewReader(strings.NewReader(got.body))
		must(t, err)
		if unpacked, err := io.ReadAll(z); err != nil || len(unpacked) != len(plain.body) {
			t.Errorf("%s: %d bytes are unpacked of %d: %v", path, len(unpacked), len(plain.body), err)
		}
	}
}

// TestBackup: an owner takes a copy of the store away.
func TestBackup(t *testing.T) {
	s := newOwnedSite(t)
	got := s.do(t, request{who: "olga", method: "GET", path: "/api/v1/backup"})
	if got.status != 200 || !strings.HasPrefix(got.body, "SQLite format 3\x00") || !strings.HasPrefix(got.header.Get("Content-Disposition"), `attachment; filename="popup-`) {
		t.Errorf("%d, %d bytes, %v", got.status, len(got.body), got.header)
	}
}
