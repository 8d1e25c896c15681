package kube

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/loop"
)

type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

// Watcher turns changes of objects into keys of Rollouts. The kinds of traffic
// providers are watched from the first Rollout on that uses them, so a cluster without
// them needs neither their CRDs nor rights to them.
type Watcher struct {
	Cache cache.Cache
	// Sets is the cache of the ReplicaSets that workloadRefs name; nil means Cache.
	Sets    cache.Cache
	Mapper  apimeta.RESTMapper
	Routers []Routing
	// Namespaced leaves out what is cluster-wide: ClusterAnalysisTemplates.
	Namespaced bool
	// Authors forgets the routes that are gone; nil does nothing.
	Authors *Authors

	mu      sync.Mutex
	queue   queue
	watched map[schema.GroupVersionKind]cache.Informer
}

// syncTimeout is how long a pass waits for a new kind to be listed.
const syncTimeout = 10 * time.Second

var errNotSynced = errors.New("the cache has not been filled yet")

// NewWatcher makes the watcher over a cache.
func NewWatcher(c cache.Cache, m apimeta.RESTMapper, routers []Routing) *Watcher {
	return &Watcher{Cache: c, Mapper: m, Routers: routers, watched: map[schema.GroupVersionKind]cache.Informer{}}
}

// Ensure watches kinds that are not watched yet, and waits until they are listed. A kind
// that the cluster does not serve is an error for which meta.IsNoMatchError holds.
func (w *Watcher) Ensure(ctx context.Context, kinds []schema.GroupVersionKind) error {
	for _, gvk := range kinds {
		inf, err := w.informer(ctx, gvk)
		if err != nil {
			return fmt.Errorf("watch %s: %w", gvk.Kind, err)
		}
		if inf.HasSynced() {
			continue
		}
		wait, cancel := context.WithTimeout(ctx, syncTimeout)
		ok := toolscache.WaitForCacheSync(wait.Done(), inf.HasSynced)
		cancel()
		if !ok {
			return fmt.Errorf("watch %s: %w", gvk.Kind, errNotSynced)
		}
	}
	return nil
}

func (w *Watcher) informer(ctx context.Context, gvk schema.GroupVersionKind) (cache.Informer, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if inf := w.watched[gvk]; inf != nil {
		return inf, nil
	}
	if _, err := w.Mapper.RESTMapping(gvk.GroupKind(), gvk.Version); err != nil {
		return nil, err
	}
	object, from, events := w.source(gvk)
	inf, err := from.GetInformer(ctx, object, cache.BlockUntilSynced(false))
	if err != nil {
		return nil, err
	}
	if _, err := inf.AddEventHandler(events); err != nil {
		return nil, err
	}
	w.watched[gvk] = inf
	return inf, nil
}

// source is what to watch a kind as, where, and what its changes do: workloads as Go types,
// routes as they are.
func (w *Watcher) source(gvk schema.GroupVersionKind) (client.Object, cache.Cache, toolscache.ResourceEventHandler) {
	if kind, is := workloadKinds[gvk.GroupKind()]; is {
		from := w.Cache
		if _, set := kind.empty().(*appsv1.ReplicaSet); set && w.Sets != nil {
			from = w.Sets
		}
		return kind.empty(), from, w.workloadEvents(gvk)
	}
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(gvk)
	changed := func(o any) { w.routeChanged(gvk, o) }
	return u, w.Cache, toolscache.ResourceEventHandlerFuncs{
		AddFunc: changed, UpdateFunc: func(_, o any) { changed(o) }, DeleteFunc: func(o any) {
			if u, is := o.(*unstructured.Unstructured); is {
				w.Authors.forget(u)
			}
			changed(o)
		}}
}

