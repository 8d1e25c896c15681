package rollout_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/rollout"
	"github.com/penstock-io/penstock/internal/traffic"
)

var noon = time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC)

type (
	snapshot = rollout.Snapshot
	mod      = func(*snapshot)
	step     = v1alpha1.CanaryStep
)

func ptr[T any](v T) *T { return &v }

func weight(w int32) step { return step{SetWeight: &w} }

func pause() step { return step{Pause: &v1alpha1.RolloutPause{}} }

func inline(template string) step {
	return step{Analysis: &v1alpha1.RolloutAnalysis{Templates: []v1alpha1.AnalysisTemplateRef{{TemplateName: template}}}}
}

// given is the smallest healthy rollout, as its last pass has left it: four pods of v1,
// a canary of the steps 25 % and a pause, no router. The mods change it; what they leave
// alone keeps fitting together.
func given(mods ...mod) snapshot {
	s := snapshot{Now: noon, Namespace: "shop", Name: "demo", Generation: 1, Number: 1, TemplateHash: "v1",
		Spec: v1alpha1.RolloutSpec{
			Replicas: ptr(int32(4)), Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "demo"}},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "demo"}}},
			Strategy: v1alpha1.RolloutStrategy{Canary: &v1alpha1.CanaryStrategy{Steps: []step{weight(25), pause()}}},
		},
		Revisions: []rollout.Revision{revision("v1", 1, 4, 4)},
	}
	s.Revisions[0].Current = true
	s.Status.CurrentPodHash, s.Status.StableRS = "v1", "v1"
	fit(&s)
	s.Status.CurrentStepIndex = ptr(int32(2))
	for range 3 {
		persist(&s)
	}
	for _, m := range mods {
		m(&s)
	}
	return s
}

// fit makes the hash of the steps the one that the status knows.
func fit(s *snapshot) {
	s.StepsHash = ""
	if c := s.Spec.Strategy.Canary; c != nil {
		s.StepsHash = v1alpha1.StepHash(c.Steps)
	}
	s.Status.CurrentStepHash = s.StepsHash
}

// persist writes the status that a pass would write, and carries out no action.
func persist(s *snapshot) { s.Status = rollout.Decide(*s).Status }

// later lets time pass.
func later(d time.Duration) mod { return func(s *snapshot) { s.Now = s.Now.Add(d) } }

// seen persists the status of one pass after the mods before it.
func seen(s *snapshot) { persist(s) }

func revision(hash string, number int64, desired, available int32) rollout.Revision {
	return rollout.Revision{Hash: hash, Name: "demo-" + hash, Number: number, Born: number, Desired: desired, Actual: desired,
		Ready: available, Available: available, Observed: true, Created: noon.Add(time.Duration(number-10) * time.Hour)}
}

// steps replaces the steps of the canary.
func steps(list ...step) mod {
	return func(s *snapshot) {
		c := s.Spec.Strategy.Canary.DeepCopy()
		c.Steps = list
		s.Spec.Strategy.Canary = c
		fit(s)
	}
}

// canary changes the strategy.
func canary(change func(*v1alpha1.CanaryStrategy)) mod {
	return func(s *snapshot) {
		c := s.Spec.Strategy.Canary.DeepCopy()
		change(c)
		s.Spec.Strategy.Canary = c
	}
}

// updating is an update to v2 at step 0. The last pass saw no available pod of v2; by now
// so many are.
func updating(desired, available int32) mod {
	return func(s *snapshot) {
		for i := range s.Revisions {
			s.Revisions[i].Current = false
		}
		r := revision("v2", 2, desired, 0)
		r.Current = true
		s.Revisions = append([]rollout.Revision{r}, s.Revisions...)
		s.TemplateHash, s.Status.CurrentPodHash, s.Number, s.Generation = "v2", "v2", 2, 2
		at(0)(s)
		persist(s)
		pods("v2", desired, available)(s)
		if !s.Routed { // without a router the share is the pods
			pods("v1", 4-available, 4-available)(s)
		}
		at(0)(s)
	}
}

// at sets the persisted step.
func at(i int32) mod { return func(s *snapshot) { s.Status.CurrentStepIndex = &i } }

