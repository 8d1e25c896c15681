package rollout

import "github.com/penstock-io/penstock/internal/traffic"

// goal is what should hold at the persisted position: which revision stands behind
// which role, with what share and how many pods. It is the only idea between facts and
// actions. Abort, promotion, superseding and rollback are decided here and nowhere else.
type goal struct {
	// weight is the canary role's share.
	weight int32
	// canary and stable are the hashes that the roles should point at; "" means leave.
	canary, stable string
	// pods is the wanted count of the current revision, before the floor that its
	// live traffic sets.
	pods int32
}

func decideGoal(v *view) goal {
	switch v.mode {
	case first, done:
		return goal{canary: v.unloaded(v.hash), stable: v.hash, pods: v.n}
	case aborted:
		return abortGoal(v)
	case stepping:
		return stepGoal(v)
	}
	// The position is not known to be valid: hold everything for this one pass.
	g := goal{weight: v.Traffic.Written.Weight(traffic.Canary)}
	if v.current != nil {
		g.pods = v.current.Desired
	}
	return g
}

// abortGoal sends everything back to stable. The canary's pods stay for the abort
// delay (capacity.go); its Service follows once no request can arrive over it, so that
// pods which still drain stay selected (rivals.md no. 8).
func abortGoal(v *view) goal {
	return goal{stable: v.stable.Hash, canary: v.unloaded(v.stable.Hash)}
}

// unloaded is the hash once no traffic can arrive over the canary role, "" before.
func (v *view) unloaded(hash string) string {
	if v.Routed && v.Traffic.Largest(traffic.Canary) > 0 {
		return ""
	}
	return hash
}

func stepGoal(v *view) goal {
	g := goal{canary: v.hash, stable: v.stable.Hash}
	written := v.Traffic.Written.Weight(traffic.Canary)
	switch {
	case v.Status.PromoteFull:
		// The share stays: promotion moves it in one go once n pods are available.
		g.weight, g.pods = written, v.n
	case v.index >= len(v.steps):
		g.weight, g.pods = v.total, v.n
	default:
		s := v.steps[v.index]
		g.weight, g.pods = s.weight, v.stepPods(s)
	}
	if v.Spec.Paused {
		// A user's pause lets nothing start; what runs keeps its size and share.
		if v.Routed {
			g.weight = min(g.weight, written)
		}
		if v.current == nil || v.current.Desired == 0 {
			g.weight, g.pods = 0, 0
		}
	}
	return g
}

// stepPods is the canary's pod count at a step: the override, or what the weight takes.
func (v *view) stepPods(s step) int32 {
	switch {
	case s.scale != nil && s.scale.Replicas != nil:
		return *s.scale.Replicas
	case s.scale != nil && s.scale.Weight != nil:
		return v.floorPods(v.need(*s.scale.Weight))
	}
	return v.floorPods(v.need(s.weight))
}

// floorPods raises a count that is not zero to minPodsPerReplicaSet, at most n.
func (v *view) floorPods(count int32) int32 {
	if m := v.canary.MinPodsPerReplicaSet; m != nil && v.Routed && count > 0 {
		return max(count, min(*m, v.n))
	}
	return count
}
