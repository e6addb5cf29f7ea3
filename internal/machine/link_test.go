package machine

import (
	"errors"
	"net"
	"net/netip"
	"testing"

	"github.com/vishvananda/netlink"
)

func TestLinkNetworks(t *testing.T) {
	for n, want := range map[int]string{0: "10.77.0.0/30", 1: "10.77.0.4/30", 64: "10.77.1.0/30", 1<<14 - 1: "10.77.255.252/30"} {
		if got := linkNetwork(n).String(); got != want {
			t.Errorf("network %d is %s, want %s", n, got, want)
		}
	}
}

func TestLinkLife(t *testing.T) {
	needRoot(t)
	link, err := NewLink(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { noError(t, link.Close()) })
	network := netip.PrefixFrom(link.HostAddr(), linkBits).Masked()
	if link.Addr() != link.HostAddr().Next() || !linkRange.Overlaps(network) {
		t.Errorf("the addresses are %s and %s", link.HostAddr(), link.Addr())
	}
	if err := checkFree(network); !errors.Is(err, errTaken) {
		t.Errorf("the network of a link counts as free: %v", err)
	}

	// What is served on the link goes on over a renewal.
	listener, err := net.Listen("tcp", netip.AddrPortFrom(link.HostAddr(), 0).String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { noError(t, listener.Close()) }()
	if err := link.renew(); err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatalf("a listener did not outlive a renewal: %v", err)
	}
	noError(t, conn.Close())

	noError(t, link.Close())
	if _, err := netlink.LinkByName(link.name); !errors.As(err, new(netlink.LinkNotFoundError)) {
		t.Errorf("interface %s after Close: %v", link.name, err)
	}
	if err := checkFree(network); err != nil {
		t.Errorf("the network of a closed link: %v", err)
	}
}
