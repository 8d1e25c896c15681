package rollout_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/rollout"
	"github.com/penstock-io/penstock/internal/traffic"
)

// TestWhatAStepWaitsFor goes through core.md §15 "Steps": whether the position moves on.
func TestWhatAStepWaitsFor(t *testing.T) {
	percent := func(kind v1alpha1.ProgressType, value int32) mod {
		return canary(func(c *v1alpha1.CanaryStrategy) {
			c.ReplicaProgressThreshold = &v1alpha1.ReplicaProgressThreshold{Type: kind, Value: value}
		})
	}
	ten := func(desired, available int32) []mod { // at 100 % of ten pods
		return []mod{func(s *snapshot) { s.Spec.Replicas = ptr(int32(10)) }, pods("v1", 10, 10), steps(weight(100), pause()),
			updating(desired, available), routed(100, "v2"), pods("v1", 10, 10), at(0)}
	}
	verifying := func(confirmed bool) mod {
		return func(s *snapshot) {
			s.Verifies = true
			if !confirmed {
				s.Traffic.Live = append(s.Traffic.Live, traffic.Two(100, 0, s.Traffic.Written.Destinations[0], s.Traffic.Written.Destinations[1]))
			}
		}
	}
	lagging := func(s *snapshot) { s.Traffic.Known = false }
	for name, c := range map[string]struct {
		mods []mod
		then int32
	}{
		"a step whose pods are there ends":                {[]mod{routed(25, "v2"), updating(1, 1)}, 1},
		"a pod that is not available holds it":            {[]mod{routed(25, "v2"), updating(1, 0)}, 0},
		"a stable with too many pods holds it":            {[]mod{routed(25, "v2"), updating(1, 1), pods("v1", 5, 4)}, 0},                                                          // Covers: edge 47.
		"a stable whose pods have not gone yet holds it":  {[]mod{updating(1, 1), of("v1", func(r *rollout.Revision) { r.Actual = 4 })}, 0},                                        // Covers: edge 47.
		"a stable whose pods are not available does not":  {[]mod{updating(1, 1), of("v1", func(r *rollout.Revision) { r.Available, r.Ready = 0, 0 })}, 1},                         // Covers: edge 47.
		"an available pod of an old revision holds it":    {[]mod{updating(1, 1), old("v0", 0, 1, 1)}, 0},                                                                          // Covers: edge 48.
		"an old revision without available pods does not": {[]mod{updating(1, 1), old("v0", 0, 1, 0)}, 1},                                                                          // Covers: edge 48.
		"a router that denies the weight holds it":        {[]mod{routed(25, "v2"), verifying(false), updating(1, 1)}, 0},                                                          // Covers: edge 67.
		"a router that confirms it does not":              {[]mod{routed(25, "v2"), verifying(true), updating(1, 1)}, 1},                                                           // Covers: edge 67.
		"a data plane that is not known yet holds it":     {[]mod{routed(25, "v2"), lagging, updating(1, 1)}, 0},                                                                   // Covers: outage 15.
		"6 of 10 are below 70 %":                          {append(ten(10, 6), percent("Percent", 70)), 0},                                                                         // Covers: edge 64.
		"7 of 10 are 70 %":                                {append(ten(10, 7), percent("Percent", 70)), 1},                                                                         // Covers: edge 64.
		"2 pods are below 3":                              {append(ten(10, 2), percent("Pods", 3)), 0},                                                                             // Covers: edge 64.
		"3 pods are 3, whatever is wanted":                {append(ten(10, 3), percent("Pods", 3)), 1},                                                                             // Covers: edge 64.
		"a negative threshold is none":                    {append(ten(10, 9), percent("Percent", -1)), 0},                                                                         // Covers: edge 66.
		"a percentage of no pods is met":                  {[]mod{routed(0, "v2"), steps(weight(0), pause()), updating(0, 0), percent("Percent", 70), pods("v1", 4, 4), at(0)}, 1}, // Covers: edge 66.
		"weights of the same pods end in one write":       {[]mod{updating(1, 1), steps(weight(25), weight(26), weight(30), weight(60)), at(0)}, 3},
		"weights that a router takes end one by one":      {[]mod{routed(25, "v2"), updating(1, 1), steps(weight(25), weight(25), weight(60)), at(0)}, 1},
		"a step that wants pods is not passed over":       {[]mod{updating(1, 1), steps(weight(25), weight(100), pause()), percent("Percent", 25), at(0)}, 1},
		"nor is a pause":                                  {[]mod{updating(1, 1), steps(weight(25), pause(), weight(25)), at(0)}, 1},
		"an empty list of pauses ends the pause":          {[]mod{updating(1, 1), at(1), seen, func(s *snapshot) { s.Status.PauseConditions = nil }}, 2}, // Covers: edge 50.
		"an endless pause holds":                          {[]mod{updating(1, 1), at(1), seen, seen, later(9000e9)}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := given(c.mods...)
			p := rollout.Decide(s)
			if index(p) != c.then {
				t.Errorf("index %d, want %d; waiting: %v; actions: %v", index(p), c.then, waits(p), lines(p))
			}
			if events, moved := len(told(p, "RolloutStepCompleted")), c.then-*s.Status.CurrentStepIndex; events != int(moved) {
				t.Errorf("%d events for %d steps", events, moved)
			}
		})
	}
}

