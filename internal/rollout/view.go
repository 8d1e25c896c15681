package rollout

import (
	"slices"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// mode is where a rollout stands, seen from far away.
type mode string

const (
	// changed: the template or the steps are not those of the persisted position.
	changed mode = "changed"
	// first: no stable revision exists, so the new one serves as soon as it can.
	first mode = "first"
	// done: the stable revision is the wanted one.
	done mode = "done"
	// aborted: traffic and capacity go back to stable.
	aborted mode = "aborted"
	// stepping: between two revisions, at a step.
	stepping mode = "stepping"
)

// view is a Snapshot with what every function derives from it, computed once.
type view struct {
	*Snapshot
	canary *v1alpha1.CanaryStrategy
	steps  []step
	mode   mode
	// n is the wanted number of pods; total is the sum of the weights.
	n, total int32
	// index is the persisted position, within 0..len(steps).
	index int
	// hash is the pod template hash of the wanted revision, existing or not.
	hash            string
	current, stable *Revision
	// others are neither current nor stable, newest first.
	others []*Revision
}

func newView(s *Snapshot) *view {
	v := &view{Snapshot: s, canary: s.Spec.Strategy.Canary, n: s.Spec.ReplicasOrDefault(), hash: s.TemplateHash}
	if v.canary == nil {
		v.canary = &v1alpha1.CanaryStrategy{}
	}
	v.total = v.canary.TrafficRouting.MaxTrafficWeightOrDefault()
	v.steps = compile(v.canary, s.Routed)
	for i := range s.Revisions {
		r := &s.Revisions[i]
		if r.Current {
			v.current, v.hash = r, r.Hash
		}
		if s.Status.StableRS != "" && r.Hash == s.Status.StableRS {
			v.stable = r
		}
	}
	for i := range s.Revisions {
		if r := &s.Revisions[i]; r != v.current && r != v.stable {
			v.others = append(v.others, r)
		}
	}
	v.mode = v.where()
	v.index = v.position()
	return v
}

func (v *view) where() mode {
	st := &v.Status
	switch {
	case st.CurrentPodHash != "" && st.CurrentPodHash != v.hash, st.CurrentStepHash != v.StepsHash:
		return changed
	case v.stable == nil:
		return first
	case v.stable.Hash == v.hash:
		return done
	case st.Abort && (!st.PromoteFull || st.AbortedAt == nil):
		// Of an abort and a full promotion the later one counts; an abort that has not
		// been dated yet is new.
		return aborted
	}
	return stepping
}

func (v *view) position() int {
	switch {
	case v.mode == done || v.mode == first:
		return len(v.steps)
	case v.mode == aborted || v.Status.CurrentStepIndex == nil:
		return 0
	}
	return min(max(int(*v.Status.CurrentStepIndex), 0), len(v.steps))
}

// full reports whether everything should move to the new revision without further
// steps: the user asked for it, or the steps are through.
func (v *view) full() bool {
	return v.Status.PromoteFull || v.index >= len(v.steps)
}

// at returns the step of the position; ok is false past the end.
func (v *view) at() (s step, ok bool) {
	if v.mode != stepping || v.index >= len(v.steps) {
		return step{}, false
	}
	return v.steps[v.index], true
}

// need is the number of pods that a share of the traffic takes: ceil(n·weight/total)
// (core.md §5.6), so 5 % of 20 pods is 1 and of 21 pods is 2.
func (v *view) need(weight int32) int32 {
	if weight <= 0 || v.total <= 0 {
		return 0
	}
	return int32((int64(v.n)*int64(weight) + int64(v.total) - 1) / int64(v.total))
}

// share is the largest share of the traffic that so many pods can take.
func (v *view) share(pods int32) int32 {
	if v.n <= 0 || pods >= v.n {
		return v.total
	}
	return int32(int64(v.total) * int64(max(pods, 0)) / int64(v.n))
}

// revision returns the one with the hash, nil if it does not exist.
func (v *view) revision(hash string) *Revision {
	i := slices.IndexFunc(v.Revisions, func(r Revision) bool { return r.Hash == hash })
	if i < 0 || hash == "" {
		return nil
	}
	return &v.Revisions[i]
}

func (v *view) service(name string) (s Service, found bool) {
	for _, s := range v.Services {
		if s.Name == name && name != "" && s.Exists {
			return s, true
		}
	}
	return Service{}, false
}

// canRemove is false while any fact is missing that could speak against taking pods away.
func (v *view) canRemove() bool {
	return len(v.Trouble) == 0 && (!v.Routed || (v.Traffic.Known && v.Traffic.Problem == ""))
}

// available is the number of pods that can be counted on: those that are there now, less
// any that a scale-down which is under way is about to take.
func available(r *Revision) int32 {
	if r == nil {
		return 0
	}
	return min(r.Available, r.Desired)
}
