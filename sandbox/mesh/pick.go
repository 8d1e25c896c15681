package mesh

import (
	"math"
	"sync"
	"sync/atomic"
)

// picker chooses among weights by smooth weighted round robin. The sum of the
// weights is above 0.
type picker struct {
	weights []int64
	total   int64

	mu      sync.Mutex
	current []int64
}

// newPicker returns nil when the sum of the weights is 0.
func newPicker(weights []int64) *picker {
	p := &picker{weights: weights, current: make([]int64, len(weights))}
	for _, w := range weights {
		p.total += w
	}
	if p.total == 0 {
		return nil
	}
	return p
}

func (p *picker) next() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	best := -1
	for i, w := range p.weights {
		p.current[i] += w
		if w > 0 && (best < 0 || p.current[i] > p.current[best]) {
			best = i
		}
	}
	p.current[best] -= p.total
	return best
}

// percentage picks that share of calls, evenly spread, the first one as soon
// as the sum reaches one whole.
type percentage struct {
	ppm   uint64 // parts in a million
	count atomic.Uint64
}

func newPercentage(percent float64) *percentage {
	return &percentage{ppm: uint64(math.Round(min(max(percent, 0), 100) * 10_000))}
}

func (p *percentage) next() bool {
	i := p.count.Add(1)
	return i*p.ppm/1_000_000 > (i-1)*p.ppm/1_000_000
}

// memory keeps pickers and cursors from one Table to the next, so that a new
// Table does not begin every sequence anew. Keys name the route and the
// weights: what changed begins anew.
type memory map[string]any

// keep returns the value under key from before, else makes it, and keeps it in
// the next memory.
func keep[T any](before, next memory, key string, make func() T) T {
	value, found := next[key].(T)
	if !found {
		if value, found = before[key].(T); !found {
			value = make()
		}
	}
	next[key] = value
	return value
}

// cursor goes round the endpoints of a destination.
type cursor struct{ count atomic.Uint64 }

// next chooses the next of n endpoints, n > 0.
func (c *cursor) next(n int) int { return int((c.count.Add(1) - 1) % uint64(n)) }