// Covers: edge 49.
func TestPausesWakeAtTheirEndOnly(t *testing.T) {
	endless := rollout.Decide(given(routed(25, "v2"), updating(1, 1), at(1), seen, seen))
	if !endless.Wake.IsZero() {
		t.Errorf("an endless pause wakes at %v", endless.Wake)
	}
	timed := given(routed(25, "v2"), steps(weight(25), step{Pause: &v1alpha1.RolloutPause{Duration: ptr(intstr.FromString("10m"))}}), updating(1, 1), at(1), seen, seen)
	if p := rollout.Decide(timed); p.Wake.Sub(noon).Round(1e9) != 600e9 {
		t.Errorf("a pause of ten minutes wakes after %v", p.Wake.Sub(noon))
	} else if w := strings.Join(waits(p), "; "); strings.Contains(w, "0001-01-01") {
		t.Errorf("a pause that has not been recorded says %s", w)
	}
}

func TestAPauseSaysHowLongItWaitsForAPerson(t *testing.T) {
	const since = time.Hour
	limited := func(then v1alpha1.PauseTimeoutAction, timeout string) mod {
		return func(s *snapshot) {
			limit := intstr.FromString(timeout)
			steps(weight(25), step{Pause: &v1alpha1.RolloutPause{Timeout: &limit, OnTimeout: then}})(s)
			s.Status.PauseConditions = []v1alpha1.PauseCondition{{Reason: v1alpha1.PauseReasonCanaryPauseStep, StartTime: metav1.NewTime(noon.Add(-since))}}
			s.Status.ControllerPause = true
		}
	}
	for name, c := range map[string]struct {
		then     v1alpha1.PauseTimeoutAction
		timeout  string
		more     mod
		waits    string
		index    int32
		abort    bool
		wakesAt  time.Duration // after noon, 0 for not because of the pause
		messages string
	}{
		"before its end":            {"", "4h", nil, "the step pauses until somebody promotes the rollout; the update is taken back at " + noon.Add(3*time.Hour).Format(time.RFC3339), 1, false, 3 * time.Hour, "CanaryPauseStep"},
		"before it goes on":         {v1alpha1.PauseTimeoutPromote, "90m", nil, "it goes on by itself at", 1, false, 30 * time.Minute, "CanaryPauseStep"},
		"before it is told":         {v1alpha1.PauseTimeoutHold, "5400", nil, "its owner is told at", 1, false, 30 * time.Minute, "CanaryPauseStep"},
		"at its end":                {"", "1h", nil, "the update is taken back at", 1, false, 0, "CanaryPauseStep"},
		"after its end":             {"", "59m59s", nil, "", 0, true, 0, "nobody promoted step 2/2 within its timeout of 59m59s"},
		"after its end, it goes on": {v1alpha1.PauseTimeoutPromote, "30m", nil, "", 2, false, 0, ""},
		"after its end, it is told": {v1alpha1.PauseTimeoutHold, "30m", nil, "nobody promoted step 2/2 within its timeout of 30m; it still waits", 1, false, 0, "CanaryPauseStep: nobody promoted step 2/2 within its timeout of 30m"},
		"after its end, held":       {"", "30m", func(s *snapshot) { s.Spec.Paused = true }, "until somebody promotes the rollout", 1, false, 0, "manually paused"},
		"after its end, let go":     {"", "30m", func(s *snapshot) { s.Status.Message = "manually paused" }, "until somebody promotes the rollout", 1, false, 0, "CanaryPauseStep"},
		"after its end, promoted":   {"", "30m", func(s *snapshot) { s.Status.PauseConditions = nil }, "", 2, false, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			mods := []mod{routed(25, "v2"), updating(1, 1), at(1), seen, seen, limited(c.then, c.timeout)}
			if c.more != nil {
				mods = append(mods, c.more)
			}
			p := rollout.Decide(given(mods...))
			if w := strings.Join(waits(p), "; "); !strings.Contains(w, c.waits) {
				t.Errorf("it waits: %s; want %q", w, c.waits)
			}
			if p.Status.Abort != c.abort || *p.Status.CurrentStepIndex != c.index {
				t.Errorf("abort %v, step %d", p.Status.Abort, *p.Status.CurrentStepIndex)
			}
			if !strings.Contains(p.Status.Message, c.messages) {
				t.Errorf("the message is %q", p.Status.Message)
			}
			if wakes := p.Wake.Sub(noon).Round(time.Second); c.wakesAt > 0 && wakes != c.wakesAt {
				t.Errorf("it wakes after %v", wakes)
			}
		})
	}
}

