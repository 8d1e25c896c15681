package outbound

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"syscall"
)

// Guard refuses addresses that the controller can reach and a namespace's metric must not,
// after names have been resolved: link-local ones, where clouds keep the credentials of a
// node, and those of the API server. A nil Guard refuses nothing.
type Guard struct {
	// Allow lists networks that may be reached nevertheless.
	Allow []netip.Prefix
	// APIServer lists the addresses of the API server.
	APIServer []netip.AddrPort
}

// awsIPv6 is the metadata service of AWS, which is not link-local in IPv6.
var awsIPv6 = netip.MustParseAddr("fd00:ec2::254")

// refused is an address that is refused, with the reason.
type refused struct{ address, why string }

func (r refused) Error() string {
	return fmt.Sprintf("%s is %s; --allow-metric-network=%s on the controller would allow it", r.address, r.why, r.address)
}

// Check answers an error for an address that is refused.
func (g *Guard) Check(a netip.AddrPort) error {
	if g == nil {
		return nil
	}
	ip := a.Addr().Unmap().WithZone("")
	if slices.ContainsFunc(g.Allow, func(p netip.Prefix) bool { return p.Contains(ip) }) {
		return nil
	}
	switch {
	case ip.IsLinkLocalUnicast() || ip == awsIPv6:
		return refused{ip.String(), "a link-local address, which metrics must not ask"}
	case ip.IsUnspecified() || ip.IsMulticast():
		return refused{ip.String(), "no address of a server"}
	case slices.Contains(g.APIServer, netip.AddrPortFrom(ip, a.Port())):
		return refused{ip.String(), "the address of the API server, which metrics must not ask"}
	}
	return nil
}

// control is for net.Dialer: it sees the address after the name was resolved, so that no
// name server can lead around the check.
func (g *Guard) control(_, address string, _ syscall.RawConn) error {
	a, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("read address %s: %w", address, err)
	}
	return g.Check(a)
}

// checkURL is for requests that a proxy would carry on: it dials in our place.
func (g *Guard) checkURL(u *url.URL) error {
	ip, err := netip.ParseAddr(u.Hostname())
	if err != nil {
		return nil //nolint:nilerr // a name; who dials resolves it
	}
	port, err := net.LookupPort("tcp", portOf(u))
	if err != nil {
		return fmt.Errorf("read the port of %s: %w", u.Host, err)
	}
	return g.Check(netip.AddrPortFrom(ip, uint16(port)))
}

func portOf(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case u.Scheme == "https":
		return "443"
	}
	return "80"
}
