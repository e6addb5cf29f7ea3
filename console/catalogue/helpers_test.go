package catalogue

import (
	"context"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"popup/apps"
	"popup/internal/guard"
	"popup/internal/testutil"
)

// kept is how many commits are kept in these tests.
const kept = 5

// page is an app.yaml of a page of plain files, with more lines.
func page(id string, more ...string) string {
	return "manifest_version: 1\nid: " + id + "\nname: " + strings.ToUpper(id[:1]) + id[1:] + "\nserve:\n  type: static\n" + strings.Join(append(more, ""), "\n")
}

const drawn = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8"><rect width="8" height="8"/></svg>`

// shelf is a repository of apps behind a server, and a catalogue that follows it.
type shelf struct {
	*testutil.GitRepo
	server *testutil.GitServer
	url    string
	dir    string
	ahead  atomic.Int64 // how far its clock is
}

func newShelf(t *testing.T, files map[string]string) *shelf {
	t.Helper()
	repo := testutil.NewRepo(t)
	repo.Commit(files)
	server := testutil.NewGitServer(t, filepath.Dir(repo.Dir))
	return &shelf{GitRepo: repo, server: server, url: server.URL + "/upstream", dir: t.TempDir()}
}

// anHourLater sets the clock.
func (s *shelf) anHourLater() { s.ahead.Add(int64(time.Hour)) }

// open opens the catalogue as a console does that was started again.
func (s *shelf) open(t *testing.T) *Catalogue {
	t.Helper()
	return openCatalogue(t, Options{Source: s.url, Dir: s.dir, retain: kept, Now: func() time.Time { return time.Now().Add(time.Duration(s.ahead.Load())) }})
}

func openCatalogue(t *testing.T, opts Options) *Catalogue {
	t.Helper()
	if opts.Dir == "" {
		opts.Dir = t.TempDir()
	}
	c, err := Open(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func syncNow(t *testing.T, c *Catalogue) {
	t.Helper()
	if err := c.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// ids are the apps that a query finds.
func ids(c *Catalogue, text string) string {
	var found []string
	for _, app := range c.Apps(Query{Text: text}) {
		found = append(found, string(app.ID))
	}
	return strings.Join(found, " ")
}

func appOf(t *testing.T, c *Catalogue, id apps.AppID) App {
	t.Helper()
	app, err := c.App(id)
	if err != nil {
		t.Fatal(err)
	}
	return app
}

// outside lets through 127.0.0.1, which stands for the open internet. All else of this
// machine and network is closed as ever.
func outside() func(context.Context, string, string) (net.Conn, error) {
	return guard.New(guard.Options{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}}).DialContext
}
