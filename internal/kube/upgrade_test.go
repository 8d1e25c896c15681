package kube

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// own are the fields of the status that only this controller writes.
var own = cmpopts.IgnoreFields(v1alpha1.RolloutStatus{}, "Reached")

// plans makes passes, a second apart, and returns what they planned to do. Pods stay as
// they are.
func (w *world) plans(passes int) (actions []string) {
	w.t.Helper()
	for range passes {
		s, err := w.rollouts.Observe(context.Background(), webKey, w.now)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, a := range w.rollouts.Decide(s).Actions {
			actions = append(actions, fmt.Sprintf("%T: %s", a, a)[len("rollout."):])
		}
		if _, err := w.pass(); err != nil {
			w.t.Fatal(err)
		}
		w.now = w.now.Add(time.Second)
	}
	return actions
}

// sameStatus wants the status to be what it was, our own field apart.
func (w *world) sameStatus(before v1alpha1.RolloutStatus) {
	w.t.Helper()
	if before.Abort && before.Canary.Weights != nil { // the canary role leads to stable, and that is what we record
		before.Canary.Weights.Canary.PodTemplateHash = before.StableRS
	}
	if d := cmp.Diff(before, w.rollout().Status, own, cmpopts.EquateEmpty()); d != "" {
		w.t.Errorf("status (-before +after):\n%s", d)
	}
}

// The status is written once, for the field of our own; nothing else is touched.
//
// Covers: edge 2, edge 7, edge 143.
func TestTakingOverMovesNothing(t *testing.T) {
	for _, name := range formerNames(t) {
		t.Run(name, func(t *testing.T) {
			w := inherited(t, name)
			before := w.rollout().Status
			for _, a := range w.plans(10) {
				t.Errorf("plans to %s", a)
			}
			if d := cmp.Diff([]string{"status Rollout web"}, w.writes, cmpopts.EquateEmpty()); d != "" {
				t.Errorf("writes (-want +got):\n%s", d)
			}
			w.sameStatus(before)
		})
	}
}

// The check sees what moves: the same namespaces, with one thing that is not at rest.
func TestTakingOverWhatIsNotAtRestMoves(t *testing.T) {
	for name, c := range map[string]struct {
		of     string
		change func(client.Object)
		want   string // in the plan
	}{
		"another template": {"canary-at-a-pause", onRollout(setImage("penstock/demo:v3")), "EnsureRevision"},
		"a live template that is another": {"another-library", onSet("v2", func(rs *appsv1.ReplicaSet) {
			rs.Spec.Template.Spec.Containers[0].Args = []string{"serve"}
		}), "EnsureRevision"},
		"a size that the step does not ask for": {"canary-by-pods", onSet("v2", sized(3)), "Scale"},
		"weights that the step does not ask for": {"canary-at-a-pause", func(o client.Object) {
			if u, is := o.(*unstructured.Unstructured); is {
				routedTo(60, 40)(u)
			}
		}, "SetSplit"},
		"a pause that is over": {"timed-pause", onRollout(func(ro *v1alpha1.Rollout) {
			ro.Status.PauseConditions[0].StartTime.Time = ro.Status.PauseConditions[0].StartTime.Add(-time.Minute)
		}), "Scale"},
		"a run that the status does not name": {"background-analysis", func(o client.Object) {
			if ar, is := o.(*v1alpha1.AnalysisRun); is {
				ar.Labels[typeLabel] = "Step"
			}
		}, "StartRun"},
	} {
		t.Run(name, func(t *testing.T) {
			w := inherited(t, c.of, c.change)
			if got := w.plans(10); !slices.ContainsFunc(got, func(a string) bool { return strings.HasPrefix(a, c.want) }) {
				t.Errorf("plans %v, want %s", got, c.want)
			}
		})
	}
}

// leftBehind compares what this controller has made of a namespace with the published
// one's objects.
func (w *world) leftBehind(name string) (list []string) {
	w.t.Helper()
	for _, want := range w.formerObjects(name) {
		got := want.DeepCopyObject().(client.Object)
		w.get(want.GetName(), got)
		a, b := bare(w.t, want), bare(w.t, got)
		if _, is := want.(*v1alpha1.AnalysisRun); is {
			delete(a, "status") // nobody measures in this world
			delete(b, "status")
		}
		list = append(list, unlike(kindOf(want)+" "+want.GetName(), a, b)...)
	}
	return list
}

// bare is an object without what the API server writes.
func bare(t testing.TB, o client.Object) map[string]any {
	t.Helper()
	m, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o.DeepCopyObject())
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range []string{"resourceVersion", "creationTimestamp", "managedFields", "generation", "uid", "namespace"} {
		unstructured.RemoveNestedField(m, "metadata", k)
	}
	if _, is := o.(*appsv1.ReplicaSet); is {
		delete(m, "status")
	}
	for _, k := range []string{"apiVersion", "kind"} {
		delete(m, k)
	}
	return m
}

// newImage is the release that each of the namespaces is in the middle of.
func (w *world) newImage() {
	w.t.Helper()
	w.work(settled)
	if w.rollout().Spec.WorkloadRef != nil {
		w.change(image("penstock/demo:v2"))
	} else {
		w.edit(setImage("penstock/demo:v2"))
	}
	w.work(settled)
}

// What is left behind differs from what the published controller leaves by these alone,
// which docs/upgrade.md lists.
func TestHandingBackLeavesWhatThePublishedControllerLeaves(t *testing.T) {
	for _, name := range formerNames(t) {
		if name == "another-library" {
			continue // its hashes are not ours
		}
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.withGateway()
			for _, o := range untouched(w.formerObjects(name)) {
				w.create(o)
			}
			hashes := w.hashes(name)
			if name == "collision" {
				taken := owned(t, "taken", func(rs *appsv1.ReplicaSet) { rs.Name, rs.OwnerReferences = "web-"+hashes["taken"], nil })
				taken.Labels = nil
				w.create(taken)
			}
			w.newImage()
			switch name {
			case "aborted":
				w.say(func(ro *v1alpha1.Rollout) { ro.Status.Abort = true })
				w.work(10)
			case "bluegreen-after-promotion":
				w.say(resume)
				w.work(10)
			}
			want := []string{"+Rollout web.status.reached", "+ReplicaSet web-" + hashes["new"] + ".metadata.annotations.penstock.io/previous-update"}
			for _, k := range []string{"old", "new"} {
				want = append(want, "+ReplicaSet web-"+hashes[k]+".metadata.annotations.penstock.io/copied-annotations")
			}
			switch name {
			case "aborted":
				want = append(want, fmt.Sprintf("Rollout web.status.canary.weights.canary.podTemplateHash is %s, not %s", hashes["old"], hashes["new"]))
			case "background-analysis": // nobody measures in this world
				want = append(want, "Rollout web.status.canary.currentBackgroundAnalysisRunStatus.status is , not Running")
			}
			if d := cmp.Diff(want, w.leftBehind(name), cmpopts.SortSlices(strings.Compare)); d != "" {
				t.Errorf("left behind (-want +got):\n%s", d)
			}
		})
	}
}
