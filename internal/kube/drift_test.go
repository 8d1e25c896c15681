package kube

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

var virtualServiceKind = schema.GroupVersionKind{Group: "networking.istio.io", Version: "v1alpha3", Kind: "VirtualService"}

// drifts are the events about foreign changes.
func (w *world) drifts() (list []string) {
	for _, e := range w.told() {
		if strings.Contains(e, "TrafficDrift") {
			list = append(list, e)
		}
	}
	return list
}

// meddle sets the weights of the VirtualService as a manager, at a time that managedFields say.
func (w *world) meddle(manager string, at time.Time, stable, canary int64) {
	w.t.Helper()
	w.rewrite(virtualServiceKind, "web", func(u *unstructured.Unstructured) {
		http := u.Object["spec"].(map[string]any)["http"].([]any)[0].(map[string]any)
		for i, weight := range []int64{stable, canary} {
			http["route"].([]any)[i].(map[string]any)["weight"] = weight
		}
	})
	w.cached(manager, at)
}

// cached brings the VirtualService into the cache as the API server sends it.
func (w *world) cached(manager string, at time.Time) {
	w.t.Helper()
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(virtualServiceKind)
	w.get("web", u)
	entry := func(manager, sub string, at time.Time) metav1.ManagedFieldsEntry {
		return metav1.ManagedFieldsEntry{Manager: manager, Subresource: sub, Operation: metav1.ManagedFieldsOperationUpdate, Time: ptr(metav1.NewTime(at))}
	}
	u.SetManagedFields([]metav1.ManagedFieldsEntry{entry("helm", "", at.Add(-time.Hour)), entry(manager, "", at),
		entry("istiod", "status", at.Add(time.Second)), entry(Manager, "", at)})
	w.rollouts.Drifts.Authors.Note(u)
}

func atPause(t *testing.T, change ...func(*v1alpha1.Rollout)) *world {
	w := shop(t, change...)
	w.work(settled)
	w.edit(setImage("two"))
	w.work(settled)
	if list := w.drifts(); len(list) > 0 {
		t.Fatalf("a release alone has drifts: %v", list)
	}
	return w
}

// Covers: traffic defect 36.
func TestAForeignChangeOfARouteIsToldAndCounted(t *testing.T) {
	w := atPause(t)
	w.meddle("kubectl-edit", w.now, 20, 80)
	w.now = w.now.Add(12 * time.Millisecond)
	w.work(2)
	w.expect("after the repair", state{v1alpha1.RolloutPhasePaused, 25, 4, 1, "one", "two"})
	want := "Warning TrafficDrift VirtualService/shop/web was changed by kubectl-edit: Stable web-stable 20 + Canary web-canary 80" +
		" instead of Stable web-stable 75 + Canary web-canary 25; set back after 12ms"
	if got := w.drifts(); len(got) != 1 || got[0] != want {
		t.Errorf("told %q", got)
	}
	var m dto.Metric
	if err := w.rollouts.Drifts.seconds.WithLabelValues("istio", "kubectl-edit").(prometheus.Metric).Write(&m); err != nil {
		t.Fatal(err)
	}
	if h := m.GetHistogram(); h.GetSampleCount() != 1 || h.GetSampleSum() != .012 {
		t.Errorf("counted %v", h)
	}
	w.work(settled)
	if got := w.drifts(); len(got) > 0 {
		t.Errorf("told again: %q", got)
	}
}

func TestWhatALongDriftWas(t *testing.T) {
	for sentence, c := range map[string]struct {
		do   func(*world)
		want string // "" for no event
	}{
		"written while nobody watched": {func(w *world) { w.meddle("argocd", w.now.Add(-time.Minute), 100, 0) }, "by argocd: Stable web-stable 100 + Canary web-canary 0 instead of Stable web-stable 75 + Canary web-canary 25; set back after 1m"},
		"by somebody unknown": {func(w *world) {
			w.meddle("x", w.now, 100, 0)
			w.rollouts.Drifts.Authors = nil
		}, "by somebody: "},
		"changed twice before it was seen": {func(w *world) {
			w.meddle("a", w.now, 100, 0)
			w.meddle("b", w.now, 50, 50)
		}, "by b: Stable web-stable 50"},
		"changed back": {func(w *world) {
			w.meddle("a", w.now, 100, 0)
			w.observe()
			w.meddle("a", w.now, 75, 25)
		}, ""},
		"another part of the route": {func(w *world) {
			w.rewrite(virtualServiceKind, "web", func(u *unstructured.Unstructured) { u.SetLabels(map[string]string{"a": "b"}) })
			w.cached("a", w.now)
		}, ""},
		"another weight is wanted": {func(w *world) {
			w.edit(func(ro *v1alpha1.Rollout) { ro.Spec.Strategy.Canary.Steps[0].SetWeight = ptr(int32(30)) })
		}, ""},
		"aborted": {func(w *world) { w.say(func(ro *v1alpha1.Rollout) { ro.Status.Abort = true }) }, ""},
		"other routes": {func(w *world) {
			vs := virtualService()
			vs.SetName("other")
			w.create(vs)
			w.edit(func(ro *v1alpha1.Rollout) {
				ro.Spec.Strategy.Canary.TrafficRouting.Istio.VirtualService.Name = "other"
			})
		}, ""},
	} {
		t.Run(sentence, func(t *testing.T) {
			w := atPause(t)
			c.do(w)
			w.work(settled)
			got := w.drifts()
			if c.want == "" && len(got) > 0 || c.want != "" && (len(got) != 1 || !strings.Contains(got[0], c.want)) {
				t.Errorf("told %q", got)
			}
		})
	}
}

// One of several routers that was changed is named; the others are not.
func TestDriftOfOneOfSeveralRouters(t *testing.T) {
	w := meshAndEdge(t)
	w.work(settled)
	w.edit(setImage("two"))
	w.work(settled)
	w.told()
	w.rewrite(ingressKind, "web-web-canary", setEdgeWeight("90"))
	w.work(3)
	got := w.drifts()
	if len(got) != 1 || !strings.Contains(got[0], "Ingress/shop/web-web-canary was changed by somebody: ") {
		t.Errorf("told %q", got)
	}
	u := ingress()
	u.SetName("web-web-canary")
	if err := w.client.Delete(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	w.work(3)
	if got := w.drifts(); len(got) != 1 || !strings.Contains(got[0], "Ingress/shop/web-web-canary was") || w.edgeWeight() != "25" {
		t.Errorf("told %q, weight %s", got, w.edgeWeight())
	}
}

func TestAuthorsAreForgottenWithTheirObjects(t *testing.T) {
	w := atPause(t)
	for i := range 3 {
		w.meddle(fmt.Sprint("m", i), w.now, 10, 90)
	}
	a := w.rollouts.Drifts.Authors
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(virtualServiceKind)
	w.get("web", u)
	old := u.DeepCopy()
	old.SetResourceVersion("1")
	if a.forget(old); len(a.last) != 1 {
		t.Errorf("an older object took the newer one's author along: %v", a.last)
	}
	if got := a.of("VirtualService/shop/web", "1"); got != (author{}) {
		t.Errorf("another version was written by %+v", got)
	}
	if a.forget(u); len(a.last) != 0 {
		t.Errorf("%v", a.last)
	}
}
