package kube

import (
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

func TestWhatOfAReplicaSetWakesItsExperiment(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*appsv1.ReplicaSet)
		wakes  bool
	}{
		"nothing":                {func(*appsv1.ReplicaSet) {}, false},
		"a label of others":      {func(rs *appsv1.ReplicaSet) { rs.Labels["x"] = "y" }, false},
		"a new version":          {func(rs *appsv1.ReplicaSet) { rs.ResourceVersion = "9" }, false},
		"available pods":         {func(rs *appsv1.ReplicaSet) { rs.Status.AvailableReplicas = 1 }, true},
		"pods":                   {func(rs *appsv1.ReplicaSet) { rs.Status.Replicas = 1 }, true},
		"another size":           {func(rs *appsv1.ReplicaSet) { rs.Spec.Replicas = ptr(int32(7)) }, true},
		"a deadline":             {func(rs *appsv1.ReplicaSet) { rs.Annotations[deadlineKey] = "2026-01-02T03:04:05Z" }, true},
		"its deletion":           {func(rs *appsv1.ReplicaSet) { rs.DeletionTimestamp = &metav1.Time{} }, true},
		"that it has no owner":   {func(rs *appsv1.ReplicaSet) { rs.OwnerReferences = nil }, true},
		"counters of a new spec": {func(rs *appsv1.ReplicaSet) { rs.Generation = 5 }, true},
	} {
		t.Run(name, func(t *testing.T) {
			before := owned(t, "abc")
			after := before.DeepCopy()
			c.change(after)
			if got := setChanged(event.UpdateEvent{ObjectOld: before, ObjectNew: after}); got != c.wakes {
				t.Errorf("wakes: %v", got)
			}
		})
	}
}

func TestWhatOfAnExperimentWakesItsRollout(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*v1alpha1.Experiment)
		wakes  bool
	}{
		"nothing": {func(*v1alpha1.Experiment) {}, false},
		"a measurement": {func(x *v1alpha1.Experiment) {
			x.Status.AnalysisRuns = []v1alpha1.ExperimentAnalysisRunStatus{{Name: "m"}}
		}, false},
		"its phase":      {func(x *v1alpha1.Experiment) { x.Status.Phase = v1alpha1.AnalysisPhaseFailed }, true},
		"its message":    {func(x *v1alpha1.Experiment) { x.Status.Message = "why" }, true},
		"available pods": {func(x *v1alpha1.Experiment) { x.Status.TemplateStatuses[0].AvailableReplicas = 1 }, true},
		"a Service":      {func(x *v1alpha1.Experiment) { x.Status.TemplateStatuses[0].ServiceName = "" }, true},
		"an end":         {func(x *v1alpha1.Experiment) { x.Spec.Terminate = true }, true},
		"another owner":  {func(x *v1alpha1.Experiment) { x.OwnerReferences = nil }, true},
	} {
		t.Run(name, func(t *testing.T) {
			after := running()
			c.change(after)
			if got := experimentChanged(event.UpdateEvent{ObjectOld: running(), ObjectNew: after}); got != c.wakes {
				t.Errorf("wakes: %v", got)
			}
		})
	}
}
