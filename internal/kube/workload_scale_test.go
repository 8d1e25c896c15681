package kube

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/rollout"
)

// follow gives the Deployment the pods that it wants, all available.
func (w *world) follow() {
	w.t.Helper()
	d := &appsv1.Deployment{}
	w.get("web", d)
	now := appsv1.DeploymentStatus{AvailableReplicas: *d.Spec.Replicas, ObservedGeneration: d.Generation}
	if cmp.Equal(d.Status, now) {
		return
	}
	d.Status = now
	if err := w.client.Status().Update(context.Background(), d); err != nil {
		w.t.Fatal(err)
	}
}

// Covers: edge 137, defect 29, outage 44, outage 46.
func TestTheDeploymentIsScaledDownAsTheRolloutTakesOver(t *testing.T) {
	blue := blueGreen("")
	plain := func(*v1alpha1.Rollout) {}
	for name, c := range map[string]struct {
		mode     string
		strategy func(*v1alpha1.Rollout)
		left     int32 // pods of the Deployment at the end, and after each apply of its manifest
		finalize bool
	}{
		"never":                             {"never", plain, 4, false},
		"by default never":                  {"", plain, 4, false},
		"a mode that nobody knows is never": {"OnSuccess", plain, 4, false},
		"onsuccess":                         {"onsuccess", plain, 0, true},
		"progressively":                     {"progressively", plain, 0, true},
		"onsuccess of a blue-green Rollout": {"onsuccess", blue, 0, true},
		"progressively of a blue-green one": {"progressively", blue, 0, true},
		"progressively without a router":    {"progressively", unroutedShop, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			w := shop(t, c.strategy, byRef(c.mode))
			w.create(service("web-active"))
			w.create(deployment())
			settle := func() {
				t.Helper()
				for range settled {
					w.work(1)
					w.follow()
				}
				ro := w.rollout()
				if got := w.deployed(); got != c.left || ro.Status.Phase != v1alpha1.RolloutPhaseHealthy || slices.Contains(ro.Finalizers, workloadFinalizer) != c.finalize {
					t.Errorf("the Deployment has %d pods, want %d; phase %s, finalizers %v", got, c.left, ro.Status.Phase, ro.Finalizers)
				}
			}
			settle()
			w.change(scaled(4)) // somebody applies its manifest again
			settle()
			w.edit(func(ro *v1alpha1.Rollout) { ro.Spec.Replicas = ptr(int32(6)) })
			settle()
			w.change(image("two"))
			for range 4 {
				w.work(settled)
				w.request(func(st *v1alpha1.RolloutStatus) { st.PauseConditions = nil })
			}
			settle()
			w.change(scaled(4)) // after a later revision as well
			settle()
			w.writes = nil
			w.work(3)
			if len(w.writes) > 0 {
				t.Errorf("at rest it writes %v", w.writes)
			}
		})
	}
}

func unroutedShop(ro *v1alpha1.Rollout) { ro.Spec.Strategy.Canary.TrafficRouting = nil }

// Covers: edge 137.
func TestProgressivelyKeepsTheCapacity(t *testing.T) {
	w := shop(t, byRef("progressively"))
	w.create(deployment())
	var path []string
	for ready := range int32(5) {
		for range settled {
			if _, err := w.pass(); err != nil {
				t.Fatal(err)
			}
			w.now = w.now.Add(time.Second)
			w.follow()
			if line := fmt.Sprintf("%d+%d", ready, w.deployed()); len(path) == 0 || path[len(path)-1] != line {
				path = append(path, line)
			}
		}
		ready++
		if rs := w.sets()["one"]; rs != nil {
			rs.Status = appsv1.ReplicaSetStatus{Replicas: 4, ReadyReplicas: ready, AvailableReplicas: ready, ObservedGeneration: rs.Generation}
			if err := w.client.Status().Update(context.Background(), rs); err != nil {
				t.Fatal(err)
			}
		}
	}
	if want := []string{"0+4", "1+4", "1+3", "2+2", "3+1", "4+0"}; cmp.Diff(want, path) != "" {
		t.Errorf("pods of Rollout and Deployment: %s", strings.Join(path, " "))
	}
}

