package web

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"popup/store/storetest/embedded"
)

// TestPagesGoByTheConsolesTime: a console that shares its store goes by the fleet's, and
// so does what its pages say.
func TestPagesGoByTheConsolesTime(t *testing.T) {
	store, err := embedded.Open(context.WithoutCancel(t.Context()), t.TempDir())
	must(t, err)
	t.Cleanup(func() { must(t, store.Close()) })
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	ahead := func() time.Time { return time.Now().AddDate(0, 2, 0) }
	s, _ := serve(t, parts{store: store, keys: newKeys(t), cloud: newMemoryCloud(), url: "http://" + listener.Addr().String(), listener: listener, now: ahead})
	s.settle(t)
	page := s.send(t, request{who: "otto", method: "GET", path: "/launch?app=" + string(testApp), browser: true})
	if want := ahead().UTC().AddDate(0, 0, 7).Format(time.DateOnly); page.status != 200 || !strings.Contains(page.body, want) {
		t.Errorf("a week from now is not %s: %d %s", want, page.status, page.body)
	}
}
