package rollout

import (
	"fmt"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// manuallyPaused is the message while spec.paused holds a rollout.
const manuallyPaused = "manually paused"

// phase is the one-word state and its message, in the published order (core.md §7.2).
func phase(v *view, st *v1alpha1.RolloutStatus) (v1alpha1.RolloutPhase, string) {
	for _, c := range st.Conditions {
		if c.Type == v1alpha1.RolloutInvalidSpec {
			return v1alpha1.RolloutPhaseDegraded, fmt.Sprintf("%s: %s", c.Type, c.Message)
		}
		if c.Reason == reasonAborted || c.Reason == reasonTimedOut {
			return v1alpha1.RolloutPhaseDegraded, fmt.Sprintf("%s: %s", c.Reason, c.Message)
		}
	}
	progressing := func(why string) (v1alpha1.RolloutPhase, string) { return v1alpha1.RolloutPhaseProgressing, why }
	switch {
	case v.Spec.Paused:
		return v1alpha1.RolloutPhasePaused, manuallyPaused
	case len(st.PauseConditions) > 0:
		text := string(st.PauseConditions[0].Reason)
		if wait, over := v.impatient(v1alpha1.PauseTimeoutHold); over {
			text += ": " + wait.missed()
		}
		return v1alpha1.RolloutPhasePaused, text
	case RestartDue(&v.Spec, st, v.Now):
		return progressing("rollout is restarting")
	case st.UpdatedReplicas < v.n:
		return progressing("more replicas need to be updated")
	case st.AvailableReplicas < st.UpdatedReplicas:
		return progressing("updated replicas are still becoming available")
	case v.blue != nil && (st.BlueGreen.ActiveSelector == "" || st.BlueGreen.ActiveSelector != st.CurrentPodHash):
		return progressing("active service cutover pending")
	case v.blue != nil && st.StableRS != st.CurrentPodHash && v.blue.PostPromotionAnalysis != nil && !finished(st.BlueGreen.PostPromotionAnalysisRunStatus):
		return progressing("waiting for analysis to complete")
	case v.blue != nil && st.StableRS != st.CurrentPodHash:
		return progressing("waiting for post-promotion verification to complete")
	case !v.Routed && st.Replicas > st.UpdatedReplicas:
		return progressing("old replicas are pending termination")
	case st.StableRS == "" || st.StableRS != st.CurrentPodHash:
		return progressing("waiting for all steps to complete")
	}
	return v1alpha1.RolloutPhaseHealthy, ""
}

func finished(r *v1alpha1.RolloutAnalysisRunStatus) bool { return r != nil && r.Status.Completed() }
