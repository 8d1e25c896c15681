package rollout

import (
	"fmt"
	"slices"

	"github.com/penstock-io/penstock/api/v1alpha1"
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
	if v.blue != nil {
		return acts, notes
	}
	if len(acts) == 0 || !v.Pinned {
		more, why := v.moveWeight(g)
		acts, notes = append(acts, more...), append(notes, why...)
	}
	if v.Pinned { // the Services are for people and tests then
		more, why := v.plainServices(g)
		acts, notes = append(acts, more...), append(notes, why...)
	}
	return acts, notes
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
		if d.Role == traffic.Extra || hash == "" || hash == d.Hash && v.marked(d.Service) {
			continue
		}
		if d.Service == "" && !v.Pinned {
			continue // no preview Service
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

// marked reports whether a Service, if it is one that roles point with, carries our mark.
func (v *view) marked(service string) bool {
	s, found := v.service(service)
	return !found || s.Managed || v.Pinned
}

// canPoint reports whether a role may be pointed at a revision: the pods there must be
// able to take all that may be arriving over the role, or at least some of it where
// nobody serves it now.
func (v *view) canPoint(r traffic.Role, service, hash string) (ok bool, why Note) {
	to := v.revision(hash)
	load := v.Traffic.Largest(r)
	if to != nil && load == 0 && r == traffic.Canary && (v.canary.PingPong != nil && v.Traffic.Known || v.blue != nil && v.mode == done) {
		// Nobody is sent there. Load balancers with readiness gates must see the pods
		// before they are ready (core.md §5.14); at the first deployment there is no other.
		return true, Note{}
	}
	if available(to) == 0 {
		return false, Note{Waiting, ServiceNotSwitched, fmt.Sprintf(
			"%s traffic stays where it is: revision %s has no available pod", r, hash)}
	}
	preview := v.blue != nil && r == traffic.Canary
	// A Service that is not ours yet may select pods in its own way; it is taken over
	// only when the whole revision is up (core.md §5.14).
	if s, found := v.service(service); found && !s.Managed && available(to) < to.Desired && !preview {
		return false, Note{Waiting, ServiceNotSwitched, fmt.Sprintf(
			"service %s is taken over once all pods of %s are available: %d of %d are", service, hash, available(to), to.Desired)}
	}
	if !v.Traffic.Known && v.served(r) {
		return false, v.blind()
	}
	// Between two revisions the canary's pods follow its step, not what still arrives at
	// the old canary: its weight is parked first.
	if parked := load == 0 || v.mode != stepping || r != traffic.Canary; parked && v.carries(to, load) || !v.served(r) {
		return true, Note{}
	}
	return false, Note{Waiting, ServiceNotSwitched, fmt.Sprintf(
		"%s traffic (%d of %d) stays where it is: revision %s has %d available pods of the %d it needs",
		r, load, v.total, hash, available(to), v.need(load))}
}

// blind is why a controller that has just begun sends nobody anywhere new: a write of the
// one before it may still arrive, and take the pods away.
func (v *view) blind() Note {
	if v.Traffic.Partial != "" {
		return Note{Waiting, Unreadable, v.Traffic.Partial}
	}
	return Note{Waiting, TrafficNotConfirmed, "the controller has just begun: it waits until what the one before it wrote is seen"}
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
// its own canary scale the user has said how many pods the share gets. An abort that can
// only go back as a whole lets as many pods be missing as the user allows; when an abort
// has waited as long as a rollout may stand still, any pod must do.
func (v *view) carries(r *Revision, weight int32) bool {
	if r == nil {
		return weight == 0
	}
	pods := v.need(weight)
	if s, ok := v.at(); ok && r == v.current && s.scale != nil && weight > 0 {
		pods = min(pods, max(v.stepPods(s), 1))
	}
	if v.reachedWith(r) && weight > 0 {
		return true
	}
	if r == v.stable && v.mode == aborted && weight > 0 {
		if v.blue != nil {
			pods = max(pods-v.tolerance(), 1) // no part of it can go first
		}
		if v.overdue() {
			pods = 1
		}
	}
	return available(r) >= pods
}

// reachedWith reports that the current revision has what the user's progress threshold
// asks for, which is then all that a share needs (core.md §5.5).
func (v *view) reachedWith(r *Revision) bool {
	return v.canary.ReplicaProgressThreshold != nil && r == v.current && v.mode == stepping &&
		available(r) > 0 && v.canary.ReplicaProgressThreshold.Value >= 0 && v.reached(r, r.Desired)
}

// tolerance is how many pods the user lets be missing: maxUnavailable, 25 % by default.
func (v *view) tolerance() int32 { return min(portion(v.rules.maxUnavailable, v.n, false), v.n) }

// moveWeight sets the shares and the managed routes as near to the goal as the pods allow.
func (v *view) moveWeight(g goal) ([]Action, []Note) {
	written := v.Traffic.Written
	now, want := written.Weight(traffic.Canary), g.weight
	extras, headers, mirrors := v.listed(g.extras), g.headers, g.mirrors
	var notes []Note
	if !v.pointsOnly(traffic.Canary, g.canary) || available(v.revision(v.canaryHash())) == 0 {
		headers, mirrors = nil, nil // who matches would be sent to nobody, or to an older canary
	}
	switch {
	case v.Traffic.Largest(traffic.Canary) > 0 && !v.served(traffic.Canary):
		want = 0 // nobody answers there
	case v.parks(g):
		want = 0
	case want > now:
		if why, ok := v.mayRaise(g); !ok {
			notes, want = append(notes, why), now
		}
	}
	if want < now {
		want, notes = v.mayLower(g, want, now)
	}
	if v.keepsHeaders(want) {
		headers = v.writtenHeaders()
	}
	// Routes that disagree with each other are read as their largest weights; writing the
	// same share again brings them into line.
	next := v.reweigh(want, extras)
	next.Headers, next.Mirrors = headers, mirrors
	if next.Equal(written) {
		return nil, notes
	}
	return []Action{SetSplit{next}}, notes
}

// keepsHeaders reports that those whom a header route sends to the canary stay there: an abort
// takes them along with the last of its share, and nobody is sent to a stable without pods.
func (v *view) keepsHeaders(next int32) bool {
	return v.served(traffic.Canary) && (v.mode == aborted && next > 0 || !v.served(traffic.Stable))
}

// writtenHeaders are the header routes that stand on the routes as they were written, and that
// the strategy still lists.
func (v *view) writtenHeaders() []v1alpha1.SetHeaderRoute {
	routing := v.canary.TrafficRouting
	listed := func(name string) bool {
		return routing != nil && slices.ContainsFunc(routing.ManagedRoutes, func(m v1alpha1.MangedRoutes) bool { return m.Name == name })
	}
	return slices.DeleteFunc(slices.Clone(v.Traffic.Written.Headers), func(h v1alpha1.SetHeaderRoute) bool {
		return len(h.Match) == 0 || !listed(h.Name)
	})
}

// parks reports that an older canary still receives traffic: its weight goes to 0 before
// the role moves on (rivals.md no. 5), so no weight ever lands on a revision that is not
// up. A stable that shrank grows for it first.
func (v *view) parks(g goal) bool {
	return v.mode == stepping && v.Traffic.Largest(traffic.Canary) > 0 && !v.pointsOnly(traffic.Canary, g.canary)
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
	if !v.Traffic.Known {
		return v.blind(), false
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
	if !v.Traffic.Known && v.canaryHash() == g.stable {
		// Stable may have been pointed there a moment ago, and nothing is gained by going back.
		return now, []Note{v.blind()}
	}
	if !v.pointsOnly(traffic.Stable, g.stable) {
		return now, []Note{{Waiting, TrafficNotConfirmed, fmt.Sprintf(
			"canary weight %d stays until stable traffic is known to reach revision %s only", now, g.stable)}}
	}
	if why, waits := v.unserved(); waits && v.canaryHash() == g.stable {
		return now, []Note{why} // the same pods answer, over a target group that has them
	}
	to := v.revision(g.stable)
	if v.carries(to, v.total-want) {
		return want, nil
	}
	pods := available(to)
	low = min(max(want, v.total-v.share(pods)), now)
	if low > want {
		notes = []Note{{Waiting, StableNotAvailable, fmt.Sprintf(
			"canary weight goes to %d, not yet to %d: stable has %d available pods of %d", low, want, pods, v.n)}}
	}
	return low, notes
}

// reweigh is the written split with another share for the canary, and with the given
// extra destinations. Stable gets the rest.
func (v *view) reweigh(weight int32, extras []traffic.Destination) traffic.Split {
	st, _ := v.Traffic.Written.Of(traffic.Stable)
	ca, _ := v.Traffic.Written.Of(traffic.Canary)
	s := traffic.Two(v.total, weight, st, ca)
	for _, x := range extras {
		x.Weight = min(x.Weight, s.Destinations[0].Weight)
		s.Destinations[0].Weight -= x.Weight
		s.Destinations = append(s.Destinations, x)
	}
	return s
}

// listed keeps those extra destinations that the persisted status lists: the Experiment
// keeps its pods by that (L4).
func (v *view) listed(extras []traffic.Destination) (list []traffic.Destination) {
	w := v.Status.Canary.Weights
	if w == nil {
		return nil
	}
	for _, x := range extras {
		for _, a := range w.Additional {
			if a.PodTemplateHash == x.Hash && a.ServiceName == x.Service {
				list = append(list, x)
				break
			}
		}
	}
	return list
}

// plainServices keeps the Services that no weights lead to, of a canary without a router
// or with one that pins revisions itself: each selects one revision for people and tests
// to reach (core.md §5.14).
func (v *view) plainServices(g goal) (acts []Action, notes []Note) {
	stable, canary := Roles(&v.Spec, &v.Status)
	for _, p := range []struct{ name, hash string }{{stable, g.stable}, {canary, g.canary}} {
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
