package chaos

import (
	"errors"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// ended is a Rollout that has ended Healthy on r1a, with its ReplicaSets.
func ended() (*v1alpha1.Rollout, map[string]*appsv1.ReplicaSet) {
	three := int32(3)
	set := func(tag string, available int32) *appsv1.ReplicaSet {
		s := &appsv1.ReplicaSet{Spec: appsv1.ReplicaSetSpec{Replicas: &available}}
		s.Spec.Template.Spec.Containers = []corev1.Container{{Image: image(tag)}}
		s.Status.AvailableReplicas = available
		return s
	}
	return &v1alpha1.Rollout{
		ObjectMeta: metav1.ObjectMeta{Generation: 4}, Spec: v1alpha1.RolloutSpec{Replicas: &three},
		Status: v1alpha1.RolloutStatus{ObservedGeneration: "4", Phase: v1alpha1.RolloutPhaseHealthy, StableRS: "new", CurrentPodHash: "new"},
	}, map[string]*appsv1.ReplicaSet{"new": set("r1a", 3), "old": set("v0", 0)}
}

func TestEnds(t *testing.T) {
	promoted := end{tag: "r1a"}
	for name, c := range map[string]struct {
		want    end
		change  func(*v1alpha1.Rollout, map[string]*appsv1.ReplicaSet)
		missing string // in the error; "" for none
	}{
		"promoted": {want: promoted},
		"promoted although it should have been aborted": {want: end{tag: "v0", aborted: true}, missing: "should be Degraded"},
		"an end that is of the generation before": {want: promoted, missing: "generation 5", change: func(r *v1alpha1.Rollout, _ map[string]*appsv1.ReplicaSet) {
			r.Generation++
		}},
		"Healthy on the old version": {want: promoted, missing: "stable is penstock/demo:v0", change: func(r *v1alpha1.Rollout, s map[string]*appsv1.ReplicaSet) {
			s["new"].Spec.Template.Spec.Containers[0].Image = image("v0")
		}},
		"Healthy with a pod too few": {want: promoted, missing: "2 of 3 pods", change: func(_ *v1alpha1.Rollout, s map[string]*appsv1.ReplicaSet) {
			s["new"].Status.AvailableReplicas = 2
		}},
		"Healthy with the update not stable": {want: promoted, missing: "current is newer", change: func(r *v1alpha1.Rollout, _ map[string]*appsv1.ReplicaSet) {
			r.Status.CurrentPodHash = "newer"
		}},
		"a stable revision that is gone": {want: promoted, missing: "no ReplicaSet", change: func(_ *v1alpha1.Rollout, s map[string]*appsv1.ReplicaSet) {
			delete(s, "new")
		}},
		"Degraded but not aborted": {want: end{tag: "r1a", aborted: true}, missing: "aborted false", change: func(r *v1alpha1.Rollout, _ map[string]*appsv1.ReplicaSet) {
			r.Status.Phase = v1alpha1.RolloutPhaseDegraded
		}},
		"aborted": {want: end{tag: "r1a", aborted: true}, change: func(r *v1alpha1.Rollout, _ map[string]*appsv1.ReplicaSet) {
			r.Status.Phase, r.Status.Abort, r.Status.CurrentPodHash = v1alpha1.RolloutPhaseDegraded, true, "bad"
		}},
	} {
		t.Run(name, func(t *testing.T) {
			r, sets := ended()
			if c.change != nil {
				c.change(r, sets)
			}
			err := c.want.reached(r, sets)
			if c.missing == "" && err != nil || c.missing != "" && (err == nil || !strings.Contains(err.Error(), c.missing)) {
				t.Errorf("it says %v, want %q", err, c.missing)
			}
		})
	}
}

func TestProblems(t *testing.T) {
	var good Result
	good.count(end{}, nil)
	good.count(end{aborted: true}, nil)
	if p := good.Problems(); len(p) > 0 || good.Healthy != 1 || good.Aborted != 1 {
		t.Errorf("a good result is %+v with problems %q", good, p)
	}
	for what, r := range map[string]Result{
		"no ready pod": {NoReadyPod: 1},
		"led to no":    {Starved: 1},
		"no_subset":    {Failures: map[string]uint64{"no_subset": 2, noAnswer: 3}},
		"stuck":        func() (r Result) { r.count(end{}, errors.New("stuck")); return r }(),
	} {
		if p := r.Problems(); len(p) != 1 || !strings.Contains(p[0], what) {
			t.Errorf("the problems are %q, want one with %q", p, what)
		}
	}
}

func TestComplaints(t *testing.T) {
	log := "level=INFO msg=started\nlevel=ERROR msg=\"pods is forbidden: User\"\npanic: runtime error\n"
	if got := complaints([]byte(log)); len(got) != 2 {
		t.Errorf("complaints are %q", got)
	}
}
