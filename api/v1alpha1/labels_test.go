package v1alpha1_test

import (
	"testing"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// TestNamesToTheLetter: core.md §12. Other tools, and objects that the published controller
// has left behind, carry these names; a slip of the pen here would orphan them.
func TestNamesToTheLetter(t *testing.T) {
	for want, got := range map[string]string{
		"rollouts-pod-template-hash": v1alpha1.PodTemplateHashLabel,
		"rollout-type":               v1alpha1.RolloutTypeLabel,
		"Step":                       v1alpha1.RolloutTypeStep,
		"Background":                 v1alpha1.RolloutTypeBackground,
		"PrePromotion":               v1alpha1.RolloutTypePrePromotion,
		"PostPromotion":              v1alpha1.RolloutTypePostPromotion,
		"step-index":                 v1alpha1.StepIndexLabel,
		"argo-rollouts.argoproj.io/controller-instance-id": v1alpha1.InstanceIDLabel,
		"rollout.argoproj.io/revision":                     v1alpha1.RevisionAnnotation,
		"rollout.argoproj.io/revision-history":             v1alpha1.RevisionHistoryAnnotation,
		"rollout.argoproj.io/desired-replicas":             v1alpha1.DesiredReplicasAnnotation,
		"rollout.argoproj.io/workload-generation":          v1alpha1.WorkloadGenerationAnnotation,
		"rollout.argoproj.io/ephemeral-metadata":           v1alpha1.EphemeralMetadataAnnotation,
		"scale-down-deadline":                              v1alpha1.ScaleDownDeadlineAnnotation,
		"argo-rollouts.argoproj.io/managed-by-rollouts":    v1alpha1.ManagedByAnnotation,
		"argo-rollouts.argoproj.io/restarted-after":        v1alpha1.RestartedAfterAnnotation,
		"experiment.argoproj.io/name":                      v1alpha1.ExperimentNameAnnotation,
		"experiment.argoproj.io/template-name":             v1alpha1.ExperimentTemplateNameAnnotation,
		"analysisrun.argoproj.io/name":                     v1alpha1.JobRunNameAnnotation,
		"analysisrun.argoproj.io/namespace":                v1alpha1.JobRunNamespaceAnnotation,
		"analysisrun.argoproj.io/metric-name":              v1alpha1.JobMetricNameAnnotation,
		"analysisrun.argoproj.io/uid":                      v1alpha1.JobRunUIDLabel,
		"rollouts.argoproj.io/managed-alb-annotations":     v1alpha1.ManagedALBAnnotationsAnnotation,
		"rollouts.argoproj.io/managed-alb-actions":         v1alpha1.ManagedALBActionsAnnotation,
		"istio.argoproj.io/primary-cluster":                v1alpha1.IstioPrimaryClusterLabel,
		"notified.notifications.argoproj.io":               v1alpha1.NotifiedAnnotation,
		"notifications.argoproj.io/subscribe.":             v1alpha1.SubscribeAnnotationPrefix,
		"kubectl.kubernetes.io/last-applied-configuration": v1alpha1.LastAppliedAnnotation,
		// The words of conditions, phases and pauses (§7.2, §7.3, §7.5).
		"InvalidSpec":             string(v1alpha1.RolloutInvalidSpec),
		"Available":               string(v1alpha1.RolloutAvailable),
		"Progressing":             string(v1alpha1.RolloutProgressing),
		"Paused":                  string(v1alpha1.RolloutPaused),
		"Completed":               string(v1alpha1.RolloutCompleted),
		"Healthy":                 string(v1alpha1.RolloutHealthy),
		"ReplicaFailure":          string(v1alpha1.RolloutReplicaFailure),
		"Degraded":                string(v1alpha1.RolloutPhaseDegraded),
		"InconclusiveAnalysisRun": string(v1alpha1.PauseReasonInconclusiveAnalysis),
		"InconclusiveExperiment":  string(v1alpha1.PauseReasonInconclusiveExperiment),
		"CanaryPauseStep":         string(v1alpha1.PauseReasonCanaryPauseStep),
		"BlueGreenPause":          string(v1alpha1.PauseReasonBlueGreenPause),
		"ping":                    string(v1alpha1.PPPing),
		"pong":                    string(v1alpha1.PPPong),
		// How an attempt ended (§8).
		"Promoted":       string(v1alpha1.CompletionPromoted),
		"FastPromoted":   string(v1alpha1.CompletionFastPromoted),
		"Aborted":        string(v1alpha1.CompletionAborted),
		"Superseded":     string(v1alpha1.CompletionSuperseded),
		"RolledBack":     string(v1alpha1.CompletionRolledBack),
		"FastRolledBack": string(v1alpha1.CompletionFastRolledBack),
	} {
		if got != want {
			t.Errorf("%q is written as %q", want, got)
		}
	}
}
