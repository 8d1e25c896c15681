package kube

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// plain is a canary without a router and without steps.
func plain(ro *v1alpha1.Rollout) {
	c := ro.Spec.Strategy.Canary
	c.TrafficRouting, c.Steps = nil, nil
}

// Covers: edge 8, edge 87.
func TestReturnToAnEarlierRevisionTakesItsReplicaSet(t *testing.T) {
	w := shop(t, func(ro *v1alpha1.Rollout) { ro.Spec.Strategy.Canary.Steps = nil })
	release := func(image string) {
		w.edit(setImage(image))
		w.work(settled)
	}
	w.work(settled)
	release("two")
	name := w.sets()["two"].Name
	release("three")
	if w.sets()["two"].Annotations[deadlineKey] == "" {
		t.Fatal("the former revision has no deadline")
	}
	release("two")
	rs := w.sets()["two"]
	if rs.Name != name || len(w.sets()) != 3 {
		t.Errorf("%s instead of %s, %d ReplicaSets", rs.Name, name, len(w.sets()))
	}
	got := []string{rs.Annotations[revisionKey], rs.Annotations[historyKey], rs.Annotations[deadlineKey], w.rollout().Annotations[revisionKey]}
	if d := cmp.Diff([]string{"4", "2", "", "4"}, got); d != "" {
		t.Error(d)
	}
}

// Covers: edge 11.
func TestMinReadySecondsChangeInPlace(t *testing.T) {
	w := shop(t)
	w.work(settled)
	name := w.sets()["one"].Name
	w.edit(func(ro *v1alpha1.Rollout) { ro.Spec.MinReadySeconds = 7 })
	w.work(settled)
	rs := w.sets()["one"]
	if rs.Name != name || rs.Spec.MinReadySeconds != 7 || rs.Annotations[revisionKey] != "1" || rs.Annotations[historyKey] != "" {
		t.Errorf("%s: %d s, annotations %v", rs.Name, rs.Spec.MinReadySeconds, rs.Annotations)
	}
}

// behind is a cache that still shows the first version of the Rollout that it got.
type behind struct {
	client.Reader
	ro *v1alpha1.Rollout
}

func (b *behind) Get(ctx context.Context, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
	if ro, ok := o.(*v1alpha1.Rollout); ok {
		b.ro.DeepCopyInto(ro)
		return nil
	}
	return b.Reader.Get(ctx, key, o, opts...)
}

// Covers: edge 17.
func TestCacheBehindTheOwnWritesIsWaitedFor(t *testing.T) {
	w := shop(t)
	stale := &behind{w.client, w.rollout()}
	w.rollouts.Reader, w.loop.Record.Cache = stale, stale
	if _, err := w.pass(); err != nil {
		t.Fatal(err)
	}
	if len(w.writes) == 0 {
		t.Fatal("nothing was written")
	}
	w.writes = nil
	for range 3 {
		r, err := w.pass()
		if err != nil || r.RequeueAfter <= 0 || r.RequeueAfter > 100*time.Millisecond || len(w.writes) != 0 {
			t.Fatalf("looks again after %s, writes %v, error %v", r.RequeueAfter, w.writes, err)
		}
	}
	w.rollouts.Reader, w.loop.Record.Cache = w.client, w.client
	w.work(settled)
	if p := w.rollout().Status.Phase; p != v1alpha1.RolloutPhaseHealthy {
		t.Errorf("phase %s once the cache has caught up", p)
	}
}

// Covers: edge 40, traffic edge 185, traffic defect 37.
func TestServiceIsTakenOverOnlyByAWholeRevision(t *testing.T) {
	for name, managed := range map[string]bool{"a user's Service waits for all pods": false, "our own goes over with the first one": true} {
		t.Run(name, func(t *testing.T) {
			stable := service("web-stable")
			if managed {
				stable.Annotations = map[string]string{managedKey: "web"}
			}
			w := newWorld(t, webRollout(plain), stable, service("web-canary"))
			up := func(n int32) {
				for range 4 {
					if _, err := w.pass(); err != nil {
						t.Fatal(err)
					}
					for _, rs := range w.sets() {
						n := min(n, *rs.Spec.Replicas)
						rs.Status = appsv1.ReplicaSetStatus{Replicas: *rs.Spec.Replicas, ReadyReplicas: n, AvailableReplicas: n, ObservedGeneration: rs.Generation}
						if err := w.client.Status().Update(context.Background(), rs); err != nil {
							t.Fatal(err)
						}
					}
				}
			}
			pointed := func() bool {
				w.get("web-stable", stable)
				return stable.Spec.Selector[hashLabel] != ""
			}
			if up(0); pointed() {
				t.Error("without a pod")
			}
			if up(3); pointed() != managed {
				t.Errorf("with three of four pods: %v", pointed())
			}
			if up(4); !pointed() {
				t.Error("not with all of them")
			}
		})
	}
}

