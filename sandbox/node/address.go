package node

import (
	"fmt"
	"net/netip"
	"sync"
)

// addresses hands out pod IPs and knows which loopback addresses stand behind them.
type addresses struct {
	mu    sync.Mutex
	block netip.Prefix
	next  netip.Addr
	pods  map[netip.Addr][]endpoint // taken addresses
}

// endpoint is the running workload of one container.
type endpoint struct {
	container string
	ports     []int32 // declared container ports
	addr      string
}

func newAddresses(cidr string) (*addresses, error) {
	block, err := netip.ParsePrefix(cidr)
	if err != nil || !block.Addr().Is4() || block.Bits() > 24 {
		return nil, fmt.Errorf("read pod range %q: want an IPv4 range of /24 or larger", cidr)
	}
	block = block.Masked()
	return &addresses{block: block, next: block.Addr(), pods: map[netip.Addr][]endpoint{}}, nil
}

// host is the node's own address, the first of the range.
func (a *addresses) host() netip.Addr { return a.block.Addr().Next() }

// take reserves an address. Addresses are reused as late as possible, so that a stale
// endpoint does not point at another pod.
func (a *addresses) take() (netip.Addr, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for range 1 << (32 - a.block.Bits()) {
		a.next = a.next.Next()
		if !a.block.Contains(a.next) {
			a.next = a.block.Addr()
			continue
		}
		if _, taken := a.pods[a.next]; taken || a.next == a.host() || !a.block.Contains(a.next.Next()) {
			continue
		}
		a.pods[a.next] = nil
		return a.next, nil
	}
	return netip.Addr{}, fmt.Errorf("take a pod address: range %s is used up", a.block)
}

func (a *addresses) release(ip netip.Addr) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.pods, ip)
}

func (a *addresses) open(ip netip.Addr, e endpoint) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.pods[ip] = append(a.pods[ip], e)
}

func (a *addresses) close(ip netip.Addr, container string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	open := a.pods[ip]
	for i, e := range open {
		if e.container == container {
			a.pods[ip] = append(append([]endpoint(nil), open[:i]...), open[i+1:]...)
			return
		}
	}
}

// find is the workload that declares the port, else the only one.
func (a *addresses) find(podIP string, port int32) (addr string, ok bool) {
	ip, err := netip.ParseAddr(podIP)
	if err != nil {
		return "", false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	open := a.pods[ip]
	for _, e := range open {
		for _, p := range e.ports {
			if p == port {
				return e.addr, true
			}
		}
	}
	if len(open) == 1 {
		return open[0].addr, true
	}
	return "", false
}
