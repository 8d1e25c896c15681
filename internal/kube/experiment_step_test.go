package kube

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// both makes passes of the Rollout and of its Experiments, and checks after each that
// traffic leads to nothing but pods that are there. The Experiments are always ahead.
func (l *lab) both(passes int, until func() bool) {
	l.t.Helper()
	for range passes {
		for range 3 {
			for _, x := range l.all() {
				if _, err := l.loop.Reconcile(context.Background(), requestFor(x.Name)); err != nil {
					l.t.Fatal(err)
				}
			}
			if until != nil { // not while the first version comes up
				l.safe()
			}
		}
		if _, err := l.pass(); err != nil {
			l.t.Fatal(err)
		}
		if until != nil {
			l.safe()
		}
		l.pods()
		l.now = l.now.Add(time.Second)
		if until != nil && until() {
			return
		}
	}
	if until != nil {
		l.t.Fatalf("it does not get there: %+v", l.rollout().Status)
	}
}

// after is true from the n-th time on.
func after(n int) func() bool {
	return func() bool { n--; return n == 0 }
}

func (l *lab) all() []v1alpha1.Experiment {
	l.t.Helper()
	list := &v1alpha1.ExperimentList{}
	if err := l.client.List(context.Background(), list); err != nil {
		l.t.Fatal(err)
	}
	return list.Items
}

// routes are the weights on the VirtualService by Service.
func (l *lab) routes() map[string]int64 {
	l.t.Helper()
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(schema.GroupVersionKind{Group: "networking.istio.io", Version: "v1alpha3", Kind: "VirtualService"})
	l.get("web", u)
	routes, _, _ := unstructured.NestedSlice(u.Object, "spec", "http")
	weights := map[string]int64{}
	for _, d := range routes[0].(map[string]any)["route"].([]any) {
		host, _, _ := unstructured.NestedString(d.(map[string]any), "destination", "host")
		weights[host], _ = d.(map[string]any)["weight"].(int64)
	}
	return weights
}

// safe fails if a Service with weight selects no available pods.
func (l *lab) safe() {
	l.t.Helper()
	for name, weight := range l.routes() {
		if weight == 0 {
			continue
		}
		svc := &corev1.Service{}
		l.get(name, svc)
		served := false
		for _, rs := range l.crews() {
			served = served || rs.hash == svc.Spec.Selector[hashLabel] && rs.available > 0 && rs.wanted > 0
		}
		if !served {
			l.t.Fatalf("%d %% of the traffic goes to %s, which has no pods", weight, name)
		}
	}
}

// crew is what a ReplicaSet has in pods.
type crew struct {
	name, hash        string
	wanted, available int32
}

func (l *lab) crews() (list []crew) {
	l.t.Helper()
	sets := &appsv1.ReplicaSetList{}
	if err := l.client.List(context.Background(), sets); err != nil {
		l.t.Fatal(err)
	}
	for i := range sets.Items {
		rs := &sets.Items[i]
		list = append(list, crew{rs.Name, rs.Labels[hashLabel], *rs.Spec.Replicas, rs.Status.AvailableReplicas})
	}
	return list
}

