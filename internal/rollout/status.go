package rollout

import (
	"maps"
	"slices"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/traffic"
)

// baseStatus is the part of the status that is computed afresh from the facts, with
// what carries over from the last one (core.md §1.6).
func baseStatus(v *view, g goal) v1alpha1.RolloutStatus {
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
	if len(v.ALBs) > 0 { // the one field is for readers of the other's former form
		st.ALB, st.ALBs = v.ALBs[0].DeepCopy(), slices.Clone(v.ALBs)
	}
	st.Canary.CurrentStepAnalysisRunStatus = old.Canary.CurrentStepAnalysisRunStatus
	st.Canary.CurrentBackgroundAnalysisRunStatus = old.Canary.CurrentBackgroundAnalysisRunStatus
	st.Canary.StablePingPong = old.Canary.StablePingPong
	st.Canary.CurrentExperiment = old.Canary.CurrentExperiment
	st.Canary.Weights = weights(v, g)
	for i := range v.Revisions {
		r := &v.Revisions[i]
		st.Replicas += r.Actual
		st.ReadyReplicas += r.Ready
		st.AvailableReplicas += r.Available
	}
	st.HPAReplicas = st.Replicas
	if v.Workload != nil {
		st.WorkloadObservedGeneration = strconv.FormatInt(v.Workload.Generation, 10)
	}
	if v.blue != nil {
		blueStatus(v, &st, old)
	}
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

// blueStatus is what blue-green says differently: its Services, and the counters that an
// autoscaler sees are those of the active revision (core.md §1.6).
func blueStatus(v *view, st, old *v1alpha1.RolloutStatus) {
	st.BlueGreen = old.BlueGreen
	preview := ""
	if d, ok := v.Traffic.Written.Of(traffic.Canary); ok && d.Service != "" {
		preview = d.Hash
	}
	st.BlueGreen.ActiveSelector, st.BlueGreen.PreviewSelector = v.activeHash(), preview
	if a := v.blue.PrePromotionAnalysis; a == nil || len(a.Templates) == 0 {
		st.BlueGreen.PrePromotionAnalysisRunStatus = nil
	}
	if a := v.blue.PostPromotionAnalysis; a == nil || len(a.Templates) == 0 {
		st.BlueGreen.PostPromotionAnalysisRunStatus = nil
	}
	r := v.revision(v.activeHash())
	if r == nil {
		return
	}
	st.HPAReplicas, st.ReadyReplicas, st.AvailableReplicas = r.Actual, r.Ready, r.Available
	if v.Spec.Selector == nil {
		return
	}
	own := v.Spec.Selector.DeepCopy()
	own.MatchLabels = maps.Clone(own.MatchLabels)
	if own.MatchLabels == nil {
		own.MatchLabels = map[string]string{}
	}
	own.MatchLabels[v1alpha1.PodTemplateHashLabel] = r.Hash
	st.Selector = metav1.FormatLabelSelector(own)
}

// invalidStatus changes only what an invalid spec may change (core.md §1.7.4).
func invalidStatus(v *view) v1alpha1.RolloutStatus {
	st := *v.Status.DeepCopy()
	st.ObservedGeneration = strconv.FormatInt(v.Generation, 10)
	setCondition(&st, v.Now, v1alpha1.RolloutInvalidSpec, metav1.ConditionTrue, string(InvalidSpec), v.Invalid)
	st.Phase, st.Message = phase(v, &st)
	return st
}
