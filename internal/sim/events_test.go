package sim

import (
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// plain is a canary by pods with the given steps.
func plain(n int32, steps ...v1alpha1.CanaryStep) *World {
	return New(v1alpha1.Rollout{ObjectMeta: metav1.ObjectMeta{Name: "demo"}, Spec: v1alpha1.RolloutSpec{
		Replicas: &n, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "demo"}},
		Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "demo"}},
			Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "demo", Image: "demo:v1"}}}},
		Strategy: v1alpha1.RolloutStrategy{Canary: &v1alpha1.CanaryStrategy{Steps: steps}}}}, Options{})
}

func setWeight(w int32) v1alpha1.CanaryStep { return v1alpha1.CanaryStep{SetWeight: &w} }

func pause() v1alpha1.CanaryStep { return v1alpha1.CanaryStep{Pause: &v1alpha1.RolloutPause{}} }

func inPhase(p v1alpha1.RolloutPhase) func(*World) bool {
	return func(w *World) bool { return w.Phase() == p }
}

// TestEventsComeInThePublishedOrder goes through an update that is aborted, retried and
// promoted (core.md §7.6); consecutive scalings count as one.
func TestEventsComeInThePublishedOrder(t *testing.T) {
	w := plain(1, setWeight(50), pause())
	expect := func(after string, want ...string) {
		t.Helper()
		got := slices.Compact(w.Events)
		w.Events = nil
		if !slices.Equal(got, want) {
			t.Errorf("after %s:\n got %v\nwant %v", after, got, want)
		}
	}
	must := func(p v1alpha1.RolloutPhase) {
		t.Helper()
		if !w.Until(time.Hour, inPhase(p)) {
			t.Fatalf("the rollout did not become %s: %s", p, w.Describe())
		}
	}
	must(v1alpha1.RolloutPhaseHealthy)
	expect("the first deploy", "RolloutUpdated", "NewReplicaSetCreated", "RolloutNotCompleted", "ScalingReplicaSet", "RolloutCompleted")
	w.SetImage("demo:v2")
	must(v1alpha1.RolloutPhasePaused)
	expect("an update", "RolloutUpdated", "NewReplicaSetCreated", "RolloutNotCompleted", "ScalingReplicaSet", "RolloutStepCompleted", "RolloutPaused")
	w.Abort()
	must(v1alpha1.RolloutPhaseDegraded)
	w.Wait(time.Minute)
	expect("an abort", "ScalingReplicaSet", "RolloutAborted")
	w.Retry()
	must(v1alpha1.RolloutPhasePaused)
	expect("a retry", "ScalingReplicaSet", "RolloutStepCompleted", "RolloutPaused")
	w.Promote()
	must(v1alpha1.RolloutPhaseHealthy)
	expect("a promote", "RolloutStepCompleted", "RolloutResumed", "ScalingReplicaSet", "RolloutCompleted")
}
