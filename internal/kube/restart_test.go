package kube

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/rollout"
)

// podOf is an available pod of the revision, a day old, then changed.
func (w *world) podOf(name, hash string, change ...func(*corev1.Pod)) *corev1.Pod {
	p := pod(name, hash, "set-"+hash, map[string]string{"app": "web"})
	p.UID, p.CreationTimestamp = types.UID(name), metav1.NewTime(w.now.Add(-24*time.Hour))
	p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(w.now.Add(-time.Minute))}}
	for _, c := range change {
		c(p)
	}
	return p
}

// restarted is a shop with the revision abc, whose restart was asked for a minute ago.
func restarted(t *testing.T, change ...func(*v1alpha1.Rollout)) *world {
	w := shop(t, change...)
	w.create(owned(t, "abc", func(rs *appsv1.ReplicaSet) { rs.UID, rs.Spec.MinReadySeconds = "set-abc", 30 }))
	w.edit(func(ro *v1alpha1.Rollout) { at := metav1.NewTime(w.now.Add(-time.Minute)); ro.Spec.RestartAt = &at })
	return w
}

func TestPodsAreReadWhileARestartIsDue(t *testing.T) {
	w := restarted(t)
	ready := func(since time.Duration) func(*corev1.Pod) {
		return func(p *corev1.Pod) { p.Status.Conditions[0].LastTransitionTime = metav1.NewTime(w.now.Add(-since)) }
	}
	w.create(w.podOf("ready", "abc", ready(30*time.Second)))
	w.create(w.podOf("just-ready", "abc", ready(29*time.Second)))
	w.create(w.podOf("unready", "abc", func(p *corev1.Pod) { p.Status.Conditions[0].Status = corev1.ConditionFalse }))
	w.create(w.podOf("unheard-of", "abc", func(p *corev1.Pod) { p.Status.Conditions = nil }))
	w.create(w.podOf("over", "abc", func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed }))
	w.create(w.podOf("foreign", "abc", func(p *corev1.Pod) { p.OwnerReferences[0].UID = "somebody else" }))
	w.create(w.podOf("unlabelled", "abc", func(p *corev1.Pod) { delete(p.Labels, "app") }))
	w.create(w.podOf("going", "abc", func(p *corev1.Pod) { p.Finalizers = []string{"a/b"} }))
	if err := w.client.Delete(context.Background(), w.podOf("going", "abc")); err != nil {
		t.Fatal(err)
	}
	type fact struct{ Available, Deleting bool }
	got := map[string]fact{}
	for _, p := range w.observe().Snapshot.Pods {
		got[p.Name] = fact{p.Available, p.Deleting}
		if p.Hash != "abc" || !p.Created.Equal(w.now.Add(-24*time.Hour)) {
			t.Errorf("%+v", p)
		}
	}
	want := map[string]fact{"ready": {true, false}, "just-ready": {}, "unready": {}, "unheard-of": {}, "going": {true, true}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	for name, change := range map[string]func(*v1alpha1.Rollout){
		"the restart is through":     func(ro *v1alpha1.Rollout) { ro.Status.RestartedAt = ro.Spec.RestartAt },
		"the selector is not known":  func(ro *v1alpha1.Rollout) { ro.Spec.Selector = nil },
		"no restart is asked for":    func(ro *v1alpha1.Rollout) { ro.Spec.RestartAt = nil },
		"the restart is for the day": func(ro *v1alpha1.Rollout) { at := metav1.NewTime(w.now.Add(time.Hour)); ro.Spec.RestartAt = &at },
	} {
		s := w.observe()
		s.Snapshot.Pods = nil
		change(s.Rollout)
		s.Snapshot.Spec, s.Snapshot.Status = s.Rollout.Spec, s.Rollout.Status
		if w.rollouts.observePods(context.Background(), &s); s.Snapshot.Pods != nil {
			t.Errorf("pods are read although %s", name)
		}
	}
}

