package mesh

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// ControllerName is whom the status of HTTPRoutes names.
const ControllerName gatewayv1.GatewayController = "penstock.io/sandbox"

// retryStatus is when a status that could not be written is tried again.
const retryStatus = time.Second

// parentsWriter writes status.parents of a HTTPRoute, if it still is at the
// route's resource version.
type parentsWriter interface {
	WriteParents(ctx context.Context, route *gatewayv1.HTTPRoute, parents []gatewayv1.RouteParentStatus) error
}

// parents is what status.parents of the route should be: entries of other
// controllers as they are, then one of ours for each parentRef.
func (r routeReport) parents(now time.Time) []gatewayv1.RouteParentStatus {
	var all []gatewayv1.RouteParentStatus
	for _, p := range r.route.Status.Parents {
		if p.ControllerName != ControllerName {
			all = append(all, p)
		}
	}
	for _, ref := range r.route.Spec.ParentRefs {
		entry := gatewayv1.RouteParentStatus{ParentRef: ref, ControllerName: ControllerName}
		var before []metav1.Condition
		for _, p := range r.route.Status.Parents {
			if p.ControllerName == ControllerName && equality.Semantic.DeepEqual(p.ParentRef, ref) {
				before = p.Conditions
			}
		}
		for _, c := range []metav1.Condition{r.accepted, r.resolved} {
			c.ObservedGeneration = r.route.Generation
			c.LastTransitionTime = metav1.NewTime(now.Truncate(time.Second))
			for _, old := range before {
				if old.Type == c.Type && old.Status == c.Status {
					c.LastTransitionTime = old.LastTransitionTime
				}
			}
			entry.Conditions = append(entry.Conditions, c)
		}
		all = append(all, entry)
	}
	return all
}

// report writes the status of every HTTPRoute that the published Table follows.
func (g *Gateway) report(ctx context.Context, w parentsWriter) {
	retry := time.NewTimer(idle)
	defer retry.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-g.published:
		case <-retry.C:
		}
		for _, r := range g.table.Load().reports {
			parents := r.parents(time.Now())
			if sameParents(parents, r.route.Status.Parents) {
				continue
			}
			err := w.WriteParents(ctx, &r.route, parents)
			// A newer version of the route is on its way here, or the route is gone.
			if err != nil && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
				retry.Reset(retryStatus)
			}
		}
	}
}

func sameParents(a, b []gatewayv1.RouteParentStatus) bool {
	return slices.EqualFunc(a, b, func(x, y gatewayv1.RouteParentStatus) bool {
		return x.ControllerName == y.ControllerName && equality.Semantic.DeepEqual(x.ParentRef, y.ParentRef) && equality.Semantic.DeepEqual(x.Conditions, y.Conditions)
	})
}

// WriteParents implements parentsWriter.
func (c *cluster) WriteParents(ctx context.Context, route *gatewayv1.HTTPRoute, parents []gatewayv1.RouteParentStatus) error {
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"resourceVersion": route.ResourceVersion},
		"status":   map[string]any{"parents": parents},
	})
	if err != nil {
		return fmt.Errorf("encode status of HTTPRoute %s/%s: %w", route.Namespace, route.Name, err)
	}
	_, err = c.dynamic.Resource(httpRouteGVR).Namespace(route.Namespace).
		Patch(ctx, route.Name, types.MergePatchType, patch, metav1.PatchOptions{}, "status")
	if err != nil {
		return fmt.Errorf("write status of HTTPRoute %s/%s: %w", route.Namespace, route.Name, err)
	}
	return nil
}
