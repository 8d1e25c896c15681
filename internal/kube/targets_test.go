package kube

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/loop"
	"github.com/penstock-io/penstock/internal/traffic"
)

// knowing is what AWS is made to say.
type knowing struct {
	proof traffic.Proof
	asked []traffic.TargetGroup
	ended int
}

func (k *knowing) Targets(_ loop.Key, list []traffic.TargetGroup) traffic.Proof {
	if k.asked = list; len(list) == 0 {
		k.ended++
		return traffic.Proof{Holds: true}
	}
	return k.proof
}

func (*knowing) Interval() time.Duration { return 10 * time.Second }
func (*knowing) Forget(loop.Key)         {}

// bound is a TargetGroupBinding of a Service.
func bound(name, service, kind string, port any, change ...func(spec map[string]any)) *unstructured.Unstructured {
	spec := map[string]any{"targetGroupARN": "arn:" + name, "targetType": kind, "serviceRef": map[string]any{"name": service, "port": port}}
	for _, c := range change {
		c(spec)
	}
	u := &unstructured.Unstructured{Object: map[string]any{"spec": spec}}
	u.SetGroupVersionKind(DefaultBinding)
	u.SetNamespace("shop")
	u.SetName(name)
	return u
}

// endpointSlice is an EndpointSlice of a Service with endpoints behind the port http.
func endpointSlice(service string, family discoveryv1.AddressType, endpoints ...discoveryv1.Endpoint) *discoveryv1.EndpointSlice {
	return &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: service + "-" + strings.ToLower(string(family)), Labels: map[string]string{discoveryv1.LabelServiceName: service}},
		AddressType: family, Endpoints: endpoints,
		Ports: []discoveryv1.EndpointPort{{Name: ptr("http"), Port: ptr(int32(8080))}, {Name: ptr("admin"), Port: ptr(int32(9090))}, {Name: ptr("odd")}}}
}

func ready(address, pod string) discoveryv1.Endpoint {
	return discoveryv1.Endpoint{Addresses: []string{address}, TargetRef: &corev1.ObjectReference{Kind: "Pod", Name: pod}}
}

func activeService() *corev1.Service {
	s := service("web-active")
	s.Spec.Ports = []corev1.ServicePort{{Name: "http", Port: 80}, {Name: "admin", Port: 81}}
	return s
}

// Covers: outage 2, outage 14.
func TestOldPodsStayUntilTheLoadBalancerServesTheNewOnes(t *testing.T) {
	w := newWorld(t, webRollout(blueGreen("")), activeService(), bound("web", "web-active", "ip", int64(80)))
	k := &knowing{}
	w.rollouts.TargetGroups = k
	w.work(settled)
	w.edit(setImage("two"))
	w.told()
	old := endpointSlice("web-active", discoveryv1.AddressTypeIPv4, ready("10.0.0.1", w.sets()["one"].Name+"-x"))
	w.create(old)
	settledAt := func(when, message string) {
		t.Helper()
		w.work(120)
		if st, one := w.rollout().Status, w.sets()["one"]; st.StableRS != one.Labels[hashLabel] || *one.Spec.Replicas != 4 {
			t.Errorf("%s: stable %s, %d old pods", when, st.StableRS, *one.Spec.Replicas)
		}
		if s := w.observe().Snapshot; s.Targets == nil || s.Targets.Served || !strings.Contains(s.Targets.Why, message) {
			t.Errorf("%s: %+v", when, s.Targets)
		}
	}
	settledAt("while the endpoints are the old ones", "service web-active still leads to pod "+w.sets()["one"].Name+"-x of another revision")
	old.Endpoints = []discoveryv1.Endpoint{ready("10.0.0.2", w.sets()["two"].Name+"-x")}
	if err := w.client.Update(context.Background(), old); err != nil {
		t.Fatal(err)
	}
	settledAt("while AWS was not asked", "the load balancers are not known to serve every endpoint of service web-active yet")
	if d := cmp.Diff([]traffic.TargetGroup{{ARN: "arn:web", Service: "web-active", Endpoints: []string{"10.0.0.2:8080"}}}, k.asked); d != "" {
		t.Error(d)
	}
	k.proof.Notes = []traffic.Note{{Warning: true, Reason: "TargetGroupUnverified", Message: "0/1 endpoints registered"}}
	settledAt("while AWS says no", "0/1 endpoints registered")
	k.proof = traffic.Proof{Holds: true, Notes: []traffic.Note{{Reason: "TargetGroupVerified", Message: "1 endpoints registered"}}}
	w.work(settled)
	w.now = w.now.Add(31e9)
	w.work(settled)
	if st := w.rollout().Status; st.Phase != v1alpha1.RolloutPhaseHealthy || *w.sets()["one"].Spec.Replicas != 0 {
		t.Errorf("phase %s %s, %d old pods", st.Phase, st.Message, *w.sets()["one"].Spec.Replicas)
	}
	events := strings.Join(w.told(), "\n")
	for _, e := range []string{"Warning TargetGroupUnverified 0/1", "Normal TargetGroupVerified 1 endpoints"} {
		if n := strings.Count(events, e); n != 1 {
			t.Errorf("%s was told %d times in\n%s", e, n, events)
		}
	}
	if ended := k.ended; ended == 0 {
		t.Error("AWS is asked for ever")
	}
}