// Covers: outage 12.
func TestAnExperimentStepGetsTrafficOnlyWithPods(t *testing.T) {
	step := &v1alpha1.RolloutExperimentStep{Duration: "1m", ScaleDownDelaySeconds: ptr(int32(0)),
		Templates: []v1alpha1.RolloutExperimentTemplate{
			{Name: "base", SpecRef: v1alpha1.StableSpecRef, Weight: ptr(int32(10)), Metadata: v1alpha1.PodTemplateMetadata{Labels: map[string]string{"role": "base"}}},
			{Name: "trial", SpecRef: v1alpha1.CanarySpecRef, Weight: ptr(int32(5)), Metadata: v1alpha1.PodTemplateMetadata{Labels: map[string]string{"role": "trial"}}},
		}}
	listen := func(ro *v1alpha1.Rollout) {
		ro.Spec.Template.Spec.Containers[0].Ports = []corev1.ContainerPort{{ContainerPort: 80}}
		ro.Spec.Strategy.Canary.Steps = []v1alpha1.CanaryStep{{SetWeight: ptr(int32(25))}, {Experiment: step}, {Pause: &v1alpha1.RolloutPause{}}}
	}
	l := labIn(shop(t, listen))
	l.both(settled, nil)
	l.edit(setImage("two"))
	routed := func() bool {
		n := 0
		for name, weight := range l.routes() {
			if strings.HasPrefix(name, "web-") && name != "web-stable" && name != "web-canary" && weight > 0 {
				n++
			}
		}
		return n == 2
	}
	l.both(40, routed)
	if all := l.all(); len(all) != 1 || all[0].Status.Phase != v1alpha1.AnalysisPhaseRunning {
		t.Fatalf("experiments %+v", all)
	}
	l.both(120, func() bool { return l.rollout().Status.Phase == v1alpha1.RolloutPhasePaused })
	if w := l.routes(); len(w) != 2 || w["web-canary"] != 25 {
		t.Errorf("after the experiment traffic is %v", w)
	}
	l.both(30, after(30))
	if x := l.all()[0]; x.Status.Phase != v1alpha1.AnalysisPhaseSuccessful {
		t.Errorf("experiment %+v", x.Status)
	}
	for _, rs := range l.crews() {
		if strings.HasPrefix(rs.name, l.all()[0].Name) && rs.wanted > 0 {
			t.Errorf("%s keeps its pods", rs.name)
		}
	}
	services := &corev1.ServiceList{}
	if err := l.client.List(context.Background(), services, client.InNamespace("shop")); err != nil {
		t.Fatal(err)
	}
	if n := len(services.Items); n != 2 {
		t.Errorf("%d services are left", n)
	}
	if !slices.ContainsFunc(l.told(), func(e string) bool {
		return strings.Contains(e, "ExperimentSuccessful Experiment transitioned from Running -> Successful")
	}) {
		t.Error("no word of the end")
	}
}

func TestAnAbortEndsTheExperimentAndItsTraffic(t *testing.T) {
	step := &v1alpha1.RolloutExperimentStep{ScaleDownDelaySeconds: ptr(int32(0)), Templates: []v1alpha1.RolloutExperimentTemplate{
		{Name: "trial", SpecRef: v1alpha1.CanarySpecRef, Weight: ptr(int32(5))}}}
	l := labIn(shop(t, func(ro *v1alpha1.Rollout) {
		ro.Spec.Template.Spec.Containers[0].Ports = []corev1.ContainerPort{{ContainerPort: 80}}
		ro.Spec.Strategy.Canary.Steps = []v1alpha1.CanaryStep{{SetWeight: ptr(int32(25))}, {Experiment: step}}
	}))
	l.both(settled, nil)
	l.edit(setImage("two"))
	l.both(60, func() bool { return len(l.routes()) == 3 })
	hashes := map[string]bool{}
	for _, rs := range l.crews() {
		hashes[rs.hash] = true
	}
	if len(hashes) != 3 {
		t.Errorf("the pods of the experiment have the hash of a revision: %+v", l.crews())
	}
	l.say(func(ro *v1alpha1.Rollout) { ro.Status.Abort = true })
	l.both(60, func() bool { return len(l.routes()) == 2 && l.routes()["web-stable"] == 100 })
	l.both(60, after(60))
	x := l.all()[0]
	if !x.Spec.Terminate || x.Status.Phase != v1alpha1.AnalysisPhaseSuccessful {
		t.Errorf("experiment %+v %+v", x.Spec.Terminate, x.Status.Phase)
	}
	for _, rs := range l.crews() {
		if strings.HasPrefix(rs.name, x.Name) && rs.wanted > 0 {
			t.Errorf("%s keeps its pods", rs.name)
		}
	}
}