// of changes a revision.
func of(hash string, change func(*rollout.Revision)) mod {
	return func(s *snapshot) {
		s.Revisions = slices.Clone(s.Revisions)
		for i := range s.Revisions {
			if s.Revisions[i].Hash == hash {
				change(&s.Revisions[i])
			}
		}
	}
}

// pods sets the wanted and available pods of a revision.
func pods(hash string, desired, available int32) mod {
	return of(hash, func(r *rollout.Revision) {
		r.Desired, r.Actual, r.Ready, r.Available = desired, desired, available, available
	})
}

// old adds a revision that is neither stable nor wanted.
func old(hash string, number int64, desired, available int32) mod {
	return func(s *snapshot) {
		s.Revisions = append(s.Revisions, revision(hash, number, desired, available))
		slices.SortStableFunc(s.Revisions, func(a, b rollout.Revision) int { return int(b.Number - a.Number) })
	}
}

// routed gives the rollout a router that has written, and is known to serve, a share of
// the canary; the canary Service selects the hash.
func routed(share int32, hash string) mod {
	return func(s *snapshot) {
		canary(func(c *v1alpha1.CanaryStrategy) {
			c.StableService, c.CanaryService = "stable", "canary"
			c.TrafficRouting = &v1alpha1.RolloutTrafficRouting{Istio: &v1alpha1.IstioTrafficRouting{}}
		})(s)
		s.Routed = true
		s.Services = []rollout.Service{{Name: "stable", Exists: true, Managed: true, Hash: "v1"}, {Name: "canary", Exists: true, Managed: true, Hash: hash}}
		total := s.Spec.Strategy.Canary.TrafficRouting.MaxTrafficWeightOrDefault()
		w := traffic.Two(total, share, traffic.Destination{Service: "stable", Hash: "v1"}, traffic.Destination{Service: "canary", Hash: hash})
		s.Traffic = traffic.State{Written: w, Live: []traffic.Split{w}, Known: true}
		persist(s)
	}
}

// lines are the actions of a plan as stories show them.
func lines(p rollout.Plan) []string {
	out := []string{}
	for _, a := range p.Actions {
		out = append(out, a.String())
	}
	return out
}

// does checks the actions of a plan, in any order.
func does(t *testing.T, p rollout.Plan, want ...string) {
	t.Helper()
	got := lines(p)
	slices.Sort(got)
	slices.Sort(want)
	if want == nil {
		want = []string{}
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("actions (-want +got):\n%s\nwaiting: %v", d, waits(p))
	}
}

// waits are the reasons of waiting of a plan.
func waits(p rollout.Plan) (list []string) {
	for _, n := range p.Notes {
		if n.Kind == rollout.Waiting {
			list = append(list, string(n.Reason)+": "+n.Message)
		}
	}
	return list
}

// told are the events of a plan whose reason begins with the text.
func told(p rollout.Plan, reason string) (list []string) {
	for _, n := range p.Notes {
		if n.Kind != rollout.Waiting && strings.HasPrefix(string(n.Reason), reason) {
			list = append(list, n.Message)
		}
	}
	return list
}

// index is the step that a plan persists; -1 for none.
func index(p rollout.Plan) int32 {
	if i := p.Status.CurrentStepIndex; i != nil {
		return *i
	}
	return -1
}

func conditionOf(st v1alpha1.RolloutStatus, kind v1alpha1.RolloutConditionType) v1alpha1.RolloutCondition {
	for _, c := range st.Conditions {
		if c.Type == kind {
			return c
		}
	}
	return v1alpha1.RolloutCondition{}
}

// TestTheGivenRolloutIsAtRest keeps the builders honest.
func TestTheGivenRolloutIsAtRest(t *testing.T) {
	for name, s := range map[string]snapshot{"without a router": given(), "with a router": given(routed(0, "v1")),
		"in an endless pause": given(routed(25, "v2"), updating(1, 1), seen, seen, seen)} {
		p := rollout.Decide(s)
		does(t, p)
		if d := cmp.Diff(s.Status, p.Status); d != "" {
			t.Errorf("%s: the status changes:\n%s", name, d)
		}
	}
}

func container(image string) []corev1.Container {
	return []corev1.Container{{Name: "demo", Image: image}}
}
