package catalogue

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"popup/apps"
	"popup/internal/guard"
	"popup/internal/testutil"
	"popup/internal/tree"
)

// closed is a dialer through which nothing is ever reached: what is asked for is checked
// as ever, and what would be let through is noted.
type closed struct {
	guard *guard.Dialer
	let   []string
}

// nobody knows no name.
type nobody struct{}

func (nobody) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	return nil, &net.DNSError{Err: "no such host", IsNotFound: true}
}

func (d *closed) dial(ctx context.Context, _, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if err := d.guard.Check(ctx, host); err != nil {
		return nil, err
	}
	d.let = append(d.let, host)
	return nil, errors.New("nothing is dialled here")
}

func closedCatalogue(f *testing.F) (*Catalogue, *closed) {
	f.Helper()
	d := &closed{guard: guard.New(guard.Options{Resolver: nobody{}})}
	c, err := Open(f.Context(), Options{Dir: f.TempDir(), Dial: d.dial})
	if err != nil {
		f.Fatal(err)
	}
	return c, d
}

// FuzzAddress: whatever is given as an address, nothing of this machine is read, and
// nothing is dialled but what is outside.
func FuzzAddress(f *testing.F) {
	secret := testutil.NewRepo(f)
	secret.Commit(map[string]string{"app.yaml": page("secret"), "index.html": ""})
	if err := os.Symlink(secret.Dir, filepath.Join(f.TempDir(), "x")); err != nil {
		f.Fatal(err)
	}
	f.Chdir(filepath.Dir(secret.Dir)) // ./upstream is the secret
	c, d := closedCatalogue(f)
	for _, address := range []string{
		"upstream", "./upstream", "../001/upstream", ".", "/", "/etc", "SECRET", "file://SECRET", "FILE://SECRET", "file:SECRET", "file://localhostSECRET", "file:///../SECRET",
		"https://example.org/x#main", "git@example.org:x", "ssh://u@h:22/~x", "http://169.254.169.254/", "http://[::ffff:7f00:1]/", "http://0x7f.1/", "http://2130706433/",
		"http://8.8.8.8/x", "catalogue:notice", "catalogue:notice/../..", "s3://b/k", "ext::sh", "host:path", "a@b:c", "https://u:p@h/", "http://h/\x00", "upstream:22/x", "http:upstream",
		"ssh://[fe80::1%25lo]/x", "http://h:65536/x", "ssh:///x", "C:\\x", "#", "x#y#z",
	} {
		f.Add(address)
	}
	f.Fuzz(func(t *testing.T, address string) {
		address = strings.ReplaceAll(address, "SECRET", secret.Dir)
		d.let = nil
		p, err := c.Inspect(t.Context(), address)
		var input *InputError
		if !errors.As(err, &input) || input.Field != repositoryField {
			t.Fatalf("%q: %+v, %v", address, p, err)
		}
		for _, host := range d.let {
			if err := guard.New(guard.Options{}).Check(t.Context(), host); err != nil {
				t.Errorf("%q: %v", address, err)
			}
		}
	})
}

// FuzzInspect: whatever a stranger's repository holds, looking at it does not panic,
// reads nothing outside of it, and names no folder of this machine.
func FuzzInspect(f *testing.F) {
	outside := f.TempDir()
	if err := os.WriteFile(filepath.Join(outside, "app.yaml"), []byte(page("stolen")), 0o600); err != nil {
		f.Fatal(err)
	}
	c, d := closedCatalogue(f)
	f.Add([]byte(page("fair")), "index.html", []byte("hello"), "")
	f.Add([]byte(page("fair", "service:", "  repository: FILE:///etc")), "index.html", []byte(""), "")
	f.Add([]byte(page("fair", "data:", "  mount: d", "  source: folder", "  url: ../..")), "d/x", []byte(""), "d")
	f.Add([]byte(page("fair", "data:", "  mount: d", "  repository: http://169.254.169.254/x")), "index.html", []byte(""), "")
	f.Add([]byte(page("fair", "service:", "  repository: https://example.org/x", "  branch: b")), "index.php", []byte(""), "")
	f.Add([]byte(""), "app.yaml", []byte(page("fair")), "OUTSIDE/app.yaml")
	f.Add([]byte(""), "app.json", []byte(`{"name":"x","env":{"A":{"value":1}}}`), "")
	f.Add([]byte(""), "Procfile", []byte("web: ./x"), "app.yaml")
	for _, id := range apps.Shipped() {
		text, err := apps.ReadBounded(apps.ShippedCatalogue(), fileOf(id), apps.MaxSize)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text, "index.html", []byte("x"), "")
	}
	at := target{url: "https://example.org/stranger/upstream"}
	f.Fuzz(func(t *testing.T, manifest []byte, name string, content []byte, to string) {
		dir := t.TempDir()
		write(t, dir, func(w *tree.Writer) {
			if to = strings.ReplaceAll(to, "OUTSIDE", outside); to != "" {
				_ = w.Symlink("link", to) // refused where it leads outside
				_ = w.Symlink("app.yaml", to)
			}
			_ = put(w, "app.yaml", manifest)
			_ = put(w, name, content)
		})
		d.let = nil
		p, err := c.propose(t.Context(), at, checkout{dir, strings.Repeat("a", 40)})
		if err != nil {
			var input *InputError
			if !errors.As(err, &input) && !errors.As(err, new(apps.Problems)) {
				t.Fatalf("%v", err)
			}
			return
		}
		if p.Loaded.ID == "stolen" {
			t.Error("read a manifest outside of the repository")
		}
		if apps.IsLocal(p.Code.URL) || p.Content != nil && apps.IsLocal(p.Content.URL) {
			t.Errorf("names a folder of this machine: %+v, %+v", p.Code, p.Content)
		}
	})
}

// write makes a tree as a fetch does.
func write(t *testing.T, dir string, fill func(*tree.Writer)) {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	w := tree.NewWriter(root, tree.WriterOptions{Writable: true})
	defer w.Close()
	fill(w)
	if _, err := w.Finish(); err != nil && !errors.As(err, new(*tree.EntryError)) {
		t.Fatal(err)
	}
}

func put(w *tree.Writer, name string, content []byte) error {
	return w.Put(name, tree.Plain, tree.ObjectID("blob", content), content)
}
