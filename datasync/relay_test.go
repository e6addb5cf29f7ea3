package datasync

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"popup/internal/testutil"
	"popup/internal/wire"
)

// A relayed is a syncer of a real repository by way of a relay, each behind a server.
type relayed struct {
	t      *testing.T
	repo   *testutil.GitRepo
	origin *testutil.GitServer
	folder string // the relay's
	relay  *Relay
	web    *httptest.Server
	clock  *clock
	dir    string
	source *relaySource
	*Syncer

	mu     sync.Mutex
	answer http.HandlerFunc // instead of the relay's own; nil: that
	asked  []string         // names that the relay was asked for
}

var firstDay = map[string]string{"notice.txt": "closed on Monday", "list/a": strings.Repeat("a line\n", 5000), "list/b": "2"}

// relay begins with the first day published, and nothing fetched.
func newRelayed(t *testing.T, spec wire.Source, opts SourceOptions) *relayed {
	t.Helper()
	r := &relayed{t: t, repo: testutil.NewRepo(t), folder: t.TempDir(), clock: newClock(), dir: tempDir(t)}
	r.repo.Commit(firstDay)
	r.origin = testutil.NewGitServer(t, filepath.Dir(r.repo.Dir))
	files := RelayHandler(r.folder)
	r.web = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.mu.Lock()
		answer := r.answer
		r.asked = append(r.asked, path.Base(req.URL.Path))
		r.mu.Unlock()
		if answer == nil {
			answer = files.ServeHTTP
		}
		answer(w, req)
	}))
	t.Cleanup(r.web.Close)
	r.relay = r.publisherOf(RelayConfig{})
	r.publish()
	r.open(spec, opts)
	return r
}

func (r *relayed) publisherOf(config RelayConfig) *Relay {
	r.t.Helper()
	config.Source.URL, config.Now = r.repo.URL(), r.clock.Now
	if config.To == "" {
		config.To = r.folder
	}
	if config.Work == "" {
		config.Work = tempDir(r.t)
	}
	relay, err := OpenRelay(config)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		if err := relay.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
			r.t.Error(err)
		}
	})
	return relay
}

func (r *relayed) publish() RelayReport {
	r.t.Helper()
	report, err := r.relay.Publish(r.t.Context())
	if err != nil || string(report.Revision) != r.repo.Head() {
		r.t.Fatalf("published %s, %v; want %s", report.Revision, err, r.repo.Head())
	}
	return report
}

// open is what a restart of the instance does.
func (r *relayed) open(spec wire.Source, opts SourceOptions) {
	r.t.Helper()
	spec.URL, spec.Relay = r.origin.URL+"/upstream", r.web.URL+"/days"
	source, err := NewSource(spec, opts)
	if err != nil {
		r.t.Fatal(err)
	}
	r.source = source.(*relaySource)
	r.source.now = r.clock.Now
	r.source.inspect = r.clock.Now().Add(inspectPeriod)
	r.Syncer = NewSyncer(Config{Source: source, Publisher: openPublisher(r.t, r.dir, PublisherOptions{Share: true, Now: r.clock.Now}), Now: r.clock.Now})
}

// between has fn see what the relay is asked for; where it returns true, it answered.
func (r *relayed) between(fn func(w http.ResponseWriter, req *http.Request, name string) bool) {
	files := RelayHandler(r.folder)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = func(w http.ResponseWriter, req *http.Request) {
		if !fn(w, req, path.Base(req.URL.Path)) {
			files.ServeHTTP(w, req)
		}
	}
}

func (r *relayed) wasAsked() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	asked := r.asked
	r.asked = nil
	return asked
}

// serves fails unless the repository's newest commit is published, with all it holds,
// by way of what is named, and for so many requests to the origin.
func (r *relayed) serves(via string, requests int64) {
	r.t.Helper()
	before := r.origin.Requests()
	rev, _, err := r.Stage(r.t.Context())
	if err == nil {
		err = r.Publish(rev)
	}
	if err != nil || string(rev) != r.repo.Head() {
		r.t.Fatalf("published %s, %v; want %s", rev, err, r.repo.Head())
	}
	if asked := r.origin.Requests() - before; asked != requests && requests >= 0 {
		r.t.Errorf("the origin was asked %d times; want %d", asked, requests)
	}
	if got := r.Status().Via; got != via {
		r.t.Errorf("fetched via %s; want %s", got, via)
	}
	r.holds()
	noLeftovers(r.t, r.dir)
}

