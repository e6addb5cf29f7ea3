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
	var err error
	o.relay, err = datasync.OpenRelay(datasync.RelayConfig{
		Source: wire.Source{URL: s.Plain + "/" + o.name, Ref: "main"}, To: filepath.Join(dir, "relay", o.name), Work: t.TempDir(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { o.relay.Close() })
	o.publish()
	return o
}

// publish has the relay, if there is one, take what is newest.
func (o *origin) publish() {
	o.t.Helper()
	if o.relay == nil {
		return
	}
	if _, err := o.relay.Publish(o.t.Context()); err != nil {
		o.t.Fatalf("publish %s: %v", o.name, err)
	}
}

// relayOf is where a server has the relay of an origin.
func relayOf(server string, o *origin) string { return server + "/relay/" + o.name }
