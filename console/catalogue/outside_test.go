package catalogue

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"popup/internal/guard"
	"popup/internal/testutil"
)

// inside is a server that nobody is to reach.
func inside(t *testing.T, at string) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { t.Errorf("inside was asked for %s", r.URL) })}
	go server.Serve(listener)
	t.Cleanup(func() { server.Close() })
	return listener.Addr().String()
}

// No way leads a console inside: not the address, not a redirect, not what a manifest names.
func TestInspectStaysOutside(t *testing.T) {
	c := openCatalogue(t, Options{Dial: outside()})
	at := inside(t, "127.0.0.3:0")
	const refused = "an address inside this network, which a console does not fetch from"
	for address, want := range map[string]string{
		"http://" + at + "/x":                   "127.0.0.3 is " + refused,
		"http://169.254.169.254/latest":         "169.254.169.254 is " + refused,
		"http://[::1]/x":                        "::1 is " + refused,
		"git@10.0.0.1:x":                        "10.0.0.1 is " + refused,
		"ssh://127.0.0.3/x":                     "127.0.0.3 is " + refused,
		"ssh://git@[fd00:ec2::254]:2222/x":      refused,
		"https://0.0.0.0/x":                     refused,
		"https://[::ffff:169.254.169.254]/x.gi": refused,
	} {
		_, err := c.Inspect(t.Context(), address)
		var input *InputError
		if !errors.As(err, &input) || input.Field != "repository" || !strings.Contains(input.Message, want) || !strings.Contains(input.Try, "everybody can reach") {
			t.Errorf("%s: %v; want %q", address, err, want)
		}
	}
	for to, want := range map[string]string{
		"http://169.254.169.254/info/refs?service=git-upload-pack": "169.254.169.254 is " + refused,
		"http://" + at + "/git-upload-pack":                        refused,
		"file:///etc/passwd":                                       `redirects to a "file" address`,
	} {
		server := testutil.NewGitServer(t, t.TempDir())
		server.Answer(func(w http.ResponseWriter, r *http.Request) {
			if _, tail, ok := strings.Cut(to, "/info/refs"); ok && !strings.HasSuffix(r.URL.Path, "/info/refs") {
				http.Redirect(w, r, strings.Replace(to, "/info/refs"+tail, "/git-upload-pack", 1), http.StatusTemporaryRedirect)
				return
			}
			http.Redirect(w, r, to, http.StatusTemporaryRedirect)
		})
		if _, err := c.Inspect(t.Context(), server.URL+"/x"); !errors.As(err, new(*InputError)) || !strings.Contains(err.Error(), want) {
			t.Errorf("redirected to %s: %v; want %q", to, err, want)
		}
	}
	for lines, want := range map[string]string{
		"service:\n  repository: http://" + at + "/x":                         "its app.yaml names the code in http://" + at + "/x, and that cannot be looked at: 127.0.0.3 is " + refused,
		"data:\n  mount: d\n  repository: http://169.254.169.254/x":           "its app.yaml names the data in http://169.254.169.254/x, and that cannot be looked at: 169.254.169.254 is " + refused,
		"data:\n  mount: d\n  source: https\n  url: https://" + at + "/x.zip": refused,
	} {
		_, url := served(t, map[string]string{"app.yaml": page("x", lines), "index.html": ""})
		if _, err := c.Inspect(t.Context(), url); !errors.As(err, new(*InputError)) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %q", lines, err, want)
		}
	}
	repo, url := served(t, map[string]string{"app.yaml": page("x"), "index.html": "", ".gitmodules": "[submodule \"m\"]\n\tpath = m\n\turl = http://" + at + "/m\n"})
	repo.Git("update-index", "--add", "--cacheinfo", "160000,"+repo.Head()+",m")
	repo.Git("commit", "-q", "-m", "module")
	if _, err := c.Inspect(t.Context(), url); !errors.As(err, new(*InputError)) || !strings.Contains(err.Error(), refused) {
		t.Errorf("a submodule inside: %v", err)
	}
	noLeftovers(t, c)
}

// rebinding leads outside when it is first asked, and inside from then on.
type rebinding struct{ asked atomic.Int64 }

func (r *rebinding) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	if r.asked.Add(1) == 1 {
		return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
	}
	return []netip.Addr{netip.MustParseAddr("127.0.0.3")}, nil
}

func TestNameThatRebindsMeanwhile(t *testing.T) {
	repo := testutil.NewRepo(t)
	repo.Commit(map[string]string{"index.html": ""})
	git := testutil.GitHandler(t, repo.Dir)
	server := testutil.NewGitServer(t, repo.Dir)
	var answered atomic.Int64
	server.Answer(func(w http.ResponseWriter, r *http.Request) {
		answered.Add(1)
		w.Header().Set("Connection", "close")
		git.ServeHTTP(w, r)
	})
	_, port, err := net.SplitHostPort(strings.TrimPrefix(server.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	inside(t, "127.0.0.3:"+port)
	names := &rebinding{}
	c := openCatalogue(t, Options{Dial: guard.New(guard.Options{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}, Resolver: names}).DialContext})
	p, err := c.Inspect(t.Context(), "http://rebinds.example:"+port+"/")
	var input *InputError
	if !errors.As(err, &input) || !strings.HasPrefix(input.Message, "rebinds.example leads to an address inside this network") || answered.Load() != 1 || names.asked.Load() != 2 {
		t.Errorf("after %d answers: %+v, %v; want it refused", answered.Load(), p, err)
	}
}
