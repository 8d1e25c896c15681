package kube

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// Covers: edge 10, defect 15.
func TestAnnotationsOfTheRolloutAreOnItsReplicaSet(t *testing.T) {
	w := shop(t, func(ro *v1alpha1.Rollout) { ro.Annotations = map[string]string{"team": "blue", "tier": "front"} })
	w.work(settled)
	notes := func() map[string]string {
		out := map[string]string{}
		for k, v := range w.sets()["one"].Annotations {
			if k != desiredKey && k != copiedKey {
				out[k] = v
			}
		}
		return out
	}
	expect := func(when string, want map[string]string) {
		t.Helper()
		want[revisionKey] = "1" // and no history: the number is what it was
		if d := cmp.Diff(want, notes()); d != "" {
			t.Errorf("%s: %s", when, d)
		}
	}
	expect("at first", map[string]string{"team": "blue", "tier": "front"})
	rs := w.sets()["one"]
	rs.Annotations["foreign"] = "kept"
	if err := w.client.Update(context.Background(), rs); err != nil {
		t.Fatal(err)
	}
	w.edit(func(ro *v1alpha1.Rollout) {
		ro.Annotations["team"], ro.Annotations["new"], ro.Annotations[lastAppliedKey] = "green", "yes", "{}"
		ro.Annotations[notifiedKey], ro.Annotations[deadlineKey] = "x", "2026-01-01T00:00:00Z"
		delete(ro.Annotations, "tier")
	})
	w.work(settled)
	expect("after an edit", map[string]string{"team": "green", "new": "yes", "foreign": "kept"})
	w.edit(func(ro *v1alpha1.Rollout) {
		ro.Annotations = map[string]string{revisionKey: ro.Annotations[revisionKey]}
	})
	w.work(settled)
	expect("after all are gone", map[string]string{"foreign": "kept"})
	if _, left := w.sets()["one"].Annotations[copiedKey]; left {
		t.Error("the list of copies is left behind")
	}
}

func TestCopiesOfAnotherControllerAreNoReasonToWrite(t *testing.T) {
	ro := webRollout(func(ro *v1alpha1.Rollout) { ro.Annotations = map[string]string{"team": "blue"} })
	there := func(annotations map[string]string) *appsv1.ReplicaSet {
		return &appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Annotations: annotations}}
	}
	for name, c := range map[string]struct {
		rs    *appsv1.ReplicaSet
		stale bool
	}{
		"the same, without a list":                      {there(map[string]string{"team": "blue", "gone": "x"}), false},
		"the same, with the list":                       {there(map[string]string{"team": "blue", copiedKey: "team"}), false},
		"another value":                                 {there(map[string]string{"team": "green"}), true},
		"one is missing":                                {there(nil), true},
		"one more that we have copied":                  {there(map[string]string{"team": "blue", "gone": "x", copiedKey: "gone,team"}), true},
		"one that we had copied and somebody took away": {there(map[string]string{"team": "blue", copiedKey: "gone,team"}), true},
		"a list that claims what is never copied":       {there(map[string]string{"team": "blue", revisionKey: "1", copiedKey: "team"}), false},
	} {
		if got := copiesStale(c.rs, ro); got != c.stale {
			t.Errorf("%s: stale %v", name, got)
		}
	}
	if patch := recopy(there(map[string]string{revisionKey: "1", "team": "blue", copiedKey: revisionKey + ",team"}), ro); patch[revisionKey] != nil || len(patch) != 1 {
		t.Errorf("patch %v", patch)
	} else if _, taken := patch[revisionKey]; taken {
		t.Error("the revision is taken away")
	}
}
