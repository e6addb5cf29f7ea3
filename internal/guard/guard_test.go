package guard_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"popup/internal/guard"
)

func TestAddresses(t *testing.T) {
	public := []string{"8.8.8.8", "1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"}
	private := []string{"127.0.0.1", "127.9.9.9", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1",
		"::1", "fc00::1", "fd12::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a00:1"}
	never := []string{"169.254.169.254", "169.254.0.1", "fe80::1", "fe80::1%eth0", "fd00:ec2::254", "fd20:ce::254", "100.100.100.200", "168.63.129.16", "192.0.0.192",
		"::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "64:ff9b:1::a9fe:a9fe", "2002:a9fe:a9fe::1", "2002:7f00:1::", "2001::1", "::ffff:0:169.254.169.254",
		"0.0.0.0", "0.1.2.3", "::", "::127.0.0.1", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255", "ff02::1", "fec0::1",
		"192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "2001:db8::1", "100::1"}
	for name, c := range map[string]struct {
		opts    guard.Options
		let, no []string
	}{
		"the internet":   {guard.Options{}, public, slices.Concat(private, never)},
		"a home network": {guard.Options{AllowPrivate: true}, slices.Concat(public, private), never},
		"one prefix":     {guard.Options{Allow: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}, []string{"10.1.2.3", "::ffff:10.0.0.1"}, []string{"192.168.1.1"}},
		"metadata, said": {guard.Options{Allow: []netip.Prefix{netip.MustParsePrefix("169.254.169.254/32")}}, []string{"169.254.169.254"}, []string{"169.254.169.253", "127.0.0.1"}},
	} {
		t.Run(name, func(t *testing.T) {
			d := guard.New(c.opts)
			for _, host := range c.let {
				if err := d.Check(t.Context(), host); err != nil {
					t.Errorf("%s: %v; want it let through", host, err)
				}
			}
			for _, host := range c.no {
				var refused *guard.RefusedError
				if err := d.Check(t.Context(), host); !errors.As(err, &refused) {
					t.Errorf("%s: %v; want it refused", host, err)
				}
				conn, err := d.DialContext(t.Context(), "tcp", net.JoinHostPort(host, "1"))
				if !errors.As(err, &refused) {
					t.Errorf("dial %s: %v, %v; want it refused", host, conn, err)
				}
			}
		})
	}
}

// names answers with the next of the addresses that a name has, and then for ever with the last.
type names struct {
	mu    sync.Mutex
	leads map[string][][]string
	asked int
}

func (n *names) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.asked++
	answers, ok := n.leads[host]
	if !ok {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	if len(answers) > 1 {
		n.leads[host] = answers[1:]
	}
	var addrs []netip.Addr
	for _, text := range answers[0] {
		addrs = append(addrs, netip.MustParseAddr(text))
	}
	return addrs, nil
}

// open stands for the open internet: 127.0.0.2 is let through, all else of this machine is not.
func open(leads map[string][][]string) (*guard.Dialer, *names) {
	resolver := &names{leads: leads}
	return guard.New(guard.Options{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")}, Resolver: resolver}), resolver
}

// serve answers on an address of this machine, and returns the port.
func serve(t *testing.T, addr, port string, handler http.HandlerFunc) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", net.JoinHostPort(addr, port))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(handler)
	server.Listener.Close()
	server.Listener = listener
	server.Start()
	t.Cleanup(server.Close)
	_, port, err = net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

func client(d *guard.Dialer) *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: d.DialContext, DisableKeepAlives: true}}
}

func secretly(t *testing.T) http.HandlerFunc {
	return func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("%s was asked for %s", r.Host, r.URL)
	}
}

// A name that leads outside when it is looked at, and inside when it is fetched from.
func TestNameThatRebinds(t *testing.T) {
	port := serve(t, "127.0.0.2", "0", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "outside") })
	serve(t, "127.0.0.1", port, secretly(t))
	d, resolver := open(map[string][][]string{"rebinds.example": {{"127.0.0.2"}, {"127.0.0.2"}, {"127.0.0.1"}}})
	if err := d.Check(t.Context(), "rebinds.example"); err != nil {
		t.Fatal(err)
	}
	url := "http://rebinds.example:" + port
	res, err := client(d).Get(url)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	_, err = client(d).Get(url)
	var refused *guard.RefusedError
	if !errors.As(err, &refused) || resolver.asked != 3 {
		t.Fatalf("after %d questions: %v; want it refused", resolver.asked, err)
	}
	want := "rebinds.example leads to an address inside this network, which a console does not fetch from; use one that everybody can reach, or ask whoever runs the console to allow it"
	if refused.Error() != want || refused.Addr != netip.MustParseAddr("127.0.0.1") {
		t.Errorf("%v (%v); want %s", refused, refused.Addr, want)
	}
}

