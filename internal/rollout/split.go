package rollout

import (
	"fmt"
	"slices"

	"github.com/penstock-io/penstock/internal/traffic"
)

// split moves traffic towards the goal, one safe write at a time: either a role is
// pointed at another revision, or the weight moves, never both, because the two live
// in different objects and either may arrive first.
func split(v *view, g goal) ([]Action, []Note) {
	if v.mode == changed || len(v.Trouble) > 0 {
		return nil, nil
	}
	if !v.Routed {
		return v.plainServices(g)
	}
	if v.Traffic.Problem != "" {
		return nil, []Note{{Waiting, RouterProblem, v.Traffic.Problem}}
	}
	if v.mode == first {
		return nil, nil // nothing is routed before a stable revision is recorded
	}
	acts, notes := v.points(g)
	if len(acts) > 0 && v.Pinned {
		return acts, notes
	}
	more, why := v.moveWeight(g)
	return append(acts, more...), append(notes, why...)
}

// points makes the roles point at the goal's revisions where that is safe.
func (v *view) points(g goal) (acts []Action, notes []Note) {
	want := v.Traffic.Written
	want.Destinations = slices.Clone(want.Destinations)
	moved := false
	for i, d := range want.Destinations {
		hash := g.stable
		if d.Role == traffic.Canary {
			hash = g.canary
		}
		if d.Role == traffic.Extra || hash == "" || hash == d.Hash {
			continue
		}
		if ok, why := v.canPoint(d.Role, d.Service, hash); !ok {
			notes = append(notes, why)
			continue
		}
		if !v.Pinned {
			acts = append(acts, SetSelector{Service: d.Service, From: d.Hash, Hash: hash})
			continue
		}
		want.Destinations[i].Hash, moved = hash, true
	}
	if moved {
		acts = append(acts, SetSplit{want})
	}
	return acts, notes
}

// canPoint reports whether a role may be pointed at a revision: the pods there must be
// able to take all that may be arriving over the role, or at least some of it where
// nobody serves it now.
func (v *view) canPoint(r traffic.Role, service, hash string) (ok bool, why Note) {
	to := v.revision(hash)
	if available(to) == 0 {
		return false, Note{Waiting, ServiceNotSwitched, fmt.Sprintf(
			"%s traffic stays where it is: revision %s has no available pod", r, hash)}
	}
	// A Service that is not ours yet may select pods in its own way; it is taken over
	// only when the whole revision is up (core.md §5.14).
	if s, found := v.service(service); found && !s.Managed && available(to) < to.Desired {
		return false, Note{Waiting, ServiceNotSwitched, fmt.Sprintf(
			"service %s is taken over once all pods of %s are available: %d of %d are", service, hash, available(to), to.Desired)}
	}
	load := v.Traffic.Largest(r)
	// Between two revisions the canary's pods follow its step, not what still arrives at
	// the old canary: its weight is parked first.
	if parked := load == 0 || v.mode != stepping || r != traffic.Canary; parked && v.carries(to, load) || !v.served(r) {
		return true, Note{}
	}
	return false, Note{Waiting, ServiceNotSwitched, fmt.Sprintf(
		"%s traffic (%d of %d) stays where it is: revision %s has %d available pods of the %d it needs",
		r, load, v.total, hash, available(to), v.need(load))}
}

// served reports whether any revision behind the role has an available pod, or the role
// is not pinned to a revision at all.
func (v *view) served(r traffic.Role) bool {
	for _, h := range v.Traffic.Points(r) {
		if h == "" || available(v.revision(h)) > 0 {
			return true
		}
	}
	return false
}

// carries reports whether a revision's available pods can take a share. At a step with
// its own canary scale the user has said how many pods the share gets.
func (v *view) carries(r *Revision, weight int32) bool {
	if r == nil {
		return weight == 0
	}
	pods := v.need(weight)
	if s, ok := v.at(); ok && r == v.current && s.scale != nil && weight > 0 {
		pods = min(pods, max(v.stepPods(s), 1))
	}
	return available(r) >= pods
}

