package rollout_test

import (
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/rollout"
	"github.com/penstock-io/penstock/internal/traffic"
)

// TestManagedRoutes: a header route and a mirror are on the routes while a canary with
// pods serves at or after their step, and at no other time (core.md §15 no. 56).
func TestManagedRoutes(t *testing.T) {
	header := v1alpha1.SetHeaderRoute{Name: "staff", Match: []v1alpha1.HeaderRoutingMatch{{HeaderName: "x-staff", HeaderValue: &v1alpha1.StringMatch{Exact: "yes"}}}}
	mirror := v1alpha1.SetMirrorRoute{Name: "copy", Match: []v1alpha1.RouteMatch{{Path: &v1alpha1.StringMatch{Prefix: "/"}}}, Percentage: ptr(int32(10))}
	gone := v1alpha1.SetHeaderRoute{Name: "staff"}
	list := steps(step{SetHeaderRoute: &header}, step{SetMirrorRoute: &mirror}, step{SetHeaderRoute: &gone}, pause())
	written := func(s *snapshot) { // both are on the routes
		s.Traffic.Written.Headers, s.Traffic.Written.Mirrors = []v1alpha1.SetHeaderRoute{header}, []v1alpha1.SetMirrorRoute{mirror}
		s.Traffic.Live = []traffic.Split{s.Traffic.Written}
	}
	one := canary(func(c *v1alpha1.CanaryStrategy) { c.MinPodsPerReplicaSet = ptr(int32(1)) })
	there := []mod{routed(0, "v2"), list, one, updating(1, 1)}
	for name, c := range map[string]struct {
		mods            []mod
		headers, mirror int // how many are on the routes afterwards
		wrote           bool
	}{
		"at its step a header route is written": {append(slices.Clone(there), at(0)), 1, 0, true},
		"a mirror joins it":                     {append(slices.Clone(there), at(1)), 1, 1, true},
		"an empty match takes it off":           {append(slices.Clone(there), written, at(2)), 0, 1, true},
		"what is written stays":                 {append(slices.Clone(there), written, at(1)), 1, 1, false},
		"not without a canary pod":              {append(slices.Clone(there), written, pods("v2", 1, 0), at(1)), 0, 0, true},                                                   // Covers: edge 56.
		"not after an abort":                    {append(slices.Clone(there), written, at(1), func(s *snapshot) { s.Status.Abort = true }), 0, 0, true},                        // Covers: edge 56.
		"not at the end":                        {append(slices.Clone(there), written, at(4), pods("v2", 4, 4)), 0, 0, true},                                                   // Covers: edge 56.
		"not during a full promotion":           {append(slices.Clone(there), written, at(1), func(s *snapshot) { s.Status.PromoteFull = true }), 0, 0, true},                  // Covers: edge 56.
		"not on a promoted rollout":             {[]mod{routed(0, "v1"), list, written}, 0, 0, true},                                                                           // Covers: edge 56.
		"not at the first deployment":           {[]mod{routed(0, "v1"), list, func(s *snapshot) { s.Status.StableRS, s.Revisions[0].Available = "", 0 }, at(0)}, 0, 0, false}, // Covers: edge 56, traffic edge 154.
	} {
		t.Run(name, func(t *testing.T) {
			s := given(c.mods...)
			now, wrote := s.Traffic.Written, false
			p := rollout.Decide(s)
			for _, a := range p.Actions {
				if x, ok := a.(rollout.SetSplit); ok {
					now, wrote = x.Split, true
				}
			}
			if len(now.Headers) != c.headers || len(now.Mirrors) != c.mirror || wrote != c.wrote {
				t.Errorf("headers %v, mirrors %v, written now %v; actions %v, waiting %v", now.Headers, now.Mirrors, wrote, lines(p), waits(p))
			}
		})
	}
}