func TestEndpointsThatALoadBalancerMustServe(t *testing.T) {
	no := false
	four := endpointSlice("web-active", discoveryv1.AddressTypeIPv4, ready("10.0.0.2", "web-two-b"), ready("10.0.0.1", "web-two-a"),
		discoveryv1.Endpoint{Addresses: []string{"10.0.0.9"}, Conditions: discoveryv1.EndpointConditions{Ready: &no}, TargetRef: &corev1.ObjectReference{Kind: "Pod", Name: "web-one-a"}})
	six := endpointSlice("web-active", discoveryv1.AddressTypeIPv6, ready("fd00::1", "web-two-a"))
	other := endpointSlice("web-other", discoveryv1.AddressTypeIPv4, ready("10.0.0.7", "web-one-a"))
	for name, c := range map[string]struct {
		bindings []*unstructured.Unstructured
		want     [][]string
		why      string
	}{
		"none":                            {nil, nil, ""},
		"one of another Service":          {[]*unstructured.Unstructured{bound("x", "web-other", "ip", int64(80))}, nil, ""},
		"one that sends to nodes":         {[]*unstructured.Unstructured{bound("x", "web-active", "instance", int64(80))}, nil, ""},
		"by the number of the port":       {[]*unstructured.Unstructured{bound("x", "web-active", "ip", int64(80))}, [][]string{{"10.0.0.1:8080", "10.0.0.2:8080"}}, ""},
		"by its name":                     {[]*unstructured.Unstructured{bound("x", "web-active", "ip", "admin")}, [][]string{{"10.0.0.1:9090", "10.0.0.2:9090"}}, ""},
		"two of them":                     {[]*unstructured.Unstructured{bound("x", "web-active", "ip", int64(80)), bound("y", "web-active", "ip", int64(81))}, [][]string{{"10.0.0.1:8080", "10.0.0.2:8080"}, {"10.0.0.1:9090", "10.0.0.2:9090"}}, ""},
		"by IPv6":                         {[]*unstructured.Unstructured{bound("x", "web-active", "ip", int64(80), func(s map[string]any) { s["ipAddressType"] = "ipv6" })}, [][]string{{"[fd00::1]:8080"}}, ""},
		"a port that the Service has not": {[]*unstructured.Unstructured{bound("x", "web-active", "ip", int64(82))}, nil, "service web-active has no port 82"},
		"one that is being made":          {[]*unstructured.Unstructured{bound("x", "web-active", "ip", int64(80), func(s map[string]any) { delete(s, "targetGroupARN") })}, nil, "TargetGroupBinding x has no target group yet"},
		"a port that no endpoint has":     {[]*unstructured.Unstructured{bound("x", "web-active", "ip", "odd")}, nil, "service web-active has no ready endpoint yet"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, webRollout(blueGreen("")), four.DeepCopy(), six.DeepCopy(), other.DeepCopy())
			for _, b := range c.bindings {
				w.create(b)
			}
			svc := activeService()
			svc.Spec.Ports = append(svc.Spec.Ports, corev1.ServicePort{Name: "odd", Port: 83})
			sets := map[string]*appsv1.ReplicaSet{"two": {ObjectMeta: metav1.ObjectMeta{Name: "web-two"}}}
			s := &Seen{Rollout: w.rollout(), services: map[string]*corev1.Service{"web-active": svc}, Sets: sets}
			list, why := w.rollouts.targetGroups(context.Background(), s, "web-active", "two")
			var got [][]string
			for _, g := range list {
				got = append(got, g.Endpoints)
			}
			if d := cmp.Diff(c.want, got); d != "" || why != c.why {
				t.Errorf("%q %s", why, d)
			}
		})
	}
	t.Run("an API server that does not answer", func(t *testing.T) {
		w := newWorld(t, webRollout(blueGreen("")))
		w.rollouts.Live = listless{w.client}
		s := &Seen{Rollout: w.rollout()}
		if list, why := w.rollouts.targetGroups(context.Background(), s, "web-active", "two"); len(list) != 0 || !strings.Contains(why, "list TargetGroupBinding in shop: down") {
			t.Errorf("%v %q", list, why)
		}
	})
}
