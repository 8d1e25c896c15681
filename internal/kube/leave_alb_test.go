package kube

import (
	"context"
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/traffic"
	"github.com/penstock-io/penstock/internal/traffic/alb"
)

const (
	albAction = "alb.ingress.kubernetes.io/actions."
	between   = `{"Type":"forward","ForwardConfig":{"TargetGroups":[{"ServiceName":"c","ServicePort":"80","Weight":30},{"ServiceName":"s","ServicePort":"80","Weight":70}]}}`
	letGone   = `{"Type":"forward","ForwardConfig":{"TargetGroups":[{"ServiceName":"root","ServicePort":"80","Weight":100}]}}`
)

// albIngress is one that two Rollouts steer.
func albIngress(class string) *unstructured.Unstructured {
	u := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"ingressClassName": class, "rules": []any{map[string]any{"http": map[string]any{"paths": []any{
		map[string]any{"path": "/", "pathType": "Prefix", "backend": map[string]any{"service": map[string]any{"name": "root", "port": map[string]any{"name": "use-annotation"}}}},
	}}}}}}}
	u.SetGroupVersionKind(schema.GroupVersionKind{Group: "networking.k8s.io", Version: "v1", Kind: "Ingress"})
	u.SetNamespace("shop")
	u.SetName("web")
	u.SetAnnotations(map[string]string{"own": "kept", albAction + "root": between, albAction + "api": between,
		v1alpha1.ManagedALBAnnotationsAnnotation: `{"api":["` + albAction + `api"],"web":["` + albAction + `root"]}`})
	return u
}

func byALB(ro *v1alpha1.Rollout) {
	ro.Spec.Strategy.Canary.TrafficRouting = &v1alpha1.RolloutTrafficRouting{ALB: &v1alpha1.ALBTrafficRouting{Ingress: "web", ServicePort: 80, RootService: "root"}}
}

// Covers: traffic edge 188.
func TestActionsThatWereLeftBehindAreReleasedAtTheStart(t *testing.T) {
	api := webRollout(byALB)
	api.Name, api.UID = "api", "api-uid"
	for name, c := range map[string]struct {
		class    string
		rollout  *v1alpha1.Rollout
		released bool
	}{
		"one whose Rollout uses it stays":           {"alb", webRollout(byALB), false},
		"one whose Rollout is gone":                 {"alb", nil, true},
		"one whose Rollout has another router":      {"alb", webRollout(), true},
		"one of a class that the flag does not say": {"other", nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, albIngress(c.class), api.DeepCopy())
			o := alb.Options{}
			w.rollouts.Routers = []Routing{{Name: "alb", Uses: alb.Uses, Objects: alb.Objects, Signed: o.Signed(), Owners: o.Owners, Release: alb.Release}}
			if c.rollout != nil {
				w.create(c.rollout)
			}
			w.rollouts.Sweep(context.Background(), "")
			u := albIngress("")
			w.get("web", u)
			want := maps.Clone(albIngress("").GetAnnotations())
			if c.released {
				want[albAction+"root"] = letGone
				want[v1alpha1.ManagedALBAnnotationsAnnotation] = `{"api":["` + albAction + `api"]}`
			}
			if d := cmp.Diff(want, u.GetAnnotations()); d != "" {
				t.Error(d)
			}
		})
	}
}

// Covers: traffic edge 188.
func TestADeletedRolloutLetsGoOfItsAction(t *testing.T) {
	w := newWorld(t, albIngress("alb"), webRollout(byALB))
	w.rollouts.Routers = []Routing{{Name: "alb", Uses: alb.Uses, Objects: alb.Objects, Router: alb.New(w.client, w.client, alb.Options{})}}
	w.observe()
	if err := w.client.Delete(context.Background(), w.rollout()); err != nil {
		t.Fatal(err)
	}
	if _, err := w.rollouts.Observe(context.Background(), webKey, w.now); err == nil {
		t.Fatal("a deleted rollout is observed")
	}
	u := albIngress("")
	w.get("web", u)
	if d := cmp.Diff(letGone, u.GetAnnotations()[albAction+"root"]); d != "" {
		t.Error(d)
	}
	if _, there := u.GetAnnotations()[traffic.ClaimAnnotation]; there {
		t.Error("a claim stays")
	}
}
