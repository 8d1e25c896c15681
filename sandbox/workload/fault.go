package workload

import (
	"hash/fnv"
	"math"
	"sync/atomic"
	"time"
)

const million = 1_000_000

// faults is the deterministic sequence of answers of one server.
//
// Failures are spread like the steps of a line drawn on a grid: request i fails
// when (i × rate + phase) crosses a whole number, so any n consecutive requests
// hold n × rate failures, give or take less than one. Latencies follow the
// golden-ratio sequence, which fills 0 to 1 evenly over short windows too.
type faults struct {
	ppm     uint64 // failures per million
	phase   uint64 // 0 … million−1, from the seed
	latency time.Duration
	count   atomic.Uint64
}

func newFaults(spec Spec) *faults {
	h := fnv.New64a()
	h.Write([]byte(spec.Service + "/" + spec.Version + "/" + spec.Pod))
	return &faults{
		ppm:     uint64(math.Round(spec.ErrorRate * million)),
		phase:   h.Sum64() % million,
		latency: spec.Latency,
	}
}

// next is the fate of the next request.
func (f *faults) next() (fails bool, latency time.Duration) {
	i := f.count.Add(1)
	fails = (i*f.ppm+f.phase)/million > ((i-1)*f.ppm+f.phase)/million
	const golden = 0.6180339887498949
	_, u := math.Modf(float64(i)*golden + float64(f.phase)/million)
	// 0.75 to 1.25 of the median, evenly.
	return fails, time.Duration(float64(f.latency) * (0.75 + 0.5*u))
}