// Covers: outage 47.
func TestPodsGoBackToTheDeploymentBeforeTheRolloutGoes(t *testing.T) {
	w := shop(t, byRef("onsuccess"), func(ro *v1alpha1.Rollout) { ro.Finalizers = []string{"somebody.else/s"} })
	w.create(deployment())
	for range settled {
		w.work(1)
		w.follow()
	}
	hash := w.sets()["one"].Labels[hashLabel]
	hashes := func() (list []string) {
		for _, name := range []string{"web-stable", "web-canary"} {
			svc := &corev1.Service{}
			w.get(name, svc)
			list = append(list, svc.Spec.Selector[hashLabel]+svc.Annotations[managedKey])
		}
		return list
	}
	if err := w.client.Delete(context.Background(), w.rollout()); err != nil || w.deployed() != 0 {
		t.Fatalf("%d pods, %v", w.deployed(), err)
	}
	check := func(when string, pods int32, services string, there bool) {
		t.Helper()
		w.work(1)
		want := []string{services, services}
		if got := slices.Contains(w.rollout().Finalizers, workloadFinalizer); got != there || w.deployed() != pods || cmp.Diff(want, hashes()) != "" {
			t.Errorf("%s: finalizer %v, %d pods, services %v", when, got, w.deployed(), hashes())
		}
	}
	check("at first the Deployment is scaled up", 4, hash+"web", true)
	check("nothing goes before its pods are there", 4, hash+"web", true)
	if *w.sets()["one"].Spec.Replicas != 4 {
		t.Error("the Rollout's own pods are gone")
	}
	w.follow()
	check("then the Services are given back", 4, "", true)
	check("which proxies need time to follow", 4, "", true)
	w.work(2)
	check("and then the Rollout may go", 4, "", false)
	ro := w.rollout()
	ro.Finalizers = nil
	if err := w.client.Update(context.Background(), ro); err != nil {
		t.Fatal(err)
	}
	if _, err := w.pass(); err != nil {
		t.Fatal(err)
	}
	if events := w.told(); !slices.Contains(events, "Normal RolloutDeleted Rollout web/shop is deleted.") {
		t.Errorf("events %v", events)
	}
}

func TestOnlyOurFinalizerHoldsADeletionUp(t *testing.T) {
	w := shop(t, byRef("never"))
	w.create(deployment())
	w.work(settled)
	if err := w.client.Delete(context.Background(), w.rollout()); err != nil {
		t.Fatal(err)
	}
	if err := w.client.Get(context.Background(), webKey, &v1alpha1.Rollout{}); !apierrors.IsNotFound(err) {
		t.Errorf("got %v", err)
	}
}

// Covers: outage 47.
func TestSubsetsAreGivenBackToo(t *testing.T) {
	w := shop(t, byRef("onsuccess"), bySubset, func(ro *v1alpha1.Rollout) {
		ro.Spec.Strategy.Canary.StableService, ro.Spec.Strategy.Canary.CanaryService = "", ""
	})
	rule := destinationRule("")
	w.create(rule)
	vs := virtualService()
	to := func(subset string, weight int64) any {
		return map[string]any{"destination": map[string]any{"host": "web", "subset": subset}, "weight": weight}
	}
	vs.Object["spec"] = map[string]any{"http": []any{map[string]any{"route": []any{to("stable", 100), to("canary", 0)}}}}
	there := virtualService()
	w.get("web", there)
	vs.SetResourceVersion(there.GetResourceVersion())
	if err := w.client.Update(context.Background(), vs); err != nil {
		t.Fatal(err)
	}
	w.create(service("web"))
	w.create(deployment())
	for range settled {
		w.work(1)
		w.follow()
	}
	pinned := func() (n int) {
		u := &unstructured.Unstructured{}
		u.SetGroupVersionKind(ruleKind)
		w.get("web", u)
		for _, s := range u.Object["spec"].(map[string]any)["subsets"].([]any) {
			if _, is := s.(map[string]any)["labels"].(map[string]any)[hashLabel]; is {
				n++
			}
		}
		return n
	}
	if w.deployed() != 0 || pinned() == 0 {
		t.Fatalf("%d pods of the Deployment, %d subsets of ours, phase %s", w.deployed(), pinned(), w.rollout().Status.Message)
	}
	if err := w.client.Delete(context.Background(), w.rollout()); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		if w.client.Get(context.Background(), webKey, &v1alpha1.Rollout{}) != nil {
			break
		}
		if _, err := w.pass(); err != nil && !apierrors.IsNotFound(err) {
			t.Fatal(err)
		}
		w.now = w.now.Add(time.Second)
		if pinned() == 0 && w.deployed() != 4 {
			t.Error("the subsets were let go before the Deployment had pods")
		}
		w.follow()
	}
	if err := w.client.Get(context.Background(), webKey, &v1alpha1.Rollout{}); !apierrors.IsNotFound(err) || pinned() != 0 || w.deployed() != 4 {
		t.Errorf("%v, %d subsets of ours, %d pods", err, pinned(), w.deployed())
	}
}

