package kube

import (
	"context"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/loop"
)

// toOwner wakes the object of a kind of ours that controls the changed one, and the one
// that did before the change. controller-runtime's own handler looks the kind's scope up
// at every event, which costs as much as all else about it; our kinds are namespaced.
func toOwner(kind string) handler.EventHandler {
	wake := func(q queue, o client.Object) {
		if key, ok := ownerKey(o, kind); ok {
			q.Add(reconcile.Request{NamespacedName: key})
		}
	}
	return handler.Funcs{
		CreateFunc: func(_ context.Context, e event.CreateEvent, q queue) { wake(q, e.Object) },
		DeleteFunc: func(_ context.Context, e event.DeleteEvent, q queue) { wake(q, e.Object) },
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, q queue) {
			was, ok := ownerKey(e.ObjectOld, kind)
			if is, still := ownerKey(e.ObjectNew, kind); ok && (!still || is != was) {
				wake(q, e.ObjectOld)
			}
			wake(q, e.ObjectNew)
		},
	}
}

func ownerKey(o client.Object, kind string) (key loop.Key, ok bool) {
	ref := metav1.GetControllerOfNoCopy(o)
	if ref == nil || ref.Kind != kind || !strings.HasPrefix(ref.APIVersion, v1alpha1.GroupVersion.Group+"/") {
		return key, false
	}
	return loop.Key{Namespace: o.GetNamespace(), Name: ref.Name}, true
}

// inTurn lets two handlers share one listener: each has a goroutine of its own to wake.
func inTurn(a, b handler.EventHandler) handler.EventHandler {
	return handler.Funcs{
		CreateFunc: func(ctx context.Context, e event.CreateEvent, q queue) { a.Create(ctx, e, q); b.Create(ctx, e, q) },
		DeleteFunc: func(ctx context.Context, e event.DeleteEvent, q queue) { a.Delete(ctx, e, q); b.Delete(ctx, e, q) },
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, q queue) { a.Update(ctx, e, q); b.Update(ctx, e, q) },
	}
}
