package rollout

import (
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/util/intstr"

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
	add := func(a []Action, n []Note) { acts, notes = append(acts, a...), append(notes, n...) }
	if v.stable != nil && v.stable != v.current {
		add(v.scale(v.stable, g.stablePods))
	}
	switch {
	case v.current == nil:
	case v.mode == aborted:
		add(v.holdAborted(g))
	default:
		add(v.scale(v.current, g.pods))
	}
	for _, r := range []*Revision{v.stable, v.current} {
		if r != nil && !r.RetireAt.IsZero() && !v.keepsDeadline(r) {
			acts = append(acts, Retire{Hash: r.Hash})
		}
	}
	add(v.retireOthers())
	return acts, notes
}

// keepsDeadline: an aborted revision ends by its deadline, and a revision that comes back
// by the express way of blue-green is known by it until it serves.
func (v *view) keepsDeadline(r *Revision) bool {
	return r == v.current && r != v.stable &&
		(v.mode == aborted || v.express == expressFast && v.activeHash() != r.Hash)
}

// scale moves a revision towards a count, no lower than its live traffic needs.
func (v *view) scale(r *Revision, to int32) ([]Action, []Note) {
	if r.Deleting {
		return nil, nil // nobody acts on its size any more
	}
	if to < r.Desired {
		low, why := v.floor(r, to)
		if low >= r.Desired {
			return nil, why
		}
		return []Action{v.scaled(r, max(low, to))}, why
	}
	if to == r.Desired {
		return nil, nil
	}
	return []Action{v.scaled(r, to)}, nil
}

func (v *view) scaled(r *Revision, to int32) Action {
	return Scale{Hash: r.Hash, Number: r.Number, From: r.Desired, To: to}
}

// exposure is the largest share that a revision may be receiving. A role that is not
// pinned to a revision yet selects pods in its own way: stable's among them.
func (v *view) exposure(r *Revision) int32 {
	w := v.Traffic.Exposure(r.Hash)
	if r == v.stable && v.open() {
		w = min(w+v.Traffic.Largest(traffic.Stable), v.total)
	}
	return w
}

// open: the stable role is not pinned to a revision, so its Service may select any pods.
func (v *view) open() bool {
	return v.Routed && slices.Contains(v.Traffic.Points(traffic.Stable), "")
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
	if why, waits := v.unserved(); waits && r != v.current {
		return r.Desired, []Note{why}
	}
	low = v.need(v.exposure(r))
	for _, next := range v.planned {
		low = max(low, v.need(next.On(r.Hash)))
	}
	if s, ok := v.at(); ok && r == v.current && s.scale != nil && low > 0 {
		low = min(low, max(v.stepPods(s), 1)) // the user's own count, but never nobody
	}
	if low > 0 {
		low = v.floorPods(low)
	}
	if low > to {
		notes = []Note{{Waiting, TrafficNotConfirmed, "revision " + r.Hash + " keeps pods for the traffic that may still reach it"}}
	}
	return low, notes
}

// holdAborted keeps the aborted revision for the abort delay, counted from the moment
// at which stable is whole again and no traffic is left on the canary; a delay of 0
// keeps it for good (core.md §5.11, §16 nos. 5, 6, 18). Where stable had shrunk and the
// user chose no delay, the canary shrinks with its traffic.
func (v *view) holdAborted(g goal) ([]Action, []Note) {
	r := v.current
	delay := v.rules.abortAfter
	whole := available(v.stable) >= v.n || v.overdue() && available(v.stable) >= v.n-v.tolerance()
	switch {
	case v.dynamic && !v.rules.abortSet:
		return v.scale(r, min(v.floorPods(v.need(g.weight)), r.Desired))
	case r.Desired == 0, delay == 0:
		return nil, nil
	case !whole || v.exposure(r) > 0 || !v.canRemove():
		return nil, []Note{{Waiting, ScaleDownDelayed, "aborted revision " + r.Hash + " keeps its pods until stable serves everything"}}
	}
	return v.retire(r, delay)
}

// retire gives a revision its deadline, and takes its pods when that has passed.
func (v *view) retire(r *Revision, delay int32) ([]Action, []Note) {
	switch {
	case r.Deleting:
		return nil, nil
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
// gets the same delay (core.md §5.12, §16 no. 17). Where stable shrinks with the weight
// there is no delay: the pods follow the traffic.
func (v *view) retireOthers() (acts []Action, notes []Note) {
	kept := int32(0)
	for _, r := range v.others {
		if r.Desired == 0 || r.Deleting {
			continue
		}
		a, n := v.retireOne(r, &kept)
		acts, notes = append(acts, a...), append(notes, n...)
	}
	return acts, notes
}

func (v *view) retireOne(r *Revision, kept *int32) (acts []Action, notes []Note) {
	unserved, waits := v.unserved()
	switch {
	case v.mode == first && available(v.current) < v.n:
		return nil, nil // the only pods that serve
	case waits:
		return nil, []Note{unserved}
	case v.dynamic && v.mode != first && !v.open():
		return v.scale(r, 0)
	case v.referenced(r):
		return nil, []Note{{Waiting, OldPodsRemain, "revision " + r.Hash + " keeps its pods: traffic may still reach it"}}
	}
	delay := v.rules.retireAfter
	if r.Available == 0 {
		delay = 0 // nobody was served there, so nobody is cut off
	}
	if *kept++; *kept > v.rules.retiring {
		delay = 0 // also for one whose deadline is still to come
	}
	if waits := delay > 0 && v.Now.Before(r.RetireAt); waits && v.blue != nil && r.Desired < v.n {
		acts = append(acts, v.scaled(r, v.n)) // a rollback to it must find all its pods
	}
	a, n := v.retire(r, delay)
	return append(acts, a...), append(notes, n...)
}

// referenced reports whether traffic can reach a revision: over a written or live
// split, a role that still points at it, or a Service.
func (v *view) referenced(r *Revision) bool {
	if !v.canRemove() || v.exposure(r) > 0 || v.open() && r.Available > 0 {
		return true
	}
	for _, role := range []traffic.Role{traffic.Stable, traffic.Canary} {
		if slices.Contains(v.Traffic.Points(role), r.Hash) && !v.idle(role) {
			return true
		}
	}
	_, canary := Roles(&v.Spec, &v.Status)
	return slices.ContainsFunc(v.Services, func(s Service) bool {
		return s.Exists && s.Hash == r.Hash && !(s.Name == canary && v.idle(traffic.Canary))
	})
}

// idle reports that nothing is sent over a role although it points at a revision: after
// a ping-pong promotion the idle Service keeps the former one until the next update.
func (v *view) idle(r traffic.Role) bool {
	return r == traffic.Canary && v.canary.PingPong != nil && v.mode == done && v.Traffic.Largest(r) == 0
}

func (v *view) basicCapacity(g goal) (acts []Action, notes []Note) {
	surge, unavailable := v.fenceposts()
	in := sides{n: v.n, total: v.total, surge: surge, unavailable: unavailable}
	in.canaryOnly = v.stable == nil || v.stable == v.current
	in.weight = g.weight
	if v.mode == first || v.mode == done || v.express == expressFull && !v.Spec.Paused {
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
func (v *view) fenceposts() (surge, unavailable int32) {
	surge, unavailable = min(portion(v.canary.MaxSurge, v.n, true), maxCount), portion(v.rules.maxUnavailable, v.n, false)
	if surge == 0 && unavailable == 0 {
		unavailable = 1
	}
	return surge, min(unavailable, v.n)
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