func TestApplyOfWorkloadActions(t *testing.T) {
	w := shop(t, byRef("onsuccess"), func(ro *v1alpha1.Rollout) { ro.Finalizers = []string{"a.b/c"} })
	w.create(deployment())
	w.must(rollout.SetFinalizer{On: true}, rollout.ScaleWorkload{From: 4, To: 2})
	if d := cmp.Diff([]string{"a.b/c", workloadFinalizer}, w.rollout().Finalizers); d != "" || w.deployed() != 2 {
		t.Errorf("%d pods, finalizers %s", w.deployed(), d)
	}
	w.must(rollout.SetFinalizer{On: true}, rollout.SetFinalizer{})
	if d := cmp.Diff([]string{"a.b/c"}, w.rollout().Finalizers); d != "" {
		t.Error(d)
	}
	s := w.observe()
	w.change(scaled(3))
	if err := w.rollouts.Apply(context.Background(), s, rollout.Plan{Actions: []rollout.Action{rollout.ScaleWorkload{From: 2, To: 0}}}); err == nil || w.deployed() != 3 {
		t.Errorf("one that somebody has changed was scaled: %d pods, %v", w.deployed(), err)
	}
	s = w.observe()
	w.edit(func(ro *v1alpha1.Rollout) { ro.Finalizers = append(ro.Finalizers, "d.e/f") })
	if err := w.rollouts.Apply(context.Background(), s, rollout.Plan{Actions: []rollout.Action{rollout.SetFinalizer{On: true}}}); err == nil || len(w.rollout().Finalizers) != 2 {
		t.Errorf("a finalizer of others was lost: %v, %v", w.rollout().Finalizers, err)
	}
	other := shop(t)
	if err := other.do(rollout.ScaleWorkload{To: 1}); err == nil {
		t.Error("a Deployment was scaled that nobody references")
	}
}