// moveWeight sets the canary's share as near to the goal as the pods allow.
func (v *view) moveWeight(g goal) ([]Action, []Note) {
	written := v.Traffic.Written
	now, want := written.Weight(traffic.Canary), g.weight
	var notes []Note
	switch {
	case v.Traffic.Largest(traffic.Canary) > 0 && !v.served(traffic.Canary):
		want = 0 // nobody answers there
	case v.mode == stepping && v.Traffic.Largest(traffic.Canary) > 0 && !v.pointsOnly(traffic.Canary, g.canary):
		// An older canary still receives traffic: park before the role moves on
		// (rivals.md no. 5), so no weight ever lands on a revision that is not up.
		want = 0
	case want > now:
		if why, ok := v.mayRaise(g); !ok {
			return nil, []Note{why}
		}
	}
	if want < now {
		want, notes = v.mayLower(g, want, now)
	}
	// Routes that disagree with each other are read as their largest weights; writing the
	// same share again brings them into line.
	next := reweigh(written, want)
	if next.Equal(written) {
		return nil, notes
	}
	return []Action{SetSplit{next}}, notes
}

// pointsOnly reports whether the role points at the hash and nowhere else, also in the
// data plane. An empty hash asks for nothing.
func (v *view) pointsOnly(r traffic.Role, hash string) bool {
	p := v.Traffic.Points(r)
	return hash == "" || (len(p) == 1 && p[0] == hash)
}

// mayRaise reports whether the canary may get the goal's share now.
func (v *view) mayRaise(g goal) (why Note, ok bool) {
	if !v.pointsOnly(traffic.Canary, g.canary) {
		return Note{Waiting, TrafficNotConfirmed, fmt.Sprintf(
			"weight %d waits until canary traffic is known to reach revision %s only", g.weight, g.canary)}, false
	}
	if !v.carries(v.revision(g.canary), g.weight) {
		return Note{Waiting, PodsNotAvailable, fmt.Sprintf(
			"weight %d waits for pods of revision %s: %d available of %d",
			g.weight, g.canary, available(v.revision(g.canary)), v.need(g.weight))}, false
	}
	return Note{}, true
}

// mayLower returns the lowest share between want and now that leaves stable no more
// than its available pods can take, so that an abort moves what can be moved at once.
// If the canary cannot serve at all and stable can, even an overloaded stable is better.
func (v *view) mayLower(g goal, want, now int32) (low int32, notes []Note) {
	if !v.served(traffic.Stable) {
		return now, []Note{{Waiting, StableNotAvailable, "canary traffic stays: stable has no available pod"}}
	}
	if !v.served(traffic.Canary) {
		return want, nil
	}
	if !v.pointsOnly(traffic.Stable, g.stable) {
		return now, []Note{{Waiting, TrafficNotConfirmed, fmt.Sprintf(
			"canary weight %d stays until stable traffic is known to reach revision %s only", now, g.stable)}}
	}
	pods := available(v.revision(g.stable))
	low = min(max(want, v.total-v.share(pods)), now)
	if low > want {
		notes = []Note{{Waiting, StableNotAvailable, fmt.Sprintf(
			"canary weight goes to %d, not yet to %d: stable has %d available pods of %d", low, want, pods, v.n)}}
	}
	return low, notes
}

func reweigh(s traffic.Split, weight int32) traffic.Split {
	st, _ := s.Of(traffic.Stable)
	ca, _ := s.Of(traffic.Canary)
	return traffic.Two(s.Total, weight, st, ca)
}

// plainServices keeps the Services of a canary without a router: each selects one
// revision for people and tests to reach (core.md §5.14).
func (v *view) plainServices(g goal) (acts []Action, notes []Note) {
	for _, p := range []struct{ name, hash string }{{v.canary.StableService, g.stable}, {v.canary.CanaryService, g.canary}} {
		s, found := v.service(p.name)
		if !found || p.hash == "" || s.Hash == p.hash && s.Managed {
			continue
		}
		to := v.revision(p.hash)
		if available(to) == 0 || !s.Managed && (to.Desired == 0 || available(to) < to.Desired) {
			notes = append(notes, Note{Waiting, ServiceNotSwitched,
				fmt.Sprintf("service %s waits for available pods of revision %s", p.name, p.hash)})
			continue
		}
		acts = append(acts, SetSelector{Service: p.name, From: s.Hash, Hash: p.hash})
	}
	return acts, notes
}
