package rollout

import (
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// baseStatus is the part of the status that is computed afresh from the facts, with
// what carries over from the last one (core.md §1.6).
func baseStatus(v *view) v1alpha1.RolloutStatus {
	old := v.Status.DeepCopy()
	st := v1alpha1.RolloutStatus{
		ObservedGeneration: strconv.FormatInt(v.Generation, 10),
		CurrentPodHash:     v.hash,
		CurrentStepHash:    v.StepsHash,
		StableRS:           old.StableRS,
		CollisionCount:     old.CollisionCount,
		Conditions:         old.Conditions,
		PauseConditions:    old.PauseConditions,
		ControllerPause:    old.ControllerPause,
		Abort:              old.Abort,
		AbortedAt:          old.AbortedAt,
		PromoteFull:        old.PromoteFull,
		RestartedAt:        old.RestartedAt,
		ALB:                old.ALB,
		ALBs:               old.ALBs,
		Duration:           old.Duration,
		Selector:           metav1.FormatLabelSelector(v.Spec.Selector),
	}
	st.Canary.CurrentStepAnalysisRunStatus = old.Canary.CurrentStepAnalysisRunStatus
	st.Canary.CurrentBackgroundAnalysisRunStatus = old.Canary.CurrentBackgroundAnalysisRunStatus
	st.Canary.StablePingPong = old.Canary.StablePingPong
	st.Canary.Weights = weights(v)
	for i := range v.Revisions {
		r := &v.Revisions[i]
		st.Replicas += r.Actual
		st.ReadyReplicas += r.Ready
		st.AvailableReplicas += r.Available
	}
	st.HPAReplicas = st.Replicas
	if v.current != nil {
		st.UpdatedReplicas = v.current.Actual
	} else if v.NameTaken {
		count := int32(1)
		if old.CollisionCount != nil {
			count = *old.CollisionCount + 1
		}
		st.CollisionCount = &count
	}
	return st
}

// invalidStatus changes only what an invalid spec may change (core.md §1.7.4).
func invalidStatus(v *view) v1alpha1.RolloutStatus {
	st := *v.Status.DeepCopy()
	st.ObservedGeneration = strconv.FormatInt(v.Generation, 10)
	setCondition(&st, v.Now, v1alpha1.RolloutInvalidSpec, metav1.ConditionTrue, string(InvalidSpec), v.Invalid)
	st.Phase, st.Message = phase(v, &st)
	return st
}
