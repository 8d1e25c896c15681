package rollout_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/rollout"
)

// changed is a template that no pass has seen yet; its revision does not exist.
func changed(s *snapshot) {
	s.TemplateHash, s.Generation = "v2", s.Generation+1
	for i := range s.Revisions {
		s.Revisions[i].Current = false
	}
}

// TestRevisionsAreMadeNumberedAndKept goes through core.md §15 "Lookup, hashing, revisions".
func TestRevisionsAreMadeNumberedAndKept(t *testing.T) {
	for name, c := range map[string]struct {
		mods []mod
		want []string
	}{
		"a new template makes the next revision": {[]mod{changed}, []string{"create revision 2 (v2)", "set revision 2"}},
		// Covers: edge 9.
		"a number that cannot be read does not count": {[]mod{changed, old("x", 0, 0, 0)}, []string{"create revision 2 (v2)", "set revision 2"}},
		// Covers: edge 11.
		"minReadySeconds is changed in place": {[]mod{updating(1, 1), func(s *snapshot) { s.Spec.MinReadySeconds = 7 }}, []string{"renumber v2 to revision 2"}},
		// Covers: edge 10.
		"another annotation is copied": {[]mod{of("v1", func(r *rollout.Revision) { r.AnnotationsStale = true })}, []string{"renumber v1 to revision 1"}},
		// Covers: edge 8, edge 87.
		"an old revision that is wanted again gets the next number and loses its deadline": {
			[]mod{routed(0, "v1"), old("v3", 3, 0, 0), updating(1, 1), of("v2", func(r *rollout.Revision) { r.RetireAt = noon.Add(time.Minute) }), at(1)},
			[]string{"keep v2", "renumber v2 to revision 4", "point service canary at v2"}},
		"a missing count is written": {[]mod{func(s *snapshot) { s.Spec.Replicas = nil }, pods("v1", 1, 1)}, []string{"set spec.replicas to 1"}}, // Covers: edge 18.
	} {
		t.Run(name, func(t *testing.T) { does(t, rollout.Decide(given(c.mods...)), c.want...) })
	}
}

// Covers: edge 11.
func TestMinReadySecondsResetNothing(t *testing.T) {
	before := given(routed(25, "v2"), updating(1, 1), seen, seen, seen)
	after := before
	after.Spec.MinReadySeconds, after.Generation = 7, 3
	p := rollout.Decide(after)
	if index(p) != 1 || len(p.Status.PauseConditions) != 1 || p.Status.Phase != v1alpha1.RolloutPhasePaused {
		t.Errorf("index %d, pauses %v, phase %s", index(p), p.Status.PauseConditions, p.Status.Phase)
	}
}

// Covers: edge 14.
func TestANewTemplateAndANewCountAtOnce(t *testing.T) {
	s := given(changed, func(s *snapshot) { s.Spec.Replicas = ptr(int32(9)) })
	p := rollout.Decide(s)
	if p.Status.CurrentPodHash != "v2" || index(p) != 0 {
		t.Errorf("hash %q, index %d", p.Status.CurrentPodHash, index(p))
	}
	s.Status = p.Status // the ReplicaSet has not been seen yet
	does(t, rollout.Decide(s), "create revision 2 (v2)", "set revision 2", "scale v1 from 4 to 7")
}

