package kube

import (
	"context"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/internal/loop"
	"github.com/penstock-io/penstock/internal/rollout"
	"github.com/penstock-io/penstock/internal/traffic"
)

// giveBack takes our entry off metadata.managedFields of the routes once a release is over,
// where a GitOps tool manages them. It would otherwise take the whole list of routes, which is
// one field, for ours, and no later change in Git would show (rivals.md no. 113). It does not
// matter when it fails: the next pass finds the same.
func (r *Rollouts) giveBack(ctx context.Context, s *Seen, p *rollout.Plan) error {
	if r.Drifts == nil || len(p.Actions) > 0 || !over(s, p) {
		return nil
	}
	for _, table := range s.routers {
		for _, ref := range refs([]Routing{table}, s.target) {
			if !r.Drifts.Authors.lends(ref.String()) {
				continue
			}
			if err := r.disown(ctx, table.Kinds, ref); err != nil && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
				return fmt.Errorf("give %s back: %w", ref, err)
			}
		}
	}
	return nil
}

// over: the release has ended, and all requests are known to go to stable.
func over(s *Seen, p *rollout.Plan) bool {
	w, st := s.Snapshot.Traffic.Written, &p.Status
	ended := st.CurrentPodHash == st.StableRS || st.Abort
	return ended && s.Snapshot.Traffic.Confirmed() && !w.IsZero() && w.Weight(traffic.Canary) == 0 && len(w.Extras())+len(w.Headers)+len(w.Mirrors) == 0
}

// disown removes our entry from one object, if it is as it was read.
func (r *Rollouts) disown(ctx context.Context, kinds []schema.GroupVersionKind, ref traffic.Ref) error {
	i := slices.IndexFunc(kinds, func(k schema.GroupVersionKind) bool { return k.Group == ref.Group && k.Kind == ref.Kind })
	if i < 0 {
		return nil
	}
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(kinds[i])
	if err := r.Live.Get(ctx, loop.Key{Namespace: ref.Namespace, Name: ref.Name}, u); err != nil {
		return err
	}
	list := u.GetManagedFields()
	if !lent(list) {
		return nil
	}
	u.SetManagedFields(slices.DeleteFunc(list, isOurs))
	return r.Writer.Update(ctx, u, client.FieldOwner(Manager))
}
