package cli

import (
	"fmt"
	"strconv"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// state is a phase with its message.
type state struct {
	phase   v1alpha1.RolloutPhase
	message string
}

// line is the state as `status` prints it.
func (s state) line() string {
	if s.message == "" {
		return string(s.phase)
	}
	return string(s.phase) + " - " + s.message
}

func progressing(message string) state { return state{v1alpha1.RolloutPhaseProgressing, message} }

// observed is the state that a client may show (core.md §7.1): the stored one only when
// it speaks of the latest spec and of the latest wish.
func observed(r *v1alpha1.Rollout) state {
	st := &r.Status
	// A form before 1.0 stored a hash here, perhaps a numeric one: it counts as seen.
	if seen, err := strconv.ParseInt(st.ObservedGeneration, 10, 64); err == nil && seen < r.Generation {
		return progressing("waiting for rollout spec update to be observed")
	}
	if st.ControllerPause && len(st.PauseConditions) == 0 {
		return progressing("waiting for rollout to unpause")
	}
	if workload := r.Annotations[v1alpha1.WorkloadGenerationAnnotation]; r.Spec.WorkloadRef != nil && workload != "" && workload != st.WorkloadObservedGeneration {
		return progressing("waiting for rollout spec update to be observed for the reference workload")
	}
	if st.Phase != "" {
		return state{st.Phase, st.Message}
	}
	return computed(r)
}

// computed is the phase of a status that an old controller, or none yet, has written
// (core.md §7.2, first match).
func computed(r *v1alpha1.Rollout) state {
	st := &r.Status
	for _, c := range st.Conditions {
		if c.Type == v1alpha1.RolloutInvalidSpec {
			return state{v1alpha1.RolloutPhaseDegraded, fmt.Sprintf("%s: %s", c.Type, c.Message)}
		}
		if c.Reason == "RolloutAborted" || c.Reason == "ProgressDeadlineExceeded" {
			return state{v1alpha1.RolloutPhaseDegraded, fmt.Sprintf("%s: %s", c.Reason, c.Message)}
		}
	}
	switch {
	case r.Spec.Paused:
		return state{v1alpha1.RolloutPhasePaused, "manually paused"}
	case len(st.PauseConditions) > 0:
		return state{v1alpha1.RolloutPhasePaused, string(st.PauseConditions[0].Reason)}
	case !r.Spec.RestartAt.Equal(st.RestartedAt):
		return progressing("rollout is restarting")
	case st.UpdatedReplicas < r.Spec.ReplicasOrDefault():
		return progressing("more replicas need to be updated")
	case st.AvailableReplicas < st.UpdatedReplicas:
		return progressing("updated replicas are still becoming available")
	case r.Spec.Strategy.BlueGreen != nil:
		return computedBlueGreen(r)
	}
	canary := r.Spec.Strategy.Canary
	switch {
	case canary != nil && canary.TrafficRouting == nil && st.Replicas > st.UpdatedReplicas:
		return progressing("old replicas are pending termination")
	case canary != nil && !promoted(st):
		return progressing("waiting for all steps to complete")
	}
	return state{phase: v1alpha1.RolloutPhaseHealthy}
}

func computedBlueGreen(r *v1alpha1.Rollout) state {
	st := &r.Status
	run := st.BlueGreen.PostPromotionAnalysisRunStatus
	switch {
	case st.BlueGreen.ActiveSelector == "" || st.BlueGreen.ActiveSelector != st.CurrentPodHash:
		return progressing("active service cutover pending")
	case promoted(st):
		return state{phase: v1alpha1.RolloutPhaseHealthy}
	case r.Spec.Strategy.BlueGreen.PostPromotionAnalysis != nil && (run == nil || !run.Status.Completed()):
		return progressing("waiting for analysis to complete")
	}
	return progressing("waiting for post-promotion verification to complete")
}

// promoted: the wanted revision is the stable one.
func promoted(st *v1alpha1.RolloutStatus) bool {
	return st.StableRS != "" && st.StableRS == st.CurrentPodHash
}