// routeChanged wakes the Rollouts that name the object, and those that may find it by a
// selector. They wait in line: two that fight over a route must not hold up all others.
func (w *Watcher) routeChanged(gvk schema.GroupVersionKind, o any) {
	if gone, ok := o.(toolscache.DeletedFinalStateUnknown); ok {
		o = gone.Obj
	}
	obj, ok := o.(client.Object)
	w.mu.Lock()
	q := w.queue
	w.mu.Unlock()
	if !ok || q == nil {
		return
	}
	base := gvk.Group + "/" + gvk.Kind + "/" + obj.GetNamespace() + "/"
	for _, name := range []string{obj.GetName(), anyRoute} {
		w.rollouts(context.Background(), q, client.MatchingFields{routeIndex: base + name})
	}
}

// rollouts enqueues the Rollouts of a query on the cache. A cache that cannot answer is
// shutting down.
func (w *Watcher) rollouts(ctx context.Context, q queue, opts ...client.ListOption) {
	list := &v1alpha1.RolloutList{}
	if w.Cache.List(ctx, list, opts...) != nil {
		return
	}
	for i := range list.Items {
		q.Add(reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&list.Items[i])})
	}
}

// Wake asks for a pass of a Rollout.
func (w *Watcher) Wake(_ context.Context, key loop.Key) {
	w.mu.Lock()
	q := w.queue
	w.mu.Unlock()
	if q != nil {
		q.Add(reconcile.Request{NamespacedName: key})
	}
}

func (w *Watcher) on(mapTo func(context.Context, queue, client.Object)) handler.EventHandler {
	return handler.Funcs{
		CreateFunc: func(ctx context.Context, e event.CreateEvent, q queue) { mapTo(ctx, q, e.Object) },
		DeleteFunc: func(ctx context.Context, e event.DeleteEvent, q queue) { mapTo(ctx, q, e.Object) },
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, q queue) { mapTo(ctx, q, e.ObjectNew) },
	}
}

// AddRollouts registers the controller of Rollouts with everything that wakes them.
func (w *Watcher) AddRollouts(m manager.Manager, r reconcile.Reconciler, workers int) error {
	ctl, err := newController("rollout", m, r, workers)
	if err != nil {
		return err
	}
	owner := toOwner("Rollout")
	sources := []source.Source{
		source.Func(func(_ context.Context, q queue) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.queue = q
			return nil
		}),
		source.Kind[client.Object](w.Cache, &v1alpha1.Rollout{}, first(&handler.EnqueueRequestForObject{}, askedToAbort)),
		source.Kind[client.Object](w.Cache, &appsv1.ReplicaSet{}, inTurn(first(owner, podsWereLost), w.on(w.orphan))),
		source.Kind[client.Object](w.Cache, &v1alpha1.AnalysisRun{}, first(owner, runTurnedBad), predicate.Funcs{UpdateFunc: verdictChanged}),
		source.Kind[client.Object](w.Cache, &v1alpha1.Experiment{}, first(owner, trialTurnedBad), predicate.Funcs{UpdateFunc: experimentChanged}),
		source.Kind[client.Object](w.Cache, &corev1.Service{}, w.on(func(ctx context.Context, q queue, o client.Object) {
			w.rollouts(ctx, q, client.InNamespace(o.GetNamespace()), client.MatchingFields{serviceIndex: o.GetName()})
		})),
		source.Kind[client.Object](w.Cache, &v1alpha1.AnalysisTemplate{}, w.on(w.template)),
	}
	if !w.Namespaced {
		sources = append(sources, source.Kind[client.Object](w.Cache, &v1alpha1.ClusterAnalysisTemplate{}, w.on(w.template)))
	}
	return watchAll(ctl, sources)
}

// orphan wakes the Rollouts that may adopt a ReplicaSet without an owner.
func (w *Watcher) orphan(ctx context.Context, q queue, o client.Object) {
	if controllerOf(o) != "" {
		return
	}
	w.matching(ctx, q, o.GetNamespace(), func(ro *v1alpha1.Rollout) bool {
		if ro.Spec.Selector == nil {
			return ro.Spec.WorkloadRef != nil // whose selector is not known here
		}
		sel, err := metav1.LabelSelectorAsSelector(ro.Spec.Selector)
		return err == nil && !sel.Empty() && sel.Matches(labels.Set(o.GetLabels()))
	})
}

