package kube

import (
	"context"
	"errors"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/traffic"
)

var ingressKind = schema.GroupVersionKind{Group: "networking.k8s.io", Version: "v1", Kind: "Ingress"}

func ingress() *unstructured.Unstructured {
	backend := map[string]any{"service": map[string]any{"name": "web-stable", "port": map[string]any{"number": int64(80)}}}
	u := &unstructured.Unstructured{Object: map[string]any{
		"metadata": map[string]any{"namespace": "shop", "name": "web"},
		"spec": map[string]any{"rules": []any{map[string]any{"host": "web.example", "http": map[string]any{
			"paths": []any{map[string]any{"path": "/", "pathType": "Prefix", "backend": backend}}}}}},
	}}
	u.SetGroupVersionKind(ingressKind)
	return u
}

func andNginx(ro *v1alpha1.Rollout) {
	ro.Spec.Strategy.Canary.TrafficRouting.Nginx = &v1alpha1.NginxTrafficRouting{StableIngress: "web"}
}

// meshAndEdge is the world of webRollout with ingress-nginx before the mesh.
func meshAndEdge(t testing.TB) *world {
	return newWorld(t, webRollout(andNginx), service("web-stable"), service("web-canary"), virtualService(), ingress())
}

// edgeWeight is what the canary Ingress says, "" where there is none.
func (w *world) edgeWeight() string {
	w.t.Helper()
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(ingressKind)
	err := w.client.Get(context.Background(), client.ObjectKey{Namespace: "shop", Name: "web-web-canary"}, u)
	if client.IgnoreNotFound(err) != nil {
		w.t.Fatal(err)
	}
	return u.GetAnnotations()["nginx.ingress.kubernetes.io/canary-weight"]
}

// rewrite writes to a route object as somebody else does.
func (w *world) rewrite(kind schema.GroupVersionKind, name string, by func(*unstructured.Unstructured)) {
	w.t.Helper()
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(kind)
	w.get(name, u)
	by(u)
	if err := w.client.Update(context.Background(), u); err != nil {
		w.t.Fatal(err)
	}
}

func setEdgeWeight(weight string) func(*unstructured.Unstructured) {
	return func(u *unstructured.Unstructured) {
		a := u.GetAnnotations()
		a["nginx.ingress.kubernetes.io/canary-weight"] = weight
		u.SetAnnotations(a)
	}
}

// Covers: traffic defect 38.
func TestSeveralRoutersMoveTogether(t *testing.T) {
	w := meshAndEdge(t)
	w.work(settled)
	w.edit(setImage("two"))
	w.work(settled)
	w.expect("at the pause", state{v1alpha1.RolloutPhasePaused, 25, 4, 1, "one", "two"})
	if got := w.edgeWeight(); got != "25" {
		t.Errorf("the edge has %s", got)
	}
	if x := w.rollout().Status.Canary.Weights; x.Canary.Weight != 25 || x.Stable.Weight != 75 || len(x.Additional) != 0 {
		t.Errorf("status %+v", x)
	}
	w.rewrite(ingressKind, "web-web-canary", setEdgeWeight("90"))
	w.work(3)
	if got := w.edgeWeight(); got != "25" || w.weight() != 25 {
		t.Errorf("after a foreign write the edge has %s, the mesh %d", got, w.weight())
	}
	w.say(func(ro *v1alpha1.Rollout) { ro.Status.Abort = true })
	w.work(settled)
	if got := w.edgeWeight(); got != "0" || w.weight() != 0 {
		t.Errorf("after the abort the edge has %s, the mesh %d", got, w.weight())
	}
	w.edit(func(ro *v1alpha1.Rollout) { ro.Spec.Strategy.Canary.TrafficRouting.Nginx = nil })
	w.work(3)
	if got := w.edgeWeight(); got != "" {
		t.Errorf("the edge is not given back: %s", got)
	}
	if w.work(settled); w.weight() != 0 {
		t.Errorf("the mesh has %d", w.weight())
	}
}

// An abort takes back what it can reach, and no pod goes before the rest can be seen.
//
// Covers: traffic defect 38.
func TestAnAbortReachesTheRoutersThatAreThere(t *testing.T) {
	for sentence, breaks := range map[string]func(*world){
		"the Ingress cannot be read": func(w *world) {
			w.rollouts.Routers[1].Router = deaf{w.rollouts.Routers[1].Router}
		},
		"the Ingress leads elsewhere": func(w *world) {
			w.rewrite(ingressKind, "web", func(u *unstructured.Unstructured) {
				_ = unstructured.SetNestedSlice(u.Object, []any{}, "spec", "rules")
			})
		},
		"the Ingress is gone": func(w *world) {
			if err := w.client.Delete(context.Background(), ingress()); err != nil {
				w.t.Fatal(err)
			}
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			w := meshAndEdge(t)
			w.work(settled)
			w.edit(setImage("two"))
			w.work(settled)
			breaks(w)
			w.say(func(ro *v1alpha1.Rollout) { ro.Status.Abort = true })
			for range settled { // the edge cannot be written, which is an error each time
				_, _ = w.pass()
				w.pods()
				w.now = w.now.Add(31e9)
			}
			if w.weight() != 0 {
				t.Errorf("the mesh still sends %d to the canary", w.weight())
			}
			if n := *w.sets()["two"].Spec.Replicas; n != 1 {
				t.Errorf("the canary has %d pods while the edge may send it requests", n)
			}
			if s := w.observe().Snapshot.Traffic; s.Known || !strings.Contains(s.Partial, "ngress") {
				t.Errorf("known %v, partial %q", s.Known, s.Partial)
			}
		})
	}
}

// deaf cannot be asked.
type deaf struct{ traffic.Router }

func (deaf) Observe(context.Context, traffic.Target) (traffic.Observation, error) {
	return traffic.Observation{}, errDeaf
}

func (deaf) Apply(context.Context, traffic.Target, traffic.Split) (traffic.Written, error) {
	return nil, errDeaf
}

func TestWithoutAnyRouterNothingMoves(t *testing.T) {
	w := meshAndEdge(t)
	w.work(settled)
	for i := range w.rollouts.Routers {
		w.rollouts.Routers[i].Router = deaf{w.rollouts.Routers[i].Router}
	}
	if s := w.observe().Snapshot; len(s.Trouble) != 2 || s.Traffic.Known || s.Traffic.Partial != "" {
		t.Errorf("trouble %v, %+v", s.Trouble, s.Traffic)
	}
}

var errDeaf = apierrors.NewInternalError(errors.New("ingress webhook is down"))