func TestPromotion(t *testing.T) {
	end := []mod{routed(100, "v2"), updating(4, 4), pods("v1", 4, 4), at(2)}
	few := canary(func(c *v1alpha1.CanaryStrategy) {
		c.ReplicaProgressThreshold = &v1alpha1.ReplicaProgressThreshold{Type: "Percent", Value: 50}
	})
	for name, c := range map[string]struct {
		mods []mod
		why  string // of the promotion, "" for none
	}{
		"all pods and all weight":          {end, "Completed all 2 canary steps"},
		"one pod is missing":               {append(slices.Clone(end), pods("v2", 4, 3)), ""},
		"more pods than wanted":            {append(slices.Clone(end), pods("v2", 6, 6)), "Completed all 2 canary steps"},                                                                                                   // Covers: edge 63.
		"half of the pods are enough":      {append(slices.Clone(end), few, pods("v2", 4, 2)), "Completed all 2 canary steps"},                                                                                              // Covers: edge 65.
		"less than half are not":           {append(slices.Clone(end), few, pods("v2", 4, 1)), ""},                                                                                                                          // Covers: edge 65.
		"the data plane does not follow":   {append(slices.Clone(end), func(s *snapshot) { s.Traffic.Known = false }), ""},                                                                                                  // Covers: defect 13, outage 15.
		"without steps, too":               {[]mod{steps(), routed(100, "v2"), updating(4, 4), pods("v1", 4, 4), func(s *snapshot) { s.Status.CurrentStepIndex = nil }, func(s *snapshot) { s.Traffic.Known = false }}, ""}, // Covers: defect 13.
		"without steps, when it follows":   {[]mod{steps(), routed(100, "v2"), updating(4, 4), pods("v1", 4, 4), func(s *snapshot) { s.Status.CurrentStepIndex = nil }}, "Completed all 0 canary steps"},                    // Covers: defect 13.
		"a full promotion at the weight 0": {[]mod{routed(25, "v2"), updating(4, 4), pods("v1", 4, 4), func(s *snapshot) { s.Status.PromoteFull = true }}, "Full promotion requested"},                                      // Covers: edge 58.
	} {
		t.Run(name, func(t *testing.T) {
			p := rollout.Decide(given(c.mods...))
			got := strings.Join(told(p, "RolloutCompleted"), "; ")
			want := ""
			if c.why != "" {
				want = "Rollout completed update to revision 2 (v2): " + c.why
			}
			if got != want || (p.Status.StableRS == "v2") != (c.why != "") {
				t.Errorf("told %q, stable %s; waiting: %v", got, p.Status.StableRS, waits(p))
			}
		})
	}
}