func TestWhatOfAWorkloadWakesItsRollouts(t *testing.T) {
	other := func(ro *v1alpha1.Rollout) {
		ro.Name, ro.UID = "other", "other-uid"
		refTo("apps/v1", "Deployment", "x")(ro)
	}
	beside := func(ro *v1alpha1.Rollout) {
		ro.Name, ro.UID = "beside", "beside-uid"
		refTo("v1", "PodTemplate", "web")(ro)
	}
	w := newWorld(t, webRollout(byRef("")), webRollout(other), webRollout(beside))
	for name, c := range map[string]struct {
		change func(*appsv1.Deployment)
		wakes  bool
	}{
		"nothing":                 {func(*appsv1.Deployment) {}, false},
		"a new version":           {func(d *appsv1.Deployment) { d.ResourceVersion = "99" }, false},
		"a label":                 {func(d *appsv1.Deployment) { d.Labels = map[string]string{"a": "b"} }, false},
		"a condition":             {func(d *appsv1.Deployment) { d.Status.Conditions = []appsv1.DeploymentCondition{{Type: "Available"}} }, false},
		"its template":            {image("two"), true},
		"its selector":            {func(d *appsv1.Deployment) { d.Spec.Selector = nil }, true},
		"its size":                {func(d *appsv1.Deployment) { d.Spec.Replicas = ptr(int32(1)) }, true},
		"available pods":          {func(d *appsv1.Deployment) { d.Status.AvailableReplicas = 1 }, true},
		"that counts are current": {func(d *appsv1.Deployment) { d.Status.ObservedGeneration = 0 }, true},
		"its generation":          {func(d *appsv1.Deployment) { d.Generation++ }, true},
		"that it is another one":  {func(d *appsv1.Deployment) { d.UID = "x" }, true},
		"that it is on its way":   {func(d *appsv1.Deployment) { d.DeletionTimestamp = &metav1.Time{Time: w.now} }, true},
		"one of another name":     {func(d *appsv1.Deployment) { d.Name = "y"; d.Generation++ }, false},
		"one in other namespaces": {func(d *appsv1.Deployment) { d.Namespace = "z"; d.Generation++ }, false},
	} {
		t.Run(name, func(t *testing.T) {
			q := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
			defer q.ShutDown()
			watcher := NewWatcher(reading{Reader: w.client}, nil, nil)
			watcher.queue = q
			_, _, events := watcher.source(schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "Deployment"})
			before, after := deployment(), deployment()
			c.change(after)
			before.ResourceVersion = "1"
			kept := before.DeepCopy()
			events.OnUpdate(before, after)
			if q.Len() > 1 || (q.Len() == 1) != c.wakes {
				t.Fatalf("%d wake", q.Len())
			}
			if c.wakes {
				if r, _ := q.Get(); r.NamespacedName != webKey {
					t.Errorf("woken is %s", r)
				}
			}
			if d := cmp.Diff(kept, before); d != "" {
				t.Errorf("what the cache holds was changed: %s", d)
			}
		})
	}
	// A PodTemplate has no generation that would tell.
	q := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
	defer q.ShutDown()
	watcher := NewWatcher(reading{Reader: w.client}, nil, nil)
	watcher.queue = q
	_, _, events := watcher.source(schema.GroupVersionKind{Version: "v1", Kind: "PodTemplate"})
	a, b := podTemplate(), podTemplate()
	a.Name, b.Name = "web", "web"
	b.Template.Spec.Containers[0].Image = "new"
	for what, happens := range map[string]func(){
		"an edit":    func() { events.OnUpdate(a, b) },
		"it is new":  func() { events.OnAdd(a, false) },
		"it is gone": func() { events.OnDelete(toolscache.DeletedFinalStateUnknown{Obj: a}) },
	} {
		if happens(); q.Len() != 1 {
			t.Fatalf("%s wakes %d", what, q.Len())
		}
		r, _ := q.Get()
		if q.Done(r); r.Name != "beside" {
			t.Errorf("%s wakes %s", what, r)
		}
	}
}

func TestCachesHoldOfWorkloadsOnlyWhatIsUsed(t *testing.T) {
	d := deployment(func(d *appsv1.Deployment) {
		d.Annotations = map[string]string{lastAppliedKey: strings.Repeat("x", 5000)}
		d.Labels = map[string]string{"a": "b"}
		d.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "m", Time: &metav1.Time{}, FieldsV1: &metav1.FieldsV1{Raw: []byte(`{"f:spec":{"f:template":{"f:spec":{}}}}`)}},
			{Manager: "scaler", Time: &metav1.Time{}, FieldsV1: &metav1.FieldsV1{Raw: []byte(`{"f:spec":{"f:replicas":{}}}`)}}}
		d.Status.Conditions = []appsv1.DeploymentCondition{{Type: "Available"}}
		d.ResourceVersion = "7"
	})
	want := deployment()
	want.ResourceVersion = "7"
	want.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "m", Time: &metav1.Time{}}}
	got, err := trim(d)
	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Error(err, d)
	}
	rs := owned(t, "abc")
	rs.ManagedFields = d.ManagedFields
	whole := owned(t, "abc")
	if got, _ := trim(rs.DeepCopy()); cmp.Diff(whole, got) != "" {
		t.Error("a ReplicaSet of our own is not whole")
	}
	got, _ = trimSet(rs)
	if set := got.(*appsv1.ReplicaSet); set.Annotations != nil || set.Labels != nil || set.Spec.Replicas != nil || cmp.Diff(set.Spec.Template, whole.Spec.Template) != "" {
		t.Errorf("got %+v", set)
	}
}
