package catalogue

import (
	"net/http/httptest"
	"os"
	"testing"

	"popup/launcher/front"
)

// serveStatic serves a folder as the front of an instance does, with data
// mounted when there is some, and returns its address.
func serveStatic(t testing.TB, release, mount, data string) string {
	t.Helper()
	o := front.StaticOptions{Release: openRoot(t, release)}
	if mount != "" {
		o.Mounts = []front.Mount{{Path: mount, Root: openRoot(t, data), Kind: front.MountData}}
	}
	handler, err := front.Static(o)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

func openRoot(t testing.TB, dir string) *os.Root {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root
}