func TestEvictedPodsCountNoLonger(t *testing.T) {
	w := restarted(t)
	for _, n := range []string{"a", "b", "c"} {
		w.create(w.podOf(n, "abc"))
	}
	rs := w.set("web-abc")
	rs.Spec.Replicas, rs.Status.AvailableReplicas, rs.Status.Replicas = ptr(int32(3)), 3, 3
	if err := w.client.Update(context.Background(), rs); err != nil {
		t.Fatal(err)
	}
	rs.Status.AvailableReplicas, rs.Status.Replicas = 3, 3
	if err := w.client.Status().Update(context.Background(), rs); err != nil {
		t.Fatal(err)
	}
	expect := func(want int32) {
		t.Helper()
		if got := w.observe().Snapshot.Revisions[0].Available; got != want {
			t.Errorf("%d available, want %d", got, want)
		}
	}
	expect(3)
	w.must(rollout.Restart{Pod: "b", Hash: "abc"})
	expect(2)                     // although the ReplicaSet's status says three
	w.create(w.podOf("d", "abc")) // and more pods
	w.create(w.podOf("e", "abc")) // than the ReplicaSet
	expect(3)                     // has counted do not count either
	w.edit(func(ro *v1alpha1.Rollout) { ro.Spec.RestartAt = nil })
	w.must(rollout.Scale{Hash: "abc", To: 3})
	expect(3)
}

func TestNoPodsAreNotUnknownPods(t *testing.T) {
	if pods := restarted(t).observe().Snapshot.Pods; pods == nil || len(pods) != 0 {
		t.Errorf("%v", pods)
	}
}

func TestPodsThatCannotBeReadStopOnlyTheRestart(t *testing.T) {
	w := restarted(t)
	w.rollouts.Live = podless{w.client}
	s := w.observe()
	if s.Snapshot.Pods != nil || len(s.Snapshot.Trouble) != 0 {
		t.Errorf("pods %v, trouble %v", s.Snapshot.Pods, s.Snapshot.Trouble)
	}
	if wake := w.rollouts.Explain(s, rollout.Plan{}).Wake; !wake.Equal(w.now.Add(podsRetry)) {
		t.Errorf("looks again at %s", wake)
	}
}

// podless is an API server that lists no pods.
type podless struct{ client.Reader }

func (p podless) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	if _, pods := list.(*corev1.PodList); pods {
		return apierrors.NewForbidden(corev1.Resource("pods"), "", nil)
	}
	return p.Reader.List(ctx, list, opts...)
}

// Covers: edge 128.
func TestDisruptionBudgetKeepsAPodForAWhile(t *testing.T) {
	w := restarted(t)
	for _, n := range []string{"a", "b"} {
		w.create(w.podOf(n, "abc"))
	}
	w.refuse = func(verb string, o client.Object) error {
		if verb == "eviction" && o.GetName() == "a" {
			return apierrors.NewTooManyRequests("Cannot evict pod as it would violate the pod's disruption budget.", 0)
		}
		return nil
	}
	s := w.observe()
	plan := rollout.Plan{Actions: []rollout.Action{rollout.Restart{Pod: "a", Hash: "abc"}, rollout.Restart{Pod: "b", Hash: "abc"}}, Wake: w.now.Add(30 * time.Second)}
	if err := w.rollouts.Apply(context.Background(), s, plan); err != nil {
		t.Fatalf("a budget that refuses is an error: %v", err)
	}
	if wake := w.rollouts.Explain(s, plan).Wake; !wake.Equal(w.now.Add(time.Second)) {
		t.Errorf("the others get their turn only at %s", wake)
	}
	w.refuse = nil
	refused := func() (names []string) {
		for _, p := range w.observe().Snapshot.Pods {
			if names = append(names, p.Name); p.Refused {
				names[len(names)-1] += " refused"
			}
		}
		return names
	}
	w.now = w.now.Add(29 * time.Second)
	if d := cmp.Diff([]string{"a refused"}, refused()); d != "" {
		t.Error(d)
	}
	w.now = w.now.Add(time.Second)
	if d := cmp.Diff([]string{"a"}, refused()); d != "" {
		t.Error(d)
	}
	w.must(rollout.Restart{Pod: "a", Hash: "abc"})
	if got := refused(); len(got) != 0 {
		t.Errorf("pods %v", got)
	}
}

