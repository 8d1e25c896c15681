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
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/loop"
	"github.com/penstock-io/penstock/internal/rollout"
)

// do observes, carries the actions out, and returns the error.
func (w *world) do(actions ...rollout.Action) error {
	w.t.Helper()
	return w.rollouts.Apply(context.Background(), w.observe(), rollout.Plan{Actions: actions})
}

func (w *world) must(actions ...rollout.Action) {
	w.t.Helper()
	if err := w.do(actions...); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) set(name string) *appsv1.ReplicaSet {
	w.t.Helper()
	rs := &appsv1.ReplicaSet{}
	w.get(name, rs)
	return rs
}

// Covers: edge 10.
func TestCreatedReplicaSet(t *testing.T) {
	w := shop(t, func(ro *v1alpha1.Rollout) {
		ro.Annotations = map[string]string{"team": "blue", lastAppliedKey: "{}", revisionKey: "3", notifiedKey: "x"}
		ro.Spec.MinReadySeconds = 7
		ro.Spec.Strategy.Canary.AntiAffinity = &v1alpha1.AntiAffinity{
			PreferredDuringSchedulingIgnoredDuringExecution: &v1alpha1.PreferredDuringSchedulingIgnoredDuringExecution{Weight: 5}}
	})
	w.say(func(ro *v1alpha1.Rollout) { ro.Status.StableRS = "before" })
	w.must(rollout.EnsureRevision{Hash: "abc", Number: 4, Metadata: v1alpha1.PodTemplateMetadata{
		Labels: map[string]string{"role": "canary"}, Annotations: map[string]string{"note": "new"}}})
	rs := w.set("web-abc")
	type facts struct {
		Labels, Selector, Pod, PodNotes, Notes map[string]string
		Replicas, MinReady                     int32
		Term                                   string
	}
	term := rs.Spec.Template.Spec.Affinity.PodAntiAffinity.PreferredDuringSchedulingIgnoredDuringExecution[0]
	got := facts{rs.Labels, rs.Spec.Selector.MatchLabels, rs.Spec.Template.Labels, rs.Spec.Template.Annotations, rs.Annotations,
		*rs.Spec.Replicas, rs.Spec.MinReadySeconds, term.PodAffinityTerm.LabelSelector.MatchExpressions[0].Values[0]}
	want := facts{
		Labels: map[string]string{"app": "web", hashLabel: "abc"}, Selector: map[string]string{"app": "web", hashLabel: "abc"},
		Pod: map[string]string{"app": "web", hashLabel: "abc", "role": "canary"}, PodNotes: map[string]string{"note": "new"},
		Notes: map[string]string{"team": "blue", copiedKey: "team", revisionKey: "4", desiredKey: "4",
			metadataKey: `{"labels":{"role":"canary"},"annotations":{"note":"new"}}`},
		MinReady: 7, Term: "before",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	ref := metav1.GetControllerOf(rs)
	if ref == nil || ref.Kind != "Rollout" || ref.Name != "web" || ref.BlockOwnerDeletion == nil || !*ref.BlockOwnerDeletion {
		t.Errorf("owner %+v", ref)
	}
}

func TestActionsOnAReplicaSet(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for name, c := range map[string]struct {
		given   map[string]string // annotations
		actions []rollout.Action
		want    map[string]string
		size    int32
	}{
		"scaling records what for": {nil, []rollout.Action{rollout.Scale{Hash: "abc", To: 3}}, map[string]string{revisionKey: "1", desiredKey: "4"}, 3},
		// Covers: edge 82.
		"scaling to nothing drops the deadline": {map[string]string{deadlineKey: "2026-01-01T00:00:00Z"},
			[]rollout.Action{rollout.Scale{Hash: "abc", To: 0}}, map[string]string{revisionKey: "1", desiredKey: "4"}, 0},
		"scaling up keeps the deadline": {map[string]string{deadlineKey: "2026-01-01T00:00:00Z"},
			[]rollout.Action{rollout.Scale{Hash: "abc", To: 2}}, map[string]string{revisionKey: "1", desiredKey: "4", deadlineKey: "2026-01-01T00:00:00Z"}, 2},
		"a deadline is written in UTC": {nil, []rollout.Action{rollout.Retire{Hash: "abc", At: at.In(time.FixedZone("x", 3600))}},
			map[string]string{revisionKey: "1", desiredKey: "4", deadlineKey: "2026-01-02T03:04:05Z"}, 1},
		// Covers: edge 87.
		"a deadline is taken away": {map[string]string{deadlineKey: "soon"}, []rollout.Action{rollout.Retire{Hash: "abc"}},
			map[string]string{revisionKey: "1", desiredKey: "4"}, 1},
		// Covers: defect 15.
		"a higher number keeps the former one": {nil, []rollout.Action{rollout.Renumber{Hash: "abc", Number: 5}},
			map[string]string{revisionKey: "5", historyKey: "1", desiredKey: "4"}, 1},
		"a number never falls": {map[string]string{revisionKey: "9"}, []rollout.Action{rollout.Renumber{Hash: "abc", Number: 5}},
			map[string]string{revisionKey: "9", desiredKey: "4"}, 1},
		// Covers: defect 15.
		"the history is capped": {map[string]string{historyKey: "1,2,3,4,5,6,7,8,9,10"}, []rollout.Action{rollout.Renumber{Hash: "abc", Number: 5}},
			map[string]string{revisionKey: "5", historyKey: "1,3,4,5,6,7,8,9,10,1", desiredKey: "4"}, 1},
		"several actions in one pass do not collide": {nil,
			[]rollout.Action{rollout.Renumber{Hash: "abc", Number: 2}, rollout.Scale{Hash: "abc", To: 4}, rollout.Retire{Hash: "abc", At: at}},
			map[string]string{revisionKey: "2", historyKey: "1", desiredKey: "4", deadlineKey: "2026-01-02T03:04:05Z"}, 4},
	} {
		t.Run(name, func(t *testing.T) {
			w := shop(t)
			w.create(owned(t, "abc", func(rs *appsv1.ReplicaSet) {
				rs.Spec.Replicas = ptr(int32(1))
				for k, v := range c.given {
					rs.Annotations[k] = v
				}
			}))
			w.must(c.actions...)
			check := func(when string) {
				rs := w.set("web-abc")
				if d := cmp.Diff(c.want, rs.Annotations); d != "" || *rs.Spec.Replicas != c.size {
					t.Errorf("%s: size %d, %s", when, *rs.Spec.Replicas, d)
				}
			}
			check("once")
			if !strings.Contains(name, "number") && !strings.Contains(name, "history") && !strings.Contains(name, "several") {
				w.must(c.actions...)
				check("twice")
			}
		})
	}
}

func TestForeignWriteRefusesTheScale(t *testing.T) {
	w := shop(t)
	w.create(owned(t, "abc"))
	s := w.observe()
	rs := w.set("web-abc")
	rs.Spec.Replicas = ptr(int32(9))
	if err := w.client.Update(context.Background(), rs); err != nil {
		t.Fatal(err)
	}
	err := w.rollouts.Apply(context.Background(), s, rollout.Plan{Actions: []rollout.Action{rollout.Scale{Hash: "abc", To: 0}, rollout.Delete{Hash: "abc"}}})
	if !apierrors.IsConflict(errors.Unwrap(err)) && !strings.Contains(err.Error(), "modified") {
		t.Errorf("got %v, want a conflict", err)
	}
	if got := *w.set("web-abc").Spec.Replicas; got != 9 {
		t.Errorf("size %d", got)
	}
}

// Covers: defect 31.
func TestOneFailingActionStopsNoOther(t *testing.T) {
	w := shop(t)
	w.create(owned(t, "abc"))
	err := w.do(rollout.Scale{Hash: "gone", To: 1}, rollout.SetNumber{Number: 7}, rollout.Scale{Hash: "abc", Number: 1, To: 2})
	if err == nil || !strings.Contains(err.Error(), `no replicaset has hash "gone"`) {
		t.Errorf("got %v", err)
	}
	if *w.set("web-abc").Spec.Replicas != 2 || w.rollout().Annotations[revisionKey] != "7" {
		t.Error("the other actions were not carried out")
	}
	events := strings.Join(w.told(), "\n")
	if strings.Contains(events, "web-gone") || !strings.Contains(events, "Scaled up ReplicaSet web-abc (revision 1) from 0 to 2") {
		t.Errorf("events:\n%s", events)
	}
}

// Covers: edge 18.
func TestDefaultReplicas(t *testing.T) {
	w := shop(t, func(ro *v1alpha1.Rollout) { ro.Spec.Replicas = nil })
	w.must(rollout.DefaultReplicas{}, rollout.SetNumber{Number: 1})
	if r := w.rollout().Spec.Replicas; r == nil || *r != 1 {
		t.Errorf("replicas %v", r)
	}
}

func pod(name, hash, owner string, labels map[string]string) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, Labels: with(labels, hashLabel, hash),
		OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "x", UID: types.UID(owner), Controller: ptr(true)}}}}
}

