package kube

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/traffic"
)

// What is put right from outside, or by time, heals a Rollout without anybody touching it.

func measuredBy(template string) func(*v1alpha1.Rollout) {
	return func(ro *v1alpha1.Rollout) {
		ro.Spec.Strategy.Canary.Steps = append(ro.Spec.Strategy.Canary.Steps, v1alpha1.CanaryStep{Analysis: &v1alpha1.RolloutAnalysis{
			Templates: []v1alpha1.AnalysisTemplateRef{{TemplateName: template}}}})
	}
}

func (w *world) degraded(because string) {
	w.t.Helper()
	if st := w.rollout().Status; st.Phase != v1alpha1.RolloutPhaseDegraded || !strings.Contains(st.Message, because) {
		w.t.Fatalf("phase %s: %s, want %q", st.Phase, st.Message, because)
	}
}

func TestWhatIsMissingHealsWhenItComes(t *testing.T) {
	// Covers: edge 26.
	t.Run("an AnalysisTemplate", func(t *testing.T) {
		w := shop(t, measuredBy("late"))
		w.work(3)
		w.degraded("InvalidSpec: The Rollout \"web\" is invalid: spec.strategy.canary.steps[3].analysis.templates: Invalid value: \"late\": AnalysisTemplate 'late' not found")
		w.create(template("late"))
		w.work(settled)
		w.expect("with its template", state{v1alpha1.RolloutPhaseHealthy, 0, 4, 0, "one", "one"})
	})
	// Covers: edge 27.
	t.Run("a Service", func(t *testing.T) {
		w := newWorld(t, webRollout(), service("web-canary"), virtualService())
		w.work(3)
		w.degraded(`spec.strategy.canary.stableService: Invalid value: "web-stable": service "web-stable" not found`)
		w.create(service("web-stable"))
		w.work(settled)
		w.expect("with its Service", state{v1alpha1.RolloutPhaseHealthy, 0, 4, 0, "one", "one"})
	})
}

// reading lets a client stand in for the cache of a Watcher.
type reading struct {
	cache.Cache
	client.Reader
}

func (r reading) Get(ctx context.Context, k client.ObjectKey, o client.Object, opts ...client.GetOption) error {
	return r.Reader.Get(ctx, k, o, opts...)
}

func (r reading) List(ctx context.Context, l client.ObjectList, opts ...client.ListOption) error {
	return r.Reader.List(ctx, l, opts...)
}

// Covers: edge 26, defect 23.
func TestATemplateWakesTheRolloutsThatItMayHeal(t *testing.T) {
	inner := func(ro *v1alpha1.Rollout) { ro.Name, ro.UID = "invalid", "invalid-uid" }
	w := newWorld(t, webRollout(measuredBy("late")), webRollout(inner), service("web-stable"), service("web-canary"))
	ro := &v1alpha1.Rollout{}
	w.get("invalid", ro)
	ro.Status.Conditions = []v1alpha1.RolloutCondition{{Type: v1alpha1.RolloutInvalidSpec, Status: "True"}}
	if err := w.client.Status().Update(context.Background(), ro); err != nil {
		t.Fatal(err)
	}
	woken := func(name string) string {
		q := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
		defer q.ShutDown()
		NewWatcher(reading{Reader: w.client}, nil, nil).template(context.Background(), q, template(name))
		var names []string
		for range q.Len() {
			r, _ := q.Get()
			names = append(names, r.Name)
			q.Done(r)
		}
		return strings.Join(names, " ")
	}
	for name, want := range map[string][]string{"late": {"web", "invalid"}, "other": {"invalid"}} {
		got := woken(name)
		for _, n := range want {
			if !strings.Contains(got, n) {
				t.Errorf("template %s wakes %q, want %v", name, got, want)
			}
		}
		if name == "other" && strings.Contains(got, "web") {
			t.Errorf("template %s wakes %q, though it names it nowhere", name, got)
		}
	}
}