// Covers: edge 98, edge 99.
func TestOldReplicaSetsAreDeleted(t *testing.T) {
	for name, c := range map[string]struct {
		limit int32
		stuck string
		want  []string
	}{
		"down to the limit":              {1, "", []string{"four", "three"}},
		"all, where the limit is nought": {0, "", []string{"four"}},
		"but none that has a pod":        {0, "two", []string{"four", "two"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, webRollout(plain, func(ro *v1alpha1.Rollout) { ro.Spec.RevisionHistoryLimit = &c.limit }), service("web-stable"), service("web-canary"))
			w.work(settled)
			for _, image := range []string{"two", "three", "four"} {
				w.edit(func(ro *v1alpha1.Rollout) { ro.Spec.RevisionHistoryLimit = ptr(int32(9)); setImage(image)(ro) })
				w.work(settled)
			}
			if rs := w.sets()[c.stuck]; rs != nil {
				rs.Status.Replicas = 1
				if err := w.client.Status().Update(context.Background(), rs); err != nil {
					t.Fatal(err)
				}
			}
			w.edit(func(ro *v1alpha1.Rollout) { ro.Spec.RevisionHistoryLimit = &c.limit })
			for range 3 {
				if _, err := w.pass(); err != nil {
					t.Fatal(err)
				}
			}
			var left []string
			for image := range w.sets() {
				left = append(left, image)
			}
			slices.Sort(left)
			if d := cmp.Diff(c.want, left); d != "" {
				t.Error(d)
			}
		})
	}
}

// tested has an analysis as its only step.
func tested(ro *v1alpha1.Rollout) {
	ro.Spec.Strategy.Canary.Steps = []v1alpha1.CanaryStep{{Analysis: &v1alpha1.RolloutAnalysis{Templates: []v1alpha1.AnalysisTemplateRef{{TemplateName: "check"}}}}}
}

func (w *world) runNames() (names []string) {
	w.t.Helper()
	list := &v1alpha1.AnalysisRunList{}
	if err := w.client.List(context.Background(), list); err != nil {
		w.t.Fatal(err)
	}
	for _, r := range list.Items {
		names = append(names, r.Name)
		if r.Spec.Terminate {
			names[len(names)-1] += " stopped"
		}
	}
	return names
}

// noRuns is a cache that shows no AnalysisRun.
type noRuns struct{ client.Reader }

func (n noRuns) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	if _, runs := list.(*v1alpha1.AnalysisRunList); runs {
		return nil
	}
	return n.Reader.List(ctx, list, opts...)
}

// Covers: edge 101.
func TestRunThatTheCacheDoesNotShowIsNotMadeTwice(t *testing.T) {
	w := shop(t, tested)
	w.create(template("check"))
	w.work(settled)
	w.edit(setImage("two"))
	w.work(settled)
	names := w.runNames()
	if len(names) != 1 {
		t.Fatalf("runs %v", names)
	}
	w.rollouts.Reader = noRuns{w.client}
	w.writes = nil
	w.work(3)
	if d := cmp.Diff(names, w.runNames()); d != "" || slices.ContainsFunc(w.writes, func(s string) bool { return strings.HasPrefix(s, "create") }) {
		t.Errorf("writes %v: %s", w.writes, d)
	}
	if got := w.observe().Snapshot.Runs; len(got) != 1 || got[0].Name != names[0] {
		t.Errorf("runs %+v", got)
	}
	w.rollouts.Live = broken{w.client}
	if _, err := w.pass(); err == nil {
		t.Error("a run that cannot be read counts as none")
	}
}

