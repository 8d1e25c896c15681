package kube

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/loop"
	"github.com/penstock-io/penstock/internal/rollout"
	"github.com/penstock-io/penstock/internal/traffic"
)

// leave forgets a Rollout that is gone, and takes what is ours off the routes that it
// last used (core.md §11). It tries once: there is no finalizer that could hold up a
// deletion, and a label left on a subset does no harm until the subset is used again.
func (r *Rollouts) leave(ctx context.Context, key loop.Key, missing bool) error {
	r.mu.Lock()
	last := r.routed[key]
	delete(r.histories, key)
	delete(r.refused, key)
	delete(r.kept, key)
	delete(r.relayed, key)
	uid, known := r.known[key]
	if missing { // one that is only marked for deletion comes once more
		delete(r.routed, key)
		delete(r.known, key)
	}
	r.mu.Unlock()
	if r.Plugins != nil {
		r.Plugins.forget(key)
	}
	r.Drifts.forget(key, "")
	if r.TargetGroups != nil {
		r.TargetGroups.Forget(key)
	}
	if known && missing {
		ro := &v1alpha1.Rollout{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name, UID: uid}}
		note := rollout.Note{Kind: rollout.Event, Reason: rollout.RolloutDeleted, Message: fmt.Sprintf("Rollout %s/%s is deleted.", key.Name, key.Namespace)}
		r.tell(ro, note)
		r.Notices.gone(key, uid, note)
	}
	if len(last.routers) > 0 && missing && apierrors.IsNotFound(r.Live.Get(ctx, key, &v1alpha1.Rollout{})) {
		last.clear(ctx)
	}
	return loop.ErrGone
}

// welcome tells of a Rollout that this process sees for the first time (core.md §7.6).
func (r *Rollouts) welcome(ro *v1alpha1.Rollout) {
	key := client.ObjectKeyFromObject(ro)
	r.mu.Lock()
	seen := r.known[key] == ro.UID
	r.known[key] = ro.UID
	r.mu.Unlock()
	if !seen {
		r.tell(ro, rollout.Note{Kind: rollout.Event, Reason: rollout.RolloutAddedToInformer,
			Message: fmt.Sprintf("Rollout resource added to informer: %s", key)})
	}
}

// steer remembers what the Rollout steers with, and cleans up where it used to.
func (r *Rollouts) steer(ctx context.Context, s *Seen) {
	key := client.ObjectKeyFromObject(s.Rollout)
	r.mu.Lock()
	last := r.routed[key]
	r.routed[key] = routed{s.target, s.routers}
	r.mu.Unlock()
	for _, was := range last.routers {
		still := slices.ContainsFunc(s.routers, func(now Routing) bool { return now.Name == was.Name })
		if !still || !slices.Equal(refs([]Routing{was}, last.target), refs([]Routing{was}, s.target)) {
			clearRoutes(ctx, was, last.target)
			r.Drifts.forget(key, was.Name)
		}
	}
}

// unsteer cleans up after a Rollout that has stopped steering (core.md §15 no. 173).
func (r *Rollouts) unsteer(ctx context.Context, key loop.Key) {
	r.mu.Lock()
	last := r.routed[key]
	delete(r.routed, key)
	r.mu.Unlock()
	last.clear(ctx)
	r.Drifts.forget(key, "")
}

func (l routed) clear(ctx context.Context) {
	for _, table := range l.routers {
		clearRoutes(ctx, table, l.target)
	}
}

func clearRoutes(ctx context.Context, table Routing, t traffic.Target) {
	if _, err := table.Router.Apply(ctx, t, traffic.Split{}); err != nil {
		log.FromContext(ctx).Info("routes not cleaned up", "router", table.Name, "error", err.Error())
	}
}

// Services takes the hash selector off Services that no Rollout uses any more. An error
// of any other kind than "not found" never counts as "not used" (core.md §16 no. 25).
type Services struct{ Clients }

// Reconcile looks at one Service.
func (c *Services) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	svc := &corev1.Service{}
	if err := c.Reader.Get(ctx, req.NamespacedName, svc); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	owner := svc.Annotations[managedKey]
	switch {
	case svc.DeletionTimestamp != nil, svc.Spec.Selector[hashLabel] == "" && owner == "":
		return reconcile.Result{}, nil
	case owner == "" && controllerOf(svc) != "":
		return reconcile.Result{}, nil // an experiment's, which selects by the hash too
	}
	used, err := c.used(ctx, svc, owner)
	if err != nil || used {
		return reconcile.Result{}, err
	}
	if err := c.releaseService(ctx, svc); err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return reconcile.Result{}, fmt.Errorf("release service %s: %w", req, err)
	}
	log.FromContext(ctx).Info("released a service that no rollout uses", "rollout", owner)
	return reconcile.Result{}, nil
}

// releaseService takes the hash and our mark off a Service, if it is as it was seen.
func (c Clients) releaseService(ctx context.Context, svc *corev1.Service) error {
	if svc.Spec.Selector[hashLabel] == "" && svc.Annotations[managedKey] == "" {
		return nil
	}
	return mergePatch(ctx, c.Writer, svc, map[string]any{
		"metadata": at(svc, map[string]any{"annotations": map[string]any{managedKey: nil}}),
		"spec":     map[string]any{"selector": map[string]any{hashLabel: nil}},
	})
}

// used asks the API server, and not a cache: the Rollout may belong to another instance.
func (c *Services) used(ctx context.Context, svc *corev1.Service, owner string) (used bool, err error) {
	if owner != "" {
		ro := &v1alpha1.Rollout{}
		// A cache that is behind may say "used" for a moment longer, which does no harm: the
		// Rollout's own change brings the Service here again.
		if c.Reader.Get(ctx, loop.Key{Namespace: svc.Namespace, Name: owner}, ro) == nil && slices.Contains(serviceNames(ro), svc.Name) {
			return true, nil
		}
		err := c.Live.Get(ctx, loop.Key{Namespace: svc.Namespace, Name: owner}, ro)
		if err != nil && !apierrors.IsNotFound(err) {
			return false, fmt.Errorf("get rollout %s/%s: %w", svc.Namespace, owner, err)
		}
		return err == nil && (mayName(ro) || slices.Contains(serviceNames(ro), svc.Name)), nil
	}
	list := &v1alpha1.RolloutList{}
	if err := c.Live.List(ctx, list, client.InNamespace(svc.Namespace)); err != nil {
		return false, fmt.Errorf("list rollouts in %s: %w", svc.Namespace, err)
	}
	return slices.ContainsFunc(list.Items, func(ro v1alpha1.Rollout) bool {
		return mayName(&ro) || slices.Contains(serviceNames(&ro), svc.Name)
	}), nil
}
