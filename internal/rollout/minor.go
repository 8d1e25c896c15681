package rollout

import (
	"reflect"
	"slices"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// Minor reports that two statuses differ in nothing but pod counters, and in what follows
// from them while a rollout progresses: what it waits for in words, when and how progress
// was last seen, that a run has begun, and shares that are written and not yet known to be
// followed. Such a difference may wait a little for company; it changes no phase and no
// position, and takes no share from the canary.
func Minor(before, after *v1alpha1.RolloutStatus) bool {
	if !underWay(before.Canary.Weights, after.Canary.Weights) || before.Phase != after.Phase || before.Message != after.Message && after.Phase != v1alpha1.RolloutPhaseProgressing {
		return false
	}
	a, b := uncounted(before), uncounted(after)
	return reflect.DeepEqual(a, b)
}

// underWay reports that of the weights only stable and canary differ, and that the canary
// has no less than before.
func underWay(before, after *v1alpha1.TrafficWeights) bool {
	if before == nil || after == nil {
		return before == after
	}
	return after.Canary.Weight >= before.Canary.Weight && reflect.DeepEqual(before.Additional, after.Additional) &&
		reflect.DeepEqual(before.Verified, after.Verified)
}

func uncounted(st *v1alpha1.RolloutStatus) v1alpha1.RolloutStatus {
	c := *st
	c.Replicas, c.UpdatedReplicas, c.ReadyReplicas, c.AvailableReplicas, c.HPAReplicas, c.Reached = 0, 0, 0, 0, 0, 0
	c.Message = ""
	c.Canary.Weights = nil
	c.Canary.CurrentStepAnalysisRunStatus = begun(c.Canary.CurrentStepAnalysisRunStatus)
	c.Canary.CurrentBackgroundAnalysisRunStatus = begun(c.Canary.CurrentBackgroundAnalysisRunStatus)
	c.Conditions = slices.Clone(c.Conditions)
	for i := range c.Conditions {
		if p := &c.Conditions[i]; p.Type == v1alpha1.RolloutProgressing {
			p.LastUpdateTime = p.LastTransitionTime
			if p.Reason == reasonCreated { // the pods of a new revision have been seen
				p.Reason = reasonUpdated
			}
			if p.Reason == reasonUpdated {
				p.Message = ""
			}
		}
	}
	// A refreshed condition moves to the end of the list.
	slices.SortFunc(c.Conditions, func(a, b v1alpha1.RolloutCondition) int {
		if a.Type < b.Type {
			return -1
		}
		return 1
	})
	return c
}

// begun is a run that has no verdict, whether it has begun or not.
func begun(r *v1alpha1.RolloutAnalysisRunStatus) *v1alpha1.RolloutAnalysisRunStatus {
	if r == nil || r.Status != "" && r.Status != v1alpha1.AnalysisPhasePending {
		return r
	}
	running := *r
	running.Status = v1alpha1.AnalysisPhaseRunning
	return &running
}