// Covers: edge 102.
func TestRunThatTheStatusDoesNotNameYetIsKept(t *testing.T) {
	w := shop(t, tested)
	w.create(template("check"))
	w.work(settled)
	w.edit(setImage("two"))
	lost := 0
	w.refuse = func(verb string, o client.Object) error {
		if verb == "status" && kindOf(o) == "Rollout" && len(w.runNames()) == 1 && lost < 2 {
			lost++
			return apierrors.NewConflict(schema.GroupResource{}, o.GetName(), errors.New("newer"))
		}
		return nil
	}
	w.work(settled)
	ref := w.rollout().Status.Canary.CurrentStepAnalysisRunStatus
	if lost == 0 || ref == nil {
		t.Fatalf("lost %d writes, %+v", lost, ref)
	}
	if d := cmp.Diff([]string{ref.Name}, w.runNames()); d != "" {
		t.Error(d)
	}
}

// Covers: edge 124.
func TestFromBlueGreenToCanary(t *testing.T) {
	w := newWorld(t, webRollout(blueGreen("web-preview")), service("web-active"), service("web-preview"), service("web-stable"), service("web-canary"))
	w.work(settled)
	if p := w.rollout().Status.Phase; p != v1alpha1.RolloutPhaseHealthy {
		t.Fatalf("phase %s: %s", p, w.rollout().Status.Message)
	}
	name := w.sets()["one"].Name
	w.edit(func(ro *v1alpha1.Rollout) {
		ro.Spec.Strategy = v1alpha1.RolloutStrategy{Canary: &v1alpha1.CanaryStrategy{StableService: "web-active"}}
	})
	w.work(settled)
	for _, n := range []string{"web-active", "web-preview"} {
		if _, err := (&Services{Clients: w.rollouts.Clients}).Reconcile(context.Background(), requestFor(n)); err != nil {
			t.Fatal(err)
		}
	}
	w.work(settled)
	selected := func(n string) string {
		svc := &corev1.Service{}
		w.get(n, svc)
		return svc.Spec.Selector[hashLabel]
	}
	st := w.rollout().Status
	if selected("web-preview") != "" || selected("web-active") != st.StableRS || st.Phase != v1alpha1.RolloutPhaseHealthy {
		t.Errorf("preview selects %q, active %q, phase %s: %s", selected("web-preview"), selected("web-active"), st.Phase, st.Message)
	}
	if rs := w.sets()["one"]; rs.Name != name || *rs.Spec.Replicas != 4 || len(w.sets()) != 1 {
		t.Errorf("%s with %d pods, %d ReplicaSets", rs.Name, *rs.Spec.Replicas, len(w.sets()))
	}
}

// Covers: edge 172.
func TestIdlePingPongServiceNeedsNoPods(t *testing.T) {
	w := newWorld(t, webRollout(func(ro *v1alpha1.Rollout) {
		c := ro.Spec.Strategy.Canary
		c.StableService, c.CanaryService = "", ""
		c.PingPong = &v1alpha1.PingPongSpec{PingService: "web-canary", PongService: "web-stable"}
	}), service("web-stable"), service("web-canary"), virtualService())
	w.work(settled)
	w.edit(setImage("two"))
	for range 8 { // no pod of the new revision comes up
		if _, err := w.pass(); err != nil {
			t.Fatal(err)
		}
		w.now = w.now.Add(time.Second)
	}
	svc := &corev1.Service{}
	w.get("web-canary", svc)
	if rs := w.sets()["two"]; svc.Spec.Selector[hashLabel] != rs.Labels[hashLabel] || w.weight() != 0 {
		t.Errorf("ping selects %q of %s, weight %d", svc.Spec.Selector[hashLabel], rs.Labels[hashLabel], w.weight())
	}
}

// Covers: edge 174.
func TestDeletedServiceIsAFaultOfTheSpecUntilItIsBack(t *testing.T) {
	w := shop(t)
	w.work(settled)
	if err := w.client.Delete(context.Background(), service("web-stable")); err != nil {
		t.Fatal(err)
	}
	w.work(3)
	if st := w.rollout().Status; st.Phase != v1alpha1.RolloutPhaseDegraded || !strings.Contains(st.Message, `service "web-stable" not found`) {
		t.Errorf("phase %s: %s", st.Phase, st.Message)
	}
	w.create(service("web-stable"))
	w.work(settled)
	w.expect("with the Service back", state{v1alpha1.RolloutPhaseHealthy, 0, 4, 0, "one", "one"})
}
