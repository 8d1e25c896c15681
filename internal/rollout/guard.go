package rollout

import (
	"fmt"
	"slices"

	"github.com/penstock-io/penstock/internal/traffic"
)

// guard is the one place through which every write to pods and traffic goes, on every
// path: step, promotion, rollback, abort, first deployment, change of strategy, scaling
// and experiment. It holds back what would break one of two laws:
//
//	I1  no write makes the part of the traffic grow that no available pod can carry
//	I2  no pod goes that its revision needs for what the data plane is known, or not known
//	    not, to send it: not "we wrote 0" but "0 was seen, and its settle time has passed"
//
// The planner's functions follow the laws by themselves; the guard catches the day on
// which one of them does not.
func (v *view) guard(acts []Action) (kept []Action, notes []Note) {
	for _, a := range acts {
		if why := v.unsafe(a); why != "" {
			notes = append(notes, Note{Waiting, Unsafe, fmt.Sprintf("held back: %s (%s)", a, why)})
			continue
		}
		kept = append(kept, a)
	}
	return kept, notes
}

// unsafe says which law a write would break, "" for none.
func (v *view) unsafe(a Action) string {
	if !v.Routed {
		return ""
	}
	switch a := a.(type) {
	case Scale:
		r := v.revision(a.Hash)
		if r == nil || a.To >= r.Desired {
			return ""
		}
		if !v.canRemove() {
			return "I2: it is not known what the data plane sends"
		}
		if low, _ := v.floor(r, a.To); a.To < low {
			return fmt.Sprintf("I2: %d pods may still get traffic", low)
		}
	case Delete:
		if r := v.revision(a.Hash); r != nil && r.Desired > 0 {
			return "I2: it has pods"
		}
	case SetSplit:
		if lost := v.lost(a.Split) - v.lost(v.Traffic.Written); lost > 0 {
			return fmt.Sprintf("I1: %d of %d parts more would have no pod", lost, v.total)
		}
	case SetSelector:
		if !v.Pinned { // or no traffic is led by it
			return v.unsafePoint(a)
		}
	}
	return ""
}

// unsafePoint holds a change of a role's revision against the share of that role: the
// largest that may be arriving, and all of it where that is not known.
func (v *view) unsafePoint(a SetSelector) string {
	now, next := v.Traffic.Written, v.Traffic.Written
	now.Destinations = slices.Clone(now.Destinations)
	for i, d := range now.Destinations {
		if d.Service == a.Service {
			now.Destinations[i].Weight = v.arriving(d.Role)
		}
	}
	next.Destinations = slices.Clone(now.Destinations)
	for i, d := range next.Destinations {
		if d.Service == a.Service {
			next.Destinations[i].Hash = a.Hash
		}
	}
	if lost := v.lost(next) - v.lost(now); lost > 0 {
		return fmt.Sprintf("I1: %d of %d parts more would have no pod", lost, v.total)
	}
	return ""
}

// arriving is the largest share that a role may be getting. The preview gets none.
func (v *view) arriving(r traffic.Role) int32 {
	if preview := v.blue != nil && r == traffic.Canary; !v.Traffic.Known && !preview {
		return v.total
	}
	return v.Traffic.Largest(r)
}

// lost is the part of a split that no available pod can carry. A destination that is not
// pinned to a revision counts as served: it selects pods in a way of its own.
func (v *view) lost(s traffic.Split) (parts int32) {
	seen := map[string]bool{}
	for _, d := range s.Destinations {
		if d.Role == traffic.Extra || d.Hash == "" || seen[d.Hash] {
			continue
		}
		seen[d.Hash] = true
		r, w := v.revision(d.Hash), min(s.On(d.Hash), v.total)
		if w <= 0 || v.carries(r, w) {
			continue
		}
		parts += max(w-v.share(available(r)), 0)
	}
	return min(parts, v.total)
}
