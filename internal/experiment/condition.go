package experiment

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// invalid keeps the InvalidSpec condition, and reports whether there are problems.
func (v *view) invalid(problems []string) bool {
	if len(problems) == 0 {
		st := &v.plan.Status
		st.Conditions = slices.DeleteFunc(st.Conditions, func(c v1alpha1.ExperimentCondition) bool {
			return c.Type == v1alpha1.InvalidExperimentSpec
		})
		if len(st.Conditions) == 0 {
			st.Conditions = nil
		}
		return false
	}
	v.set(v1alpha1.InvalidExperimentSpec, corev1.ConditionTrue, string(InvalidSpec), joined(problems))
	v.wait(InvalidSpec, joined(problems))
	return true
}

// progress keeps the Progressing condition. A bad end leaves it as it was, as published.
func (v *view) progress() {
	switch v.plan.Status.Phase {
	case v1alpha1.AnalysisPhaseSuccessful:
		v.set(v1alpha1.ExperimentProgressing, corev1.ConditionFalse, "ExperimentCompleted",
			fmt.Sprintf("Experiment %q has successfully ran and completed.", v.Name))
	case v1alpha1.AnalysisPhasePending:
		v.set(v1alpha1.ExperimentProgressing, corev1.ConditionTrue, "ReplicaSetUpdated",
			fmt.Sprintf("Experiment %q is progressing.", v.Name))
	case v1alpha1.AnalysisPhaseRunning:
		v.set(v1alpha1.ExperimentProgressing, corev1.ConditionTrue, "NewReplicaSetAvailable",
			fmt.Sprintf("Experiment %q is running.", v.Name))
	}
}

// set writes a condition. Its transition time changes with its status only.
func (v *view) set(kind v1alpha1.ExperimentConditionType, status corev1.ConditionStatus, reason, message string) {
	now := *v.stamp()
	next := v1alpha1.ExperimentCondition{Type: kind, Status: status, LastUpdateTime: now, LastTransitionTime: now, Reason: reason, Message: message}
	st := &v.plan.Status
	for i := range st.Conditions {
		old := &st.Conditions[i]
		if old.Type != kind {
			continue
		}
		if old.Status == status && old.Reason == reason && old.Message == message {
			return
		}
		if old.Status == status {
			next.LastTransitionTime = old.LastTransitionTime
		}
		*old = next
		return
	}
	st.Conditions = append(st.Conditions, next)
}
