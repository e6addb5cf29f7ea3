package machine

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strconv"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// linkRange is where the addresses of links come from: four each, chosen at
// random and checked against what this machine already has.
var linkRange = netip.MustParsePrefix("10.77.0.0/16")

const (
	linkPrefix = "popup" // begins the names of links
	linkBits   = 30      // one address for this machine, one for the container
	linkTries  = 20
	// guestInterface is the name of a container's interface.
	guestInterface = "eth0"
)

// A Link is a network of two: this machine and one container that is not yet
// there. It exists before the container, so that what the container is to fetch
// can be served on HostAddr first. The container has no way out but the link,
// and through it only to this machine's own addresses.
type Link struct {
	name      string
	host      netip.Addr
	guest     netip.Addr
	namespace *os.File // keeps the network while no process is in it
	closed    bool
}

// NewLink makes a link. It needs root. The caller closes it.
func NewLink(ctx context.Context) (*Link, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("make link: it needs root: run as root, or use a virtual machine")
	}
	namespace, err := newNetworkNamespace()
	if err != nil {
		return nil, fmt.Errorf("make link: %w", err)
	}
	link := &Link{namespace: namespace}
	for range linkTries {
		if err = ctx.Err(); err != nil {
			break
		}
		if err = link.choose(); !errors.Is(err, errTaken) {
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("make link: %w", errors.Join(err, link.Close()))
	}
	return link, nil
}

// RelayLink makes the link again that a program before this one had by that name, with
// the same addresses. What is left of it is removed. The caller closes it.
func RelayLink(name string) (*Link, error) {
	link := &Link{name: name}
	n, err := strconv.ParseUint(strings.TrimPrefix(name, linkPrefix), 16, linkBits-linkRange.Bits())
	if err != nil || linkName(int(n)) != name {
		return nil, fmt.Errorf("make link %q again: that is no name of a link", name)
	}
	link.host = linkNetwork(int(n)).Addr().Next()
	link.guest = link.host.Next()
	if err := removeInterface(name); err != nil {
		return nil, fmt.Errorf("make link %s again: %w", name, err)
	}
	if err := checkFree(linkNetwork(int(n))); err != nil {
		return nil, fmt.Errorf("make link %s again: its addresses are somebody else's now: %w", name, err)
	}
	if link.namespace, err = newNetworkNamespace(); err != nil {
		return nil, fmt.Errorf("make link %s again: %w", name, err)
	}
	if err := link.lay(); err != nil {
		return nil, fmt.Errorf("make link %s again: %w", name, errors.Join(err, link.namespace.Close()))
	}
	return link, nil
}

// RemoveLink removes what a program that was killed left of its link. The kernel does
// so too, a moment later.
func RemoveLink(name string) error { return removeInterface(name) }

// Name is what the link is called on this machine, and made again by.
func (l *Link) Name() string { return l.name }

// HostAddr is this machine's address on the link.
func (l *Link) HostAddr() netip.Addr { return l.host }

// Addr is the container's address on the link.
func (l *Link) Addr() netip.Addr { return l.guest }

// Close takes the link away, also from a container that still runs. Closing
// twice is harmless.
func (l *Link) Close() error {
	if l.closed {
		return nil
	}
	l.closed = true
	var err error
	if l.name != "" {
		err = removeInterface(l.name)
	}
	return errors.Join(err, l.namespace.Close())
}

// errTaken says that a random choice was somebody else's already.
var errTaken = errors.New("the addresses are taken")

// choose picks addresses that are free, and lays the link with them.
func (l *Link) choose() error {
	n, err := rand.Int(rand.Reader, big.NewInt(1<<(linkBits-linkRange.Bits())))
	if err != nil {
		return fmt.Errorf("choose a network: %w", err)
	}
	network := linkNetwork(int(n.Int64()))
	if err := checkFree(network); err != nil {
		return err
	}
	l.host = network.Addr().Next()
	l.guest = l.host.Next()
	l.name = linkName(int(n.Int64()))
	if err := l.lay(); err != nil {
		l.name = "" // it may be somebody else's
		return err
	}
	return nil
}

func linkName(n int) string { return fmt.Sprintf("%s%04x", linkPrefix, n) }

// lay adds the pair of interfaces; one that could not be completed is removed.
func (l *Link) lay() error {
	pair := &netlink.Veth{
		LinkAttrs:     netlink.LinkAttrs{Name: l.name},
		PeerName:      guestInterface,
		PeerNamespace: netlink.NsFd(int(l.namespace.Fd())),
	}
	if err := netlink.LinkAdd(pair); errors.Is(err, unix.EEXIST) {
		return errTaken
	} else if err != nil {
		return fmt.Errorf("add interface %s: %w", l.name, err)
	}
	err := closeWays(l.name)
	if err == nil {
		err = netlink.AddrAdd(pair, &netlink.Addr{IPNet: ipNet(l.host, linkBits)})
	}
	if err == nil {
		err = netlink.LinkSetUp(pair)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("set up interface %s: %w", l.name, err), netlink.LinkDel(pair))
	}
	return nil
}

