package mesh

import (
	"fmt"
	"maps"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// Key says what happened to a request. All parts are bounded: hosts that
// nothing names are counted under "".
type Key struct {
	// Host is as the client asked, lower case, without port.
	Host string
	// Route names the object and the route in it, such as
	// "VirtualService shop/web primary".
	Route string
	// Service is the destination as namespace/name; Subset that of the
	// DestinationRule, if the route names one.
	Service, Subset string
	// Hash is the pod's rollouts-pod-template-hash, else its pod-template-hash.
	Hash string
	// Version is the pod's label version, else what its answer said.
	Version string
	// Class is "2xx" to "5xx".
	Class string
	// Mirror tells a mirrored request from one that a client waited for.
	Mirror bool
	// Reason is empty when a pod answered.
	Reason Reason
}

// Stats counts requests by what happened to them.
type Stats map[Key]uint64

// Total adds up the counts of all keys for which match is true; nil is all.
func (s Stats) Total(match func(Key) bool) uint64 {
	var sum uint64
	for k, n := range s {
		if match == nil || match(k) {
			sum += n
		}
	}
	return sum
}

// Since is the window between an earlier state of the same counts and s.
func (s Stats) Since(earlier Stats) Stats {
	window := Stats{}
	for k, n := range s {
		if d := n - earlier[k]; d > 0 && n > earlier[k] {
			window[k] = d
		}
	}
	return window
}

// Split is the measured share, 0 to 1, of a host's requests by a part of their
// key, such as func(k Key) string { return k.Hash }. Mirrored requests do not
// count; requests that no pod answered count under what they were sent to.
func (s Stats) Split(host string, by func(Key) string) map[string]float64 {
	shares := map[string]float64{}
	var all float64
	for k, n := range s {
		if k.Host == host && !k.Mirror {
			shares[by(k)] += float64(n)
			all += float64(n)
		}
	}
	for k := range shares {
		shares[k] /= all
	}
	return shares
}

// counts is what the gateway has counted.
type counts struct {
	mu    sync.Mutex
	total Stats
	base  Stats // total at the last reset
}

func newCounts() *counts { return &counts{total: Stats{}, base: Stats{}} }

func (c *counts) add(k Key) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.total[k]++
}

func (c *counts) stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.total.Since(c.base)
}

func (c *counts) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.base = maps.Clone(c.total)
}

// class is "2xx" for 200 to 299, and so on.
func class(status int) string { return fmt.Sprintf("%dxx", status/100) }

var requestsDesc = prometheus.NewDesc("gateway_requests_total",
	"Requests by where the gateway sent them; mirrored ones have mirror=\"true\".",
	[]string{"host", "route", "destination", "subset", "rollouts_pod_template_hash", "version", "class", "mirror", "reason"}, nil)

// Describe implements prometheus.Collector.
func (c *counts) Describe(ch chan<- *prometheus.Desc) { ch <- requestsDesc }

// Collect implements prometheus.Collector. Reset does not touch these counters.
func (c *counts) Collect(ch chan<- prometheus.Metric) {
	c.mu.Lock()
	total := maps.Clone(c.total)
	c.mu.Unlock()
	for k, n := range total {
		ch <- prometheus.MustNewConstMetric(requestsDesc, prometheus.CounterValue, float64(n),
			k.Host, k.Route, k.Service, k.Subset, k.Hash, k.Version, k.Class, fmt.Sprint(k.Mirror), string(k.Reason))
	}
}
