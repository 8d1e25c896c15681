package kube

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// NewSetCache makes the cache of the ReplicaSets that workloadRefs name. They need not
// carry the hash label, without which the manager's cache shows none. Nothing is listed
// before a Rollout names one.
func NewSetCache(m manager.Manager, namespace string) (cache.Cache, error) {
	o := cache.Options{HTTPClient: m.GetHTTPClient(), Scheme: m.GetScheme(), Mapper: m.GetRESTMapper(), DefaultTransform: trimSet}
	if namespace != "" {
		o.DefaultNamespaces = map[string]cache.Config{namespace: {}}
	}
	c, err := cache.New(m.GetConfig(), o)
	if err != nil {
		return nil, fmt.Errorf("make the cache of referenced replicasets: %w", err)
	}
	if err := m.Add(c); err != nil {
		return nil, fmt.Errorf("add the cache of referenced replicasets: %w", err)
	}
	return c, nil
}

// trim drops managed fields, save who wrote a template, and of a workload all that no Rollout
// takes from it: a cluster has many Deployments, and few of them are referenced. ReplicaSets
// are whole, because most of them are our own.
func trim(in any) (any, error) {
	switch o := in.(type) {
	case *v1alpha1.Rollout:
		o.ManagedFields = v1alpha1.TemplateAuthor(o.ManagedFields)
		return o, nil
	case *appsv1.Deployment:
		return &appsv1.Deployment{ObjectMeta: trimmed(o),
			Spec:   appsv1.DeploymentSpec{Replicas: o.Spec.Replicas, Selector: o.Spec.Selector, Template: o.Spec.Template},
			Status: appsv1.DeploymentStatus{AvailableReplicas: o.Status.AvailableReplicas, ObservedGeneration: o.Status.ObservedGeneration}}, nil
	case *corev1.PodTemplate:
		return &corev1.PodTemplate{ObjectMeta: trimmed(o), Template: o.Template}, nil
	}
	return cache.TransformStripManagedFields()(in)
}

// trimSet does so with the ReplicaSets that are referenced.
func trimSet(in any) (any, error) {
	if rs, is := in.(*appsv1.ReplicaSet); is {
		return &appsv1.ReplicaSet{ObjectMeta: trimmed(rs),
			Spec: appsv1.ReplicaSetSpec{Selector: rs.Spec.Selector, Template: rs.Spec.Template}}, nil
	}
	return trim(in)
}

func trimmed(o metav1.Object) metav1.ObjectMeta {
	meta := identity(o)
	meta.Generation, meta.DeletionTimestamp = o.GetGeneration(), o.GetDeletionTimestamp()
	meta.ManagedFields = v1alpha1.TemplateAuthor(o.GetManagedFields())
	return meta
}

// workloadKeys is what a Rollout is found by when a workload of its namespace changes.
func workloadKeys(ro *v1alpha1.Rollout) []string {
	ref := ro.Spec.WorkloadRef
	if ref == nil {
		return nil
	}
	return []string{workloadIndexKey(schema.FromAPIVersionAndKind(ref.APIVersion, ref.Kind), ref.Name)}
}

func workloadIndexKey(gvk schema.GroupVersionKind, name string) string {
	return gvk.GroupKind().String() + "/" + name
}

// workloadEvents wakes the Rollouts that reference a workload when something changes that
// they use. Generations alone do not tell: a PodTemplate has none.
func (w *Watcher) workloadEvents(gvk schema.GroupVersionKind) toolscache.ResourceEventHandler {
	changed := func(o any) { w.workloadChanged(gvk, o) }
	return toolscache.ResourceEventHandlerFuncs{AddFunc: changed, DeleteFunc: changed, UpdateFunc: func(old, o any) {
		if workloadDiffers(old, o) {
			changed(o)
		}
	}}
}

func workloadDiffers(a, b any) bool {
	was, err := trimSet(a)
	now, err2 := trimSet(b)
	x, ok := was.(client.Object)
	y, ok2 := now.(client.Object)
	if err != nil || err2 != nil || !ok || !ok2 {
		return true
	}
	x.SetResourceVersion(y.GetResourceVersion()) // trimSet has made copies
	return !equality.Semantic.DeepEqual(x, y)
}

func (w *Watcher) workloadChanged(gvk schema.GroupVersionKind, o any) {
	if gone, ok := o.(toolscache.DeletedFinalStateUnknown); ok {
		o = gone.Obj
	}
	obj, ok := o.(client.Object)
	w.mu.Lock()
	q := w.queue
	w.mu.Unlock()
	if ok && q != nil {
		w.rollouts(context.Background(), q, client.InNamespace(obj.GetNamespace()),
			client.MatchingFields{workloadIndex: workloadIndexKey(gvk, obj.GetName())})
	}
}
