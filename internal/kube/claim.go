package kube

import (
	"context"
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/loop"
)

// claim returns the ReplicaSets of a Rollout. Those that its selector no longer matches
// are released, those that it matches and nobody owns are adopted (core.md §2.2 no. 4b).
// While the selector is not known, as when the workload that has it is missing, what is
// owned stays owned (§16 no. 7).
func (r *Rollouts) claim(ctx context.Context, ro *v1alpha1.Rollout) ([]*appsv1.ReplicaSet, error) {
	list := &appsv1.ReplicaSetList{}
	err := r.Reader.List(ctx, list, client.InNamespace(ro.Namespace), r.owner(string(ro.UID)))
	if err != nil {
		return nil, fmt.Errorf("list replicasets of rollout %s/%s: %w", ro.Namespace, ro.Name, err)
	}
	owned := slices.DeleteFunc(oldestFirst(list), func(rs *appsv1.ReplicaSet) bool { return !ownedBy(rs, ro) })
	if selectorOf(ro) == nil || unresolved(ro) || ro.DeletionTimestamp != nil {
		return owned, nil
	}
	var sets []*appsv1.ReplicaSet
	for _, rs := range owned {
		if selects(ro, rs) {
			sets = append(sets, rs)
			continue
		}
		if err := r.release(ctx, ro, rs); err != nil {
			return nil, err
		}
	}
	adopted, err := r.adopt(ctx, ro)
	return append(sets, adopted...), err
}

// selectorOf is nil where there is no usable one; the validation says so.
func selectorOf(ro *v1alpha1.Rollout) labels.Selector {
	selector, err := metav1.LabelSelectorAsSelector(ro.Spec.Selector)
	if err != nil || ro.Spec.Selector == nil || selector.Empty() {
		return nil
	}
	return selector
}

func selects(ro *v1alpha1.Rollout, rs *appsv1.ReplicaSet) bool {
	selector := selectorOf(ro)
	return selector != nil && selector.Matches(labels.Set(rs.Labels))
}

// release takes our reference off a ReplicaSet, if it is as it was seen.
func (r *Rollouts) release(ctx context.Context, ro *v1alpha1.Rollout, rs *appsv1.ReplicaSet) error {
	if r.Writer == nil || rs.DeletionTimestamp != nil {
		return nil
	}
	others := slices.DeleteFunc(slices.Clone(rs.OwnerReferences), func(o metav1.OwnerReference) bool { return o.UID == ro.UID })
	err := mergePatch(ctx, r.Writer, rs, metadata(at(rs, map[string]any{"ownerReferences": others})))
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("release replicaset %s/%s: %w", rs.Namespace, rs.Name, err)
	}
	return nil
}

// adopt takes over ReplicaSets that the selector matches and nobody owns, after a live
// look that the Rollout is still this one.
func (r *Rollouts) adopt(ctx context.Context, ro *v1alpha1.Rollout) ([]*appsv1.ReplicaSet, error) {
	if r.Writer == nil {
		return nil, nil
	}
	list := &appsv1.ReplicaSetList{}
	err := r.Reader.List(ctx, list, client.InNamespace(ro.Namespace),
		r.owner(noOwner), client.MatchingLabelsSelector{Selector: selectorOf(ro)})
	if err != nil {
		return nil, fmt.Errorf("list replicasets without owner for rollout %s/%s: %w", ro.Namespace, ro.Name, err)
	}
	orphans := slices.DeleteFunc(oldestFirst(list), func(rs *appsv1.ReplicaSet) bool {
		return rs.DeletionTimestamp != nil || controllerOf(rs) != ""
	})
	if len(orphans) == 0 {
		return nil, nil
	}
	live := &v1alpha1.Rollout{}
	if err := r.Live.Get(ctx, client.ObjectKeyFromObject(ro), live); err != nil {
		return nil, fmt.Errorf("get rollout %s/%s before adopting: %w", ro.Namespace, ro.Name, err)
	}
	if live.UID != ro.UID || live.DeletionTimestamp != nil {
		return nil, loop.ErrGone
	}
	for _, rs := range orphans {
		body := metadata(map[string]any{
			"uid": rs.UID, "resourceVersion": rs.ResourceVersion,
			"ownerReferences": append(slices.Clone(rs.OwnerReferences), ownerOf(ro)),
		})
		if err := mergePatch(ctx, r.Writer, rs, body); err != nil {
			return nil, fmt.Errorf("adopt replicaset %s/%s: %w", rs.Namespace, rs.Name, err)
		}
	}
	return orphans, nil
}
