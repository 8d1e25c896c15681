package kube

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/traffic"
)

// vouching is a router that vouches for its data plane, when it is told to.
type vouching struct {
	traffic.Router
	confirmed bool
	notes     []traffic.Note
	albs      []v1alpha1.ALBStatus
}

func (v *vouching) Observe(ctx context.Context, t traffic.Target) (traffic.Observation, error) {
	o, err := v.Router.Observe(ctx, t)
	o.Confirmed, o.Notes, o.ALBs = v.confirmed, v.notes, v.albs
	if !v.confirmed {
		o.Settle = 1000 * time.Hour
	}
	return o, err
}

// Covers: traffic edge 152, traffic edge 180, outage 2.
func TestNothingGoesOnUntilTheLoadBalancerConfirms(t *testing.T) {
	w := shop(t)
	lb := &vouching{Router: w.rollouts.Routers[0].Router, confirmed: true}
	w.rollouts.Routers[0].Router, w.rollouts.Routers[0].Verifies = lb, true
	w.work(settled)
	lb.confirmed = false
	lb.notes = []traffic.Note{{Warning: true, Reason: "TargetGroupUnverified", Message: "not yet"}}
	w.edit(setImage("two"))
	w.told()
	w.work(20)
	if weights := w.rollout().Status.Canary.Weights; *w.rollout().Status.CurrentStepIndex != 0 || weights == nil || weights.Verified == nil || *weights.Verified {
		t.Errorf("step %d, weights %+v", *w.rollout().Status.CurrentStepIndex, weights)
	}
	told := func(text string) (n int) {
		for _, e := range w.told() {
			if strings.Contains(e, text) {
				n++
			}
		}
		return n
	}
	if n := told("Warning TargetGroupUnverified not yet"); n != 1 {
		t.Errorf("told %d times", n)
	}
	lb.confirmed, lb.notes = true, []traffic.Note{{Reason: "TargetGroupVerified", Message: "it is"}}
	lb.albs = []v1alpha1.ALBStatus{{Ingress: "a"}, {Ingress: "b"}}
	w.work(5)
	st := w.rollout().Status
	if *st.CurrentStepIndex != 1 || !*st.Canary.Weights.Verified {
		t.Errorf("step %d, weights %+v", *st.CurrentStepIndex, st.Canary.Weights)
	}
	if d := cmp.Diff(lb.albs, st.ALBs); d != "" || st.ALB == nil || st.ALB.Ingress != "a" {
		t.Errorf("%s %+v", d, st.ALB)
	}
	if n := told("Normal TargetGroupVerified it is"); n != 1 {
		t.Errorf("told %d times", n)
	}
	lb.confirmed, lb.albs, lb.notes = false, nil, nil // an abort: the canary's pods stay until the load balancer has left them
	w.say(func(ro *v1alpha1.Rollout) { ro.Status.Abort = true })
	w.work(60)
	if !slices.Equal(w.rollout().Status.ALBs, []v1alpha1.ALBStatus{{Ingress: "a"}, {Ingress: "b"}}) {
		t.Error("what was known of load balancers is gone")
	}
	if two := w.sets()["two"]; *two.Spec.Replicas == 0 {
		t.Error("pods went before the load balancer confirmed")
	}
	lb.confirmed = true
	w.work(60)
	if two := w.sets()["two"]; *two.Spec.Replicas != 0 {
		t.Errorf("%d pods stay", *two.Spec.Replicas)
	}
}