// A full promotion leaves the weight as it is while the pods come up, and ends whatever is
// measured for the steps that it leaves out.
//
// Covers: edge 58.
func TestAFullPromotionEndsWhatTheStepsHaveBegun(t *testing.T) {
	full := func(s *snapshot) { s.Status.PromoteFull = true }
	measured := []mod{routed(25, "v2"), canary(func(c *v1alpha1.CanaryStrategy) {
		c.Analysis = &v1alpha1.RolloutAnalysisBackground{RolloutAnalysis: *inline("errors").Analysis}
	}), updating(1, 1), trial(v1alpha1.AnalysisPhaseRunning), func(s *snapshot) {
		s.Runs = []rollout.Run{run("demo-v2-2-1", v1alpha1.AnalysisPhaseRunning, 1),
			{Name: "demo-v2-2", Kind: rollout.Background, Step: -1, Hash: "v2", Number: 2, Phase: v1alpha1.AnalysisPhaseRunning, Created: noon.Add(-60e9)}}
	}}
	p := rollout.Decide(given(append(measured, full)...))
	does(t, p, "scale v2 from 1 to 4", "stop analysis demo-v2-2-1", "stop analysis demo-v2-2", "stop experiment demo-v2-2-1")
	c := p.Status.Canary
	if c.CurrentStepAnalysisRunStatus != nil || c.CurrentBackgroundAnalysisRunStatus != nil || c.CurrentExperiment != "" || !p.Status.PromoteFull {
		t.Errorf("%+v, full promotion %v", c, p.Status.PromoteFull)
	}
}

// An abort stops what is measured. Of a canary's runs the status keeps nothing; those of
// blue-green stay for people to see.
//
// Covers: analysis edge 125.
func TestAnAbortStopsWhatIsMeasured(t *testing.T) {
	const running = v1alpha1.AnalysisPhaseRunning
	abort := func(s *snapshot) { s.Status.Abort = true }
	t.Run("of a canary", func(t *testing.T) {
		s := given(steps(weight(25), inline("smoke")), canary(func(c *v1alpha1.CanaryStrategy) {
			c.Analysis = &v1alpha1.RolloutAnalysisBackground{RolloutAnalysis: *inline("errors").Analysis}
		}), updating(1, 1), attempt, at(1), func(s *snapshot) {
			s.Runs = []rollout.Run{run("demo-v2-2-1", running, 1),
				{Name: "demo-v2-2", Kind: rollout.Background, Step: -1, Hash: "v2", Number: 2, Phase: running, Created: noon.Add(-time.Minute)}}
		}, seen)
		if c := s.Status.Canary; c.CurrentStepAnalysisRunStatus == nil || c.CurrentBackgroundAnalysisRunStatus == nil {
			t.Fatalf("before the abort: %+v", c)
		}
		abort(&s)
		p := rollout.Decide(s)
		if got := lines(p); !slices.Contains(got, "stop analysis demo-v2-2-1") || !slices.Contains(got, "stop analysis demo-v2-2") {
			t.Errorf("actions %v", got)
		}
		if c := p.Status.Canary; c.CurrentStepAnalysisRunStatus != nil || c.CurrentBackgroundAnalysisRunStatus != nil {
			t.Errorf("the status keeps %+v", c)
		}
	})
	t.Run("of blue-green", func(t *testing.T) {
		s := given(blue("v1", "v2", func(b *v1alpha1.BlueGreenStrategy) { b.PrePromotionAnalysis = inline("smoke").Analysis }), updating(4, 4), attempt,
			func(s *snapshot) {
				s.Runs = []rollout.Run{{Name: "demo-v2-2-pre", Kind: rollout.PrePromotion, Step: -1, Hash: "v2", Number: 2, Phase: running, Created: noon.Add(-time.Minute)}}
			}, seen)
		abort(&s)
		p := rollout.Decide(s)
		if got := lines(p); !slices.Contains(got, "stop analysis demo-v2-2-pre") {
			t.Errorf("actions %v", got)
		}
		s.Status = p.Status
		s.Runs[0].Terminating, s.Runs[0].Phase = true, v1alpha1.AnalysisPhaseSuccessful
		for range 2 {
			persist(&s)
		}
		if r := s.Status.BlueGreen.PrePromotionAnalysisRunStatus; r == nil || r.Name != "demo-v2-2-pre" {
			t.Errorf("the status keeps %+v", r)
		}
	})
}

