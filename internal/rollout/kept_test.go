package rollout_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/rollout"
	"github.com/penstock-io/penstock/internal/sim"
)

// TestOddThingsThatAreKept goes through the end of core.md §16: what other tools rely on,
// however odd. The annotation names stand in api/v1alpha1, the texts of invalid specs beside
// Validate.
func TestOddThingsThatAreKept(t *testing.T) {
	t.Run("the observed generation is text", func(t *testing.T) {
		if got := rollout.Decide(given(func(s *snapshot) { s.Generation = 12 })).Status.ObservedGeneration; got != "12" {
			t.Errorf("%q", got)
		}
	})
	t.Run("the text of an invalid spec names the condition twice", func(t *testing.T) {
		st := rollout.Decide(given(func(s *snapshot) { s.Invalid = `The Rollout "demo" is invalid: no` })).Status
		if want := `True InvalidSpec: The Rollout "demo" is invalid: no`; says(st, v1alpha1.RolloutInvalidSpec) != want || st.Message != `InvalidSpec: The Rollout "demo" is invalid: no` {
			t.Errorf("%s; %s", says(st, v1alpha1.RolloutInvalidSpec), st.Message)
		}
	})
	t.Run("events count steps from 1", func(t *testing.T) {
		got := told(rollout.Decide(given(routed(25, "v2"), updating(1, 1))), "RolloutStepCompleted")
		if d := cmp.Diff([]string{"Rollout step 1/2 completed (setWeight: 25)"}, got); d != "" {
			t.Error(d)
		}
	})
	t.Run("an index behind the last step means done", func(t *testing.T) {
		if p := rollout.Decide(given()); index(p) != 2 || p.Status.Phase != v1alpha1.RolloutPhaseHealthy {
			t.Errorf("index %d, %s", index(p), p.Status.Phase)
		}
	})
	t.Run("a pause that the controller began and nobody lists is a resume", func(t *testing.T) {
		s := given(routed(25, "v2"), updating(1, 1), at(1), seen)
		if !s.Status.ControllerPause || len(s.Status.PauseConditions) != 1 {
			t.Fatalf("%+v", s.Status)
		}
		s.Status.PauseConditions = nil
		p := rollout.Decide(s)
		if d := cmp.Diff([]string{"Rollout is resumed"}, told(p, "RolloutResumed")); d != "" || p.Status.ControllerPause || index(p) != 2 {
			t.Errorf("%s, controllerPause %v, index %d", d, p.Status.ControllerPause, index(p))
		}
	})
	t.Run("the weights name the canary and stable Service, whichever serve", func(t *testing.T) {
		w := rollout.Decide(given(routed(25, "v2"), canary(func(c *v1alpha1.CanaryStrategy) {
			c.PingPong = &v1alpha1.PingPongSpec{PingService: "ping", PongService: "pong"}
		}), updating(1, 1))).Status.Canary.Weights
		if w.Canary.ServiceName != "canary" || w.Stable.ServiceName != "stable" {
			t.Errorf("%+v", w)
		}
	})
	t.Run("pong is stable until a status says otherwise", func(t *testing.T) {
		spec := &v1alpha1.RolloutSpec{Strategy: v1alpha1.RolloutStrategy{Canary: &v1alpha1.CanaryStrategy{PingPong: &v1alpha1.PingPongSpec{PingService: "ping", PongService: "pong"}}}}
		for now, want := range map[v1alpha1.PingPongType]string{"": "pong ping", "odd": "pong ping", v1alpha1.PPPong: "pong ping", v1alpha1.PPPing: "ping pong"} {
			st := &v1alpha1.RolloutStatus{}
			st.Canary.StablePingPong = now
			if stable, idle := rollout.Roles(spec, st); stable+" "+idle != want {
				t.Errorf("%q: %s %s, want %s", now, stable, idle, want)
			}
		}
	})
	t.Run("runs of one name get .1, experiments -1", func(t *testing.T) {
		ended := run("demo-v2-2-1", v1alpha1.AnalysisPhaseFailed, 90)
		p := rollout.Decide(given(routed(25, "v2"), updating(1, 1), steps(weight(25), inline("errors")), at(1), attempt, func(s *snapshot) { s.Runs = []rollout.Run{ended} }))
		if got := lines(p); !slices.Contains(got, "start analysis demo-v2-2-1.1") {
			t.Errorf("%v", got)
		}
		p = rollout.Decide(given(routed(25, "v2"), updating(1, 1), trial(v1alpha1.AnalysisPhaseFailed), func(s *snapshot) {
			s.Status.Canary.CurrentExperiment, s.Experiments[0].Created = "", noon.Add(-90*60e9)
		}))
		if got := lines(p); !slices.Contains(got, "start experiment demo-v2-2-1-1") {
			t.Errorf("%v", got)
		}
	})
	t.Run("surge and unavailability are a quarter by default", func(t *testing.T) {
		w := byDefault(8)
		w.SetImage("demo:broken")
		w.Wait(60e9)
		if got := counts(w, "broken", "v1"); got != "broken 0/4, v1 6/6" { // 2 more, and 2 fewer
			t.Error(got)
		}
	})
	t.Run("a first deployment is told as not completed before it is told as completed", func(t *testing.T) {
		s := given(pods("v1", 0, 0))
		s.Status = v1alpha1.RolloutStatus{}
		s.Revisions = nil
		var got []string
		for range 4 {
			p := rollout.Decide(s)
			for _, n := range p.Notes {
				if strings.HasPrefix(string(n.Reason), "Rollout") && strings.Contains(string(n.Reason), "Completed") {
					got = append(got, string(n.Reason)+": "+n.Message)
				}
			}
			if s.Status = p.Status; len(s.Revisions) == 0 {
				s.Revisions = []rollout.Revision{revision("v1", 1, 0, 0)}
				s.Revisions[0].Current = true
			}
		}
		want := []string{"RolloutNotCompleted: Rollout not completed, started update to revision 1 (v1)",
			"RolloutCompleted: Rollout completed update to revision 1 (v1): Initial deploy"}
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
	})
}

// byDefault is a simulated canary without a router, and with nothing said about its pace.
func byDefault(n int32) *sim.World {
	s := given(steps(weight(100)), func(s *snapshot) { s.Spec.Replicas = &n })
	r := v1alpha1.Rollout{Spec: s.Spec}
	r.Spec.Template.Spec.Containers = container("demo:v1")
	w := sim.New(r, sim.Options{})
	w.Wait(60e9)
	return w
}
