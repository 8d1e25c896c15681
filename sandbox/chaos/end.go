package chaos

import (
	"context"
	"errors"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/sandbox/mesh"
)

const (
	// servedWithin is how long another version may answer after the end of a release. An
	// abort says so first and goes back then, which needs a controller that lives.
	servedWithin = 2 * time.Minute
	// sample is how many answers must come from the right version, one after the other.
	sample = 10
	// tidyWithin is how long revisions may keep pods after everything has ended.
	tidyWithin = 90 * time.Second
)

// end is where a release must end: users on the version of tag, and the Rollout Healthy,
// or, when it was aborted, Degraded.
type end struct {
	tag     string
	aborted bool
}

// until polls until ok finds nothing wrong; else its last word is the error.
func until(ctx context.Context, limit time.Duration, ok func() error) error {
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for {
		err := ok()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), err)
		case <-deadline.C:
			return fmt.Errorf("not within %v: %w", limit, err)
		case <-tick.C:
		}
	}
}

// await waits for an end.
func (m *member) await(ctx context.Context, want end) error {
	return until(ctx, endLimit, func() error {
		r := &v1alpha1.Rollout{}
		if err := m.fleet.cluster.Client().Get(ctx, m.key(), r); err != nil {
			return err
		}
		sets, err := m.replicaSets(ctx)
		if err != nil {
			return err
		}
		return want.reached(r, sets)
	})
}

func (m *member) key() types.NamespacedName {
	return types.NamespacedName{Namespace: namespace, Name: m.name}
}

// replicaSets are those of the Rollout by hash.
func (m *member) replicaSets(ctx context.Context) (map[string]*appsv1.ReplicaSet, error) {
	list := &appsv1.ReplicaSetList{}
	err := m.fleet.cluster.Client().List(ctx, list, client.InNamespace(namespace), client.MatchingLabels{"app": m.name})
	if err != nil {
		return nil, err
	}
	sets := map[string]*appsv1.ReplicaSet{}
	for i := range list.Items {
		sets[list.Items[i].Labels[v1alpha1.PodTemplateHashLabel]] = &list.Items[i]
	}
	return sets, nil
}

// reached says what of the end is missing.
func (e end) reached(r *v1alpha1.Rollout, sets map[string]*appsv1.ReplicaSet) error {
	s, phase := &r.Status, v1alpha1.RolloutPhaseHealthy
	if e.aborted {
		phase = v1alpha1.RolloutPhaseDegraded
	}
	switch stable := sets[s.StableRS]; {
	case s.ObservedGeneration != fmt.Sprint(r.Generation):
		return fmt.Errorf("generation %d is not observed", r.Generation)
	case s.Phase != phase || s.Abort != e.aborted:
		return fmt.Errorf("it is %s (%s), aborted %t, and should be %s", s.Phase, s.Message, s.Abort, phase)
	case stable == nil:
		return fmt.Errorf("no ReplicaSet has the stable hash %q", s.StableRS)
	case stable.Spec.Template.Spec.Containers[0].Image != image(e.tag):
		return fmt.Errorf("stable is %s, not %s", stable.Spec.Template.Spec.Containers[0].Image, image(e.tag))
	case !e.aborted && s.StableRS != s.CurrentPodHash:
		return fmt.Errorf("stable is %s and current is %s", s.StableRS, s.CurrentPodHash)
	case *stable.Spec.Replicas != *r.Spec.Replicas || stable.Status.AvailableReplicas != *r.Spec.Replicas:
		return fmt.Errorf("stable has %d of %d pods, and wants %d", stable.Status.AvailableReplicas, *r.Spec.Replicas, *stable.Spec.Replicas)
	}
	return nil
}

// serves waits until users get the right version and nothing else.
func (m *member) serves(ctx context.Context) error {
	gateway := m.fleet.cluster.Gateway()
	before := gateway.Stats()
	return until(ctx, servedWithin, func() error {
		now := gateway.Stats()
		seen := now.Since(before)
		ours := func(k mesh.Key) bool { return k.Host == m.host }
		wrong := seen.Total(func(k mesh.Key) bool { return ours(k) && (k.Version != m.tag || k.Class != "2xx") })
		if all := seen.Total(ours); wrong > 0 || all < sample {
			if wrong > 0 {
				before = now
			}
			return fmt.Errorf("of the last %d answers %d were not %s", all, wrong, m.tag)
		}
		return nil
	})
}

// tidy waits until no revision but the stable one has pods.
func (f *fleet) tidy(ctx context.Context) (wrong []string) {
	for _, m := range f.members {
		err := until(ctx, tidyWithin, func() error {
			r := &v1alpha1.Rollout{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: m.name}}
			if err := f.cluster.Client().Get(ctx, m.key(), r); err != nil {
				return err
			}
			sets, err := m.replicaSets(ctx)
			for hash, set := range sets {
				if hash != r.Status.StableRS && (*set.Spec.Replicas > 0 || set.Status.Replicas > 0) {
					return fmt.Errorf("%s still has %d pods", set.Name, set.Status.Replicas)
				}
			}
			return err
		})
		if err != nil {
			wrong = append(wrong, fmt.Sprintf("at the end, %s: %v", m.name, err))
		}
	}
	return wrong
}