// holds fails unless what is served is the repository's newest commit.
func (r *relayed) holds() {
	r.t.Helper()
	want := listing(r.t, r.repo.Dir)
	for name := range want {
		if name == ".git" || strings.HasPrefix(name, ".git/") {
			delete(want, name)
		}
	}
	if diff := cmp.Diff(want, listing(r.t, filepath.Join(r.dir, string(r.Status().Serving)))); diff != "" {
		r.t.Errorf("what is served is not what was committed (-want +got):\n%s", diff)
	}
}

// keeps fails unless nothing new is published.
func (r *relayed) keeps() error {
	r.t.Helper()
	before := r.Status().Serving
	rev, changed, err := r.Stage(r.t.Context())
	if changed || r.Status().Serving != before {
		r.t.Errorf("%s is staged; want what was served before, %s", rev, before)
	}
	return err
}

func (r *relayed) nextDay(content string) {
	r.t.Helper()
	r.repo.Commit(map[string]string{"notice.txt": content})
}

func TestRelaySparesTheOrigin(t *testing.T) {
	r := newRelayed(t, wire.Source{}, SourceOptions{})
	first := r.repo.Head()
	r.serves(viaRelay, 1)
	if asked := r.wasAsked(); !slices.Equal(asked, []string{relayHeadName, first + ".tar.zst"}) {
		t.Errorf("asked for %v", asked)
	}
	for range 3 {
		r.serves(viaRelay, 0)
	}
	// A link, a program, a file that moved, and one in a new folder.
	r.repo.Write("run", []byte("#!/bin/sh\n"), 0o755)
	r.repo.Write("new/folder/é", []byte("hello"), 0o644)
	r.repo.Git("mv", "list/a", "list/z")
	if err := os.Symlink("notice.txt", filepath.Join(r.repo.Dir, "latest")); err != nil {
		t.Fatal(err)
	}
	r.repo.CommitAll()
	r.publish()
	r.wasAsked()
	before := r.source.Cost()
	r.serves(viaRelay, 1)
	change := changeName(Revision(first), Revision(r.repo.Head()))
	if asked := r.wasAsked(); !slices.Equal(asked, []string{relayHeadName, change}) {
		t.Errorf("asked for %v", asked)
	}
	cost := r.source.Cost()
	if requests, in := cost.Requests-before.Requests, cost.BytesIn-before.BytesIn; requests != 3 || in < 300 || in > 5000 {
		t.Errorf("%d requests and %d bytes; want three, and what a small change takes", requests, in)
	}
	// Moved back: what is new is an old one.
	r.repo.Rewind("1")
	r.publish()
	r.serves(viaRelay, 1)
	r.repo.Orphan(map[string]string{"only": "this"})
	r.publish()
	r.serves(viaRelay, 1)
	if s := r.Status(); s.RelayError != "" || s.LastError != "" {
		t.Errorf("the status says %q and %q", s.RelayError, s.LastError)
	}
}

// A restarted instance asks nobody but the relay about what it has.
func TestRelayAfterRestart(t *testing.T) {
	r := newRelayed(t, wire.Source{}, SourceOptions{})
	r.serves(viaRelay, 1)
	r.open(wire.Source{}, SourceOptions{})
	r.serves(viaRelay, 0)
	// What was changed on disk is mended from the relay.
	overwrite(t, filepath.Join(r.dir, "current", "notice.txt"), "open on Sunday")
	r.Recheck()
	asked := r.origin.Requests()
	if _, changed, err := r.Stage(t.Context()); err != nil || !changed || r.origin.Requests() != asked {
		t.Errorf("mended: %v, %v; want that, without asking the origin", changed, err)
	}
	r.holds()
}

// Any web server does, also one that knows no ETag.
func TestRelayBehindAPlainServer(t *testing.T) {
	r := newRelayed(t, wire.Source{}, SourceOptions{})
	plain := http.StripPrefix("/days", http.FileServer(http.Dir(r.folder)))
	statuses := map[int]int{}
	r.mu.Lock()
	r.answer = func(w http.ResponseWriter, req *http.Request) {
		recorder := httptest.NewRecorder()
		plain.ServeHTTP(recorder, req)
		statuses[recorder.Code]++
		w.Header()["Date"] = []string{time.Now().UTC().Format(http.TimeFormat)}
		plain.ServeHTTP(w, req)
	}
	r.mu.Unlock()
	age := func(seconds time.Duration) {
		at := time.Now().Add(-seconds * time.Second)
		if err := os.Chtimes(filepath.Join(r.folder, relayHeadName), at, at); err != nil {
			t.Fatal(err)
		}
	}
	age(0)
	r.serves(viaRelay, 1)
	r.nextDay("open on Monday") // within the second
	r.publish()
	age(0)
	r.serves(viaRelay, 1)
	if statuses[http.StatusNotModified] > 0 {
		t.Errorf("a server was believed that cannot tell two versions of a second apart")
	}
	age(60)
	r.serves(viaRelay, 0)
	r.serves(viaRelay, 0)
	r.serves(viaRelay, 0)
	if statuses[http.StatusNotModified] != 2 {
		t.Errorf("answered %v; want two polls that found nothing new", statuses)
	}
	r.nextDay("open on Tuesday")
	r.publish()
	r.serves(viaRelay, 1)
}

