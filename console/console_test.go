package console

import (
	"context"
	"io"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"popup/userdata"
)

// OpenStore opens the store in a folder, VerifyAudit reads its whole audit log, and
// RestoreStore makes one of a backup: store_test.go sets them.
var (
	OpenStore    func(ctx context.Context, dir string) (Store, error)
	VerifyAudit  func(ctx context.Context, s Store) error
	RestoreStore func(ctx context.Context, dir string, from io.Reader) error
)

// Who asks in tests.
var (
	anOwner     = Actor{Kind: ActorPerson, ID: "olga", Name: "Olga", Role: RoleOwner}
	anOrganiser = Actor{Kind: ActorPerson, ID: "otto", Name: "Otto", Role: RoleOrganiser}
	aViewer     = Actor{Kind: ActorPerson, ID: "vera", Name: "Vera", Role: RoleViewer}
	aStranger   = Actor{}
)

// aDay is when tests begin: a Friday at noon.
var aDay = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

// A testConsole is a console on a real store, a cloud in memory and a clock that only
// goes on when it is told to. Its loops do not run.
type testConsole struct {
	*Console
	cloud *fakeCloud
	clock *testClock
}

// newConsole makes one; change sees the options before it is made.
func newConsole(t testing.TB, change ...func(*Options)) *testConsole {
	t.Helper()
	store, err := OpenStore(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	cloud, clock := newFakeCloud(), &testClock{now: aDay}
	opts := Options{
		Store:     store,
		Clouds:    map[string]Cloud{"local": cloud},
		Cloud:     "local",
		Reach:     map[string]Reach{"local": {SameMachine: true}},
		Keys:      openKeys(t, filepath.Join(t.TempDir(), "console.key")),
		Catalogue: &fakeCatalogue{apps: appsForTests(t)},
		URL:       "http://127.0.0.1:8000",
		Binary: userdata.Binary{
			URLs:   []string{"http://127.0.0.1:8000/download/{arch}"},
			SHA256: map[string]string{"amd64": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
		},
		Version: "test",
		Now:     clock.Now,
	}
	for _, f := range change {
		f(&opts)
	}
	c, err := New(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	return &testConsole{Console: c, cloud: cloud, clock: clock}
}

// write runs fn in a transaction that must succeed.
func (c *testConsole) write(t testing.TB, fn func(Tx) error) {
	t.Helper()
	if err := c.store.Update(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

// stored reads an object that must be there.
func stored[T object](t testing.TB, c *testConsole, id string) (o T) {
	t.Helper()
	err := c.store.View(t.Context(), func(tx Tx) (err error) { o, err = get[T](tx, id); return err })
	if err != nil {
		t.Fatalf("read %s: %v", id, err)
	}
	return o
}

// A testClock goes on when it is told to.
type testClock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *testClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *testClock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func TestNewNeedsItsCloud(t *testing.T) {
	c := newConsole(t)
	opts := c.opts
	opts.Cloud = "ec2"
	if _, err := New(t.Context(), opts); err == nil || err.Error() != `open the console: there is no cloud "ec2"` {
		t.Errorf("without its cloud it opened: %v", err)
	}
}