func TestInvalidSpecs(t *testing.T) {
	invalid := func(text string) mod { return func(s *snapshot) { s.Invalid = text } }
	first := given(updating(1, 1), invalid(`The Rollout "demo" is invalid: a`), seen)
	was := conditionOf(first.Status, v1alpha1.RolloutInvalidSpec)
	// Covers: edge 28.
	t.Run("the same text writes nothing, an hour later either", func(t *testing.T) {
		again := first
		later(time.Hour)(&again)
		p := rollout.Decide(again)
		does(t, p)
		if d := cmp.Diff(first.Status, p.Status); d != "" {
			t.Error(d)
		}
	})
	// Covers: edge 28.
	t.Run("another text replaces the condition", func(t *testing.T) {
		again := first
		later(time.Hour)(&again)
		invalid(`The Rollout "demo" is invalid: b`)(&again)
		p := rollout.Decide(again)
		now := conditionOf(p.Status, v1alpha1.RolloutInvalidSpec)
		if now.Message == was.Message || !now.LastUpdateTime.After(was.LastUpdateTime.Time) || !now.LastTransitionTime.Equal(&was.LastTransitionTime) {
			t.Errorf("%+v", now)
		}
		if want := `InvalidSpec: The Rollout "demo" is invalid: b`; p.Status.Phase != v1alpha1.RolloutPhaseDegraded || p.Status.Message != want {
			t.Errorf("%s %s", p.Status.Phase, p.Status.Message)
		}
	})
	t.Run("a valid spec takes it away", func(t *testing.T) {
		again := first
		again.Invalid = ""
		if c := conditionOf(rollout.Decide(again).Status, v1alpha1.RolloutInvalidSpec); c.Type != "" {
			t.Errorf("%+v", c)
		}
	})
}

func TestHistoryLimits(t *testing.T) {
	limit := func(n int32) mod { return func(s *snapshot) { s.Spec.RevisionHistoryLimit = &n } }
	olds := func(s *snapshot) {
		s.Revisions[0].Number, s.Number = 9, 9
		for n, hash := range map[int64]string{2: "b", 3: "c", 4: "d", 5: "e"} {
			old(hash, n, 0, 0)(s)
		}
	}
	for name, c := range map[string]struct {
		mods []mod
		want []string
	}{
		"the newest stay": {[]mod{olds, limit(2)}, []string{"delete b", "delete c"}},
		"none stays":      {[]mod{olds, limit(0)}, []string{"delete b", "delete c", "delete d", "delete e"}}, // Covers: edge 99.
		// Covers: edge 98.
		"one with pods stays": {[]mod{olds, limit(2), of("c", func(r *rollout.Revision) { r.Actual = 1 })}, []string{"delete b"}},
		// Covers: edge 98.
		"one that wants pods is scaled down first": {[]mod{olds, limit(2), of("c", func(r *rollout.Revision) { r.Desired = 1 })}, []string{"delete b", "scale c from 1 to 0"}},
		// Covers: edge 98.
		"one whose counters are of an older spec stays": {[]mod{olds, limit(2), of("b", func(r *rollout.Revision) { r.Observed = false })}, []string{"delete c"}},
		"stable and the wanted one do not count":        {[]mod{olds, limit(4), updating(1, 1), of("v2", func(r *rollout.Revision) { r.Number = 10 })}, []string{"set revision 10"}},
	} {
		t.Run(name, func(t *testing.T) { does(t, rollout.Decide(given(c.mods...)), c.want...) })
	}
}

// run is a step run of v2 that began so many minutes ago.
func run(name string, phase v1alpha1.AnalysisPhase, minutes int) rollout.Run {
	return rollout.Run{Name: name, Kind: rollout.StepRun, Step: 1, Hash: "v2", Number: 2, Phase: phase,
		Created: noon.Add(-time.Duration(minutes) * time.Minute)}
}

// Covers: edge 98.
func TestExperimentsAreKeptUpToTheirLimits(t *testing.T) {
	trial := func(name, hash string, phase v1alpha1.AnalysisPhase, minutes int) rollout.Experiment {
		return rollout.Experiment{Name: name, Hash: hash, Number: 2, Phase: phase, Created: noon.Add(-time.Duration(minutes) * time.Minute)}
	}
	const good, bad, running = v1alpha1.AnalysisPhaseSuccessful, v1alpha1.AnalysisPhaseFailed, v1alpha1.AnalysisPhaseRunning
	serving := trial("serving", "v2", good, 90) // its pods have not gone yet
	serving.Templates = []rollout.ExperimentTemplate{{Name: "new", Available: 1}}
	s := given(updating(1, 1), func(s *snapshot) {
		s.Spec.Analysis = &v1alpha1.AnalysisRunStrategy{SuccessfulRunHistoryLimit: ptr(int32(1)), UnsuccessfulRunHistoryLimit: ptr(int32(1))}
		s.Experiments = []rollout.Experiment{trial("g2", "v2", good, 20), trial("g1", "v2", good, 10), trial("b1", "v2", bad, 11), trial("b2", "v2", bad, 12),
			trial("gone", "deleted", good, 1), trial("live", "v2", running, 99), serving}
	})
	does(t, rollout.Decide(s), "delete experiment g2", "delete experiment b2", "delete experiment gone", "stop experiment live")
}

