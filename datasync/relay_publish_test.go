package datasync

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"popup/internal/testutil"
	"popup/internal/tree"
	"popup/internal/wire"
)

// archivesIn are the archives in a folder, and their contents.
func archivesIn(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, name := range names(t, dir) {
		if isRelayArchive(name) {
			text, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			all[name] = string(text)
		}
	}
	return all
}

// What is published is a function of what the source held, and of nothing else.
func TestRelayIsDeterministic(t *testing.T) {
	r := newRelayed(t, wire.Source{}, SourceOptions{})
	other := t.TempDir()
	second := r.publisherOf(RelayConfig{To: other})
	for day := range 3 {
		r.repo.Write("run", []byte(fmt.Sprint("#!/bin/sh\n# ", day)), 0o755)
		r.nextDay(fmt.Sprint("day ", day))
		if err := os.Chtimes(filepath.Join(r.repo.Dir, "run"), time.Time{}, time.Unix(int64(day), 0)); err != nil {
			t.Fatal(err)
		}
		if r.publish(); day == 0 {
			continue // the second one sees it later, and knows fewer to change from
		}
		if _, err := second.Publish(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	here, there := archivesIn(t, r.folder), archivesIn(t, other)
	both := 0
	for name, content := range there {
		if text, ok := here[name]; ok && text != content {
			t.Errorf("%s is not the same", name)
		} else if ok {
			both++
		}
	}
	if both < 3 {
		t.Errorf("only %v are in both, of %v and %v", both, slices.Sorted(maps.Keys(here)), slices.Sorted(maps.Keys(there)))
	}
}

func TestRelayKeepsAFewChanges(t *testing.T) {
	r := newRelayed(t, wire.Source{}, SourceOptions{})
	r.relay = r.publisherOf(RelayConfig{Keep: 2, To: t.TempDir()})
	r.folder = r.relay.config.To
	write(t, r.folder, map[string]string{"index.html": "not ours", "tmp-other": "nor this", relayHeadName + ".bak": "nor that"})
	first := r.publish()
	if !first.Changed || first.Snapshot == 0 || first.Changes != 0 {
		t.Errorf("first: %+v", first)
	}
	if again := r.publish(); again.Changed || again.Snapshot != first.Snapshot {
		t.Errorf("again: %+v", again)
	}
	var commits []string
	for day := range 4 {
		r.clock.advance(10 * time.Minute)
		r.nextDay(fmt.Sprint(day))
		commits = append(commits, r.repo.Head())
		r.publish()
	}
	h := r.readHead()
	var from []string
	for _, c := range h.Changes {
		from = append(from, string(c.From))
	}
	if want := []string{commits[2], commits[1]}; !slices.Equal(from, want) || !h.Published.Equal(r.clock.Now().UTC().Truncate(time.Second)) {
		t.Errorf("changes from %v, published %v; want from %v", from, h.Published, want)
	}
	if len(archivesIn(t, r.folder)) <= 3 {
		t.Error("an archive that somebody may be reading was removed")
	}
	if err := os.WriteFile(filepath.Join(r.folder, "tmp-"+h.Snapshot.Name+"-123"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	r.publish()
	r.clock.advance(relayLinger)
	r.publish()
	want := []string{relayHeadName, relayHeadName + ".bak", "index.html", "tmp-other"}
	for _, a := range h.archives() {
		want = append(want, a.Name)
	}
	slices.Sort(want)
	if got := names(t, r.folder); !slices.Equal(got, want) {
		t.Errorf("an hour later, there is %v; want %v", got, want)
	}
	// What somebody removed is written again.
	if err := os.Remove(filepath.Join(r.folder, h.Snapshot.Name)); err != nil {
		t.Fatal(err)
	}
	if again := r.publish(); !again.Changed || !r.readHead().whole(sizes(archivesIn(t, r.folder))) {
		t.Errorf("%+v; want the archive back", again)
	}
}

func sizes(files map[string]string) map[string]int64 {
	all := map[string]int64{}
	for name, content := range files {
		all[name] = int64(len(content))
	}
	return all
}

// A stops is a store that fails at the n-th change of what it holds.
type stops struct {
	relayStore
	left int
}

var errStops = errors.New("pulled the plug")

func (s *stops) Put(ctx context.Context, name string, content io.ReadSeeker) error {
	if s.left--; s.left < 0 {
		return errStops
	}
	return s.relayStore.Put(ctx, name, content)
}

func (s *stops) Remove(ctx context.Context, name string) error {
	if s.left--; s.left < 0 {
		return errStops
	}
	return s.relayStore.Remove(ctx, name)
}

// Wherever publishing ends, the head names what is there, whole.
func TestRelayIsWholeWheneverItStops(t *testing.T) {
	r := newRelayed(t, wire.Source{}, SourceOptions{})
	for n := range 6 {
		r.clock.advance(2 * relayLinger) // the next pass removes
		r.nextDay(fmt.Sprint(n))
		store := r.relay.store
		r.relay.store = &stops{store, n}
		_, err := r.relay.Publish(t.Context())
		if err != nil && !errors.Is(err, errStops) {
			t.Fatal(err)
		}
		h := r.readHead()
		if !h.whole(sizes(archivesIn(t, r.folder))) {
			t.Errorf("stopped after %d: the head names what is not there", n)
		}
		served := r.repo.Head() == string(h.Revision)
		if served != (err == nil || n > len(h.Changes)+1) {
			t.Errorf("stopped after %d with %v: the head names %s", n, err, h.Revision)
		}
		r.relay.store = store
		if err := r.relay.Close(); err != nil {
			t.Fatal(err)
		}
		r.relay = r.publisherOf(RelayConfig{Work: r.relay.config.Work})
		r.publish()
		r.serves(viaRelay, -1)
	}
	r.clock.advance(2 * relayLinger)
	r.publish()
	r.clock.advance(2 * relayLinger)
	r.publish()
	if got, want := len(archivesIn(t, r.folder)), len(r.readHead().archives()); got != want {
		t.Errorf("%d archives are left; want %d", got, want)
	}
}

// What rotted on the publisher's disk is not sent, and is made anew.
func TestRelayMendsItsOwnFiles(t *testing.T) {
	r := newRelayed(t, wire.Source{}, SourceOptions{})
	r.publish() // its hourly look at the disk
	overwrite(t, filepath.Join(r.relay.publisher.Path(Revision(r.repo.Head())), "notice.txt"), "closed on mONDAY")
	if err := os.RemoveAll(r.folder); err != nil {
		t.Fatal(err)
	}
	_, err := r.relay.Publish(t.Context())
	var damaged *tree.DamagedError
	if !errors.As(err, &damaged) {
		t.Fatalf("got %v; want that it is damaged", err)
	}
	r.publish()
	r.serves(viaRelay, 1)
}

func TestRelayRefusesToPublish(t *testing.T) {
	r := newRelayed(t, wire.Source{}, SourceOptions{})
	open := func(config RelayConfig) error {
		config.Source.URL = r.repo.URL()
		relay, err := OpenRelay(config)
		if err == nil {
			t.Cleanup(func() { _ = relay.Close() })
		}
		return err
	}
	wantText(t, open(RelayConfig{To: t.TempDir(), Work: r.relay.config.Work}), "another popup publish runs in", "--work")
	wantText(t, open(RelayConfig{To: "https://relay.example.org/", Work: t.TempDir()}), "a folder of this machine")
	wantText(t, open(RelayConfig{To: "s3:///x", Work: t.TempDir()}), "names no bucket")
	wantText(t, open(RelayConfig{To: t.TempDir(), Work: t.TempDir(), Keep: 1000}), "between 1 and 50")
	wantText(t, open(RelayConfig{To: t.TempDir(), Work: t.TempDir(), Every: time.Second}), "more often than once a minute")

	// What somebody else put there is not lost.
	to := t.TempDir()
	write(t, to, map[string]string{relayHeadName: `{"title": "our minutes"}`})
	relay := r.publisherOf(RelayConfig{To: to})
	_, err := relay.Publish(t.Context())
	wantText(t, err, to, "move it away")
	if got := names(t, to); !slices.Equal(got, []string{relayHeadName}) {
		t.Errorf("it was published: %v", got)
	}
	r.repo.Git("-c", "protocol.file.allow=always", "submodule", "add", "-q", "--", r.repo.URL(), "sub")
	r.repo.CommitAll()
	_, err = r.relay.Publish(t.Context())
	wantText(t, err, "sub", "is a submodule")
	if h := r.readHead(); string(h.Revision) == r.repo.Head() {
		t.Error("a head names what was not published")
	}
}

func TestRelayInABucket(t *testing.T) {
	s := testutil.NewS3(t)
	s.OpenToAll()
	s.Put(map[string]string{"days/index.html": "not ours", "days/old/" + snapshotName(Revision(strings.Repeat("a", 40))): "nor this", "x": "nor that"})
	t.Setenv("AWS_ENDPOINT_URL_S3", s.URL)
	t.Setenv("AWS_ACCESS_KEY_ID", s.Access)
	t.Setenv("AWS_SECRET_ACCESS_KEY", s.Secret)
	r := newRelayed(t, wire.Source{}, SourceOptions{})
	r.relay = r.publisherOf(RelayConfig{To: "s3://" + s.Bucket + "/days", Keep: 1})
	r.publish()
	// The bucket's own web address is a relay.
	spec := wire.Source{URL: r.origin.URL + "/upstream", Relay: s.URL + "/" + s.Bucket + "/days/"}
	source, err := NewSource(spec, SourceOptions{})
	if err != nil {
		t.Fatal(err)
	}
	r.source = source.(*relaySource)
	r.Syncer = NewSyncer(Config{Source: source, Publisher: openPublisher(t, r.dir, PublisherOptions{Share: true})})
	r.serves(viaRelay, 1)
	for day := range 3 {
		r.nextDay(fmt.Sprint(day))
		r.publish()
		r.serves(viaRelay, 1)
		before := r.source.Cost()
		r.serves(viaRelay, 0)
		if cost := r.source.Cost(); cost.BytesIn-before.BytesIn > 800 {
			t.Errorf("a poll without news took %d bytes", cost.BytesIn-before.BytesIn)
		}
	}
	r.clock.advance(2 * relayLinger)
	r.publish()
	if got := s.Keys(""); len(got) != 6 || !slices.Contains(got, "days/index.html") || !slices.Contains(got, "x") {
		t.Errorf("the bucket holds %v", got)
	}
	res, err := http.Get(s.URL + "/" + s.Bucket + "/days/" + relayHeadName)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }() // it is not read
	if res.Header.Get("Cache-Control") != relayHeadCaching || res.Header.Get("Content-Type") != "application/json" {
		t.Errorf("it is served with %v", res.Header)
	}
	t.Setenv("AWS_SECRET_ACCESS_KEY", "gone")
	_, err = r.relay.Publish(t.Context())
	wantText(t, err, "the access key is refused", "s3:PutObject")
}

func TestRelayHandler(t *testing.T) {
	dir := t.TempDir()
	archive := snapshotName(Revision(strings.Repeat("a", 40)))
	write(t, dir, map[string]string{relayHeadName: "{}", archive: "0123456789", "secret": "hush"})
	server := httptest.NewServer(RelayHandler(dir))
	t.Cleanup(server.Close)
	ask := func(method, name string, header http.Header) (*http.Response, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, server.URL+"/days/"+name, nil)
		if err != nil {
			t.Fatal(err)
		}
		maps.Copy(req.Header, header)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(res.Body)
		if err := errors.Join(err, res.Body.Close()); err != nil {
			t.Fatal(err)
		}
		return res, string(text)
	}
	res, text := ask(http.MethodGet, relayHeadName, nil)
	etag := res.Header.Get("ETag")
	if text != "{}" || strings.HasPrefix(etag, "W/") || etag == "" || res.Header.Get("Cache-Control") != "no-cache" {
		t.Errorf("%q, %v", text, res.Header)
	}
	if res, _ := ask(http.MethodGet, relayHeadName, http.Header{"If-None-Match": {etag}}); res.StatusCode != http.StatusNotModified {
		t.Errorf("asked again: %s", res.Status)
	}
	write(t, dir, map[string]string{relayHeadName: "{1}"})
	if res, text := ask(http.MethodGet, relayHeadName, http.Header{"If-None-Match": {etag}}); text != "{1}" || res.Header.Get("ETag") == etag {
		t.Errorf("after a change: %q", text)
	}
	res, text = ask(http.MethodGet, archive, http.Header{"Range": {"bytes=2-4"}})
	if text != "234" || !strings.Contains(res.Header.Get("Cache-Control"), "immutable") || res.Header.Get("Content-Type") != relayArchiveMedia {
		t.Errorf("%q, %v", text, res.Header)
	}
	for _, name := range []string{"secret", "", "..%2fsecret", snapshotName(Revision(strings.Repeat("b", 40)))} {
		if res, _ := ask(http.MethodGet, name, nil); res.StatusCode != http.StatusNotFound {
			t.Errorf("%q: %s", name, res.Status)
		}
	}
	if res, _ := ask(http.MethodPost, relayHeadName, nil); res.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("a POST: %s", res.Status)
	}
}
