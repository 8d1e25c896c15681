package kube

import (
	"context"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// The first deployment has no analysis after it, and each later one has.
//
// Covers: outage 45.
func TestTheDeploymentIsScaledDownAlsoWithAnAnalysisAfterThePromotion(t *testing.T) {
	for _, mode := range []string{"onsuccess", "progressively"} {
		w := shop(t, blueGreen(""), byRef(mode), func(ro *v1alpha1.Rollout) {
			ro.Spec.Strategy.BlueGreen.PostPromotionAnalysis = &v1alpha1.RolloutAnalysis{Templates: []v1alpha1.AnalysisTemplateRef{{TemplateName: "check"}}}
		})
		w.create(service("web-active"))
		w.create(template("check"))
		w.create(deployment())
		settle := func(when string) {
			t.Helper()
			for range settled {
				w.work(1)
				w.follow()
			}
			if st := w.rollout().Status; w.deployed() != 0 || st.Phase != v1alpha1.RolloutPhaseHealthy {
				t.Errorf("%s, %s: the Deployment has %d pods; phase %s: %s", mode, when, w.deployed(), st.Phase, st.Message)
			}
		}
		settle("after the first deployment")
		w.change(image("two"))
		w.work(settled)
		names := w.runNames()
		if len(names) != 1 {
			t.Fatalf("runs %v", names)
		}
		run := &v1alpha1.AnalysisRun{}
		w.get(names[0], run)
		run.Status.Phase = v1alpha1.AnalysisPhaseSuccessful
		if err := w.client.Update(context.Background(), run); err != nil {
			t.Fatal(err)
		}
		settle("after an update")
		w.change(scaled(4))
		settle("after its manifest was applied again")
	}
}

// The published modes look at revision 1 only.
//
// Covers: defect 29, outage 44.
func TestTheDeploymentIsScaledDownAlsoWhenTheFirstRevisionWasBroken(t *testing.T) {
	for mode, midway := range map[string]int32{"onsuccess": 4, "progressively": 3} {
		w := shop(t, byRef(mode))
		w.create(deployment())
		settle := func(good string, left int32) { // pods of one image come up
			t.Helper()
			for range settled {
				if _, err := w.pass(); err != nil {
					t.Fatal(err)
				}
				for image, rs := range w.sets() {
					rs.Status = appsv1.ReplicaSetStatus{Replicas: *rs.Spec.Replicas, ObservedGeneration: rs.Generation}
					if image == good {
						rs.Status.ReadyReplicas, rs.Status.AvailableReplicas = *rs.Spec.Replicas, *rs.Spec.Replicas
					}
					if err := w.client.Status().Update(context.Background(), rs); err != nil {
						t.Fatal(err)
					}
				}
				w.now = w.now.Add(time.Second)
				w.follow()
			}
			if got := w.deployed(); got != left {
				t.Errorf("%s: the Deployment has %d pods, want %d; %s: %s", mode, got, left, w.rollout().Status.Phase, w.rollout().Status.Message)
			}
		}
		settle("none", 4)
		w.change(image("two"))
		settle("two", midway)
		w.request(func(st *v1alpha1.RolloutStatus) { st.PauseConditions = nil })
		settle("two", 0)
		if st := w.rollout().Status; st.Phase != v1alpha1.RolloutPhaseHealthy || len(w.sets()) != 2 {
			t.Errorf("%s: %d revisions; phase %s: %s", mode, len(w.sets()), st.Phase, st.Message)
		}
	}
}