// Covers: edge 104, analysis edge 124.
func TestAnUndecidedBackgroundRunIsNotReplacedDuringAPauseStep(t *testing.T) {
	s := given(routed(25, "v2"), canary(func(c *v1alpha1.CanaryStrategy) {
		c.Analysis = &v1alpha1.RolloutAnalysisBackground{RolloutAnalysis: *inline("errors").Analysis}
	}), updating(1, 1), attempt, at(1), func(s *snapshot) {
		s.Runs = []rollout.Run{{Name: "demo-v2-2", Kind: rollout.Background, Step: -1, Hash: "v2", Number: 2, Phase: v1alpha1.AnalysisPhaseRunning, Created: noon.Add(-time.Minute)}}
	}, seen, seen)
	s.Runs = []rollout.Run{s.Runs[0]}
	s.Runs[0].Phase = v1alpha1.AnalysisPhaseInconclusive
	for range 4 {
		later(time.Minute)(&s)
		does(t, rollout.Decide(s))
		persist(&s)
	}
	var reasons []v1alpha1.PauseReason
	for _, c := range s.Status.PauseConditions {
		reasons = append(reasons, c.Reason)
	}
	if d := cmp.Diff([]v1alpha1.PauseReason{v1alpha1.PauseReasonCanaryPauseStep, v1alpha1.PauseReasonInconclusiveAnalysis}, reasons); d != "" || index(rollout.Decide(s)) != 1 {
		t.Errorf("index %d: %s", index(rollout.Decide(s)), d)
	}
}

// Other templates, args or metadata in the spec do not disturb a measurement that runs.
//
// Covers: edge 113.
func TestAnotherAnalysisInTheSpecRestartsNoRun(t *testing.T) {
	other := v1alpha1.RolloutAnalysis{Templates: []v1alpha1.AnalysisTemplateRef{{TemplateName: "others"}}, Args: []v1alpha1.AnalysisRunArgument{{Name: "x", Value: "y"}}}
	running := func(kind rollout.RunKind, name string) mod {
		return func(s *snapshot) {
			s.Runs = []rollout.Run{{Name: name, Kind: kind, Step: -1, Hash: "v2", Number: 2, Phase: v1alpha1.AnalysisPhaseRunning, Created: noon.Add(-time.Minute)}}
		}
	}
	background := func(a v1alpha1.RolloutAnalysis) mod {
		return canary(func(c *v1alpha1.CanaryStrategy) { c.Analysis = &v1alpha1.RolloutAnalysisBackground{RolloutAnalysis: a} })
	}
	pre := func(a v1alpha1.RolloutAnalysis) mod {
		return func(s *snapshot) { s.Spec.Strategy.BlueGreen.PrePromotionAnalysis = &a }
	}
	smoke := *inline("smoke").Analysis
	for name, c := range map[string]struct{ before, after []mod }{
		"of the background": {[]mod{routed(25, "v2"), background(smoke), updating(1, 1), attempt, running(rollout.Background, "demo-v2-2"), seen, seen}, []mod{background(other)}},
		"of blue-green": {[]mod{blue("v1", "v2", func(b *v1alpha1.BlueGreenStrategy) { b.PrePromotionAnalysis = &smoke }), updating(4, 4), attempt,
			running(rollout.PrePromotion, "demo-v2-2-pre"), seen, seen}, []mod{pre(other)}},
	} {
		t.Run(name, func(t *testing.T) {
			s := given(append(c.before, c.after...)...)
			s.Generation++
			does(t, rollout.Decide(s))
			persist(&s)
			does(t, rollout.Decide(s))
			b, g := s.Status.Canary.CurrentBackgroundAnalysisRunStatus, s.Status.BlueGreen.PrePromotionAnalysisRunStatus
			if (b == nil || b.Name != s.Runs[0].Name) && (g == nil || g.Name != s.Runs[0].Name) {
				t.Errorf("the status lost the run: %v %v", b, g)
			}
		})
	}
}

