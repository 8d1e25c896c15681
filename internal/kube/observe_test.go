package kube

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/loop"
	"github.com/penstock-io/penstock/internal/rollout"
	"github.com/penstock-io/penstock/internal/traffic"
)

func (w *world) observe() Seen {
	w.t.Helper()
	s, err := w.rollouts.Observe(context.Background(), webKey, w.now)
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// owned is a ReplicaSet of webRollout as it is made for the hash, then changed.
func owned(t *testing.T, hash string, change ...func(*appsv1.ReplicaSet)) *appsv1.ReplicaSet {
	t.Helper()
	rs, err := newSet(webRollout(), rollout.EnsureRevision{Hash: hash, Number: 1})
	if err != nil {
		t.Fatal(err)
	}
	rs.UID = "set-"
	for _, c := range change {
		c(rs)
	}
	return rs
}

func TestFactsOfARevision(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for name, c := range map[string]struct {
		change func(*appsv1.ReplicaSet)
		want   func(*rollout.Revision)
	}{
		"a fresh one":                      {func(*appsv1.ReplicaSet) {}, func(*rollout.Revision) {}},
		"a size that was never set is one": {func(rs *appsv1.ReplicaSet) { rs.Spec.Replicas = nil }, func(r *rollout.Revision) { r.Desired = 1 }},
		"counters": {func(rs *appsv1.ReplicaSet) {
			rs.Spec.Replicas, rs.Status = ptr(int32(9)), appsv1.ReplicaSetStatus{Replicas: 4, ReadyReplicas: 3, AvailableReplicas: 2}
		}, func(r *rollout.Revision) { r.Desired, r.Actual, r.Ready, r.Available = 9, 4, 3, 2 }},
		"a status of an older spec": {func(rs *appsv1.ReplicaSet) { rs.Generation = 2 }, func(r *rollout.Revision) { r.Observed = false }},
		"a deadline":                {func(rs *appsv1.ReplicaSet) { rs.Annotations[deadlineKey] = "2026-01-02T03:04:05Z" }, func(r *rollout.Revision) { r.RetireAt = at }},
		"a deadline that is no time": {func(rs *appsv1.ReplicaSet) { rs.Annotations[deadlineKey] = "soon" },
			func(r *rollout.Revision) { r.RetireUnreadable = true }},
		"a number that is none": {func(rs *appsv1.ReplicaSet) { rs.Annotations[revisionKey] = "x" }, func(r *rollout.Revision) { r.Number, r.Born = 0, 0 }},
		"the number that it had first": {func(rs *appsv1.ReplicaSet) { rs.Annotations[revisionKey], rs.Annotations[historyKey] = "9", "3,5" },
			func(r *rollout.Revision) { r.Number, r.Born = 9, 3 }},
		"a history that is none": {func(rs *appsv1.ReplicaSet) { rs.Annotations[historyKey] = "x,5" }, func(*rollout.Revision) {}},
		"a term against another revision": {func(rs *appsv1.ReplicaSet) {
			ro := webRollout(apart)
			injectAffinity(&rs.Spec.Template.Spec, wantedAway(ro, "old"))
		}, func(r *rollout.Revision) { r.Against = "old" }},
		"a user's terms are none of ours": {func(rs *appsv1.ReplicaSet) { rs.Spec.Template.Spec.Affinity = bareTerm() }, func(*rollout.Revision) {}},
		"injected metadata": {func(rs *appsv1.ReplicaSet) { rs.Annotations[metadataKey] = `{"labels":{"role":"canary"}}` },
			func(r *rollout.Revision) { r.Metadata.Labels = map[string]string{"role": "canary"} }},
		"injection that was not finished": {func(rs *appsv1.ReplicaSet) { rs.Annotations[metadataKey] = `{"pending":true}` },
			func(r *rollout.Revision) { r.MetadataStale = true }},
		"broken record of injection": {func(rs *appsv1.ReplicaSet) { rs.Annotations[metadataKey] = `{` }, func(*rollout.Revision) {}},
		"a quota": {func(rs *appsv1.ReplicaSet) {
			rs.Status.Conditions = []appsv1.ReplicaSetCondition{{Type: appsv1.ReplicaSetReplicaFailure, Status: corev1.ConditionTrue, Reason: "FailedCreate", Message: "quota", LastTransitionTime: metav1.NewTime(at)}}
		}, func(r *rollout.Revision) { r.Failure, r.FailureReason, r.FailureSince = "quota", "FailedCreate", at }},
	} {
		t.Run(name, func(t *testing.T) {
			rs := owned(t, "abc")
			c.change(rs)
			want := rollout.Revision{Hash: "abc", Name: "web-abc", Number: 1, Born: 1, Observed: true}
			c.want(&want)
			if d := cmp.Diff(want, revisionOf(rs)); d != "" {
				t.Error(d)
			}
		})
	}
}

// Covers: edge 2, defect 38.
func TestRevisionsAreFoundAndOrdered(t *testing.T) {
	w := shop(t)
	hash := v1alpha1.PodTemplateHash(&webRollout().Spec.Template, nil)
	w.create(owned(t, "old", func(rs *appsv1.ReplicaSet) {
		rs.Spec.Template.Spec.Containers[0].Image, rs.Annotations[revisionKey] = "nought", "7"
	}))
	w.create(owned(t, "legacy", func(rs *appsv1.ReplicaSet) { rs.Annotations[revisionKey] = "3" }))
	w.create(owned(t, "foreign", func(rs *appsv1.ReplicaSet) { rs.OwnerReferences[0].UID = "somebody else" }))
	s := w.observe()
	var got []string
	for _, r := range s.Snapshot.Revisions {
		mark := ""
		if r.Current {
			mark = " current"
		}
		got = append(got, r.Hash+mark)
	}
	if d := cmp.Diff([]string{"old", "legacy current"}, got); d != "" {
		t.Error(d)
	}
	if s.Snapshot.TemplateHash != hash || s.Snapshot.NameTaken {
		t.Errorf("hash %s, taken %v", s.Snapshot.TemplateHash, s.Snapshot.NameTaken)
	}
}

// Covers: edge 6.
func TestNameOfTheNextReplicaSetMayBeTaken(t *testing.T) {
	hash := v1alpha1.PodTemplateHash(&webRollout().Spec.Template, nil)
	other := func(rs *appsv1.ReplicaSet) { rs.Spec.Template.Spec.Containers[0].Image = "other" }
	for name, c := range map[string]struct {
		there *appsv1.ReplicaSet
		taken bool
	}{
		"by nobody":            {nil, false},
		"by another owner":     {owned(t, hash, func(rs *appsv1.ReplicaSet) { rs.OwnerReferences[0].UID = "x" }), true},
		"by one without label": {owned(t, hash, func(rs *appsv1.ReplicaSet) { rs.OwnerReferences, rs.Labels = nil, nil }), true},
	} {
		t.Run(name, func(t *testing.T) {
			w := shop(t)
			if c.there != nil {
				w.create(c.there.DeepCopy())
			}
			if got := w.observe().Snapshot.NameTaken; got != c.taken {
				t.Errorf("taken %v", got)
			}
		})
	}
	t.Run("by our own of another template, after a collision", func(t *testing.T) {
		w := shop(t, func(ro *v1alpha1.Rollout) { ro.Status.CollisionCount = ptr(int32(1)) })
		w.say(func(ro *v1alpha1.Rollout) { ro.Status.CollisionCount = ptr(int32(1)) })
		w.create(owned(t, v1alpha1.PodTemplateHash(&webRollout().Spec.Template, ptr(int32(1))), other))
		if s := w.observe().Snapshot; !s.NameTaken || s.Revisions[0].Current {
			t.Errorf("taken %v, revisions %+v", s.NameTaken, s.Revisions)
		}
	})
}

func TestOrphansAreAdopted(t *testing.T) {
	w := shop(t)
	orphan := owned(t, "lost", func(rs *appsv1.ReplicaSet) { rs.OwnerReferences = nil })
	w.create(orphan)
	stranger := owned(t, "stranger", func(rs *appsv1.ReplicaSet) { rs.OwnerReferences, rs.Labels["app"] = nil, "other" })
	w.create(stranger)
	if n := len(w.observe().Snapshot.Revisions); n != 1 {
		t.Fatalf("%d revisions, want the orphan", n)
	}
	rs := &appsv1.ReplicaSet{}
	w.get("web-lost", rs)
	if !ownedBy(rs, webRollout()) {
		t.Errorf("owners %v", rs.OwnerReferences)
	}
	w.get("web-stranger", rs)
	if len(rs.OwnerReferences) != 0 {
		t.Error("a ReplicaSet that the selector does not match was adopted")
	}
}

func TestReferencesAreChecked(t *testing.T) {
	analysis := func(name string) func(*v1alpha1.Rollout) {
		return func(ro *v1alpha1.Rollout) {
			ro.Spec.Strategy.Canary.Steps = []v1alpha1.CanaryStep{{Analysis: &v1alpha1.RolloutAnalysis{
				Templates: []v1alpha1.AnalysisTemplateRef{{TemplateName: name}}}}}
		}
	}
	for name, c := range map[string]struct {
		change func(*v1alpha1.Rollout)
		world  func(*world)
		want   string // "" for valid
	}{
		"all is there":      {func(*v1alpha1.Rollout) {}, func(*world) {}, ""},
		"a missing Service": {func(ro *v1alpha1.Rollout) { ro.Spec.Strategy.Canary.StableService = "no" }, func(*world) {}, `spec.strategy.canary.stableService: Invalid value: "no": service "no" not found`},
		// Covers: edge 29.
		"a Service that selects other pods": {func(ro *v1alpha1.Rollout) {
			ro.Spec.Strategy.Canary.StableService = "other"
		}, func(w *world) {
			s := service("other")
			s.Spec.Selector["tier"] = "front"
			w.create(s)
		}, `Service "other" has unmatch label "tier" in rollout`},
		// Covers: edge 30.
		"a Service of another Rollout": {func(ro *v1alpha1.Rollout) { ro.Spec.Strategy.Canary.StableService = "other" }, func(w *world) {
			s := service("other")
			s.Annotations = map[string]string{managedKey: "shop"}
			w.create(s)
		}, `Service "other" is managed by another Rollout`},
		"a missing template":        {analysis("check"), func(*world) {}, `spec.strategy.canary.steps[0].analysis.templates: Invalid value: "check": AnalysisTemplate 'check' not found`},
		"a missing nested template": {analysis("outer"), func(w *world) { w.create(template("outer", "inner")) }, `AnalysisTemplate 'inner' not found`},
		"a nested template":         {analysis("outer"), func(w *world) { w.create(template("outer", "inner")); w.create(template("inner")) }, ""},
		"a circle of templates":     {analysis("outer"), func(w *world) { w.create(template("outer", "outer")) }, `circle`},
	} {
		t.Run(name, func(t *testing.T) {
			w := shop(t, c.change)
			c.world(w)
			got := w.observe().Snapshot.Invalid
			if c.want == "" && got != "" || !strings.Contains(got, c.want) || c.want != "" && !strings.HasPrefix(got, `The Rollout "web" is invalid: `) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func template(name string, nested ...string) *v1alpha1.AnalysisTemplate {
	t := &v1alpha1.AnalysisTemplate{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}}
	t.Spec.Metrics = []v1alpha1.Metric{{Name: name, SuccessCondition: "result[0] > 0", Count: ptr(intstr.FromInt32(1)),
		Provider: v1alpha1.MetricProvider{Prometheus: &v1alpha1.PrometheusMetric{Query: "up"}}}}
	for _, n := range nested {
		t.Spec.Templates = append(t.Spec.Templates, v1alpha1.AnalysisTemplateRef{TemplateName: n})
	}
	return t
}

// Covers: edge 19.
func TestGoneRolloutIsForgottenAndItsRoutesAreLeftClean(t *testing.T) {
	w := shop(t)
	w.work(3)
	if len(w.rollouts.histories) != 1 || len(w.rollouts.routed) != 1 {
		t.Fatal("nothing is remembered")
	}
	last := w.rollouts.routed[webKey]
	cleared := &clearing{Router: last.routers[0].Router}
	last.routers[0].Router = cleared
	if err := w.client.Delete(context.Background(), w.rollout()); err != nil {
		t.Fatal(err)
	}
	if _, err := w.rollouts.Observe(context.Background(), webKey, w.now); !errors.Is(err, loop.ErrGone) {
		t.Fatalf("got %v", err)
	}
	if len(w.rollouts.histories)+len(w.rollouts.routed) != 0 {
		t.Error("something is still remembered")
	}
	if cleared.zero != 1 {
		t.Errorf("the routes were cleaned %d times", cleared.zero)
	}
}

// clearing counts the zero splits.
type clearing struct {
	traffic.Router
	zero int
}

func (c *clearing) Apply(ctx context.Context, t traffic.Target, s traffic.Split) (traffic.Written, error) {
	if s.IsZero() {
		c.zero++
	}
	return c.Router.Apply(ctx, t, s)
}

func TestOneLookWithoutCachesSeesTheSameAndWritesNothing(t *testing.T) {
	w := shop(t)
	w.work(5)
	w.create(owned(t, "lost", func(rs *appsv1.ReplicaSet) { rs.OwnerReferences = nil }))
	w.create(owned(t, "foreign", func(rs *appsv1.ReplicaSet) { rs.OwnerReferences[0].UID = "somebody else" }))
	w.writes = nil
	look := NewRollouts(Clients{Reader: w.client, Live: w.client})
	look.Routers, look.Unindexed = w.rollouts.Routers, true
	s, err := look.Observe(context.Background(), webKey, w.now)
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Snapshot.Revisions) != 1 || len(w.writes) != 0 {
		t.Errorf("revisions %+v, writes %v", s.Snapshot.Revisions, w.writes)
	}
}

func TestServiceIsReleased(t *testing.T) {
	managed := func(by string) *corev1.Service {
		s := service("web-canary")
		s.Spec.Selector[hashLabel] = "abc"
		if by != "" {
			s.Annotations = map[string]string{managedKey: by}
		}
		return s
	}
	for name, c := range map[string]struct {
		svc      *corev1.Service
		rollout  *v1alpha1.Rollout
		released bool
	}{
		"one that its Rollout uses stays":                  {managed("web"), webRollout(), false},
		"one whose Rollout is gone":                        {managed("web"), nil, true},
		"one that its Rollout no longer names":             {managed("web"), webRollout(func(ro *v1alpha1.Rollout) { ro.Spec.Strategy.Canary.CanaryService = "x" }), true}, // Covers: edge 124.
		"one without a mark that nobody names":             {managed(""), nil, true},                                                                                       // Covers: defect 25.
		"one without a mark that a Rollout names":          {managed(""), webRollout(), false},
		"one of another instance's Rollout that uses it":   {managed("web"), webRollout(func(ro *v1alpha1.Rollout) { ro.Labels = map[string]string{instanceLabel: "b"} }), false},
		"one that has nothing of ours is not even touched": {service("web-canary"), nil, true}, // Covers: edge 175.
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, c.svc)
			if c.rollout != nil {
				w.create(c.rollout)
			}
			s := &Services{Clients: w.rollouts.Clients}
			if _, err := s.Reconcile(context.Background(), requestFor("web-canary")); err != nil {
				t.Fatal(err)
			}
			got := &corev1.Service{}
			w.get("web-canary", got)
			if clean := got.Spec.Selector[hashLabel] == "" && got.Annotations[managedKey] == ""; clean != c.released {
				t.Errorf("released %v: %v %v", clean, got.Spec.Selector, got.Annotations)
			}
			if got.Spec.Selector["app"] != "web" {
				t.Error("the user's own selector is gone")
			}
		})
	}
	// Covers: defect 25.
	t.Run("an API server that does not answer releases nothing", func(t *testing.T) {
		w := newWorld(t, managed("web"))
		c := w.rollouts.Clients
		c.Live = broken{w.client}
		if _, err := (&Services{Clients: c}).Reconcile(context.Background(), requestFor("web-canary")); err == nil {
			t.Error("no error")
		}
		got := &corev1.Service{}
		w.get("web-canary", got)
		if got.Spec.Selector[hashLabel] == "" {
			t.Error("released")
		}
	})
}
