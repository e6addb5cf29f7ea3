package datasync

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"popup/internal/testutil"
	"popup/internal/wire"
)

// A rig is a syncer over a scripted source.
type rig struct {
	t         *testing.T
	source    *script
	publisher *Publisher
	*Syncer
	config Config
	clock  *clock
}

func newRig(t *testing.T, config Config) *rig {
	t.Helper()
	r := &rig{t: t, source: newScript(), clock: newClock()}
	config.Source, config.Now = r.source, r.clock.Now
	r.config = config
	r.publisher = openPublisher(t, tempDir(t), PublisherOptions{Now: r.clock.Now})
	r.reopen(nil)
	return r
}

// reopen is what a restart does; change, if not nil, changes the configuration.
func (r *rig) reopen(change func(*Config)) {
	r.t.Helper()
	r.publisher = openPublisher(r.t, r.publisher.Dir(), PublisherOptions{Now: r.clock.Now})
	r.config.Publisher = r.publisher
	if change != nil {
		change(&r.config)
	}
	r.Syncer = NewSyncer(r.config)
}

// sync stages and publishes what is newest.
func (r *rig) sync(want Revision) {
	r.t.Helper()
	rev, _, err := r.Stage(r.t.Context())
	if err == nil {
		err = r.Publish(rev)
	}
	if err != nil || rev != want {
		r.t.Fatalf("synced to %s, %v; want %s", rev, err, want)
	}
}

// refused wants Stage to fail and what is served to stay.
func (r *rig) refused(kind string, texts ...string) {
	r.t.Helper()
	before, had := r.publisher.Current()
	_, changed, err := r.Stage(r.t.Context())
	wantText(r.t, err, texts...)
	if got := errorKind(err); got != kind || changed {
		r.t.Errorf("the kind of %q is %s, changed %v; want %s", err, got, changed, kind)
	}
	if after, has := r.publisher.Current(); after != before || has != had {
		r.t.Errorf("%s was current, now %s is", before, after)
	}
	noLeftovers(r.t, r.publisher.Dir())
	if s := r.Status(); s.LastError != err.Error() || s.ErrorKind != kind {
		r.t.Errorf("the status says %q (%s); want the error", s.LastError, s.ErrorKind)
	}
}

func TestSyncFollowsTheSource(t *testing.T) {
	r := newRig(t, Config{})
	r.source.set(t, "one", map[string]string{"a": "1"})
	rev, changed, err := r.Stage(t.Context())
	if err != nil || !changed || rev != "one" {
		t.Fatalf("staged %s, %v, %v", rev, changed, err)
	}
	if _, published := r.publisher.Current(); published {
		t.Error("staging published")
	}
	r.sync("one")
	if _, changed, err := r.Stage(t.Context()); changed || err != nil {
		t.Errorf("nothing is new, and changed is %v, %v", changed, err)
	}
	r.source.set(t, "two", map[string]string{"a": "2"})
	r.sync("two")
	r.source.set(t, "one", nil) // rewound upstream: it is here already
	r.sync("one")
	if n := r.source.fetches(); n != 2 {
		t.Errorf("%d fetches; want 2", n)
	}
	s := r.Status()
	if s.Serving != "one" || s.Wanted != "one" || s.LastError != "" || s.LastSuccess.IsZero() || s.Since.IsZero() {
		t.Errorf("the status is %+v", s)
	}
}