// Covers: edge 100, analysis edge 133, analysis edge 134, outage 64.
func TestRunsAreKeptUpToTheirLimits(t *testing.T) {
	const good, bad, cut, undecided = v1alpha1.AnalysisPhaseSuccessful, v1alpha1.AnalysisPhaseFailed, v1alpha1.AnalysisPhaseError, v1alpha1.AnalysisPhaseInconclusive
	gone := run("gone", good, 1)
	gone.Hash = "deleted"
	named := run("named", bad, 90) // the status points to it
	s := given(updating(1, 1), func(s *snapshot) {
		s.Status.BlueGreen.PostPromotionAnalysisRunStatus = &v1alpha1.RolloutAnalysisRunStatus{Name: "named"}
		s.Spec.Analysis = &v1alpha1.AnalysisRunStrategy{SuccessfulRunHistoryLimit: ptr(int32(1)), UnsuccessfulRunHistoryLimit: ptr(int32(2))}
		s.Runs = []rollout.Run{run("g3", good, 30), run("g1", good, 10), run("g2", good, 20),
			run("b1", bad, 11), run("b2", cut, 12), run("b3", undecided, 13), gone, named,
			run("live1", v1alpha1.AnalysisPhaseRunning, 95), run("live2", v1alpha1.AnalysisPhaseRunning, 96), run("live3", v1alpha1.AnalysisPhasePending, 97)}
	})
	does(t, rollout.Decide(s), "delete analysis g2", "delete analysis g3", "delete analysis b3", "delete analysis gone",
		"stop analysis live1", "stop analysis live2", "stop analysis live3")
}

// Covers: analysis edge 134.
func TestHowManyRunsAreKept(t *testing.T) {
	const good, bad, running = v1alpha1.AnalysisPhaseSuccessful, v1alpha1.AnalysisPhaseFailed, v1alpha1.AnalysisPhaseRunning
	seven := func(s *snapshot) { // of each verdict, 1 the newest
		for i := 1; i <= 7; i++ {
			s.Runs = append(s.Runs, run(fmt.Sprintf("good%d", i), good, 10*i), run(fmt.Sprintf("bad%d", i), bad, 10*i))
		}
	}
	limits := func(good, bad *int32) mod {
		return func(s *snapshot) {
			s.Spec.Analysis = &v1alpha1.AnalysisRunStrategy{SuccessfulRunHistoryLimit: good, UnsuccessfulRunHistoryLimit: bad}
		}
	}
	// measured is a step whose own run, the oldest of all, has that phase.
	measured := func(phase v1alpha1.AnalysisPhase) mod {
		return func(s *snapshot) {
			steps(weight(25), inline("errors"), weight(50))(s)
			at(1)(s)
			s.Status.Duration = &v1alpha1.RolloutDuration{RolloutStartedAt: &metav1.Time{Time: noon.Add(-3 * time.Hour)}}
			s.Runs = append(s.Runs, run("demo-v2-2-1", phase, 100))
			s.Status.Canary.CurrentStepAnalysisRunStatus = &v1alpha1.RolloutAnalysisRunStatus{Name: "demo-v2-2-1", Status: running}
		}
	}
	zero := ptr(int32(0))
	for name, c := range map[string]struct {
		mods []mod
		want []string
	}{
		"five of each where nothing is said": {[]mod{seven}, []string{"good6", "good7", "bad6", "bad7"}},
		"five where only one limit is set":   {[]mod{seven, limits(ptr(int32(6)), nil)}, []string{"good7", "bad6", "bad7"}},
		"none of those that passed":          {[]mod{seven, limits(zero, ptr(int32(7)))}, []string{"good1", "good2", "good3", "good4", "good5", "good6", "good7"}},
		"none at all": {[]mod{seven, limits(zero, zero)}, []string{"good1", "good2", "good3", "good4", "good5", "good6", "good7",
			"bad1", "bad2", "bad3", "bad4", "bad5", "bad6", "bad7"}},
		"one that was told to stop stays until it has ended": {[]mod{limits(zero, zero), func(s *snapshot) {
			stopping := run("stopping", running, 5)
			stopping.Terminating = true
			s.Runs = append(s.Runs, stopping, run("ended", bad, 5))
		}}, []string{"ended"}},
		"one that runs stays and does not count":   {[]mod{seven, measured(running)}, []string{"good6", "good7", "bad6", "bad7"}},
		"one that serves stays and does not count": {[]mod{measured(bad), limits(zero, zero)}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, line := range lines(rollout.Decide(given(append([]mod{updating(1, 1)}, c.mods...)...))) {
				if deleted, is := strings.CutPrefix(line, "delete analysis "); is {
					got = append(got, deleted)
				}
			}
			slices.Sort(got)
			slices.Sort(c.want)
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("deleted (-want +got):\n%s", d)
			}
		})
	}
}

