package load

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// Exactly sends n requests, as fast as workers get answers: each sends its next
// request when it has the answer to the one before. RatePerSecond and
// MaxInFlight of the options do not count. It returns when all are answered, or
// ctx has ended. The error is that of the options.
func Exactly(ctx context.Context, o Options, n, workers int) (Report, error) {
	o.RatePerSecond, o.MaxInFlight = 1, workers
	g, err := New(o)
	if err != nil {
		return Report{}, err
	}
	defer g.client.CloseIdleConnections()
	var sent atomic.Int64
	var running sync.WaitGroup
	for range workers {
		running.Go(func() {
			for sent.Add(1) <= int64(n) && ctx.Err() == nil {
				g.mu.Lock()
				g.report.Sent++
				g.mu.Unlock()
				start := time.Now()
				status, version := g.request()
				g.count(status, version, time.Since(start))
			}
		})
	}
	running.Wait()
	return g.Snapshot(), nil
}
