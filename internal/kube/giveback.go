package kube

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

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
	for _, read := range s.read {
		if !r.Drifts.Authors.lends(read.object) {
			continue
		}
		if err := r.disown(ctx, read); err != nil && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
			return fmt.Errorf("give %s back: %w", read.object, err)
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

// read is one object that a router has read: "Kind/namespace/name", and what it is.
type read struct {
	object string
	gvk    schema.GroupVersionKind
}

// remember keeps what a router has read, also what only a selector finds.
func (s *Seen) remember(kinds []schema.GroupVersionKind, o traffic.Observation) {
	for _, object := range slices.Sorted(maps.Keys(o.Versions)) {
		for _, gvk := range kinds {
			if strings.HasPrefix(object, gvk.Kind+"/") {
				s.read = append(s.read, read{object, gvk})
			}
		}
	}
}

// disown removes our entry from one object, if it is as it was read.
func (r *Rollouts) disown(ctx context.Context, of read) error {
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(of.gvk)
	where := strings.SplitN(of.object, "/", 3)
	if err := r.Live.Get(ctx, loop.Key{Namespace: where[1], Name: where[2]}, u); err != nil {
		return err
	}
	list := u.GetManagedFields()
	if !lent(list) {
		return nil
	}
	u.SetManagedFields(slices.DeleteFunc(list, isOurs))
	return r.Writer.Update(ctx, u, client.FieldOwner(Manager))
}