// attempt dates the present attempt so that the runs of run() belong to it.
func attempt(s *snapshot) {
	s.Status.Duration = &v1alpha1.RolloutDuration{RolloutStartedAt: &metav1.Time{Time: noon.Add(-time.Hour)}}
}

func TestRunsAreFoundAgain(t *testing.T) {
	const running, undecided = v1alpha1.AnalysisPhaseRunning, v1alpha1.AnalysisPhaseInconclusive
	measuring := func(runs ...rollout.Run) mod {
		return func(s *snapshot) {
			steps(weight(25), inline("errors"), weight(50))(s)
			at(1)(s)
			attempt(s)
			s.Runs = runs
		}
	}
	named := func(name string, phase v1alpha1.AnalysisPhase) mod {
		return func(s *snapshot) {
			s.Status.Canary.CurrentStepAnalysisRunStatus = &v1alpha1.RolloutAnalysisRunStatus{Name: name, Status: phase}
		}
	}
	other := run("demo-v2-2-7", running, 1)
	other.Step = 7
	former := run("demo-v2-2-1", running, 90)
	for name, c := range map[string]struct {
		mods []mod
		want []string
		then int32 // the index that is persisted
	}{
		"the first run": {[]mod{measuring()}, []string{"start analysis demo-v2-2-1"}, 1},
		// Covers: edge 102.
		"one that the status has lost is taken up": {[]mod{measuring(run("demo-v2-2-1", running, 1))}, nil, 1},
		// Covers: edge 114.
		"one of another step is stopped": {[]mod{measuring(other), named("demo-v2-2-7", running)},
			[]string{"start analysis demo-v2-2-1", "stop analysis demo-v2-2-7"}, 1},
		// Covers: outage 70, defect 2.
		"one of a former attempt does not count": {[]mod{measuring(former)}, []string{"start analysis demo-v2-2-1.1", "stop analysis demo-v2-2-1"}, 1},
		// Covers: edge 103.
		"an undecided one is not replaced": {[]mod{measuring(run("demo-v2-2-1", undecided, 1)), named("demo-v2-2-1", undecided), seen}, nil, 1},
		// Covers: edge 103, analysis defect 21.
		"the promote of an undecided one goes on": {[]mod{measuring(run("demo-v2-2-1", undecided, 1)), named("demo-v2-2-1", undecided), seen,
			func(s *snapshot) { s.Status.PauseConditions, s.Status.ControllerPause = nil, false }, at(2)}, []string{"scale v1 from 3 to 2", "scale v2 from 1 to 2"}, 2},
		// Covers: outage 66, defect 2, analysis defect 4.
		"one that was told to stop lets nothing pass": {[]mod{measuring(func() rollout.Run {
			r := run("demo-v2-2-1", v1alpha1.AnalysisPhaseSuccessful, 1)
			r.Terminating = true
			return r
		}()), named("demo-v2-2-1", running)}, nil, 1},
	} {
		t.Run(name, func(t *testing.T) {
			p := rollout.Decide(given(append([]mod{updating(1, 1)}, c.mods...)...))
			does(t, p, c.want...)
			if index(p) != c.then {
				t.Errorf("index %d, want %d", index(p), c.then)
			}
		})
	}
}
