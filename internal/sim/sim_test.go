package sim

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/analysis"
	"github.com/penstock-io/penstock/internal/rollout"
	"github.com/penstock-io/penstock/internal/traffic"
)

var (
	runs  = flag.Int("runs", 10_000, "how many random rollouts to simulate")
	after = flag.Uint64("after", 0, "simulate seeds after this one")
	seed  = flag.Uint64("seed", 0, "simulate only this seed, with its log")
)

// randomWorld is the rollout that a seed stands for.
func randomWorld(seed uint64, log func(string)) *World {
	rng := rand.New(rand.NewPCG(seed, 2))
	n := int32(1 + rng.IntN(8))
	r := v1alpha1.Rollout{ObjectMeta: metav1.ObjectMeta{Name: "demo", Namespace: "default"}, Spec: v1alpha1.RolloutSpec{
		Replicas: &n, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "demo"}},
		Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "demo"}},
			Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "demo", Image: "demo:v1"}}}}}}
	pinned := rng.IntN(3) == 0
	if rng.IntN(3) == 0 {
		r.Spec.Strategy.BlueGreen = randomBlueGreen(rng)
	} else {
		r.Spec.Strategy.Canary = randomCanary(rng, pinned)
	}
	if rng.IntN(4) == 0 {
		r.Spec.RollbackWindow = &v1alpha1.RollbackWindowSpec{Revisions: int32(1 + rng.IntN(3))}
	}
	w := New(r, Options{Seed: seed, Pinned: pinned, Verifies: rng.IntN(3) == 0, Log: log})
	count := intstr.FromInt32(2)
	w.Templates = analysis.Templates{Namespaced: map[string]v1alpha1.AnalysisTemplateSpec{"ok": {Metrics: []v1alpha1.Metric{{
		Name: "ok", Count: &count, Interval: "20s", SuccessCondition: "result[0] >= 1",
		Provider: v1alpha1.MetricProvider{Prometheus: &v1alpha1.PrometheusMetric{Query: "up"}}}}}}}
	return w
}

var okTemplate = []v1alpha1.AnalysisTemplateRef{{TemplateName: "ok"}}

func randomCanary(rng *rand.Rand, pinned bool) *v1alpha1.CanaryStrategy {
	c := &v1alpha1.CanaryStrategy{}
	if rng.IntN(4) > 0 {
		c.TrafficRouting = &v1alpha1.RolloutTrafficRouting{Istio: &v1alpha1.IstioTrafficRouting{}}
		c.StableService, c.CanaryService = "demo", "demo-canary"
		c.DynamicStableScale = rng.IntN(4) == 0
		if rng.IntN(4) == 0 && !pinned {
			c.PingPong = &v1alpha1.PingPongSpec{PingService: "ping", PongService: "pong"}
		}
		none, short := int32(0), int32(1)
		if rng.IntN(2) == 0 { // no delay hides a pod that goes too early
			c.AbortScaleDownDelaySeconds = &short
			if !c.DynamicStableScale {
				c.ScaleDownDelaySeconds = &none
			}
		}
		if rng.IntN(5) == 0 {
			few := int32(2)
			c.MinPodsPerReplicaSet = &few
		}
	}
	weight := int32(0)
	for range rng.IntN(6) {
		c.Steps = append(c.Steps, randomStep(rng, &weight, c.TrafficRouting != nil))
	}
	if rng.IntN(3) == 0 {
		c.Analysis = &v1alpha1.RolloutAnalysisBackground{RolloutAnalysis: v1alpha1.RolloutAnalysis{Templates: okTemplate}}
	}
	return c
}

func randomStep(rng *rand.Rand, weight *int32, routed bool) v1alpha1.CanaryStep {
	switch rng.IntN(6) {
	case 5:
		return v1alpha1.CanaryStep{Experiment: randomTrial(rng, *weight, routed)}
	case 2:
		p := &v1alpha1.RolloutPause{}
		if rng.IntN(3) == 0 {
			patience := intstr.FromInt32(1 + int32(rng.IntN(600)))
			p.Timeout, p.OnTimeout = &patience, []v1alpha1.PauseTimeoutAction{"", v1alpha1.PauseTimeoutPromote, v1alpha1.PauseTimeoutHold}[rng.IntN(3)]
		}
		return v1alpha1.CanaryStep{Pause: p}
	case 3:
		d := intstr.FromInt32(int32(rng.IntN(120)))
		return v1alpha1.CanaryStep{Pause: &v1alpha1.RolloutPause{Duration: &d}}
	case 4:
		return v1alpha1.CanaryStep{Analysis: &v1alpha1.RolloutAnalysis{Templates: okTemplate}}
	}
	*weight += int32(rng.IntN(int(101 - *weight)))
	at := *weight
	return v1alpha1.CanaryStep{SetWeight: &at}
}

func randomTrial(rng *rand.Rand, weight int32, routed bool) *v1alpha1.RolloutExperimentStep {
	one, none := int32(1), int32(0)
	e := &v1alpha1.RolloutExperimentStep{Duration: "40s", Templates: []v1alpha1.RolloutExperimentTemplate{
		{Name: "new", SpecRef: v1alpha1.CanarySpecRef, Replicas: &one}, {Name: "old", SpecRef: v1alpha1.StableSpecRef}}}
	if share := (100 - weight) / 4; routed && rng.IntN(2) == 0 {
		e.Templates[0].Weight, e.Templates[1].Weight = &share, &share
	}
	if rng.IntN(2) == 0 {
		e.ScaleDownDelaySeconds = &none
	}
	if rng.IntN(2) == 0 {
		e.Analyses = []v1alpha1.RolloutExperimentStepAnalysisTemplateRef{{Name: "ok", TemplateName: "ok", RequiredForCompletion: rng.IntN(2) == 0}}
	}
	return e
}

