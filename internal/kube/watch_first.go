package kube

import (
	"context"

	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// urgency is the priority in the queue of what traffic waits for; that of all else is 0.
const urgency = 100

// first lets changes that traffic waits for be looked at before all others.
func first(h handler.EventHandler, waits func(old, now client.Object) bool) handler.EventHandler {
	return handler.Funcs{
		CreateFunc: h.Create,
		DeleteFunc: h.Delete,
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, q queue) {
			if waits(e.ObjectOld, e.ObjectNew) {
				q = atTheFront(q)
			}
			h.Update(ctx, e, q)
		},
	}
}

// front is a queue where everything is put before what waits.
type front struct {
	priorityqueue.PriorityQueue[reconcile.Request]
}

func atTheFront(q queue) queue {
	if p, ok := q.(priorityqueue.PriorityQueue[reconcile.Request]); ok {
		return front{p}
	}
	return q
}

// Add implements the queue.
func (f front) Add(r reconcile.Request) { f.AddWithOpts(priorityqueue.AddOpts{}, r) }

// AddWithOpts implements the queue.
func (f front) AddWithOpts(o priorityqueue.AddOpts, all ...reconcile.Request) {
	o.Priority = new(urgency)
	f.PriorityQueue.AddWithOpts(o, all...)
}

// runTurnedBad: an AnalysisRun speaks against a revision.
func runTurnedBad(old, now client.Object) bool {
	a, ok := old.(*v1alpha1.AnalysisRun)
	b, ok2 := now.(*v1alpha1.AnalysisRun)
	return ok && ok2 && a.Status.Phase != b.Status.Phase && bad(b.Status.Phase)
}

// trialTurnedBad: an Experiment does.
func trialTurnedBad(old, now client.Object) bool {
	a, ok := old.(*v1alpha1.Experiment)
	b, ok2 := now.(*v1alpha1.Experiment)
	return ok && ok2 && a.Status.Phase != b.Status.Phase && bad(b.Status.Phase)
}

func bad(p v1alpha1.AnalysisPhase) bool {
	return p == v1alpha1.AnalysisPhaseFailed || p == v1alpha1.AnalysisPhaseError
}

// askedToAbort: a person wants an update taken back.
func askedToAbort(old, now client.Object) bool {
	a, ok := old.(*v1alpha1.Rollout)
	b, ok2 := now.(*v1alpha1.Rollout)
	return ok && ok2 && !a.Status.Abort && b.Status.Abort
}

// podsWereLost: requests may go to pods that cannot serve them.
func podsWereLost(old, now client.Object) bool {
	a, ok := old.(*appsv1.ReplicaSet)
	b, ok2 := now.(*appsv1.ReplicaSet)
	return ok && ok2 && b.Status.AvailableReplicas < a.Status.AvailableReplicas
}
