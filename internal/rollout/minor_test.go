package rollout

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

func TestMinorIsOnlyWhatCounts(t *testing.T) {
	base := func() *v1alpha1.RolloutStatus {
		at := metav1.NewTime(epoch)
		return &v1alpha1.RolloutStatus{Phase: v1alpha1.RolloutPhaseProgressing, Message: "m", Replicas: 3, Conditions: []v1alpha1.RolloutCondition{
			{Type: v1alpha1.RolloutProgressing, Status: corev1.ConditionTrue, Reason: reasonUpdated, LastUpdateTime: at, LastTransitionTime: at},
			{Type: v1alpha1.RolloutAvailable, Status: corev1.ConditionTrue, LastUpdateTime: at, LastTransitionTime: at}},
			Canary: v1alpha1.CanaryStatus{CurrentStepAnalysisRunStatus: &v1alpha1.RolloutAnalysisRunStatus{Name: "r"}, Weights: &v1alpha1.TrafficWeights{
				Canary: v1alpha1.WeightDestination{Weight: 20, PodTemplateHash: "old"}, Stable: v1alpha1.WeightDestination{Weight: 80}, Verified: new(true)}}}
	}
	for name, c := range map[string]struct {
		change func(*v1alpha1.RolloutStatus)
		minor  bool
	}{
		"counters": {func(s *v1alpha1.RolloutStatus) { s.Replicas, s.ReadyReplicas, s.HPAReplicas = 4, 2, 4 }, true},
		"progress seen again, at the end of the list": {func(s *v1alpha1.RolloutStatus) {
			s.Conditions[0], s.Conditions[1] = s.Conditions[1], s.Conditions[0]
			s.Conditions[1].LastUpdateTime = metav1.NewTime(epoch.Add(time.Minute))
		}, true},
		"the phase":                             {func(s *v1alpha1.RolloutStatus) { s.Phase = v1alpha1.RolloutPhaseHealthy }, false},
		"what it waits for while it progresses": {func(s *v1alpha1.RolloutStatus) { s.Message = "n" }, true},
		"the phase and its message": {func(s *v1alpha1.RolloutStatus) {
			s.Phase, s.Message = v1alpha1.RolloutPhaseDegraded, "n"
		}, false},
		"the step":                     {func(s *v1alpha1.RolloutStatus) { i := int32(1); s.CurrentStepIndex = &i }, false},
		"a condition's status":         {func(s *v1alpha1.RolloutStatus) { s.Conditions[1].Status = corev1.ConditionFalse }, false},
		"a new reason":                 {func(s *v1alpha1.RolloutStatus) { s.Conditions[0].Reason = reasonAvailable }, false},
		"a revision behind the canary": {func(s *v1alpha1.RolloutStatus) { s.Canary.Weights.Canary.PodTemplateHash = "new" }, true},
		"a larger share":               {func(s *v1alpha1.RolloutStatus) { s.Canary.Weights.Canary.Weight = 21 }, true},
		"a smaller share":              {func(s *v1alpha1.RolloutStatus) { s.Canary.Weights.Canary.Weight = 19 }, false},
		"a share for an experiment": {func(s *v1alpha1.RolloutStatus) {
			s.Canary.Weights.Additional = []v1alpha1.WeightDestination{{ServiceName: "x"}}
		}, false},
		"what the load balancer says": {func(s *v1alpha1.RolloutStatus) { s.Canary.Weights.Verified = new(false) }, false},
		"no shares":                   {func(s *v1alpha1.RolloutStatus) { s.Canary.Weights = nil }, false},
		"a run that has begun": {func(s *v1alpha1.RolloutStatus) {
			s.Canary.CurrentStepAnalysisRunStatus = &v1alpha1.RolloutAnalysisRunStatus{Name: "r", Status: v1alpha1.AnalysisPhaseRunning}
		}, true},
		"a run that has failed": {func(s *v1alpha1.RolloutStatus) {
			s.Canary.CurrentStepAnalysisRunStatus = &v1alpha1.RolloutAnalysisRunStatus{Name: "r", Status: v1alpha1.AnalysisPhaseFailed}
		}, false},
		"another run": {func(s *v1alpha1.RolloutStatus) {
			s.Canary.CurrentStepAnalysisRunStatus = &v1alpha1.RolloutAnalysisRunStatus{Name: "s"}
		}, false},
		"the observed generation": {func(s *v1alpha1.RolloutStatus) { s.ObservedGeneration = "2" }, false},
	} {
		after := base()
		c.change(after)
		if got := Minor(base(), after); got != c.minor {
			t.Errorf("%s: minor is %t", name, got)
		}
	}
}
