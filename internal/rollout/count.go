package rollout

import "math"

// sides are the facts that the replica-only canary divides pods by (core.md §5.7).
type sides struct {
	n, weight, total   int32
	surge, unavailable int32
	stable, canary     side
	otherPods          int32
	canaryOnly         bool // no stable revision beside the canary
}

type side struct{ spec, avail int32 }

// basicCounts returns how many pods stable and canary should have now so that the share
// of the canary's pods approaches the weight, within surge and unavailability
// (core.md §5.7 B–F). With n=10, weight 20, surge 2: 10 and 2 first, then 8 and 2.
func basicCounts(s sides) (stable, canary int32) {
	if s.canaryOnly {
		room := max(s.n+s.surge-s.otherPods, s.canary.spec)
		return 0, min(s.n, room)
	}
	wantCanary, wantStable := approximate(s.n, s.weight, s.total, s.surge)
	stable, canary = s.stable.spec, s.canary.spec
	budget := s.n + s.surge - s.otherPods - stable - canary
	if stable < wantStable && budget > 0 {
		to := min(wantStable, stable+budget)
		budget -= to - stable
		stable = to
	}
	if canary < wantCanary && budget > 0 {
		canary = min(wantCanary, canary+budget)
	}
	if s.otherPods > 0 {
		return stable, canary
	}
	return s.shrink(stable, canary, wantStable, wantCanary)
}

// shrink takes away what is too much as far as n-unavailable pods stay available.
func (s sides) shrink(stable, canary, wantStable, wantCanary int32) (int32, int32) {
	minAvail := s.n - s.unavailable
	increasing := wantCanary >= s.canary.spec
	counted := func(spec, avail int32, whole bool) int32 {
		if whole || spec < avail {
			return spec
		}
		return avail
	}
	spare := counted(canary, s.canary.avail, !increasing) + counted(stable, s.stable.avail, increasing) - minAvail
	if spare <= 0 {
		return stable, canary
	}
	if increasing {
		drained := min(stable, max(wantStable, stable-spare))
		return s.limit(drained, canary, s.stable.avail, s.canary.avail, minAvail)
	}
	drained := min(canary, max(wantCanary, canary-spare))
	canary, stable = s.limit(drained, stable, s.canary.avail, s.stable.avail, minAvail)
	return stable, canary
}

// limit keeps the sum within n+surge and the available pods above minAvail: first the
// other side gives up what exceeds the surge, then it gets back what availability needs.
func (s sides) limit(drain, other, drainAvail, otherAvail, minAvail int32) (int32, int32) {
	most := s.n + s.surge
	over := max(0, drain+other-most)
	other -= over
	have := min(drainAvail, drain) + min(otherAvail, other)
	lost := max(0, otherAvail-other)
	other += min(lost, max(0, minAvail-have))
	drain -= max(0, drain+other-most)
	return drain, other
}

// approximate returns the pod counts that come nearest to the weight (core.md §5.7 A).
// With surge it may use one pod more than n if that is nearer.
func approximate(n, weight, total, surge int32) (canary, stable int32) {
	if n == 0 || total <= 0 {
		return 0, 0
	}
	zeroAllowed := weight == total || weight == 0 || (n == 1 && surge == 0)
	exact := float64(n) * float64(weight) / float64(total)
	up, down := int32(math.Ceil(exact)), int32(math.Floor(exact))
	canary, stable = 0, n
	best := math.Inf(1)
	try := func(c, of int32) {
		d := math.Abs(float64(c)*float64(total)/float64(of) - float64(weight))
		if d < best {
			best, canary, stable = d, c, of-c
		}
	}
	if up < n || zeroAllowed {
		try(up, n)
	}
	if !tied(n, weight, total) && (down != 0 || zeroAllowed) {
		try(down, n)
	}
	if surge > 0 {
		try(up, n+1)
		if !tied(n+1, weight, total) && (down != 0 || zeroAllowed) {
			try(down, n+1)
		}
	}
	return canary, stable
}

// tied reports whether the weight falls exactly between two pod counts of t pods.
func tied(t, weight, total int32) bool {
	return (2*int64(t)*int64(weight))%(2*int64(total)) == int64(total)
}