func TestRedirectsInside(t *testing.T) {
	inside := serve(t, "127.0.0.1", "0", secretly(t))
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("s3cret"), 0o600); err != nil {
		t.Fatal(err)
	}
	for to, want := range map[string]string{
		"http://169.254.169.254/latest/meta-data/":  "169.254.169.254 is an address inside this network",
		"http://[::ffff:a9fe:a9fe]/":                "is an address inside this network",
		"http://[::1]:" + inside:                    "::1 is an address inside this network",
		"http://127.0.0.1:" + inside:                "127.0.0.1 is an address inside this network",
		"http://inside.example:" + inside + "/x":    "inside.example leads to an address inside this network",
		"http://0.0.0.0:" + inside:                  "0.0.0.0 is an address inside this network",
		"file://" + secret:                          "unsupported protocol scheme",
		"http://[fe80::1%25lo]:" + inside + "/zone": "inside this network",
	} {
		t.Run(to, func(t *testing.T) {
			port := serve(t, "127.0.0.2", "0", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, to, http.StatusFound) })
			d, _ := open(map[string][][]string{"inside.example": {{"127.0.0.1"}}})
			res, err := client(d).Get("http://127.0.0.2:" + port)
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v, %v; want %q", res, err, want)
			}
		})
	}
}

// Of several addresses, one that is refused or does not answer is passed over.
func TestNextAddress(t *testing.T) {
	port := serve(t, "127.0.0.2", "0", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "outside") })
	serve(t, "127.0.0.1", port, secretly(t))
	d := guard.New(guard.Options{
		Allow:    []netip.Prefix{netip.MustParsePrefix("127.0.0.2/31")},
		Resolver: &names{leads: map[string][][]string{"many.example": {{"127.0.0.1", "127.0.0.3", "127.0.0.2"}}}},
	})
	res, err := client(d).Get("http://many.example:" + port)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if err := d.Check(t.Context(), "many.example"); !errors.As(err, new(*guard.RefusedError)) {
		t.Errorf("%v; want it refused for one of its addresses", err)
	}
}

func TestWhatIsNotDialled(t *testing.T) {
	d, _ := open(map[string][][]string{"empty.example": {{}}})
	socket := filepath.Join(t.TempDir(), "s")
	listener, err := new(net.ListenConfig).Listen(t.Context(), "unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	for _, c := range [][3]string{
		{"unix", socket, "only tcp is guarded"},
		{"udp", "127.0.0.2:53", "only tcp is guarded"},
		{"tcp", "127.0.0.2", "missing port"},
		{"tcp", "nowhere.example:80", "no such host"},
		{"tcp", "empty.example:80", "no such host"},
		{"tcp", ":80", "no such host"},
	} {
		if conn, err := d.DialContext(t.Context(), c[0], c[1]); err == nil || !strings.Contains(err.Error(), c[2]) {
			t.Errorf("dial %s %s: %v, %v; want %q", c[0], c[1], conn, err, c[2])
		}
	}
}

// FuzzAddress: what is let through is an address of the open internet to Go's own
// library as well, however it is written.
func FuzzAddress(f *testing.F) {
	for _, text := range []string{"8.8.8.8", "127.0.0.1", "169.254.169.254", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2606:4700::1111"} {
		f.Add(netip.MustParseAddr(text).AsSlice())
	}
	f.Fuzz(func(t *testing.T, bytes []byte) {
		addr, ok := netip.AddrFromSlice(bytes)
		if !ok {
			return
		}
		d := guard.New(guard.Options{})
		err := d.Check(t.Context(), addr.String())
		if a := addr.Unmap(); err == nil && (!a.IsGlobalUnicast() || a.IsPrivate()) {
			t.Errorf("%v is let through", addr)
		}
		if a := addr.Unmap(); a.Is4() {
			four := a.As4()
			for _, as := range []netip.Addr{netip.AddrFrom16(a.As16()), netip.AddrFrom16([16]byte(append([]byte{0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0}, four[:]...)))} {
				if again := d.Check(t.Context(), as.String()); (again == nil) != (err == nil) {
					t.Errorf("%v: %v; but %v: %v", addr, err, as, again)
				}
			}
		}
	})
}
