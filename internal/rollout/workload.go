package rollout

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/traffic"
)

// workload takes over from the referenced Deployment as far as spec.workloadRef.scaleDown
// asks for it (core.md §4). Everything follows from what is seen now and nothing from how
// it came about: a Deployment that somebody scales up again after the migration goes back
// to 0, and one that is at 0 stays there (§16 no. 29, rivals.md nos. 44 to 46).
//
// No pod of the Deployment goes before the finalizer is seen on the Rollout, because from
// then on a deletion brings those pods back first.
func workload(v *view) (acts []Action, notes []Note) {
	w := v.Workload
	if v.Deleting || len(v.Trouble) > 0 || w == nil && v.Spec.WorkloadRef != nil {
		return nil, nil
	}
	if !v.takesOver() {
		if v.Finalizer {
			acts = append(acts, SetFinalizer{})
		}
		return acts, nil
	}
	to := v.workloadPods()
	switch {
	case !v.Finalizer && (to < w.Desired || w.Desired == 0):
		acts = append(acts, SetFinalizer{On: true})
	case to != w.Desired:
		acts = append(acts, ScaleWorkload{From: w.Desired, To: to})
	}
	if w.Desired > 0 {
		notes = []Note{{Waiting, WorkloadRemains, fmt.Sprintf(
			"the referenced workload keeps %d pods: %d of %d pods of the rollout are available, which is %s",
			to, v.serving(), v.n, cmp.Or(v.Status.Phase, "new"))}}
	}
	return acts, notes
}

// takesOver reports that the referenced workload can be scaled, and is to be.
func (v *view) takesOver() bool {
	ref := v.Spec.WorkloadRef
	return ref != nil && v.Workload != nil && v.Workload.Scalable &&
		(ref.ScaleDown == v1alpha1.ScaleDownOnSuccess || ref.ScaleDown == v1alpha1.ScaleDownProgressively)
}

// workloadPods is how many pods the Deployment should have now.
func (v *view) workloadPods() int32 {
	w := v.Workload
	if v.migrated() || v.scaledBack() {
		return 0
	}
	if v.Spec.WorkloadRef.ScaleDown != v1alpha1.ScaleDownProgressively {
		return w.Desired
	}
	rest := int32(max(int64(v.n)-v.serving(), 0))
	switch {
	case rest < w.Desired && v.serving() > 0 && v.mode != changed && !v.Spec.Paused && v.canRemove():
		return rest
	case rest > w.Desired && w.Desired > 0 && v.Finalizer && (v.mode == first || v.mode == done):
		// The rollout has lost pods on the way. Never in an update, because the Deployment
		// runs the new template, and not once it is at 0: then the migration is over.
		return rest
	}
	return w.Desired
}

// migrated reports that the rollout serves alone: the last pass has found it Healthy, and
// its pods are there. A rollout of no pods replaces nobody.
func (v *view) migrated() bool {
	return v.mode == done && v.n > 0 && !v.Spec.Paused && v.canRemove() &&
		v.Status.Phase == v1alpha1.RolloutPhaseHealthy &&
		v.Status.ObservedGeneration == strconv.FormatInt(v.Generation, 10) && available(v.current) >= v.n
}

// scaledBack reports that somebody has scaled the Deployment up in the middle of an update
// after the migration, of which the finalizer tells. Its pods are of the new template and
// no step holds them back.
func (v *view) scaledBack() bool {
	return v.Finalizer && (v.mode == stepping || v.mode == aborted) && v.n > 0 && !v.Spec.Paused &&
		v.canRemove() && v.serving() >= int64(v.n)
}

// serving counts the pods that do the Deployment's work. A preview does none of it.
func (v *view) serving() (pods int64) {
	for i := range v.Revisions {
		r := &v.Revisions[i]
		if v.blue == nil || v.activeHash() == "" || r.Hash == v.activeHash() {
			pods += int64(available(r))
		}
	}
	return pods
}

// release hands the pods of a Rollout that is being deleted back to the Deployment, one
// fact after the other: the Deployment has its pods again; then the Services, and the
// router's subsets, select them; then that has settled; then the finalizer goes, and with
// it the Rollout. The user's progress deadline, counted from the deletion, bounds it all.
// The status stays as it was.
func release(v *view) Plan {
	p := Plan{Status: *v.Status.DeepCopy()}
	w := v.Workload
	switch {
	case !v.Finalizer:
		return p
	case w == nil && v.Spec.WorkloadRef != nil && len(v.Trouble) > 0:
		// It could not be read, which is not the same as gone.
	case !v.takesOver(), v.n == 0:
		p.Actions = []Action{SetFinalizer{}} // there is nothing to hand back
		return p
	case w.Desired < v.n && len(Misread(&v.Spec)) == 0:
		p.Actions = append(p.Actions, ScaleWorkload{From: w.Desired, To: v.n})
	}
	due := v.DeletedAt.Add(v.progressDeadline())
	if !v.Now.Before(due) {
		p.Actions = append(append(p.Actions, v.unpin()...), SetFinalizer{})
		return p
	}
	p.Wake = due
	why, next := v.handBack()
	p.Actions = append(p.Actions, next...)
	if why != "" {
		p.Notes = append([]Note{{Waiting, HandingBack, why}}, v.Trouble...)
	}
	if v.SettledAt.After(v.Now) && v.SettledAt.Before(due) {
		p.Wake = v.SettledAt
	}
	return p
}

// handBack is the next thing to do once the Deployment has enough pods, and what is waited
// for.
func (v *view) handBack() (why string, next []Action) {
	if v.Workload == nil {
		return "the referenced workload cannot be read", nil
	}
	have := min(v.Workload.Available, v.Workload.Desired)
	if have < v.n && v.serving() > 0 {
		return fmt.Sprintf("the referenced workload has %d available pods of %d", have, v.n), nil
	}
	switch next = v.unpin(); {
	case len(next) > 0:
		return "the Services are given back to the pods of the referenced workload", next
	case len(v.Trouble) > 0 || v.Pinned && v.Traffic.Problem != "":
		return "it cannot be told where traffic goes: " + v.Traffic.Problem, nil
	case v.SettledAt.After(v.Now):
		return "proxies may not know the pods of the referenced workload yet", nil
	}
	return "", []Action{SetFinalizer{}}
}

// unpin lets every Service and route that is ours select by the user's labels alone. What
// selects more pods than before loses none.
func (v *view) unpin() (acts []Action) {
	for _, s := range v.Services {
		if s.Exists && (s.Managed || v.revision(s.Hash) != nil) {
			acts = append(acts, SetSelector{Service: s.Name, From: s.Hash})
		}
	}
	if v.blue != nil || !v.Routed || len(v.Trouble) > 0 || v.Traffic.Problem != "" || v.Traffic.Written.Total <= 0 {
		return acts
	}
	free := v.reweigh(v.Traffic.Written.Weight(traffic.Canary), nil)
	if v.Pinned {
		free.Destinations = slices.Clone(free.Destinations)
		for i := range free.Destinations {
			free.Destinations[i].Hash = ""
		}
	}
	if !free.Equal(v.Traffic.Written) {
		acts = append(acts, SetSplit{free})
	}
	return acts
}
