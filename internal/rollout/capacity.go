package rollout

import (
	"time"

	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/traffic"
)

// capacity sets pod counts. Growing is always safe. Taking away is bounded from below by
// what may still be arriving: a revision keeps need(exposure) pods until the data plane
// is known to have left it (L5).
func capacity(v *view, g goal) ([]Action, []Note) {
	if v.mode == changed {
		return nil, nil
	}
	if v.Routed {
		return v.routedCapacity(g)
	}
	return v.basicCapacity(g)
}

func (v *view) routedCapacity(g goal) (acts []Action, notes []Note) {
	if v.stable != nil && v.stable != v.current {
		a, n := v.scale(v.stable, v.n)
		acts, notes = append(acts, a...), append(notes, n...)
	}
	if v.current != nil {
		var a []Action
		var n []Note
		if v.mode == aborted {
			a, n = v.holdAborted()
		} else {
			a, n = v.scale(v.current, g.pods)
		}
		acts, notes = append(acts, a...), append(notes, n...)
	}
	for _, r := range []*Revision{v.stable, v.current} {
		if r != nil && !r.RetireAt.IsZero() && (r != v.current || v.mode != aborted) {
			acts = append(acts, Retire{Hash: r.Hash})
		}
	}
	retired, why := v.retireOthers()
	return append(acts, retired...), append(notes, why...)
}

// scale moves a revision towards a count, no lower than its live traffic needs.
func (v *view) scale(r *Revision, to int32) ([]Action, []Note) {
	if to < r.Desired {
		low, why := v.floor(r, to)
		if low >= r.Desired {
			return nil, why
		}
		return []Action{v.scaled(r, max(low, to))}, why
	}
	if to == r.Desired || r.Deleting {
		return nil, nil
	}
	return []Action{v.scaled(r, to)}, nil
}

func (v *view) scaled(r *Revision, to int32) Action {
	return Scale{Hash: r.Hash, Number: r.Number, From: r.Desired, To: to}
}

// floor is the lowest count that a revision may be given now.
func (v *view) floor(r *Revision, to int32) (low int32, notes []Note) {
	if !v.canRemove() {
		return r.Desired, []Note{{Waiting, TrafficNotConfirmed, "pods of revision " + r.Hash +
			" stay: it is not known what the data plane sends them"}}
	}
	if !v.Routed {
		return to, nil
	}
	low = v.need(v.Traffic.Exposure(r.Hash))
	if s, ok := v.at(); ok && r == v.current && s.scale != nil && low > 0 {
		low = min(low, max(v.stepPods(s), 1)) // the user's own count, but never nobody
	}
	if low > to {
		notes = []Note{{Waiting, TrafficNotConfirmed, "revision " + r.Hash + " keeps pods for the traffic that may still reach it"}}
	}
	return low, notes
}

// holdAborted keeps the aborted revision for the abort delay, counted from the moment
// at which stable is whole again and no traffic is left on the canary; a delay of 0
// keeps it for good (core.md §5.11, §16 nos. 5, 6, 18).
func (v *view) holdAborted() ([]Action, []Note) {
	r := v.current
	delay := v.canary.AbortScaleDownDelaySecondsOrDefault()
	switch {
	case r.Desired == 0, delay == 0:
		return nil, nil
	case available(v.stable) < v.n || v.Traffic.Exposure(r.Hash) > 0 || !v.canRemove():
		return nil, []Note{{Waiting, ScaleDownDelayed, "aborted revision " + r.Hash + " keeps its pods until stable serves everything"}}
	}
	return v.retire(r, delay)
}

// retire gives a revision its deadline, and takes its pods when that has passed.
func (v *view) retire(r *Revision, delay int32) ([]Action, []Note) {
	switch {
	case r.RetireUnreadable, delay <= 0, !r.RetireAt.IsZero() && !v.Now.Before(r.RetireAt):
		return v.scale(r, 0)
	case r.RetireAt.IsZero():
		// Whole seconds, as the annotation can hold (core.md §11).
		return []Action{Retire{Hash: r.Hash, At: v.Now.Add(time.Duration(delay) * time.Second).Truncate(time.Second)}}, nil
	}
	return nil, []Note{{Waiting, ScaleDownDelayed, "revision " + r.Hash + " keeps its pods until " + r.RetireAt.UTC().Format(time.RFC3339)}}
}