// Covers: analysis edge 132.
func TestWhatABackgroundRunSaysAfterTheEndChangesNothing(t *testing.T) {
	said := func(phase v1alpha1.AnalysisPhase, stopped bool) snapshot {
		return given(canary(func(c *v1alpha1.CanaryStrategy) {
			c.Analysis = &v1alpha1.RolloutAnalysisBackground{RolloutAnalysis: *inline("errors").Analysis}
		}), func(s *snapshot) {
			s.Runs = []rollout.Run{{Name: "demo-v1-1", Kind: rollout.Background, Step: -1, Hash: "v1", Number: 1, Phase: phase, Terminating: stopped, Created: noon.Add(-time.Minute)}}
		})
	}
	does(t, rollout.Decide(said(v1alpha1.AnalysisPhaseRunning, false)), "stop analysis demo-v1-1")
	for _, phase := range []v1alpha1.AnalysisPhase{v1alpha1.AnalysisPhaseRunning, v1alpha1.AnalysisPhaseSuccessful,
		v1alpha1.AnalysisPhaseInconclusive, v1alpha1.AnalysisPhaseFailed, v1alpha1.AnalysisPhaseError} {
		t.Run(string(phase), func(t *testing.T) {
			s := said(phase, true)
			for range 3 {
				does(t, rollout.Decide(s))
				persist(&s)
			}
			if st := s.Status; st.Phase != v1alpha1.RolloutPhaseHealthy || st.Abort || len(st.PauseConditions) > 0 {
				t.Errorf("%s %s, abort %v, pauses %v", st.Phase, st.Message, st.Abort, st.PauseConditions)
			}
		})
	}
}

func TestChangedSteps(t *testing.T) {
	back := func(s *snapshot) { // the stable template again
		s.TemplateHash, s.Generation = "v1", 3
		of("v1", func(r *rollout.Revision) { r.Current, r.Number = true, 3 })(s)
		of("v2", func(r *rollout.Revision) { r.Current = false })(s)
	}
	other := func(s *snapshot) { // other steps, which no pass has seen
		c := s.Spec.Strategy.Canary.DeepCopy()
		c.Steps = []step{weight(10), weight(20), weight(30)}
		s.Spec.Strategy.Canary, s.StepsHash = c, v1alpha1.StepHash(c.Steps)
	}
	none := func(s *snapshot) {
		c := s.Spec.Strategy.Canary.DeepCopy()
		c.Steps = nil
		s.Spec.Strategy.Canary, s.StepsHash = c, v1alpha1.StepHash(nil)
	}
	paused := []mod{routed(25, "v2"), updating(1, 1), at(1), seen, seen}
	for name, c := range map[string]struct {
		mods  []mod
		then  int32
		tells string
		want  []string
	}{
		"mid-update they start over":             {append(slices.Clone(paused), other), 0, "", nil},                                                            // Covers: edge 41.
		"the stable template ends the update":    {append(slices.Clone(paused), back), 2, "Rollback to stable ReplicaSets", []string{"set revision 3"}},        // Covers: edge 43.
		"with other steps it still does":         {append(slices.Clone(paused), back, other), 3, "Rollback to stable ReplicaSets", []string{"set revision 3"}}, // Covers: edge 44.
		"other steps of a healthy rollout":       {[]mod{routed(0, "v1"), other}, 3, "", nil},
		"no steps any more of a healthy rollout": {[]mod{routed(0, "v1"), none}, -1, "", nil}, // Covers: edge 45.
	} {
		t.Run(name, func(t *testing.T) {
			s := given(c.mods...)
			p := rollout.Decide(s)
			does(t, p, c.want...)
			if index(p) != c.then || len(p.Status.PauseConditions) > 0 || p.Status.ControllerPause {
				t.Errorf("index %d, want %d; pauses %v", index(p), c.then, p.Status.PauseConditions)
			}
			if got := strings.Join(told(p, "SkipSteps"), "; "); got != c.tells {
				t.Errorf("told %q, want %q", got, c.tells)
			}
		})
	}
	// Covers: edge 45.
	t.Run("and it stays healthy", func(t *testing.T) {
		s := given(routed(0, "v1"), none)
		for range 3 {
			p := rollout.Decide(s)
			does(t, p)
			s.Status = p.Status
		}
		if s.Status.Phase != v1alpha1.RolloutPhaseHealthy || s.Status.CurrentStepIndex != nil {
			t.Errorf("%s %s", s.Status.Phase, s.Status.Message)
		}
	})
	// Covers: edge 41.
	t.Run("the run of an old step is stopped", func(t *testing.T) {
		s := given(append(slices.Clone(paused), func(s *snapshot) {
			s.Runs = []rollout.Run{run("demo-v2-2-1", v1alpha1.AnalysisPhaseRunning, 1)}
			s.Status.Canary.CurrentStepAnalysisRunStatus = &v1alpha1.RolloutAnalysisRunStatus{Name: "demo-v2-2-1"}
		}, other, seen)...)
		if s.Status.Canary.CurrentStepAnalysisRunStatus != nil {
			t.Error("the status still names the run")
		}
		if got := lines(rollout.Decide(s)); !slices.Contains(got, "stop analysis demo-v2-2-1") {
			t.Errorf("actions %v", got)
		}
	})
}