// Covers: edge 1, edge 2, defect 38.
func TestARevisionOfAnotherHashIsTakenUpWithoutARollOut(t *testing.T) {
	w := shop(t)
	w.create(owned(t, "5d8c6f7b49", func(rs *appsv1.ReplicaSet) { // as the Deployment controller would label it
		defaulted(&rs.Spec.Template)
		rs.Spec.Replicas = ptr(int32(4))
	}))
	w.writes = nil
	w.work(settled)
	if got := len(w.sets()); got != 1 {
		t.Errorf("%d ReplicaSets: %v", got, w.writes)
	}
	if st := w.rollout().Status; st.CurrentPodHash != "5d8c6f7b49" || st.StableRS != "5d8c6f7b49" || st.Phase != v1alpha1.RolloutPhaseHealthy {
		t.Errorf("current %s, stable %s, phase %s", st.CurrentPodHash, st.StableRS, st.Phase)
	}
	for _, write := range w.writes {
		if strings.HasPrefix(write, "create ReplicaSet") {
			t.Error(write)
		}
	}
}

// Covers: edge 13.
func TestAStaleMarkOnAnOldRevisionHoldsNothingUp(t *testing.T) {
	w := shop(t)
	w.work(settled)
	w.edit(setImage("two"))
	w.work(settled)
	w.create(owned(t, "old", func(rs *appsv1.ReplicaSet) {
		rs.Spec.Template.Spec.Containers[0].Image = "nought"
		rs.Annotations[desiredKey], rs.Annotations[revisionKey] = "99", "0"
	}))
	w.say(resume)
	w.work(settled)
	w.expect("after the pause", state{v1alpha1.RolloutPhaseHealthy, 0, 4, 4, "two", "two"})
}

// Covers: edge 152.
func TestReplicaSetsOfExperimentsAreNoRevisions(t *testing.T) {
	w := shop(t)
	w.create(owned(t, "trial", func(rs *appsv1.ReplicaSet) {
		rs.OwnerReferences[0].Kind, rs.OwnerReferences[0].Name, rs.OwnerReferences[0].UID = "Experiment", "web-trial", "trial-uid"
	}))
	if got := w.observe().Snapshot.Revisions; len(got) != 0 {
		t.Errorf("revisions %+v", got)
	}
}

// faulty is a router one of whose verbs fails.
type faulty struct {
	traffic.Router
	observe, apply error
}

func (f *faulty) Observe(ctx context.Context, t traffic.Target) (traffic.Observation, error) {
	if f.observe != nil {
		return traffic.Observation{}, f.observe
	}
	return f.Router.Observe(ctx, t)
}

func (f *faulty) Apply(ctx context.Context, t traffic.Target, s traffic.Split) (traffic.Written, error) {
	if f.apply != nil {
		return nil, f.apply
	}
	return f.Router.Apply(ctx, t, s)
}

// Covers: edge 68, traffic edge 153.
func TestWhatARouterCannotDo(t *testing.T) {
	for name, c := range map[string]struct {
		broken faulty
		fails  bool
	}{
		"a look that fails is no failed pass, and holds": {faulty{observe: errors.New("timeout")}, false},
		"a write that fails is a failed pass":            {faulty{apply: errors.New("timeout")}, true},
	} {
		t.Run(name, func(t *testing.T) {
			w := shop(t)
			w.work(settled)
			f := c.broken
			f.Router = w.rollouts.Routers[0].Router
			w.rollouts.Routers[0].Router = &f
			w.edit(setImage("two"))
			failed := 0
			for range settled {
				if _, err := w.pass(); err != nil {
					failed++
				}
				w.pods()
				w.now = w.now.Add(time.Second)
			}
			if (failed > 0) != c.fails {
				t.Errorf("%d passes failed", failed)
			}
			if told := slices.Contains(w.told(), "Warning TrafficRoutingError timeout"); told != c.fails {
				t.Errorf("TrafficRoutingError told: %v", told)
			}
			if got := w.weight(); got != 0 || *w.rollout().Status.CurrentStepIndex != 0 {
				t.Errorf("weight %d, step %d", got, *w.rollout().Status.CurrentStepIndex)
			}
			f.observe, f.apply = nil, nil
			w.work(settled)
			w.expect("afterwards", state{v1alpha1.RolloutPhasePaused, 25, 4, 1, "one", "two"})
		})
	}
}
