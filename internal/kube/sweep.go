package kube

import (
	"context"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/loop"
	"github.com/penstock-io/penstock/internal/traffic"
)

// Sweep cleans up once, when a controller begins to lead, after Rollouts that have gone
// or let go while nobody led: route objects that name a Rollout which does not use them
// are released (core.md §11). Afterwards memory tells (leave.go). Like all cleaning up it
// is tried once; what fails is logged.
func (r *Rollouts) Sweep(ctx context.Context, namespace string) {
	for _, table := range r.Routers {
		if table.Release == nil {
			continue
		}
		if err := r.sweep(ctx, table, namespace); err != nil {
			log.FromContext(ctx).Info("routes not swept", "router", table.Name, "error", err.Error())
		}
	}
}

func (r *Rollouts) sweep(ctx context.Context, table Routing, namespace string) error {
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(schema.GroupVersionKind{Group: table.Signed.Group, Version: table.Signed.Version, Kind: table.Signed.Kind + "List"})
	err := r.Live.List(ctx, list, client.InNamespace(namespace))
	switch {
	case meta.IsNoMatchError(err), apierrors.IsNotFound(err):
		return nil // the cluster has no such routes
	case err != nil:
		return fmt.Errorf("list %s: %w", table.Signed.Kind, err)
	}
	for i := range list.Items {
		if err := r.sweepOne(ctx, table, &list.Items[i]); err != nil {
			return err
		}
	}
	return nil
}

// sweepOne takes off one object what is those Rollouts' that do not use it.
func (r *Rollouts) sweepOne(ctx context.Context, table Routing, u *unstructured.Unstructured) error {
	if u.GetDeletionTimestamp() != nil {
		return nil
	}
	owners := []string{u.GetAnnotations()[managedKey]}
	if table.Owners != nil {
		owners = table.Owners(u.Object)
	}
	var gone []string
	for _, owner := range owners {
		if owner == "" {
			continue
		}
		used, err := r.steers(ctx, table, owner, u)
		if err != nil {
			return err
		}
		if !used {
			table.Release(u.Object, owner)
			gone = append(gone, owner)
		}
	}
	if len(gone) == 0 {
		return nil
	}
	if err := r.Plain.Update(ctx, u); err != nil && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
		return fmt.Errorf("release %s %s/%s: %w", table.Signed.Kind, u.GetNamespace(), u.GetName(), err)
	}
	log.FromContext(ctx).Info("released a route that no rollout uses", "kind", table.Signed.Kind, "namespace", u.GetNamespace(), "name", u.GetName(), "rollouts", gone)
	return nil
}

// steers asks the API server whether the Rollout that an object names still uses it; the
// Rollout may belong to another instance of the controller.
func (r *Rollouts) steers(ctx context.Context, table Routing, owner string, u *unstructured.Unstructured) (bool, error) {
	ro := &v1alpha1.Rollout{}
	err := r.Live.Get(ctx, loop.Key{Namespace: u.GetNamespace(), Name: owner}, ro)
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("get rollout %s/%s: %w", u.GetNamespace(), owner, err)
	}
	t := targetOf(ro)
	return mayName(ro) || t.Routing != nil && table.Uses(t.Routing) && slices.Contains(table.Objects(t), traffic.Ref{
		Group: table.Signed.Group, Kind: table.Signed.Kind, Namespace: u.GetNamespace(), Name: u.GetName()}), nil
}
