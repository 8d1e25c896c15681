package kube

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/rollout"
)

func TestARevisionRemembersWhoWantedIt(t *testing.T) {
	for name, c := range map[string]struct {
		action        rollout.Action
		had, is, want string
	}{
		"a new revision":               {rollout.EnsureRevision{Hash: "new", Number: 2}, "", "kubectl-set", "kubectl-set"},
		"a new one, by nobody known":   {rollout.EnsureRevision{Hash: "new", Number: 2}, "", "", ""},
		"an old one, wanted again":     {rollout.Renumber{Hash: "old", Number: 2}, "helm", "argocd-controller", "argocd-controller"},
		"again, by nobody known":       {rollout.Renumber{Hash: "old", Number: 2}, "helm", "", "helm"},
		"only its annotations changed": {rollout.Renumber{Hash: "old", Number: 1}, "helm", "argocd-controller", "helm"},
	} {
		t.Run(name, func(t *testing.T) {
			w := shop(t)
			w.create(owned(t, "old", func(rs *appsv1.ReplicaSet) {
				if c.had != "" {
					rs.Annotations[changedByKey] = c.had
				}
			}))
			s := w.observe()
			s.changedBy = c.is
			if err := w.rollouts.Apply(t.Context(), s, rollout.Plan{Actions: []rollout.Action{c.action}}); err != nil {
				t.Fatal(err)
			}
			set := "web-old"
			if _, is := c.action.(rollout.EnsureRevision); is {
				set = "web-new"
			}
			if got := w.set(set).Annotations[changedByKey]; got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func TestTheAuthorOfAWorkloadsTemplateCounts(t *testing.T) {
	d := deployment()
	d.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "helm", Time: &metav1.Time{}}}
	w := shop(t)
	s := w.observe()
	s.changedBy = "who wrote the reference"
	s.take(d)
	if err := w.rollouts.patchRollout(t.Context(), &s, metadata(map[string]any{"annotations": map[string]any{"a": "b"}})); err != nil {
		t.Fatal(err)
	}
	if got := past(&s, "new")[changedByKey]; got != "helm" {
		t.Errorf("%q", got)
	}
}

// How an update ended is known after the next one, whose status says nothing of it.
func TestARevisionRemembersHowTheOneBeforeEnded(t *testing.T) {
	for name, c := range map[string]struct {
		before func(w *world)
		want   v1alpha1.PreviousUpdate
	}{
		"promoted": {func(w *world) {
			w.say(resume)
			w.work(settled)
		}, v1alpha1.PreviousUpdate{Status: v1alpha1.CompletionPromoted}},
		"promoted after a minute's wait for a person": {func(w *world) {
			w.now = w.now.Add(time.Minute)
			w.say(resume)
			w.work(settled)
		}, v1alpha1.PreviousUpdate{Status: v1alpha1.CompletionPromoted}},
		"aborted": {func(w *world) {
			w.say(func(ro *v1alpha1.Rollout) { ro.Status.Abort = true })
			w.work(settled)
		}, v1alpha1.PreviousUpdate{Status: v1alpha1.CompletionAborted, Message: "RolloutAborted: Rollout aborted update to revision 2"}},
		"overtaken": {func(*world) {}, v1alpha1.PreviousUpdate{Status: v1alpha1.CompletionSuperseded}},
	} {
		t.Run(name, func(t *testing.T) {
			w := shop(t)
			w.work(settled)
			first := w.rollout().Status.CurrentPodHash
			w.edit(setImage("two"))
			w.work(settled)
			second := w.rollout().Status.CurrentPodHash
			if got := v1alpha1.PreviousUpdateOf(w.set("web-" + second)); got.Hash != first || got.Status != v1alpha1.CompletionPromoted {
				t.Errorf("the second revision remembers %+v", got)
			}
			c.before(w)
			w.edit(setImage("three"))
			w.work(settled)
			c.want.Hash = second
			got := v1alpha1.PreviousUpdateOf(w.set("web-" + w.rollout().Status.CurrentPodHash))
			if got.Seconds > 40 {
				t.Errorf("it took %d s", got.Seconds)
			}
			got.Seconds = 0
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
			w.edit(setImage("two")) // again, which needs no new ReplicaSet
			w.work(settled)
			if got := v1alpha1.PreviousUpdateOf(w.set("web-" + second)); got.Hash == first || got.Status != v1alpha1.CompletionSuperseded {
				t.Errorf("wanted again, the second revision remembers %+v", got)
			}
		})
	}
}