func TestEvictionThatFails(t *testing.T) {
	w := restarted(t)
	w.create(w.podOf("a", "abc"))
	w.refuse = func(verb string, _ client.Object) error {
		if verb == "eviction" {
			return apierrors.NewInternalError(context.Canceled)
		}
		return nil
	}
	err := w.do(rollout.Restart{Pod: "a", Hash: "abc"}, rollout.Restart{Pod: "unknown", Hash: "abc"}, rollout.Scale{Hash: "abc", To: 2})
	if err == nil || !strings.Contains(err.Error(), "context canceled") || !strings.Contains(err.Error(), `no pod is named "unknown"`) {
		t.Errorf("got %v", err)
	}
	if *w.set("web-abc").Spec.Replicas != 2 {
		t.Error("the other action was not carried out")
	}
	w.refuse = nil
	s := w.observe()
	if err := w.client.Delete(context.Background(), w.podOf("a", "abc")); err != nil {
		t.Fatal(err)
	}
	w.create(w.podOf("a", "abc", func(p *corev1.Pod) { p.UID = "successor" }))
	err = w.rollouts.Apply(context.Background(), s, rollout.Plan{Actions: []rollout.Action{rollout.Restart{Pod: "a", Hash: "abc"}}})
	if err == nil || len(w.observe().Snapshot.Pods) != 1 {
		t.Error("another pod of the same name was evicted")
	}
	if err := w.client.Delete(context.Background(), w.podOf("a", "abc")); err != nil {
		t.Fatal(err)
	}
	if err := w.rollouts.Apply(context.Background(), s, rollout.Plan{Actions: []rollout.Action{rollout.Restart{Pod: "a", Hash: "abc"}}}); err != nil {
		t.Errorf("a pod that has gone meanwhile is an error: %v", err)
	}
}

// TestEvictionOnTheWire holds what the fake client overlooks: that the API server gets a
// policy/v1 Eviction of just this pod.
func TestEvictionOnTheWire(t *testing.T) {
	scheme, err := NewScheme()
	if err != nil {
		t.Fatal(err)
	}
	var path string
	var sent policyv1.Eviction
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path = r.Method + " " + r.URL.Path
		body, err := io.ReadAll(r.Body)
		if err == nil {
			_, _, err = serializer.NewCodecFactory(scheme).UniversalDeserializer().Decode(body, nil, &sent)
		}
		if err != nil {
			t.Error(err)
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusTooManyRequests)
		if err := json.NewEncoder(w).Encode(apierrors.NewTooManyRequests("Cannot evict pod", 0).ErrStatus); err != nil {
			t.Error(err)
		}
	}))
	defer server.Close()
	mapper := meta.NewDefaultRESTMapper([]schema.GroupVersion{corev1.SchemeGroupVersion})
	mapper.Add(corev1.SchemeGroupVersion.WithKind("Pod"), meta.RESTScopeNamespace)
	c, err := client.New(&rest.Config{Host: server.URL}, client.Options{Scheme: scheme, Mapper: mapper})
	if err != nil {
		t.Fatal(err)
	}
	r := NewRollouts(Clients{Plain: c})
	s := Seen{Rollout: webRollout(), pods: map[string]types.UID{"a": "uid-a"}}
	if err := r.restart(context.Background(), &s, rollout.Restart{Pod: "a"}); err != nil {
		t.Errorf("got %v", err)
	}
	if path != "POST /api/v1/namespaces/shop/pods/a/eviction" || sent.Name != "a" || sent.DeleteOptions == nil || *sent.DeleteOptions.Preconditions.UID != "uid-a" {
		t.Errorf("%s: %+v", path, sent)
	}
	if !r.justRefused(&s) {
		t.Error("the refusal is forgotten")
	}
}
