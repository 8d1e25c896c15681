package rollout

import (
	"reflect"
	"slices"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// Minor reports that two statuses differ in nothing but pod counters, and in what follows
// from them while a rollout progresses: what it waits for in words, and when and how
// progress was last seen. Such a difference may wait a little for company; it changes no
// phase, no position and no weight.
func Minor(before, after *v1alpha1.RolloutStatus) bool {
	if before.Phase != after.Phase || before.Message != after.Message && after.Phase != v1alpha1.RolloutPhaseProgressing {
		return false
	}
	a, b := uncounted(before), uncounted(after)
	return reflect.DeepEqual(a, b)
}

func uncounted(st *v1alpha1.RolloutStatus) v1alpha1.RolloutStatus {
	c := *st
	c.Replicas, c.UpdatedReplicas, c.ReadyReplicas, c.AvailableReplicas, c.HPAReplicas, c.Reached = 0, 0, 0, 0, 0, 0
	c.Message = ""
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