// A poll costs what the headers of an answer without a body take.
func TestRelayPollIsSmall(t *testing.T) {
	r := newRelayed(t, wire.Source{}, SourceOptions{})
	r.between(func(w http.ResponseWriter, req *http.Request, name string) bool {
		w.Header().Set("Server", "nginx/1.22.1")
		w.Header().Set("Last-Modified", "Wed, 14 May 2026 12:00:00 GMT")
		w.Header().Set("Connection", "keep-alive")
		w.Header().Set("ETag", `"68249ad0-5a3"`)
		if req.Header.Get("If-None-Match") == `"68249ad0-5a3"` {
			w.WriteHeader(http.StatusNotModified)
			return true
		}
		if name == relayHeadName {
			http.ServeFile(w, req, filepath.Join(r.folder, name))
			return true
		}
		w.Header().Del("ETag")
		return false
	})
	r.serves(viaRelay, 1)
	before := r.source.Cost()
	r.serves(viaRelay, 0)
	cost := r.source.Cost()
	requests, in, out := cost.Requests-before.Requests, cost.BytesIn-before.BytesIn, cost.BytesOut-before.BytesOut
	t.Logf("%d bytes in, %d out", in, out)
	if requests != 1 || in == 0 || in > 200 || out == 0 || out > 200 {
		t.Errorf("a poll without news took %d requests, %d bytes in and %d out", requests, in, out)
	}
}

func TestRelayOfAnArchiveAndABuild(t *testing.T) {
	r := newRelayed(t, wire.Source{}, SourceOptions{})
	days := testutil.Days(t, 4)
	r.repo.CommitDay(days[0])
	r.publish()
	r.config.Extract = testutil.Tarball
	for _, day := range days[:3] {
		r.repo.CommitDay(day)
		r.publish()
		before := r.origin.Requests()
		rev, _, err := r.Stage(t.Context())
		if err == nil {
			err = r.Publish(rev)
		}
		if err != nil || string(rev) != r.repo.Head() || r.origin.Requests() != before+1 {
			t.Fatalf("published %s, %v, for %d requests", rev, err, r.origin.Requests()-before)
		}
	}
	if got := names(t, filepath.Join(r.dir, "current")); len(got) == 0 || slices.Contains(got, testutil.Tarball) {
		t.Errorf("published %v; want what is in the tarball", got)
	}
}

func TestRelayOfAFolder(t *testing.T) {
	from, to := t.TempDir(), t.TempDir()
	write(t, from, firstDay)
	spec := wire.Source{Kind: kindFolder, URL: from}
	relay, err := OpenRelay(RelayConfig{Source: spec, To: to, Work: tempDir(t)})
	if err == nil {
		_, err = relay.Publish(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(RelayHandler(to))
	t.Cleanup(web.Close)
	spec.Relay = web.URL
	source, err := NewSource(spec, SourceOptions{})
	if err != nil {
		t.Fatal(err)
	}
	dir := tempDir(t)
	s := NewSyncer(Config{Source: source, Publisher: openPublisher(t, dir, PublisherOptions{})})
	rev, _, err := s.Stage(t.Context())
	if err == nil {
		err = s.Publish(rev)
	}
	if err != nil || s.Status().Via != viaRelay || s.Status().BytesIn == 0 {
		t.Fatalf("%v, %+v", err, s.Status())
	}
	if diff := cmp.Diff(describe(firstDay), listing(t, filepath.Join(dir, string(rev)))); diff != "" {
		t.Error(diff)
	}
}

// What vouches for nothing is not fetched from a stranger.
func TestRelayIsForWhatVouchesForItself(t *testing.T) {
	for _, spec := range []wire.Source{
		{Kind: kindHTTPS, URL: "https://example.org/data.tar.zst"},
		{Kind: kindS3, URL: "s3://fair/data/"},
	} {
		_, err := OpenRelay(RelayConfig{Source: spec, To: t.TempDir(), Work: t.TempDir()})
		wantText(t, err, spec.URL, "static storage")
		spec.Relay = "https://relay.example.org/"
		_, err = NewSource(spec, SourceOptions{})
		wantText(t, err, spec.URL, "static storage")
	}
}
