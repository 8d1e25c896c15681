package load

import "math"

// Binomial is the range of hits among n independent requests that each hit with
// the probability share, 0 to 1: fewer than least have a probability of at most
// (1-sure)/2, and so have more than most. It is exact, not an approximation by
// the normal curve, for n up to millions.
//
//	Binomial(20000, 0.01, 0.999)  ──►  155 to 248, where 200 are expected
func Binomial(n int, share, sure float64) (least, most int) {
	switch {
	case share <= 0:
		return 0, 0
	case share >= 1:
		return n, n
	}
	all, _ := math.Lgamma(float64(n) + 1)
	probability := func(hits int) float64 {
		h, _ := math.Lgamma(float64(hits) + 1)
		m, _ := math.Lgamma(float64(n-hits) + 1)
		return math.Exp(all - h - m + float64(hits)*math.Log(share) + float64(n-hits)*math.Log1p(-share))
	}
	tail := (1 - sure) / 2
	// Each tail is summed up from its end, where the terms are smallest.
	for below := probability(0); below <= tail && least < n; below += probability(least) {
		least++
	}
	most = n
	for above := probability(n); above <= tail && most > 0; above += probability(most) {
		most--
	}
	return least, most
}
