package load

import (
	"maps"
	"math"
	"math/bits"
	"time"
)

// Report is what a Generator did since it was made.
type Report struct {
	// Sent counts requests that went out; OK, Failed and those still in flight
	// add up to it.
	Sent uint64
	// OK counts answers with a status below 400.
	OK uint64
	// Failed counts all other outcomes.
	Failed uint64
	// Dropped counts requests that were due but did not go out because
	// MaxInFlight were under way. They are not in Sent.
	Dropped uint64
	// ByStatus counts outcomes by status code; 0 means no answer.
	ByStatus map[int]uint64
	// ByVersion counts answers by the version that gave them; answers that
	// name none, such as the gateway's own, are under "".
	ByVersion map[string]uint64
	// P50 and P99 are latencies of all outcomes, counted from when the request
	// was due, rounded up by at most 1/16.
	P50, P99 time.Duration
}

// Share is the fraction of answers given by version, 0 when there were none.
func (r Report) Share(version string) float64 {
	var all uint64
	for _, n := range r.ByVersion {
		all += n
	}
	if all == 0 {
		return 0
	}
	return float64(r.ByVersion[version]) / float64(all)
}

// Snapshot is the report so far; it may be called while Run runs.
func (g *Generator) Snapshot() Report {
	g.mu.Lock()
	defer g.mu.Unlock()
	r := g.report
	r.ByStatus, r.ByVersion = maps.Clone(r.ByStatus), maps.Clone(r.ByVersion)
	r.P50, r.P99 = g.times.quantile(0.50), g.times.quantile(0.99)
	return r
}

func (g *Generator) count(status int, version string, latency time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	r := &g.report
	if r.ByStatus == nil {
		r.ByStatus, r.ByVersion = map[int]uint64{}, map[string]uint64{}
	}
	r.ByStatus[status]++
	if status > 0 {
		r.ByVersion[version]++
	}
	if status > 0 && status < 400 {
		r.OK++
	} else {
		r.Failed++
	}
	g.times.add(latency)
}

// histogram has 16 buckets per power of two of microseconds, so a value is
// known to 1/16 in a few kilobytes.
type histogram struct {
	counts [16 * 40]uint64
	total  uint64
}

func (h *histogram) add(d time.Duration) {
	h.counts[bucket(uint64(max(d, 0)/time.Microsecond))]++
	h.total++
}

// bucket: 0 to 31 are themselves; 32 to 63 go by twos into 32 … 47, and so on.
func bucket(us uint64) int {
	shift := max(bits.Len64(us)-5, 0)
	return min(shift*16+int(us>>shift), 16*40-1)
}

// upper is the largest value in a bucket, in microseconds.
func upper(b int) uint64 {
	if b < 32 {
		return uint64(b)
	}
	shift := b/16 - 1
	return uint64(b-shift*16+1)<<shift - 1
}

// quantile is 0 for an empty histogram.
func (h *histogram) quantile(q float64) time.Duration {
	rank := uint64(math.Ceil(q * float64(h.total)))
	var seen uint64
	for b, n := range h.counts {
		if seen += n; n > 0 && seen >= rank {
			return time.Duration(upper(b)) * time.Microsecond
		}
	}
	return 0
}
