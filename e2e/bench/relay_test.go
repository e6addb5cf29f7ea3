package bench

import (
	"path/filepath"
	"testing"

	"popup/datasync"
	"popup/internal/wire"
)

// relayed has a relay follow an origin, below dir, until the test is over.
func (o *origin) relayed(t testing.TB, s *server, dir string) *origin {
	t.Helper()
	relay, err := datasync.OpenRelay(datasync.RelayConfig{
		Source: wire.Source{URL: s.Plain + "/" + o.name, Ref: "main"}, To: filepath.Join(dir, "relay", o.name), Work: t.TempDir(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { relay.Close() })
	o.changed = func() {
		t.Helper()
		if _, err := relay.Publish(t.Context()); err != nil {
			t.Fatalf("publish %s: %v", o.name, err)
		}
	}
	o.changed()
	return o
}

// relayOf is where a server has the relay of an origin.
func relayOf(server string, o *origin) string { return server + "/relay/" + o.name }
