package kube

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/loop"
	"github.com/penstock-io/penstock/internal/traffic/istio"
)

var ruleKind = schema.GroupVersionKind{Group: "networking.istio.io", Version: "v1alpha3", Kind: "DestinationRule"}

// destinationRule has the subsets of webRollout, pointed at two revisions by the owner.
func destinationRule(owner string) *unstructured.Unstructured {
	subset := func(name, hash string) any {
		return map[string]any{"name": name, "labels": map[string]any{"app": "web", hashLabel: hash}}
	}
	u := &unstructured.Unstructured{Object: map[string]any{
		"metadata": map[string]any{"namespace": "shop", "name": "web", "annotations": map[string]any{"own": "kept"}},
		"spec":     map[string]any{"host": "web", "subsets": []any{subset("stable", "old"), subset("canary", "new")}},
	}}
	u.SetGroupVersionKind(ruleKind)
	if owner != "" {
		u.SetAnnotations(map[string]string{"own": "kept", managedKey: owner})
	}
	return u
}

func bySubset(ro *v1alpha1.Rollout) {
	ro.Spec.Strategy.Canary.TrafficRouting.Istio.DestinationRule = &v1alpha1.IstioDestinationRule{
		Name: "web", StableSubsetName: "stable", CanarySubsetName: "canary"}
}

// Covers: edge 173, traffic edge 188.
func TestRoutesThatWereLeftBehindAreReleasedAtTheStart(t *testing.T) {
	elsewhere := func(ro *v1alpha1.Rollout) {
		bySubset(ro)
		ro.Spec.Strategy.Canary.TrafficRouting.Istio.DestinationRule.Name = "x"
	}
	for name, c := range map[string]struct {
		owner    string
		rollout  *v1alpha1.Rollout
		down     bool
		released bool
	}{
		"one that its Rollout uses stays":                {"web", webRollout(bySubset), false, false},
		"one whose Rollout is gone":                      {"web", nil, false, true},
		"one whose Rollout uses another":                 {"web", webRollout(elsewhere), false, true},
		"one whose Rollout has no subsets any more":      {"web", webRollout(), false, true},
		"one whose Rollout has no router any more":       {"web", webRollout(func(ro *v1alpha1.Rollout) { ro.Spec.Strategy.Canary.TrafficRouting = nil }), false, true},
		"one whose Rollout went over to blue-green":      {"web", webRollout(bySubset, blueGreen("")), false, true},
		"one that names no Rollout":                      {"", nil, false, false},
		"none while the API server cannot tell of it":    {"web", nil, true, false},
		"one of another instance's Rollout that uses it": {"web", webRollout(bySubset, func(ro *v1alpha1.Rollout) { ro.Labels = map[string]string{instanceLabel: "b"} }), false, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, destinationRule(c.owner))
			w.rollouts.Routers[0].Signed, w.rollouts.Routers[0].Release = istio.Options{}.Signed(), istio.Release
			if c.rollout != nil {
				w.create(c.rollout)
			}
			if c.down {
				w.rollouts.Live = broken{w.client}
			}
			w.rollouts.Sweep(context.Background(), "")
			u := &unstructured.Unstructured{}
			u.SetGroupVersionKind(ruleKind)
			w.get("web", u)
			want := destinationRule(c.owner)
			if c.released {
				want = destinationRule("")
				for _, s := range want.Object["spec"].(map[string]any)["subsets"].([]any) {
					delete(s.(map[string]any)["labels"].(map[string]any), hashLabel)
				}
			}
			if d := cmp.Diff(want.Object["spec"], u.Object["spec"]); d != "" {
				t.Error(d)
			}
			if d := cmp.Diff(want.GetAnnotations(), u.GetAnnotations()); d != "" {
				t.Error(d)
			}
			if w.writes = nil; c.released {
				if w.rollouts.Sweep(context.Background(), "shop"); len(w.writes) != 0 {
					t.Errorf("a second time it writes %v", w.writes)
				}
			}
		})
	}
}

func TestClusterWithoutRoutesIsSweptInPeace(t *testing.T) {
	w := newWorld(t)
	w.rollouts.Routers[0].Signed, w.rollouts.Routers[0].Release = istio.Options{}.Signed(), istio.Release
	w.rollouts.Live = listless{w.client}
	w.rollouts.Sweep(context.Background(), "")
}

// listless is an API server that lists nothing.
type listless struct{ client.Reader }

func (listless) List(context.Context, client.ObjectList, ...client.ListOption) error {
	return errors.New("down")
}

func TestComingAndGoingIsToldOnce(t *testing.T) {
	w := shop(t)
	w.work(5)
	added := "Normal RolloutAddedToInformer Rollout resource added to informer: shop/web"
	events := w.told()
	if events[0] != added || strings.Count(strings.Join(events, "\n"), added) != 1 {
		t.Errorf("events %v", events)
	}
	ro := w.rollout()
	if err := w.client.Delete(context.Background(), ro); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := w.rollouts.Observe(context.Background(), webKey, w.now); !errors.Is(err, loop.ErrGone) {
			t.Fatalf("got %v", err)
		}
	}
	if d := cmp.Diff([]string{"Normal RolloutDeleted Rollout web/shop is deleted."}, w.told()); d != "" {
		t.Error(d)
	}
	again := webRollout()
	again.UID = "another"
	w.create(again)
	w.observe()
	w.observe()
	if d := cmp.Diff([]string{added}, w.told()); d != "" {
		t.Errorf("one of the same name: %s", d)
	}
	if err := w.client.Delete(context.Background(), w.rollout()); err != nil {
		t.Fatal(err)
	}
	w.create(webRollout()) // before anybody has looked
	w.observe()
	if d := cmp.Diff([]string{added}, w.told()); d != "" {
		t.Errorf("a successor at once: %s", d)
	}
}

// Covers: edge 16.
func TestRolloutThatIsBeingDeletedIsLeftAlone(t *testing.T) {
	w := shop(t, func(ro *v1alpha1.Rollout) { ro.Finalizers = []string{"somebody.else/s"} })
	w.work(settled)
	w.edit(setImage("two"))
	if err := w.client.Delete(context.Background(), w.rollout()); err != nil {
		t.Fatal(err)
	}
	w.writes = nil
	w.told()
	if _, err := w.pass(); err != nil {
		t.Fatal(err)
	}
	if events := w.told(); len(w.writes) != 0 || len(events) != 0 {
		t.Errorf("writes %v, events %v", w.writes, events)
	}
}