// Those whom a header sends to the canary go back with the last of its share, and never to a
// stable without pods.
//
// Covers: traffic defect 40.
func TestHeaderRoutesGoWithTheShare(t *testing.T) {
	header := v1alpha1.SetHeaderRoute{Name: "staff", Match: []v1alpha1.HeaderRoutingMatch{{HeaderName: "x-staff", HeaderValue: &v1alpha1.StringMatch{Exact: "yes"}}}}
	as := func(list ...v1alpha1.SetHeaderRoute) mod { // they are on the routes
		return func(s *snapshot) {
			s.Traffic.Written.Headers = list
			s.Traffic.Live = []traffic.Split{s.Traffic.Written}
		}
	}
	list := func(names ...string) mod {
		return canary(func(c *v1alpha1.CanaryStrategy) {
			c.TrafficRouting.ManagedRoutes = nil
			for _, n := range names {
				c.TrafficRouting.ManagedRoutes = append(c.TrafficRouting.ManagedRoutes, v1alpha1.MangedRoutes{Name: n})
			}
		})
	}
	dynamic := canary(func(c *v1alpha1.CanaryStrategy) { c.DynamicStableScale = true })
	abort := func(s *snapshot) { s.Status.Abort = true }
	at100 := []mod{dynamic, steps(step{SetHeaderRoute: &header}, pause()), routed(100, "v2"), list("staff"), updating(4, 4), abort}
	at0 := []mod{steps(step{SetHeaderRoute: &header}, pause()), routed(0, "v2"), list("staff"), updating(1, 1), abort}
	for name, c := range map[string]struct {
		mods []mod
		want string // the split that is written, "" for none
	}{
		"as long as stable takes back a part only":  {append(slices.Clone(at100), pods("v1", 4, 1), as(header)), "set split Stable v1 25 + Canary v2 75 + headers staff"},
		"as long as stable takes back nothing":      {append(slices.Clone(at100), pods("v1", 4, 0), as(header)), ""},
		"until stable takes back everything":        {append(slices.Clone(at100), pods("v1", 4, 4), as(header)), "set split Stable v1 100 + Canary v2 0"},
		"alone, they go at once":                    {append(slices.Clone(at0), as(header)), "set split Stable v1 100 + Canary v2 0"},
		"alone, but not to a stable without pods":   {append(slices.Clone(at0), pods("v1", 4, 0), as(header)), ""},
		"not if the canary has no pods either":      {append(slices.Clone(at0), pods("v1", 4, 0), pods("v2", 1, 0), as(header)), "set split Stable v1 100 + Canary v2 0"},
		"one that is broken, or not listed, is let": {append(slices.Clone(at100), list("other"), pods("v1", 4, 1), as(traffic.Broken("other"), header)), "set split Stable v1 25 + Canary v2 75"},
	} {
		t.Run(name, func(t *testing.T) {
			p := rollout.Decide(given(c.mods...))
			if got := split(p); got != c.want {
				t.Errorf("%q, want %q; waiting for %v", got, c.want, waits(p))
			}
		})
	}
}

// A managed route before the first weight has a pod to lead to, as the published controller's
// manifests have it, and the step ends.
func TestAManagedRouteBeforeTheFirstWeightGetsAPod(t *testing.T) {
	header := v1alpha1.SetHeaderRoute{Name: "staff", Match: []v1alpha1.HeaderRoutingMatch{{HeaderName: "x-staff", HeaderValue: &v1alpha1.StringMatch{Exact: "yes"}}}}
	mirror := v1alpha1.SetMirrorRoute{Name: "copy", Match: []v1alpha1.RouteMatch{{Method: &v1alpha1.StringMatch{Exact: "GET"}}}}
	for name, s := range map[string]step{"header": {SetHeaderRoute: &header}, "mirror": {SetMirrorRoute: &mirror}} {
		list := steps(s, weight(10), pause())
		p := rollout.Decide(given(routed(0, "v2"), list, updating(0, 0), at(0)))
		if got := strings.Join(lines(p), "\n"); got != "scale v2 from 0 to 1" {
			t.Errorf("%s: %s", name, got)
		}
		p = rollout.Decide(given(routed(0, "v2"), list, updating(1, 1), at(0)))
		if got := strings.Join(lines(p), "\n"); got != "set split Stable v1 100 + Canary v2 0 + "+map[string]string{"header": "headers staff", "mirror": "mirror copy"}[name] {
			t.Errorf("%s with its pod: %s", name, got)
		}
	}
}

// A header route keeps a pod of the canary. A step that asks for none does not wait for
// that pod to go.
func TestAHeaderRouteDoesNotHoldUpAStepWithoutPods(t *testing.T) {
	header := v1alpha1.SetHeaderRoute{Name: "staff", Match: []v1alpha1.HeaderRoutingMatch{{HeaderName: "x-staff", HeaderValue: &v1alpha1.StringMatch{Exact: "yes"}}}}
	written := func(s *snapshot) {
		s.Traffic.Written.Headers = []v1alpha1.SetHeaderRoute{header}
		s.Traffic.Live = []traffic.Split{s.Traffic.Written}
	}
	for name, last := range map[string]step{
		"matchTrafficWeight at weight 0": {SetCanaryScale: &v1alpha1.SetCanaryScale{MatchTrafficWeight: true}},
		"replicas: 0":                    {SetCanaryScale: &v1alpha1.SetCanaryScale{Replicas: ptr(int32(0))}},
		"setWeight: 0":                   weight(0),
	} {
		list := steps(step{SetHeaderRoute: &header}, last, pause())
		p := rollout.Decide(given(routed(0, "v2"), list, updating(1, 1), written, at(1)))
		if len(p.Actions) > 0 || *p.Status.CurrentStepIndex != 2 {
			t.Errorf("%s: at step %d, actions %v, waiting %v", name, *p.Status.CurrentStepIndex, lines(p), waits(p))
		}
	}
}