// template wakes the Rollouts that name a template, and those whose spec is invalid,
// since they may reach it through others.
func (w *Watcher) template(ctx context.Context, q queue, o client.Object) {
	key := o.GetName()
	if o.GetNamespace() == "" {
		key = templateKey(v1alpha1.AnalysisTemplateRef{TemplateName: key, ClusterScope: true})
	}
	w.rollouts(ctx, q, client.InNamespace(o.GetNamespace()), client.MatchingFields{templateIndex: key})
	w.matching(ctx, q, o.GetNamespace(), func(ro *v1alpha1.Rollout) bool {
		for _, c := range ro.Status.Conditions {
			if c.Type == v1alpha1.RolloutInvalidSpec {
				return true
			}
		}
		return false
	})
}

func (w *Watcher) matching(ctx context.Context, q queue, namespace string, is func(*v1alpha1.Rollout) bool) {
	list := &v1alpha1.RolloutList{}
	if w.Cache.List(ctx, list, client.InNamespace(namespace)) != nil {
		return
	}
	for i := range list.Items {
		if is(&list.Items[i]) {
			q.Add(reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&list.Items[i])})
		}
	}
}

// verdictChanged passes only changes of a run that a Rollout looks at, so that its
// measurements wake nobody.
func verdictChanged(e event.UpdateEvent) bool {
	a, ok := e.ObjectOld.(*v1alpha1.AnalysisRun)
	b, ok2 := e.ObjectNew.(*v1alpha1.AnalysisRun)
	return !ok || !ok2 || runOf(a) != runOf(b)
}

// AddRuns registers the controller of AnalysisRuns; measured brings the runs that have
// a measurement to fold.
func (w *Watcher) AddRuns(m manager.Manager, r reconcile.Reconciler, workers int, measured <-chan event.GenericEvent) error {
	ctl, err := newController("analysis", m, r, workers)
	if err != nil {
		return err
	}
	return watchAll(ctl, []source.Source{
		source.Kind[client.Object](w.Cache, &v1alpha1.AnalysisRun{}, &handler.EnqueueRequestForObject{}),
		source.Channel(measured, &handler.EnqueueRequestForObject{}),
	})
}

// AddServices registers the cleaning up after Rollouts that are gone or have let go of a
// Service.
func (w *Watcher) AddServices(m manager.Manager, r reconcile.Reconciler, workers int) error {
	ctl, err := newController("service", m, r, workers)
	if err != nil {
		return err
	}
	named := func(q queue, o client.Object) {
		if ro, ok := o.(*v1alpha1.Rollout); ok {
			for _, name := range serviceNames(ro) {
				q.Add(reconcile.Request{NamespacedName: loop.Key{Namespace: ro.Namespace, Name: name}})
			}
		}
	}
	return watchAll(ctl, []source.Source{
		source.Kind[client.Object](w.Cache, &corev1.Service{}, &handler.EnqueueRequestForObject{}),
		source.Kind[client.Object](w.Cache, &v1alpha1.Rollout{}, handler.Funcs{
			DeleteFunc: func(_ context.Context, e event.DeleteEvent, q queue) { named(q, e.Object) },
			UpdateFunc: func(_ context.Context, e event.UpdateEvent, q queue) {
				if e.ObjectOld.GetGeneration() != e.ObjectNew.GetGeneration() {
					named(q, e.ObjectOld)
				}
			},
		}),
	})
}

func newController(name string, m manager.Manager, r reconcile.Reconciler, workers int) (controller.Controller, error) {
	again := true // a second controller in one process, as in the sandbox
	ctl, err := controller.New(name, m, controller.Options{
		Reconciler: r, MaxConcurrentReconciles: workers, RateLimiter: loop.Backoff(), SkipNameValidation: &again})
	if err != nil {
		return nil, fmt.Errorf("make controller %s: %w", name, err)
	}
	return ctl, nil
}

func watchAll(ctl controller.Controller, sources []source.Source) error {
	for _, s := range sources {
		if err := ctl.Watch(s); err != nil {
			return fmt.Errorf("watch %v: %w", s, err)
		}
	}
	return nil
}