func TestGates(t *testing.T) {
	big := strings.Repeat("x", 1000)
	for name, c := range map[string]struct {
		config Config
		files  map[string]string
		class  string
		want   string
	}{
		"empty":     {Config{}, nil, GateEmpty, "revision bad is not published: it holds no file at all"},
		"size":      {Config{Limits: Limits{Bytes: 1500}}, map[string]string{"a": big, "b": big}, GateSize, "it holds more than 1.4 KiB"},
		"files":     {Config{Limits: Limits{Files: 2}}, map[string]string{"a": "", "b": "", "c": ""}, GateSize, "more than 2 entries"},
		"shrink":    {Config{Limits: Limits{Shrink: 30}}, map[string]string{"a": big[:600]}, GateShrink, "it has 600 bytes where what is served has 1000 bytes: it lost 40%, and 30% is the limit"},
		"schema":    {Config{Schema: func() int { return 2 }}, map[string]string{"a": big, SchemaFile: "schema: 3\nmore: x\n"}, GateSchema, "its schema is 3 and the service reads up to 2; it waits"},
		"no schema": {Config{Schema: func() int { return 2 }}, map[string]string{"a": big, SchemaFile: "schema: [3]\n"}, GateSchema, ".popup-data.yaml does not say its schema; write one line like schema: 3"},
		"check":     {Config{Check: func(_ context.Context, dir string) error { return lacksA(dir) }}, map[string]string{"b": big}, GateCheck, "revision bad is not published: a is missing"},
		"archive":   {Config{Extract: "*.tar"}, map[string]string{"a": big}, GateArchive, `nothing is called "*.tar" there`},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, c.config)
			good := map[string]string{"a": big}
			if c.config.Extract != "" {
				good = map[string]string{"a.tar": string(tarOf(t, file("a", big)))}
			}
			r.source.set(t, "good", good)
			r.sync("good")
			r.source.set(t, "bad", c.files)
			r.refused(c.class, c.want)
			n := r.source.fetches()
			r.refused(refusedKind, "revision bad was refused at 2026-05-01 12:00 and is not tried again until the source goes on", c.want[max(0, strings.Index(c.want, ": ")+2):])
			r.reopen(nil)
			r.refused(refusedKind, "was refused")
			if r.source.fetches() != n {
				t.Error("a refused revision was fetched again")
			}
			r.source.set(t, "better", good)
			r.sync("better")
			if s := r.Status(); len(s.Refused) != 1 || s.Refused[0].Revision != "bad" || s.Refused[0].Class != c.class {
				t.Errorf("refused are %+v", s.Refused)
			}
		})
	}
}

func lacksA(dir string) error {
	if _, err := os.Stat(filepath.Join(dir, "a")); err != nil {
		return errors.New("a is missing")
	}
	return nil
}

// A limit that was raised lets in what a lower one refused.
func TestRaisedLimitIsTriedAgain(t *testing.T) {
	r := newRig(t, Config{Limits: Limits{Files: 1}})
	r.source.set(t, "one", map[string]string{"a": "", "b": ""})
	r.refused(GateSize, "more than 1 entries")
	r.reopen(func(c *Config) { c.Limits.Files = 2 })
	r.sync("one")
}

// As long as nothing is served, a check that fails is tried again: what it needs
// may not be there yet.
func TestCheckIsTriedAgainBeforeTheFirstRevision(t *testing.T) {
	ready := false
	r := newRig(t, Config{Check: func(context.Context, string) error {
		if !ready {
			return errors.New("python3 is missing")
		}
		return nil
	}})
	r.source.set(t, "one", map[string]string{"a": ""})
	r.refused(GateCheck, "python3 is missing")
	ready = true
	r.sync("one")
}

func TestPrepareMakesWhatIsPublished(t *testing.T) {
	fail := errors.New("the build failed")
	r := newRig(t, Config{})
	r.reopen(func(c *Config) {
		c.Prepare = func(_ context.Context, dir string) error {
			if fail != nil {
				return fail
			}
			write(t, dir, map[string]string{"built": "yes"})
			return nil
		}
	})
	r.source.set(t, "one", map[string]string{"a": ""})
	r.refused(ClassOther, "the build failed")
	fail = nil
	r.sync("one")
	if listing(t, r.publisher.Path("one"))["built"] != "---------- executable=false yes" {
		t.Error("what was built is not there")
	}
}

func TestRefuseAndHoldOutliveARestart(t *testing.T) {
	r := newRig(t, Config{})
	for _, rev := range []Revision{"one", "two", "three"} {
		r.source.set(t, rev, map[string]string{"a": string(rev)})
		r.sync(rev)
	}
	if err := r.Hold("gone"); err == nil {
		t.Error("held what is not here")
	}
	if err := r.Hold("one"); err != nil {
		t.Fatal(err)
	}
	r.reopen(nil)
	r.sync("one")
	r.source.set(t, "four", map[string]string{"a": "4"})
	r.sync("one")
	if s := r.Status(); s.Held != "one" || s.Wanted != "one" || r.source.fetches() != 3 {
		t.Errorf("the status is %+v after %d fetches; want one held and nothing fetched", s, r.source.fetches())
	}
	r.source.headErr = errors.New("upstream is down")
	r.sync("one")
	if s := r.Status(); s.LastError != "upstream is down" {
		t.Errorf("the last error is %q", s.LastError)
	}
	r.source.headErr = nil
	if err := r.Release(); err != nil {
		t.Fatal(err)
	}
	r.sync("four")

	r.source.set(t, "five", map[string]string{"a": "5"})
	rev, _, err := r.Stage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r.Refuse(rev, errors.New("it answers 500"))
	r.reopen(func(c *Config) { c.Limits.Shrink = 50 }) // other limits do not mend what it did when it ran
	r.refused(refusedKind, "revision five was refused", "it answers 500")
	if kept, err := r.publisher.List(); err != nil || slices.Contains(kept, "five") {
		t.Errorf("kept are %v, %v; want no five", kept, err)
	}
	if err := r.Hold("five"); err != nil { // by hand it may be served all the same
		t.Fatal(err)
	}
	r.sync("five")
}