// Covers: edge 71.
func TestWeightsInTheStatus(t *testing.T) {
	s := given(routed(0, "v2"), updating(1, 1))
	s.Traffic.Written = traffic.Two(100, 25, s.Traffic.Written.Destinations[0], s.Traffic.Written.Destinations[1])
	p := rollout.Decide(s)
	want := &v1alpha1.TrafficWeights{
		Canary: v1alpha1.WeightDestination{Weight: 25, ServiceName: "canary", PodTemplateHash: "v2"},
		Stable: v1alpha1.WeightDestination{Weight: 75, ServiceName: "stable", PodTemplateHash: "v1"},
	}
	if d := cmp.Diff(want, p.Status.Canary.Weights); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"Traffic weight updated from 0 to 25"}, told(p, "TrafficWeightUpdated")); d != "" {
		t.Error(d)
	}
	s.Status = p.Status
	if again := told(rollout.Decide(s), "TrafficWeightUpdated"); len(again) > 0 {
		t.Errorf("told again: %v", again)
	}
}

// Covers: defect 8.
func TestEveryFlipOfTheVerifiedFlagIsWritten(t *testing.T) {
	s := given(routed(25, "v2"), updating(1, 1), at(1))
	s.Verifies = true
	late := traffic.Two(100, 0, s.Traffic.Written.Destinations[0], s.Traffic.Written.Destinations[1])
	for _, confirmed := range []bool{true, false, true} {
		s.Traffic.Live = []traffic.Split{s.Traffic.Written}
		if !confirmed {
			s.Traffic.Live = append(s.Traffic.Live, late)
		}
		before := s.Status.DeepCopy()
		p := rollout.Decide(s)
		if v := p.Status.Canary.Weights.Verified; v == nil || *v != confirmed {
			t.Errorf("verified %v, want %v", v, confirmed)
		}
		if d := cmp.Diff(before, &s.Status); d != "" {
			t.Errorf("the status that was read is changed: %s", d)
		}
		s.Status = p.Status
	}
}

// Covers: edge 74.
func TestWeightsOfAThousand(t *testing.T) {
	s := given(steps(weight(125), pause()), canary(func(c *v1alpha1.CanaryStrategy) {
		c.TrafficRouting = &v1alpha1.RolloutTrafficRouting{MaxTrafficWeight: ptr(int32(1000))}
	}), func(s *snapshot) {
		s.Spec.Replicas = ptr(int32(8))
		pods("v1", 8, 8)(s)
		s.Spec.Strategy.Canary.StableService, s.Spec.Strategy.Canary.CanaryService = "stable", "canary"
		s.Routed = true
		s.Services = []rollout.Service{{Name: "stable", Exists: true, Managed: true, Hash: "v1"}, {Name: "canary", Exists: true, Managed: true, Hash: "v2"}}
		w := traffic.Two(1000, 0, traffic.Destination{Service: "stable", Hash: "v1"}, traffic.Destination{Service: "canary", Hash: "v2"})
		s.Traffic = traffic.State{Written: w, Live: []traffic.Split{w}, Known: true}
	}, updating(1, 1))
	does(t, rollout.Decide(s), "set split Stable v1 875 + Canary v2 125")
}
