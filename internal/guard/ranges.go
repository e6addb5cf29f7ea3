package guard

import (
	"net/netip"
	"slices"
)

// private are this machine and the networks that everybody may use for themselves.
var private = prefixes("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "::1/128", "fc00::/7")

// metadata are where clouds tell a machine what nobody else is to know, and the whole
// of the ranges that are good for one link alone.
var metadata = prefixes("169.254.0.0/16", "fe80::/10", "fd00:ec2::254/128", "fd20:ce::254/128", "100.100.100.200/32", "168.63.129.16/32", "192.0.0.192/32")

// reserved are no addresses of servers, by the registries of special addresses.
var reserved = prefixes(
	"0.0.0.0/8", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
	"2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")

var (
	global6 = netip.MustParsePrefix("2000::/3") // all that is given out of IPv6
	nat64   = netip.MustParsePrefix("64:ff9b::/96")
)

func prefixes(texts ...string) []netip.Prefix {
	list := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		list[i] = netip.MustParsePrefix(text)
	}
	return list
}

// lets says whether an address is let through.
func (d *Dialer) lets(addr netip.Addr) bool {
	addr = plain(addr)
	switch {
	case !addr.IsValid():
		return false
	case within(addr, d.opts.Allow):
		return true
	case within(addr, metadata), within(addr, reserved):
		return false
	case within(addr, private):
		return d.opts.AllowPrivate
	}
	return addr.Is4() || global6.Contains(addr)
}

// plain is the address that is really reached: without a zone, which no prefix
// contains, and as IPv4 where IPv6 is but the way to write that.
func plain(addr netip.Addr) netip.Addr {
	addr = addr.Unmap().WithZone("")
	if nat64.Contains(addr) {
		bytes := addr.As16()
		return netip.AddrFrom4([4]byte(bytes[12:]))
	}
	return addr
}

func within(addr netip.Addr, list []netip.Prefix) bool {
	return slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.Contains(addr) })
}
