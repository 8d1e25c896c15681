package kube

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/loop"
	"github.com/penstock-io/penstock/internal/traffic"
)

// leave forgets a Rollout that is gone, and takes what is ours off the routes that it
// last used (core.md §11). It tries once: there is no finalizer that could hold up a
// deletion, and a label left on a subset does no harm until the subset is used again.
func (r *Rollouts) leave(ctx context.Context, key loop.Key, missing bool) error {
	r.mu.Lock()
	last, was := r.routed[key]
	delete(r.histories, key)
	delete(r.refused, key)
	if missing { // one that is only marked for deletion comes once more
		delete(r.routed, key)
	}
	r.mu.Unlock()
	if was && missing && apierrors.IsNotFound(r.Live.Get(ctx, key, &v1alpha1.Rollout{})) {
		last.clear(ctx)
	}
	return loop.ErrGone
}

// steer remembers what the Rollout steers with, and cleans up where it used to.
func (r *Rollouts) steer(ctx context.Context, s *Seen) {
	key := client.ObjectKeyFromObject(s.Rollout)
	now := routed{s.target, s.router}
	r.mu.Lock()
	last, was := r.routed[key]
	r.routed[key] = now
	r.mu.Unlock()
	if was && (last.router != now.router || !slices.Equal(r.refs(last.target), r.refs(now.target))) {
		last.clear(ctx)
	}
}

func (r *Rollouts) refs(t traffic.Target) []traffic.Ref {
	if table, ok := pick(r.Routers, t.Routing); ok && table.Objects != nil {
		return table.Objects(t)
	}
	return nil
}

func (l routed) clear(ctx context.Context) {
	if _, err := l.router.Apply(ctx, l.target, traffic.Split{}); err != nil {
		log.FromContext(ctx).Info("routes not cleaned up", "error", err.Error())
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
	if svc.Spec.Selector[hashLabel] == "" && owner == "" || svc.DeletionTimestamp != nil {
		return reconcile.Result{}, nil
	}
	used, err := c.used(ctx, svc, owner)
	if err != nil || used {
		return reconcile.Result{}, err
	}
	body := map[string]any{
		"metadata": at(svc, map[string]any{"annotations": map[string]any{managedKey: nil}}),
		"spec":     map[string]any{"selector": map[string]any{hashLabel: nil}},
	}
	if err := mergePatch(ctx, c.Writer, svc, body); err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return reconcile.Result{}, fmt.Errorf("release service %s: %w", req, err)
	}
	log.FromContext(ctx).Info("released a service that no rollout uses", "rollout", owner)
	return reconcile.Result{}, nil
}

// used asks the API server, and not a cache: the Rollout may belong to another instance.
func (c *Services) used(ctx context.Context, svc *corev1.Service, owner string) (used bool, err error) {
	if owner != "" {
		ro := &v1alpha1.Rollout{}
		err := c.Live.Get(ctx, loop.Key{Namespace: svc.Namespace, Name: owner}, ro)
		if err != nil && !apierrors.IsNotFound(err) {
			return false, fmt.Errorf("get rollout %s/%s: %w", svc.Namespace, owner, err)
		}
		return err == nil && slices.Contains(serviceNames(ro), svc.Name), nil
	}
	list := &v1alpha1.RolloutList{}
	if err := c.Live.List(ctx, list, client.InNamespace(svc.Namespace)); err != nil {
		return false, fmt.Errorf("list rollouts in %s: %w", svc.Namespace, err)
	}
	return slices.ContainsFunc(list.Items, func(ro v1alpha1.Rollout) bool {
		return slices.Contains(serviceNames(&ro), svc.Name)
	}), nil
}
