package forward

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/outlast-build/outlast/fault"
)

// A Guard says where connections may go. The zero Guard lets through whatever
// is public.
type Guard struct {
	// Hosts are what the user has named, as HOST or HOST:PORT: they may be
	// anywhere.
	Hosts []string

	// Private lets private networks through, where whoever asks is in them
	// himself. This machine's own addresses stay closed.
	Private bool
}

// A reach is how far away an address is.
type reach int

const (
	never   reach = iota // this machine, its link, and what is no single place
	private              // a network of somebody's own
	public
)

// special are the networks that are not public, by their registries at IANA.
var special = []struct {
	reach reach
	in    netip.Prefix
}{
	{never, netip.MustParsePrefix("0.0.0.0/8")},
	{never, netip.MustParsePrefix("127.0.0.0/8")},
	{never, netip.MustParsePrefix("169.254.0.0/16")}, // the metadata of clouds among them
	{never, netip.MustParsePrefix("192.0.0.0/24")},
	{never, netip.MustParsePrefix("224.0.0.0/3")}, // multicast, reserved, broadcast
	{private, netip.MustParsePrefix("10.0.0.0/8")},
	{private, netip.MustParsePrefix("100.64.0.0/10")},
	{private, netip.MustParsePrefix("172.16.0.0/12")},
	{private, netip.MustParsePrefix("192.168.0.0/16")},
	{private, netip.MustParsePrefix("198.18.0.0/15")},
	{never, netip.MustParsePrefix("::/127")}, // unspecified and loopback
	{never, netip.MustParsePrefix("fe80::/10")},
	{never, netip.MustParsePrefix("ff00::/8")},
	{private, netip.MustParsePrefix("fc00::/7")},
	{private, netip.MustParsePrefix("fec0::/10")},
}

// carriers hold an address of IPv4 in one of IPv6, from a byte on.
var carriers = []struct {
	in   netip.Prefix
	from int
}{
	{netip.MustParsePrefix("::/96"), 12},
	{netip.MustParsePrefix("::ffff:0:0/96"), 12},
	{netip.MustParsePrefix("64:ff9b::/96"), 12},
	{netip.MustParsePrefix("2002::/16"), 2},
}

func reachOf(a netip.Addr) reach {
	a = a.WithZone("").Unmap()
	if !a.IsValid() {
		return never
	}
	for _, s := range special {
		if s.in.Contains(a) {
			return s.reach
		}
	}
	for _, c := range carriers {
		if a.Is6() && c.in.Contains(a) {
			b := a.As16()
			return reachOf(netip.AddrFrom4([4]byte(b[c.from : c.from+4])))
		}
	}
	return public
}

// Permit says whether a connection to host may go to one of its addresses. The
// caller connects to that very address. The error is a fault.Config.
func (g Guard) Permit(host string, a netip.Addr) error {
	r := reachOf(a)
	if r == public || r == private && g.Private || g.named(host) {
		return nil
	}
	return &fault.Error{Op: "connect", Kind: fault.Config,
		Err: fmt.Errorf("%s is at %s, which is no public address; if it is meant, name it in packages.hosts in the settings", host, a)}
}

// named reports whether the user has named the host, with its port or whole.
func (g Guard) named(host string) bool {
	name := strings.ToLower(host)
	bare := name
	if h, _, err := net.SplitHostPort(name); err == nil {
		bare = h
	}
	return slices.ContainsFunc(g.Hosts, func(h string) bool {
		h = strings.ToLower(h)
		return h == name || h == bare
	})
}
