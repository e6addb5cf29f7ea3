package machine

import (
	"net"
	"net/netip"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// within runs what it is given in a network namespace, on a thread that ends with it.
func within(t *testing.T, namespace *os.File, do func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked
		if err := unix.Setns(int(namespace.Fd()), unix.CLONE_NEWNET); err != nil {
			t.Error(err)
			return
		}
		do()
	}()
	<-done
}

// guestUp does what cloud-init does with networkConfig, and then what whoever is root in
// a container may: to have this machine pass on all that it sends.
func guestUp(t *testing.T, l *Link) {
	within(t, l.namespace, func() {
		eth, err := netlink.LinkByName(guestInterface)
		if err != nil {
			t.Error(err)
			return
		}
		noError(t, netlink.AddrAdd(eth, &netlink.Addr{IPNet: ipNet(l.guest, linkBits)}))
		noError(t, netlink.LinkSetUp(eth))
		noError(t, netlink.RouteAdd(&netlink.Route{LinkIndex: eth.Attrs().Index, Gw: l.host.AsSlice()}))
	})
}

// A container reaches this machine alone, also where this machine passes on what others
// send it, as one does that has Docker.
func TestLinkLeadsNoFurther(t *testing.T) {
	needRoot(t)
	world, err := newNetworkNamespace() // a machine of its own, for its settings are changed
	if err != nil {
		t.Fatal(err)
	}
	defer func() { noError(t, world.Close()) }()
	var links [2]*Link
	within(t, world, func() {
		noError(t, os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0))
		for i := range links {
			if links[i], err = NewLink(t.Context()); err != nil {
				t.Error(err)
				return
			}
		}
	})
	if t.Failed() {
		return
	}
	for _, l := range links {
		guestUp(t, l)
	}
	var listener net.Listener
	within(t, links[1].namespace, func() { listener, err = net.Listen("tcp", netip.AddrPortFrom(links[1].guest, 0).String()) })
	if err != nil {
		t.Fatal(err)
	}
	defer func() { noError(t, listener.Close()) }()
	within(t, links[0].namespace, func() {
		if conn, err := net.DialTimeout("tcp", listener.Addr().String(), time.Second); err == nil {
			_ = conn.Close()
			t.Error("one container reaches another")
		}
	})
	within(t, world, func() {
		conn, err := net.DialTimeout("tcp", listener.Addr().String(), 5*time.Second)
		if err != nil {
			t.Fatalf("this machine does not reach it: %v", err)
		}
		noError(t, conn.Close())
		for _, l := range links {
			noError(t, l.Close())
		}
	})
}
