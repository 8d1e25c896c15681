package kube

import (
	"context"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// What requests suffer from is looked at before everything that was there before.
func TestWhatTrafficWaitsForGoesFirst(t *testing.T) {
	meta := metav1.ObjectMeta{Namespace: "shop", Name: "web"}
	run := func(p v1alpha1.AnalysisPhase) client.Object {
		return &v1alpha1.AnalysisRun{ObjectMeta: meta, Status: v1alpha1.AnalysisRunStatus{Phase: p}}
	}
	trial := func(p v1alpha1.AnalysisPhase) client.Object {
		return &v1alpha1.Experiment{ObjectMeta: meta, Status: v1alpha1.ExperimentStatus{Phase: p}}
	}
	asked := func(abort bool) client.Object {
		return &v1alpha1.Rollout{ObjectMeta: meta, Status: v1alpha1.RolloutStatus{Abort: abort}}
	}
	pods := func(n int32) client.Object {
		return &appsv1.ReplicaSet{ObjectMeta: meta, Status: appsv1.ReplicaSetStatus{AvailableReplicas: n}}
	}
	const good, failed, broken, undecided = v1alpha1.AnalysisPhaseRunning, v1alpha1.AnalysisPhaseFailed, v1alpha1.AnalysisPhaseError, v1alpha1.AnalysisPhaseInconclusive
	for name, c := range map[string]struct {
		waits    func(old, now client.Object) bool
		old, now client.Object
		first    bool
	}{
		"a run that fails":                    {runTurnedBad, run(good), run(failed), true},
		"a run that cannot measure":           {runTurnedBad, run(good), run(broken), true},
		"a run that does not know":            {runTurnedBad, run(good), run(undecided), false},
		"a run that failed before":            {runTurnedBad, run(failed), run(failed), false},
		"an experiment that fails":            {trialTurnedBad, trial(good), trial(failed), true},
		"an experiment that goes on":          {trialTurnedBad, trial(good), trial(good), false},
		"somebody aborts":                     {askedToAbort, asked(false), asked(true), true},
		"somebody aborted before":             {askedToAbort, asked(true), asked(true), false},
		"somebody retries":                    {askedToAbort, asked(true), asked(false), false},
		"a pod is lost":                       {podsWereLost, pods(3), pods(2), true},
		"a pod has come":                      {podsWereLost, pods(2), pods(3), false},
		"what is of another kind, by mistake": {podsWereLost, run(good), run(failed), false},
	} {
		t.Run(name, func(t *testing.T) {
			q := priorityqueue.New[reconcile.Request]("test")
			defer q.ShutDown()
			q.Add(requestFor("other"))
			first(&handler.EnqueueRequestForObject{}, c.waits).Update(context.Background(), event.UpdateEvent{ObjectOld: c.old, ObjectNew: c.now}, q)
			want, priority := "other", 0
			if c.first {
				want, priority = "web", urgency
			}
			if r, p, _ := q.GetWithPriority(); r.Name != want || p != priority {
				t.Errorf("first is %s with priority %d, want %s with %d", r.Name, p, want, priority)
			}
		})
	}
}
