package rollout

import (
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-io/penstock/internal/traffic"
)

// Decide answers what to do about one Rollout, given everything that is known of it.
func Decide(s Snapshot) Plan {
	v := newView(&s)
	if s.Deleting {
		return release(v)
	}
	if s.Invalid != "" {
		return invalid(v)
	}
	g := decideGoal(v)
	p := Plan{Actions: upkeep(v)}
	t, acts := runs(v)
	p.move(v, v.judged(t), g)
	p.Actions = append(p.Actions, acts...)
	p.Actions = append(p.Actions, metadata(v)...)
	p.Actions = append(p.Actions, affinities(v)...)
	evict, why, restarted, again := restarts(v)
	if !p.moves() { // a pod that goes now might be one that a weight has just been given
		p.Actions = append(p.Actions, evict...)
	}
	p.Notes = append(p.Notes, why...)
	handed, why := workload(v)
	p.Actions, p.Notes = append(p.Actions, handed...), append(p.Notes, why...)
	p.Actions = append(p.Actions, oldRevisions(v)...)

	var notes []Note
	p.Status, notes = advance(v, g, t)
	if restarted {
		p.Status.RestartedAt = v.Spec.RestartAt
		p.Status.Phase, p.Status.Message = phase(v, &p.Status)
	}
	p.Notes = append(append(p.Notes, v.Trouble...), notes...)
	p.Wake = wake(v, &p, t.calls.wake, again)
	return p
}

// judged is how traffic is to be seen: as in an abort, from the pass on that sees the verdict
// against the revision. That it is an abort is only being written (L4), but no request should
// wait for that: whatever comes in between, the next pass finds the same verdict.
func (v *view) judged(t tests) *view {
	if v.mode != stepping || v.express == expressFull || v.express == expressWindow || failed(t) == "" {
		return v
	}
	s := *v.Snapshot
	at := metav1.NewTime(s.Now)
	s.Status.Abort, s.Status.AbortedAt = true, &at
	return newView(&s)
}

// move adds what changes pods and traffic; the latter as seen by on.
func (p *Plan) move(v, on *view, g goal) {
	way := g
	if on != v {
		way = decideGoal(on)
	}
	shares, why := split(on, way)
	shares, held := v.guard(shares)
	v.plan(shares)
	pods, notes := capacity(v, g)
	pods, kept := v.guard(pods)
	p.Hurried = on != v && len(shares) > 0
	p.Actions = append(append(p.Actions, pods...), shares...)
	p.Notes = slices.Concat(p.Notes, notes, kept, why, held)
}

// plan remembers what this pass makes of the written split: who gets a share by it keeps
// pods for it.
func (v *view) plan(shares []Action) {
	for _, a := range shares {
		next := v.Traffic.Written
		switch a := a.(type) {
		case SetSplit:
			next = a.Split
		case SetSelector:
			next.Destinations = slices.Clone(next.Destinations)
			for i := range next.Destinations {
				if d := &next.Destinations[i]; d.Service == a.Service && !v.Pinned {
					d.Hash = a.Hash
				}
			}
		}
		v.planned = append(v.planned, next)
	}
}

// moves reports whether the plan takes pods away or moves traffic.
func (p *Plan) moves() bool {
	return slices.ContainsFunc(p.Actions, func(a Action) bool {
		switch a := a.(type) {
		case Scale:
			return a.To < a.From
		case SetSplit, SetSelector:
			return true
		}
		return false
	})
}

// invalid leaves everything as it is while the spec, or what it names, is invalid; only
// an abort that a person has asked for is carried out all the same.
func invalid(v *view) Plan {
	p := Plan{Status: invalidStatus(v), Notes: []Note{{Waiting, InvalidSpec, v.Invalid}}}
	if one := v.Spec.Strategy; v.mode == aborted && (one.Canary == nil) != (one.BlueGreen == nil) {
		p.move(v, v, decideGoal(v))
		p.Wake = wake(v, &p)
	}
	return p
}

// upkeep creates the revision of the template and keeps the numbering.
func upkeep(v *view) (acts []Action) {
	if v.Spec.Replicas == nil {
		acts = append(acts, DefaultReplicas{})
	}
	next := v.nextNumber()
	switch {
	case v.current == nil && v.NameTaken:
		// The status takes a new collision count; the next pass has another name.
	case v.current == nil:
		// The number goes first, so that events come in the published order (core.md §7.6).
		if v.Number != next {
			acts = append(acts, SetNumber{next})
		}
		meta := v.rules.fresh
		if v.stable == nil {
			meta = v.rules.settled
		}
		acts = append(acts, EnsureRevision{Hash: v.hash, Number: next, Metadata: deref(meta)})
	case v.current.Number < next:
		acts = append(acts, Renumber{Hash: v.hash, Number: next, MinReadySeconds: v.Spec.MinReadySeconds})
	case v.current.MinReadySeconds != v.Spec.MinReadySeconds, v.current.AnnotationsStale:
		acts = append(acts, Renumber{Hash: v.hash, Number: v.current.Number, MinReadySeconds: v.Spec.MinReadySeconds})
	case v.Number != v.current.Number:
		acts = append(acts, SetNumber{v.current.Number})
	}
	return acts
}

// nextNumber is the number that the wanted revision has, or gets: above all others.
func (v *view) nextNumber() int64 {
	newest := int64(0)
	for i := range v.Revisions {
		if r := &v.Revisions[i]; r != v.current {
			newest = max(newest, r.Number)
		}
	}
	if v.current != nil && v.current.Number > newest {
		return v.current.Number
	}
	return newest + 1
}

// oldRevisions deletes the oldest revisions without pods beyond the history limit.
func oldRevisions(v *view) (acts []Action) {
	limit := v.Spec.RevisionHistoryLimitOrDefault()
	if v.mode == changed || !v.canRemove() {
		return nil
	}
	kept := int32(0)
	for _, r := range v.others { // newest first
		if r.Deleting {
			continue
		}
		if kept++; kept <= limit {
			continue
		}
		if r.Desired == 0 && r.Actual == 0 && r.Observed && !v.referenced(r) {
			acts = append(acts, Delete{r.Hash})
		}
	}
	return acts
}

// wake is the earliest moment at which time alone changes something.
func wake(v *view, p *Plan, others ...time.Time) time.Time {
	var at time.Time
	soonest := func(t time.Time) {
		if !t.IsZero() && t.After(v.Now) && (at.IsZero() || t.Before(at)) {
			at = t
		}
	}
	soonest(v.SettledAt)
	soonest(v.abortDue())
	for _, t := range others {
		soonest(t)
	}
	if end, timed := v.pauseEnd(); timed && !end.IsZero() {
		// The pause is over after its end, not at it; the clock in status has whole seconds.
		soonest(end.Add(time.Millisecond))
	}
	if p, ok := v.patience(); ok {
		soonest(p.end.Add(time.Millisecond))
	}
	for i := range v.Revisions {
		soonest(v.Revisions[i].RetireAt)
	}
	for _, x := range v.Experiments {
		for _, t := range x.Templates {
			if v.Routed && t.Service != "" {
				soonest(t.Since.Add(traffic.ServiceSettle))
			}
		}
	}
	for _, a := range p.Actions {
		if r, ok := a.(Retire); ok {
			soonest(r.At)
		}
	}
	soonest(deadline(v, &p.Status))
	return at
}