// Covers: edge 132, edge 133, edge 134, defect 14.
func TestEphemeralMetadata(t *testing.T) {
	w := shop(t)
	rs := owned(t, "abc", func(rs *appsv1.ReplicaSet) { rs.Spec.Replicas = ptr(int32(2)) })
	w.create(rs)
	for _, n := range []string{"a", "b"} {
		w.create(pod(n, "abc", "set-", map[string]string{"app": "web", "own": "kept"}))
	}
	labels := func(name string) map[string]string {
		p := &corev1.Pod{}
		w.get(name, p)
		return p.Labels
	}
	canary := v1alpha1.PodTemplateMetadata{Labels: map[string]string{"role": "canary", "old": "x"}}
	w.refuse = func(_ string, o client.Object) error {
		if o.GetName() == "b" {
			return apierrors.NewInternalError(errors.New("stubborn"))
		}
		return nil
	}
	podTriesWas := podTries
	podTries.Duration = time.Millisecond
	defer func() { podTries = podTriesWas }()
	if err := w.do(rollout.SetMetadata{Hash: "abc", Metadata: canary}); err == nil {
		t.Fatal("the pod's error is lost")
	}
	w.refuse = nil
	if r := w.observe().Snapshot.Revisions[0]; !r.MetadataStale || r.Metadata.Labels["role"] != "canary" {
		t.Errorf("the next pass does not know that a pod is missing: %+v", r)
	}
	w.must(rollout.SetMetadata{Hash: "abc", Metadata: canary})
	if r := w.observe().Snapshot.Revisions[0]; r.MetadataStale {
		t.Error("still stale")
	}
	stable := v1alpha1.PodTemplateMetadata{Labels: map[string]string{"role": "stable"}}
	w.must(rollout.SetMetadata{Hash: "abc", Metadata: stable})
	want := map[string]string{"app": "web", "own": "kept", hashLabel: "abc", "role": "stable"}
	for _, n := range []string{"a", "b"} {
		if d := cmp.Diff(want, labels(n)); d != "" {
			t.Errorf("pod %s: %s", n, d)
		}
	}
	w.must(rollout.SetMetadata{Hash: "abc"})
	delete(want, "role")
	if d := cmp.Diff(want, labels("a")); d != "" {
		t.Errorf("after the removal: %s", d)
	}
	if _, there := w.set("web-abc").Annotations[metadataKey]; there || w.set("web-abc").Spec.Template.Labels["role"] != "" {
		t.Error("something is left on the ReplicaSet")
	}
	if !sameTemplate(w.set("web-abc"), &webRollout().Spec.Template) {
		t.Error("the template is not the user's any more")
	}
}