// Covers: edge 53, edge 55.
func TestCanaryScale(t *testing.T) {
	scale := func(s v1alpha1.SetCanaryScale) step { return step{SetCanaryScale: &s} }
	list := steps(scale(v1alpha1.SetCanaryScale{Weight: ptr(int32(25))}), weight(50), scale(v1alpha1.SetCanaryScale{Replicas: ptr(int32(3))}),
		scale(v1alpha1.SetCanaryScale{MatchTrafficWeight: true}))
	for i, want := range []string{"scale v2 from 0 to 1", "scale v2 from 0 to 1", "scale v2 from 0 to 3", "scale v2 from 0 to 2"} {
		does(t, rollout.Decide(given(routed(0, "v2"), list, updating(0, 0), at(int32(i)))), want)
	}
	// Without a router it is refused; if it stood in the spec all the same it would change no count.
	does(t, rollout.Decide(given(list, updating(0, 0), pods("v1", 4, 4), at(2))), "scale v1 from 4 to 3", "scale v2 from 0 to 1")
}

// Covers: defect 22.
func TestANumberInAStringIsAPercentage(t *testing.T) {
	for _, text := range []string{"50", "50%"} {
		surge := canary(func(c *v1alpha1.CanaryStrategy) {
			c.MaxSurge, c.MaxUnavailable = ptr(intstr.FromString(text)), ptr(intstr.FromInt32(0))
		})
		does(t, rollout.Decide(given(surge, steps(weight(100)), updating(0, 0), pods("v1", 4, 4))), "scale v2 from 0 to 2")
	}
	for _, text := range []string{"0", "0%"} {
		spec := given(canary(func(c *v1alpha1.CanaryStrategy) {
			c.MaxSurge, c.MaxUnavailable = ptr(intstr.FromString(text)), ptr(intstr.FromInt32(0))
		})).Spec
		spec.Template.Spec.Containers = container("demo:v1")
		if len(rollout.Validate("shop", "demo", &spec, nil)) != 1 {
			t.Errorf("a surge of %q and nothing unavailable is accepted", text)
		}
	}
}

// trial is an update at an experiment step whose Experiment stands so.
func trial(phase v1alpha1.AnalysisPhase) mod {
	return func(s *snapshot) {
		steps(weight(25), step{Experiment: &v1alpha1.RolloutExperimentStep{Templates: []v1alpha1.RolloutExperimentTemplate{{
			Name: "new", SpecRef: v1alpha1.CanarySpecRef, Weight: ptr(int32(10))}}}}, weight(50))(s)
		at(1)(s)
		attempt(s)
		s.Experiments = []rollout.Experiment{{Name: "demo-v2-2-1", Hash: "v2", Number: 2, Phase: phase, Created: noon.Add(-60e9),
			Templates: []rollout.ExperimentTemplate{{Name: "new", Service: "trial", Hash: "x", Available: 1}}}}
		s.Status.Canary.CurrentExperiment = "demo-v2-2-1"
	}
}

func TestExperimentsOfAStep(t *testing.T) {
	const running, undecided, good = v1alpha1.AnalysisPhaseRunning, v1alpha1.AnalysisPhaseInconclusive, v1alpha1.AnalysisPhaseSuccessful
	at25 := []mod{routed(25, "v2"), updating(1, 1)}
	listed := func(s *snapshot) { persist(s) } // the status names the destination before it gets its weight
	for name, c := range map[string]struct {
		mods []mod
		want []string
		then int32
	}{
		// Covers: edge 72, traffic edge 151.
		"one that runs gets its weight from stable": {append(slices.Clone(at25), trial(running), listed), []string{"set split Stable v1 65 + Canary v2 25 + Extra x 10"}, 1},
		// Covers: edge 72, outage 12, traffic edge 151.
		"not before its pods are there":           {append(slices.Clone(at25), trial(running), func(s *snapshot) { s.Experiments[0].Templates[0].Available = 0 }, listed), nil, 1},
		"not before proxies know its new Service": {append(slices.Clone(at25), trial(running), func(s *snapshot) { s.Experiments[0].Templates[0].Since = noon.Add(-2e9) }, listed), nil, 1},
		"once they know it":                       {append(slices.Clone(at25), trial(running), func(s *snapshot) { s.Experiments[0].Templates[0].Since = noon.Add(-3e9) }, listed), []string{"set split Stable v1 65 + Canary v2 25 + Extra x 10"}, 1},
		// Covers: defect 9.
		"one that could not decide stays the only one": {append(slices.Clone(at25), trial(undecided), seen, seen), nil, 1},
		// Covers: defect 9.
		"one that succeeded while the spec pauses, too": {append(slices.Clone(at25), trial(good), func(s *snapshot) { s.Spec.Paused = true }, seen), nil, 1},
		// Covers: defect 9.
		"one that could not decide and was deleted is not made anew": {append(slices.Clone(at25), trial(undecided), seen, seen,
			func(s *snapshot) { s.Experiments = nil }, seen, seen), nil, 1},
		// Covers: defect 9.
		"none begins while the spec pauses": {append(slices.Clone(at25), trial(running), func(s *snapshot) {
			s.Experiments, s.Status.Canary.CurrentExperiment, s.Spec.Paused = nil, "", true
		}), nil, 1},
		"one that succeeded lets the step end": {append(slices.Clone(at25), trial(good)), nil, 2},
	} {
		t.Run(name, func(t *testing.T) {
			p := rollout.Decide(given(c.mods...))
			does(t, p, c.want...)
			if index(p) != c.then {
				t.Errorf("index %d, want %d", index(p), c.then)
			}
		})
	}
}