// retireOthers takes old revisions down once no traffic can reach them, after the delay
// for proxies that nobody knows of. One that an update overtook has served too, so it
// gets the same delay (core.md §5.12, §16 no. 17).
func (v *view) retireOthers() (acts []Action, notes []Note) {
	delay := v.canary.ScaleDownDelaySecondsOrDefault()
	kept := int32(0)
	for _, r := range v.others {
		if r.Desired == 0 || r.Deleting {
			continue
		}
		if v.referenced(r) {
			notes = append(notes, Note{Waiting, OldPodsRemain, "revision " + r.Hash + " keeps its pods: traffic may still reach it"})
			continue
		}
		d := delay
		if v.mode == first && available(v.current) < v.n {
			continue // the only pods that serve
		}
		if r.Available == 0 {
			d = 0 // nobody was served there, so nobody is cut off
		}
		if lim := v.canary.ScaleDownDelayRevisionLimit; lim != nil && kept >= *lim {
			d = 0 // also for one whose deadline is still to come
		}
		kept++
		a, n := v.retire(r, d)
		acts, notes = append(acts, a...), append(notes, n...)
	}
	return acts, notes
}

// referenced reports whether traffic can reach a revision: over a written or live
// split, a role that still points at it, or a Service.
func (v *view) referenced(r *Revision) bool {
	if !v.canRemove() || v.Traffic.Exposure(r.Hash) > 0 {
		return true
	}
	for _, role := range []traffic.Role{traffic.Stable, traffic.Canary} {
		for _, h := range v.Traffic.Points(role) {
			if h == r.Hash {
				return true
			}
		}
	}
	for _, s := range v.Services {
		if s.Exists && s.Hash == r.Hash {
			return true
		}
	}
	return false
}

func (v *view) basicCapacity(g goal) (acts []Action, notes []Note) {
	surge, unavailable := fenceposts(v.canary, v.n)
	in := sides{n: v.n, total: v.total, surge: surge, unavailable: unavailable}
	in.canaryOnly = v.stable == nil || v.stable == v.current
	in.weight = g.weight
	if v.mode == first || v.mode == done || v.Status.PromoteFull && v.mode == stepping && !v.Spec.Paused {
		in.weight = v.total
	}
	if v.current != nil {
		in.canary = side{v.current.Desired, v.current.Available}
	}
	if v.stable != nil && v.stable != v.current {
		in.stable = side{v.stable.Desired, v.stable.Available}
	}
	for _, r := range v.others {
		in.otherPods += r.Desired
	}
	stable, canary := basicCounts(in)
	if v.stable != nil && v.stable != v.current {
		a, n := v.scale(v.stable, stable)
		acts, notes = append(acts, a...), append(notes, n...)
	}
	if v.current != nil {
		a, n := v.scale(v.current, canary)
		acts, notes = append(acts, a...), append(notes, n...)
	}
	drained, why := v.drainOthers(unavailable)
	return append(acts, drained...), append(notes, why...)
}

// drainOthers takes old revisions down as far as n-unavailable pods stay available:
// pods that are not available first, then the newest revision (core.md §5.12).
func (v *view) drainOthers(unavailable int32) (acts []Action, notes []Note) {
	if !v.canRemove() {
		return nil, nil
	}
	var total int32
	for i := range v.Revisions {
		total += v.Revisions[i].Available
	}
	budget := total - (v.n - unavailable)
	for _, r := range v.others {
		if r.Desired == 0 || r.Deleting {
			continue
		}
		to := min(r.Desired, r.Available)
		if budget > 0 {
			cut := min(to, budget)
			to, budget = to-cut, budget-cut
		}
		if to < r.Desired {
			acts = append(acts, v.scaled(r, to))
		}
		if to > 0 {
			notes = append(notes, Note{Waiting, OldPodsRemain, "old pods of revision " + r.Hash + " remain until enough new ones are available"})
		}
	}
	return acts, notes
}

// fenceposts resolves maxSurge (rounded up) and maxUnavailable (rounded down, at most n);
// both zero would never move, so one pod may then be missing (core.md §3.11).
func fenceposts(c *v1alpha1.CanaryStrategy, n int32) (surge, unavailable int32) {
	surge, unavailable = portion(c.MaxSurge, n, true), portion(c.MaxUnavailable, n, false)
	if surge == 0 && unavailable == 0 {
		unavailable = 1
	}
	return surge, min(unavailable, n)
}

// portion reads a count or percentage of n; unset means 25 %. Any string counts as a
// percentage, "5" too, as it does in the published controller (core.md §1.7.2).
func portion(p *intstr.IntOrString, n int32, up bool) int32 {
	percent := 25
	if p != nil {
		if p.Type == intstr.Int {
			return max(p.IntVal, 0)
		}
		percent = percentOf(p.StrVal)
	}
	whole := int64(n) * int64(percent)
	if up {
		whole += 99
	}
	return int32(whole / 100)
}

// percentOf reads the digits of "25%" or "25"; anything else is 0.
func percentOf(s string) int {
	value := 0
	for i, c := range s {
		if c == '%' && i == len(s)-1 {
			break
		}
		if c < '0' || c > '9' || value > 1_000_000 {
			return 0
		}
		value = value*10 + int(c-'0')
	}
	return value
}