func TestStartRun(t *testing.T) {
	step := v1alpha1.CanaryStep{Analysis: &v1alpha1.RolloutAnalysis{Templates: []v1alpha1.AnalysisTemplateRef{{TemplateName: "check"}}}}
	w := shop(t, func(ro *v1alpha1.Rollout) { ro.Spec.Strategy.Canary.Steps = []v1alpha1.CanaryStep{step} })
	w.create(template("check"))
	start := rollout.StartRun{Name: "web-abc-2-0", Kind: rollout.StepRun, Step: 0, Hash: "abc", Number: 2, Stable: "old"}
	w.must(start)
	run := &v1alpha1.AnalysisRun{}
	w.get("web-abc-2-0", run)
	if d := cmp.Diff(map[string]string{hashLabel: "abc", typeLabel: "Step", stepLabel: "0", "app": "web"}, run.Labels); d != "" {
		t.Error(d)
	}
	if run.Annotations[revisionKey] != "2" || !ownedBy(run, webRollout()) || len(run.Spec.Metrics) != 1 {
		t.Errorf("%+v", run)
	}
	facts := w.observe().Snapshot.Runs
	want := rollout.Run{Name: "web-abc-2-0", Kind: rollout.StepRun, Hash: "abc", Number: 2, Created: w.now}
	if d := cmp.Diff([]rollout.Run{want}, facts, cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) })); d != "" {
		t.Error(d)
	}
	w.must(start) // a second time: the one that is there is ours
	w.must(rollout.StopRun{Name: start.Name})
	w.get("web-abc-2-0", run)
	if !run.Spec.Terminate {
		t.Error("not asked to stop")
	}
	w.must(rollout.DeleteRun{Name: start.Name})
	if err := w.client.Get(context.Background(), loop.Key{Namespace: "shop", Name: start.Name}, run); !apierrors.IsNotFound(err) {
		t.Errorf("got %v", err)
	}
	foreign := &v1alpha1.AnalysisRun{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: start.Name}}
	w.create(foreign)
	if err := w.do(start); err == nil || !strings.Contains(err.Error(), "already exists, and is not ours") {
		t.Errorf("got %v", err)
	}
}
