package kube

import (
	"context"
	"reflect"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// AddExperiments registers the controller of Experiments with everything that wakes them.
// told brings those of which a message has fared somehow.
func (w *Watcher) AddExperiments(m manager.Manager, r reconcile.Reconciler, workers int, told <-chan event.GenericEvent) error {
	ctl, err := newController("experiment", m, r, workers)
	if err != nil {
		return err
	}
	owner := toOwner("Experiment")
	return watchAll(ctl, []source.Source{
		source.Kind[client.Object](w.Cache, &v1alpha1.Experiment{}, &handler.EnqueueRequestForObject{}),
		source.Channel(told, &handler.EnqueueRequestForObject{}),
		source.Kind[client.Object](w.Cache, &appsv1.ReplicaSet{}, owner, predicate.Funcs{UpdateFunc: setChanged}),
		source.Kind[client.Object](w.Cache, &corev1.Service{}, owner),
		source.Kind[client.Object](w.Cache, &v1alpha1.AnalysisRun{}, owner, predicate.Funcs{UpdateFunc: verdictChanged}),
		// Pods may go once the Rollout sends them nothing any more.
		source.Kind[client.Object](w.Cache, &v1alpha1.Rollout{}, handler.Funcs{
			DeleteFunc: func(ctx context.Context, e event.DeleteEvent, q queue) { w.experiments(ctx, q, e.Object) },
			UpdateFunc: func(ctx context.Context, e event.UpdateEvent, q queue) {
				if !reflect.DeepEqual(listed(e.ObjectOld), listed(e.ObjectNew)) {
					w.experiments(ctx, q, e.ObjectNew)
				}
			},
		}),
	})
}

// experiments enqueues the Experiments that a Rollout owns.
func (w *Watcher) experiments(ctx context.Context, q queue, ro client.Object) {
	list := &v1alpha1.ExperimentList{}
	if w.Cache.List(ctx, list, client.InNamespace(ro.GetNamespace()), client.MatchingFields{ownerIndex: string(ro.GetUID())}) != nil {
		return // a cache that cannot answer is shutting down
	}
	for i := range list.Items {
		q.Add(reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&list.Items[i])})
	}
}

func listed(o client.Object) []v1alpha1.WeightDestination {
	ro, ok := o.(*v1alpha1.Rollout)
	if !ok || ro.Status.Canary.Weights == nil {
		return nil
	}
	return ro.Status.Canary.Weights.Additional
}

// setChanged passes only changes that an Experiment looks at.
func setChanged(e event.UpdateEvent) bool {
	a, ok := e.ObjectOld.(*appsv1.ReplicaSet)
	b, ok2 := e.ObjectNew.(*appsv1.ReplicaSet)
	return !ok || !ok2 || setFacts(a, nil) != setFacts(b, nil) || !reflect.DeepEqual(a.OwnerReferences, b.OwnerReferences)
}

// experimentChanged passes only changes that a Rollout looks at.
func experimentChanged(e event.UpdateEvent) bool {
	a, ok := e.ObjectOld.(*v1alpha1.Experiment)
	b, ok2 := e.ObjectNew.(*v1alpha1.Experiment)
	return !ok || !ok2 || !reflect.DeepEqual(experimentFacts(a), experimentFacts(b)) || !reflect.DeepEqual(a.OwnerReferences, b.OwnerReferences)
}