func TestDamagedMemoryIsNoObstacle(t *testing.T) {
	r := newRig(t, Config{})
	write(t, r.publisher.Dir(), map[string]string{memoryName: "{"})
	r.reopen(nil)
	r.source.set(t, "one", map[string]string{"a": ""})
	r.sync("one")
}

func TestSourceErrorsPublishNothing(t *testing.T) {
	r := newRig(t, Config{})
	r.source.set(t, "one", map[string]string{"a": ""})
	r.sync("one")
	r.source.headErr = context.DeadlineExceeded
	r.refused(ClassTimeout, "deadline exceeded")
	r.source.headErr = nil
	r.source.setFill("two", func(dir string) error {
		write(t, dir, map[string]string{"half": ""})
		return errors.New("the line broke")
	})
	r.refused(ClassOther, "the line broke")
	r.source.set(t, "two", map[string]string{"whole": ""})
	r.sync("two")
}

// Many may ask at once: one fetches, and a caller that gives up does not wait.
func TestStageRunsOnceAtATime(t *testing.T) {
	r := newRig(t, Config{})
	inside, release := make(chan struct{}), make(chan struct{})
	r.source.setFill("one", func(dir string) error {
		close(inside)
		<-release
		write(t, dir, map[string]string{"a": ""})
		return nil
	})
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			if _, _, err := r.Stage(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	<-inside
	stopped, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := r.Stage(stopped); !errors.Is(err, context.Canceled) {
		t.Errorf("a stopped caller got %v", err)
	}
	_ = r.Status()
	close(release)
	wait.Wait()
	if n := r.source.fetches(); n != 1 {
		t.Errorf("%d fetches; want 1", n)
	}
}

func TestStatusIsJSON(t *testing.T) {
	r := newRig(t, Config{})
	schedule, err := ParseSchedule("@every 5m", "", "i-1", 0)
	if err != nil {
		t.Fatal(err)
	}
	r.reopen(func(c *Config) { c.Schedule = schedule })
	r.source.set(t, "one", map[string]string{"a": ""})
	r.sync("one")
	text, err := json.Marshal(r.Status())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"source":"script"`, `"serving":"one"`, `"wanted":"one"`, `"period":300000000000`, `"next_try":"2026-`, `"last_success":"2026-`} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the status is %s; want %s in it", text, want)
		}
	}
	if strings.Contains(string(text), "last_error") {
		t.Errorf("the status is %s; it has no error to tell", text)
	}
}

// Every day from a real repository is what tar unpacks of it, to the end.
func TestDaysFromGit(t *testing.T) {
	days := testutil.Days(t, 5)
	repo := testutil.NewRepo(t)
	server := testutil.NewGitServer(t, filepath.Dir(repo.Dir))
	source, err := NewSource(wire.Source{URL: server.URL + "/upstream"}, SourceOptions{})
	if err != nil {
		t.Fatal(err)
	}
	p := openPublisher(t, tempDir(t), PublisherOptions{})
	s := NewSyncer(Config{Source: source, Publisher: p, Extract: testutil.Tarball})
	for _, day := range days {
		commit := Revision(repo.CommitDay(day))
		rev, changed, err := s.Stage(t.Context())
		if err != nil || !changed || rev != commit {
			t.Fatalf("%s: staged %s, %v, %v; want %s", day.Name, rev, changed, err, commit)
		}
		if err := s.Publish(rev); err != nil {
			t.Fatal(err)
		}
		want := listing(t, untarReal(t, day.Tarball))
		if got := listing(t, filepath.Join(p.Dir(), "current/")+"/."); len(got) != len(want) || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s is not what tar unpacks", day.Name)
		}
		if err := p.Prune(nil); err != nil {
			t.Fatal(err)
		}
	}
	before := server.Requests()
	if _, changed, err := s.Stage(t.Context()); changed || err != nil {
		t.Errorf("a poll without news: %v, %v", changed, err)
	}
	if n := server.Requests() - before; n != 1 {
		t.Errorf("a poll without news took %d requests; want 1", n)
	}
}

func FuzzSchema(f *testing.F) {
	for _, s := range []string{"schema: 3", "schema: -1", "schema: [", "{schema: 99999999999999999999}", "a: &a [*a]", ""} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if n, err := parseSchema(text); n < 0 || err != nil && n != 0 {
			t.Errorf("schema %d, %v", n, err)
		}
	})
}