// closedWays are the settings by which nothing that comes over a link is passed on, to
// other containers or networks, also where this machine does that for others.
var closedWays = map[string]string{
	"/proc/sys/net/ipv4/conf/%s/forwarding":   "0",
	"/proc/sys/net/ipv6/conf/%s/disable_ipv6": "1",
}

func closeWays(name string) error {
	for setting, closed := range closedWays {
		setting = fmt.Sprintf(setting, name)
		text, err := os.ReadFile(setting)
		if errors.Is(err, fs.ErrNotExist) || err == nil && strings.TrimSpace(string(text)) == closed {
			continue // a kernel without IPv6, or one that passes nothing on: its settings may be closed to us
		}
		if err == nil {
			err = os.WriteFile(setting, []byte(closed), 0)
		}
		if err != nil {
			return fmt.Errorf("keep what comes over it here: %w", err)
		}
	}
	return nil
}

// renew takes the link away and lays it again with the same addresses: a reboot
// leaves no address, route or firewall rule behind. What listens here goes on
// listening.
func (l *Link) renew() error {
	if err := removeInterface(l.name); err != nil {
		return fmt.Errorf("renew link: %w", err)
	}
	namespace, err := newNetworkNamespace()
	if err != nil {
		return fmt.Errorf("renew link: %w", err)
	}
	old := l.namespace
	l.namespace = namespace
	if err := errors.Join(old.Close(), l.lay()); err != nil {
		return fmt.Errorf("renew link: %w", err)
	}
	return nil
}

// networkConfig is the link as cloud-init is told it. Without it a machine
// would ask for an address for a minute.
func (l *Link) networkConfig() []byte {
	return fmt.Appendf(nil, "version: 2\nethernets:\n  %s:\n    addresses: [%s/%d]\n",
		guestInterface, l.guest, linkBits)
}

func removeInterface(name string) error {
	link, err := netlink.LinkByName(name)
	var missing netlink.LinkNotFoundError
	if errors.As(err, &missing) {
		return nil
	}
	if err == nil {
		err = netlink.LinkDel(link)
	}
	if err != nil {
		return fmt.Errorf("remove interface %s: %w", name, err)
	}
	return nil
}

// linkNetwork is the n-th network of linkRange.
func linkNetwork(n int) netip.Prefix {
	base := linkRange.Addr().As4()
	offset := n << (32 - linkBits)
	base[2] += byte(offset >> 8)
	base[3] += byte(offset)
	return netip.PrefixFrom(netip.AddrFrom4(base), linkBits)
}

// checkFree returns errTaken when an address or a route of this machine, other
// than the default one, is within the network.
func checkFree(prefix netip.Prefix) error {
	routes, err := netlink.RouteList(nil, netlink.FAMILY_V4)
	if err != nil {
		return fmt.Errorf("list routes: %w", err)
	}
	for _, route := range routes {
		if route.Dst == nil {
			continue
		}
		if ones, _ := route.Dst.Mask.Size(); ones > 0 && overlaps(route.Dst, prefix) {
			return errTaken
		}
	}
	addrs, err := netlink.AddrList(nil, netlink.FAMILY_V4)
	if err != nil {
		return fmt.Errorf("list addresses: %w", err)
	}
	for _, addr := range addrs {
		if overlaps(addr.IPNet, prefix) {
			return errTaken
		}
	}
	return nil
}

func overlaps(network *net.IPNet, prefix netip.Prefix) bool {
	addr, ok := netip.AddrFromSlice(network.IP.To4())
	if !ok {
		return false
	}
	ones, _ := network.Mask.Size()
	return netip.PrefixFrom(addr, ones).Overlaps(prefix)
}

func ipNet(addr netip.Addr, bits int) *net.IPNet {
	return &net.IPNet{IP: addr.AsSlice(), Mask: net.CIDRMask(bits, addr.BitLen())}
}

// newNetworkNamespace makes an empty network that lives as long as its file is
// open or a process is in it.
func newNetworkNamespace() (*os.File, error) {
	type result struct {
		file *os.File
		err  error
	}
	made := make(chan result)
	go func() {
		// The thread is never unlocked, so it ends with the goroutine and takes
		// the network it is in with it.
		runtime.LockOSThread()
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			made <- result{err: fmt.Errorf("make a network namespace: %w", err)}
			return
		}
		file, err := os.Open(fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid()))
		made <- result{file, err}
	}()
	r := <-made
	return r.file, r.err
}
