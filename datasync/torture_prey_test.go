package datasync

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"popup/internal/git"
	"popup/internal/meter"
	"popup/internal/testutil"
	"popup/internal/wire"
)

// A prey follows a real server by way of a liar.
type prey struct {
	t         *testing.T
	liar      *liar
	change    func(files map[string]string) // what the server has, from now on
	syncer    *Syncer
	publisher *Publisher
	clock     *clock
	files     map[string]string // what the server has
	served    map[string]string // what is served
	days      int
}

var preyKinds = map[string]func(*testing.T) (behind string, spec wire.Source, change func(map[string]string)){
	"git": func(t *testing.T) (string, wire.Source, func(map[string]string)) {
		repo := testutil.NewRepo(t)
		return testutil.NewGitServer(t, filepath.Dir(repo.Dir)).URL, wire.Source{URL: "/" + filepath.Base(repo.Dir)},
			func(files map[string]string) { repo.Commit(files) }
	},
	"https": func(t *testing.T) (string, wire.Source, func(map[string]string)) {
		var archive atomic.Pointer[[]byte]
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			content := *archive.Load()
			w.Header().Set("ETag", fmt.Sprintf(`"%x"`, len(content)^int(content[len(content)-8])<<20^int(content[len(content)-7])<<30))
			http.ServeContent(w, r, "", time.Time{}, strings.NewReader(string(content)))
		}))
		t.Cleanup(server.Close)
		return server.URL, wire.Source{Kind: "https", URL: "/day.tar.gz"}, func(files map[string]string) {
			content := tarball(t, files)
			archive.Store(&content)
		}
	},
	"s3": func(t *testing.T) (string, wire.Source, func(map[string]string)) {
		bucket := testutil.NewS3(t)
		var before map[string]string
		return bucket.URL, wire.Source{Kind: "s3", URL: "s3://fair/x/", CredentialsFile: keysFile(t, bucket)}, func(files map[string]string) {
			objects := map[string]string{}
			for name, content := range files {
				if before[name] != content {
					objects["x/"+name] = content
				}
			}
			bucket.Put(objects)
			before = maps.Clone(files)
		}
	},
}

func newPrey(t *testing.T, kind string, stall time.Duration) *prey {
	t.Helper()
	behind, spec, change := preyKinds[kind](t)
	p := &prey{t: t, liar: newLiar(t, behind), change: change, clock: newClock(), files: map[string]string{"same": strings.Repeat("same", 500), "d/also": "1"}}
	if kind == "s3" {
		spec.Endpoint = p.liar.url
	} else {
		spec.URL = p.liar.url + spec.URL
	}
	source, err := NewSource(spec, SourceOptions{Limp: meter.Limp{Stall: stall}, MaxBytes: 4 << 20, MaxFiles: 100})
	if err != nil {
		t.Fatal(err)
	}
	p.publisher = openPublisher(t, tempDir(t), PublisherOptions{Retain: 2, Linger: time.Nanosecond, Share: true, Now: p.clock.Now})
	p.syncer = NewSyncer(Config{Source: source, Publisher: p.publisher, Now: p.clock.Now})
	p.another()
	p.well("without lies")
	p.served = maps.Clone(p.files)
	return p
}

// another is the next day.
func (p *prey) another() {
	p.t.Helper()
	p.days++
	noise := make([]byte, 20_000)
	for i := range noise {
		noise[i] = byte(i*p.days) ^ byte(i>>7)
	}
	p.files["day"], p.files["d/large"] = fmt.Sprint("day ", p.days), string(noise)
	p.change(p.files)
}

func (p *prey) pass() error {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), time.Minute)
	defer cancel()
	rev, changed, err := p.syncer.Stage(ctx)
	if err == nil && changed {
		err = p.syncer.Publish(rev)
	}
	if ctx.Err() != nil {
		p.t.Errorf("a pass takes more than a minute: %v", err)
	}
	return errors.Join(err, p.publisher.Prune(nil))
}

// faced has the server lie after a few answers while it has news, and returns what
// was said of it. Afterwards the next pass, a day later, brings the news.
func (p *prey) faced(what string, after int, lie lie) error {
	p.t.Helper()
	p.another()
	p.liar.tells(after, lie)
	err := p.pass()
	told := p.liar.tells(0, nil)
	p.whole(what)
	if err != nil {
		p.sentence(what, err)
	} else if told <= 0 {
		p.t.Errorf("%s: nobody asked that often", what)
	}
	p.clock.advance(25 * time.Hour)
	p.well(what + ", and without lies again")
	return err
}

// well is a pass in which nobody lies, to be served what there is. That a busy machine
// is slow is not what is tested, and that the SDK believes one date of the server's is
// not ours.
func (p *prey) well(what string) {
	p.t.Helper()
	err := p.pass()
	for n := 0; n < 5 && slices.Contains([]string{string(git.Timeout), string(git.Clock)}, errorKind(err)); n++ {
		err = p.pass()
	}
	if err != nil {
		p.t.Fatalf("%s: %v", what, err)
	}
	p.served = maps.Clone(p.files)
	p.whole(what)
}

// whole wants what is served to be one day: the last, or the newest.
func (p *prey) whole(what string) {
	p.t.Helper()
	rev, ok := p.publisher.Current()
	if !ok {
		p.t.Fatalf("%s: nothing is served", what)
	}
	got := listing(p.t, p.publisher.Path(rev))
	if !cmp.Equal(got, describe(p.files)) {
		if diff := cmp.Diff(short(describe(p.served)), short(got)); diff != "" {
			p.t.Fatalf("%s: what is served is no day: %s", what, diff)
		}
	}
	noLeftovers(p.t, p.publisher.Dir())
	if left, err := os.ReadDir(filepath.Join(p.publisher.Dir(), indexDir)); err != nil || len(left) > 4 {
		p.t.Errorf("%s: %d indexes are kept, %v", what, len(left), err)
	}
}

// sentence wants an error that a person can read, and that holds nothing of this machine.
func (p *prey) sentence(what string, err error) {
	p.t.Helper()
	text := err.Error()
	begins := strings.HasPrefix(text, "look at ") || strings.HasPrefix(text, "fetch ") || strings.HasPrefix(text, "revision ") ||
		strings.HasPrefix(text, "the source moved on meanwhile: ")
	if !begins || strings.ContainsAny(text, "\n\r") || len(text) > 450 || strings.Contains(text, "root:") || strings.Contains(text, "%!") {
		p.t.Errorf("%s: it says %q", what, text)
	}
	if errorKind(err) == "" {
		p.t.Errorf("%s: it has no class: %v", what, err)
	}
	var known *git.Error
	if errors.As(err, &known) && known.Op == "" {
		p.t.Errorf("%s: it does not say what was done: %v", what, err)
	}
}