func randomBlueGreen(rng *rand.Rand) *v1alpha1.BlueGreenStrategy {
	b := &v1alpha1.BlueGreenStrategy{ActiveService: "active"}
	off, one, none, short := false, int32(1), int32(0), int32(1)
	if rng.IntN(2) == 0 {
		b.PreviewService = "preview"
	}
	switch rng.IntN(3) {
	case 0:
		b.AutoPromotionEnabled = &off
	case 1:
		b.AutoPromotionSeconds = int32(rng.IntN(60))
	}
	if rng.IntN(3) == 0 {
		b.PreviewReplicaCount = &one
	}
	if rng.IntN(2) == 0 {
		b.ScaleDownDelaySeconds, b.AbortScaleDownDelaySeconds = &none, &short
	}
	if rng.IntN(2) == 0 {
		b.PrePromotionAnalysis = &v1alpha1.RolloutAnalysis{Templates: okTemplate}
	}
	if rng.IntN(2) == 0 {
		b.PostPromotionAnalysis = &v1alpha1.RolloutAnalysis{Templates: okTemplate}
	}
	return b
}

// TestRandomRolloutsKeepTheLaws simulates random releases under random trouble. A failing
// seed is repeated with: go test ./internal/sim -run Laws -seed N -v
// Covers: outage 1, outage 2, outage 16, outage 22, outage 39, defect 4.
func TestRandomRolloutsKeepTheLaws(t *testing.T) {
	if *seed != 0 {
		w := randomWorld(*seed, nil)
		w.Options.Log = func(l string) { t.Logf("+%s %s   [%s]", w.Now.Sub(Start), l, w.Describe()) }
		for _, law := range w.Chaos() {
			t.Error(law)
		}
		return
	}
	passes, failed, done := 0, 0, 0
	for s := *after + 1; s <= *after+uint64(*runs) && failed < 5; s++ {
		w := randomWorld(s, nil)
		if broken := w.Chaos(); len(broken) > 0 {
			failed++
			t.Errorf("go test ./internal/sim -run Laws -seed %d -v   replays this: %.900s", s, fmt.Sprint(broken))
		}
		passes += w.Passes
		done++
	}
	t.Logf("%d rollouts, %d passes of the planner", done, passes)
}

// TestMutantsBreakALaw shows that the laws can be broken: each mutant of the planner must
// be caught within a few hundred random rollouts.
func TestMutantsBreakALaw(t *testing.T) {
	mutants := map[string]func(rollout.Snapshot) rollout.Plan{
		"forgets that the data plane lags": func(s rollout.Snapshot) rollout.Plan {
			s.Traffic.Live, s.Traffic.Known = []traffic.Split{s.Traffic.Written}, true
			return rollout.Decide(s)
		},
		"believes every wanted pod available": func(s rollout.Snapshot) rollout.Plan {
			for i := range s.Revisions {
				s.Revisions[i].Available = s.Revisions[i].Desired
			}
			return rollout.Decide(s)
		},
		"takes old pods at once": func(s rollout.Snapshot) rollout.Plan {
			p := rollout.Decide(s)
			for _, r := range s.Revisions {
				if !r.Current && r.Desired > 0 {
					p.Actions = append(p.Actions, rollout.Scale{Hash: r.Hash, From: r.Desired})
				}
			}
			return p
		},
		"never leaves an endless pause": func(s rollout.Snapshot) rollout.Plan {
			s.Status.ControllerPause = false
			return rollout.Decide(s)
		},
		"writes without need": func(s rollout.Snapshot) rollout.Plan {
			p := rollout.Decide(s)
			p.Status.Message = fmt.Sprint(s.Now)
			return p
		},
	}
	for name, plan := range mutants {
		t.Run(name, func(t *testing.T) {
			for s := uint64(1); s <= 400; s++ {
				w := randomWorld(s, nil)
				w.plan = plan
				if len(w.Chaos()) > 0 {
					return
				}
			}
			t.Error("400 random rollouts did not notice")
		})
	}
}

// TestDecideIsPure holds the planner against laws L1 and L6 on every snapshot that random
// rollouts produce: the same answer twice, the input untouched, and at rest nothing to do.
func TestDecideIsPure(t *testing.T) {
	looks := 0
	for s := uint64(1); s <= 300; s++ {
		w := randomWorld(s, nil)
		w.plan = func(in rollout.Snapshot) rollout.Plan {
			looks++
			before := fmt.Sprintf("%+v", in)
			first, second := rollout.Decide(in), rollout.Decide(in)
			if diff := cmp.Diff(first, second); diff != "" {
				t.Fatalf("seed %d: two answers for one snapshot:\n%s", s, diff)
			}
			if after := fmt.Sprintf("%+v", in); after != before {
				t.Fatalf("seed %d: the snapshot was changed", s)
			}
			return first
		}
		w.Chaos()
	}
	if looks < 5_000 {
		t.Errorf("only %d snapshots were looked at", looks)
	}
}
