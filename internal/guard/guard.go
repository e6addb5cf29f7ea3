// Package guard connects to addresses that a stranger named, but to none of this
// machine, of the network it stands in, or of what tells a cloud's machines their
// secrets. What counts is the address itself, looked at when it is connected to: a
// name may lead elsewhere each time it is asked for, and a server may redirect.
package guard

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"time"
)

// A Resolver finds the addresses of a name. *net.Resolver is one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Options say what is let through. The zero value is for the open internet alone.
type Options struct {
	// AllowPrivate lets through this machine's own addresses and those of private
	// networks. Those that tell machines of a cloud its secrets stay closed.
	AllowPrivate bool
	Allow        []netip.Prefix // are let through, whatever they are
	Resolver     Resolver       // nil: net.DefaultResolver
}

// A Dialer connects to what its options let through. It may be used by several
// goroutines.
type Dialer struct{ opts Options }

// New returns a Dialer.
func New(opts Options) *Dialer {
	if opts.Resolver == nil {
		opts.Resolver = net.DefaultResolver
	}
	opts.Allow = slices.Clone(opts.Allow)
	return &Dialer{opts}
}

// A RefusedError says that an address is not one that is fetched from. It does not tell
// what a name leads to: that is the network's own business.
type RefusedError struct {
	Host string // as it was asked for
	Addr netip.Addr
}

func (e *RefusedError) Error() string { return e.Why() + "; " + e.Try() }

// Why is the first half of the error.
func (e *RefusedError) Why() string {
	verb := "leads to"
	if _, err := netip.ParseAddr(e.Host); err == nil {
		verb = "is"
	}
	return fmt.Sprintf("%s %s an address inside this network, which a console does not fetch from", e.Host, verb)
}

// Try is its other half.
func (e *RefusedError) Try() string {
	return "use one that everybody can reach, or ask whoever runs the console to allow it"
}

// DialContext connects as net.Dialer.DialContext does, by tcp alone, and to the first
// address of a name that is let through and answers. Its error is *RefusedError where
// none of them is let through.
func (d *Dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	family, ok := map[string]string{"tcp": "ip", "tcp4": "ip4", "tcp6": "ip6"}[network]
	if !ok {
		return nil, fmt.Errorf("dial %s: only tcp is guarded", network)
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	addrs, err := d.resolve(ctx, family, host)
	if err != nil {
		return nil, err
	}
	var tried, refused error
	for i, addr := range addrs {
		conn, err := d.connect(ctx, network, net.JoinHostPort(addr.String(), port), len(addrs)-i)
		if err == nil {
			return conn, nil
		}
		if no := new(RefusedError); errors.As(err, &no) {
			refused = &RefusedError{Host: host, Addr: addr}
			continue
		}
		tried = err
	}
	if tried != nil {
		return nil, tried
	}
	return nil, refused
}

// connectTimeout is for one address where nothing else bounds it.
const connectTimeout = 10 * time.Second

// connect dials one address, which leaves time for those that come after it.
func (d *Dialer) connect(ctx context.Context, network, address string, left int) (net.Conn, error) {
	timeout := connectTimeout
	if deadline, ok := ctx.Deadline(); ok {
		timeout = max(time.Until(deadline)/time.Duration(left), time.Millisecond)
	}
	dialer := net.Dialer{Timeout: timeout, Control: d.control}
	return dialer.DialContext(ctx, network, address)
}

// control has the last word: it is told the very address that is connected to.
func (d *Dialer) control(_, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("dial %s: %w", address, err)
	}
	return d.check(to.Addr().String(), to.Addr())
}

// Check resolves a name, connects to nothing, and returns *RefusedError where one of its
// addresses would be refused. It is for what others will connect to.
func (d *Dialer) Check(ctx context.Context, host string) error {
	addrs, err := d.resolve(ctx, "ip", host)
	for _, addr := range addrs {
		err = errors.Join(err, d.check(host, addr))
	}
	return err
}

func (d *Dialer) check(host string, addr netip.Addr) error {
	if !d.lets(addr) {
		return &RefusedError{Host: host, Addr: addr}
	}
	return nil
}

func (d *Dialer) resolve(ctx context.Context, family, host string) ([]netip.Addr, error) {
	if addr, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{addr}, nil
	}
	addrs, err := d.opts.Resolver.LookupNetIP(ctx, family, host)
	if err == nil && len(addrs) == 0 {
		err = &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	return addrs, err
}
