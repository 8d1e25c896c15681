package rollout_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/rollout"
	"github.com/penstock-io/penstock/internal/traffic"
)

// beside puts an analysis beside the steps, and its run.
func beside(phase v1alpha1.AnalysisPhase) mod {
	return func(s *snapshot) {
		s.Spec.Strategy.Canary.Analysis = &v1alpha1.RolloutAnalysisBackground{RolloutAnalysis: *inline("errors").Analysis}
		s.Runs = append(s.Runs, rollout.Run{Name: "demo-v2-2", Kind: rollout.Background, Step: -1, Hash: "v2", Number: 2, Phase: phase, Created: noon.Add(-time.Minute)})
		s.Status.Canary.CurrentBackgroundAnalysisRunStatus = &v1alpha1.RolloutAnalysisRunStatus{Name: "demo-v2-2", Status: phase}
	}
}

// Covers: analysis edge 120.
func TestAnAnalysisWithoutTemplatesHasNoRun(t *testing.T) {
	emptied := func(s *snapshot) { s.Spec.Strategy.Canary.Analysis.Templates = nil }
	s := given(routed(25, "v2"), updating(1, 1), attempt, at(1), beside(v1alpha1.AnalysisPhaseRunning), emptied)
	does(t, rollout.Decide(s), "stop analysis demo-v2-2")
	s.Runs = nil
	does(t, rollout.Decide(s))
	if got := rollout.Decide(s).Status.Canary.CurrentBackgroundAnalysisRunStatus; got != nil {
		t.Errorf("the status still names %s", got.Name)
	}
}

// Covers: analysis edge 125.
func TestAnAbortEndsTheRuns(t *testing.T) {
	aborted := func(s *snapshot) { s.Status.Abort = true }
	stops := func(t *testing.T, p rollout.Plan, names ...string) {
		t.Helper()
		told := map[string]bool{}
		for _, a := range p.Actions {
			if stop, ok := a.(rollout.StopRun); ok {
				told[stop.Name] = true
			}
		}
		if len(told) != len(names) {
			t.Errorf("told to stop: %v, want %v", told, names)
		}
		for _, n := range names {
			if !told[n] {
				t.Errorf("%s was not told to stop", n)
			}
		}
	}
	t.Run("of a canary, and the status forgets them", func(t *testing.T) {
		s := given(routed(25, "v2"), updating(1, 1), attempt, func(s *snapshot) { steps(weight(25), inline("errors"))(s) }, at(1), beside(v1alpha1.AnalysisPhaseRunning), func(s *snapshot) {
			s.Runs = append(s.Runs, run("demo-v2-2-1", v1alpha1.AnalysisPhaseRunning, 1))
			s.Status.Canary.CurrentStepAnalysisRunStatus = &v1alpha1.RolloutAnalysisRunStatus{Name: "demo-v2-2-1", Status: v1alpha1.AnalysisPhaseRunning}
		}, aborted)
		p := rollout.Decide(s)
		stops(t, p, "demo-v2-2", "demo-v2-2-1")
		if c := p.Status.Canary; c.CurrentBackgroundAnalysisRunStatus != nil || c.CurrentStepAnalysisRunStatus != nil {
			t.Errorf("the status keeps %v and %v", c.CurrentBackgroundAnalysisRunStatus, c.CurrentStepAnalysisRunStatus)
		}
	})
	t.Run("of blue-green, and the status keeps what was judged", func(t *testing.T) {
		s := given(blue("v1", "v2", func(b *v1alpha1.BlueGreenStrategy) { b.PrePromotionAnalysis = inline("smoke").Analysis }), updating(4, 4), attempt, func(s *snapshot) {
			s.Runs = []rollout.Run{{Name: "demo-v2-2-pre", Kind: rollout.PrePromotion, Step: -1, Hash: "v2", Number: 2, Phase: v1alpha1.AnalysisPhaseRunning, Created: noon.Add(-time.Minute)}}
			s.Status.BlueGreen.PrePromotionAnalysisRunStatus = &v1alpha1.RolloutAnalysisRunStatus{Name: "demo-v2-2-pre", Status: v1alpha1.AnalysisPhaseRunning}
		}, aborted)
		p := rollout.Decide(s)
		stops(t, p, "demo-v2-2-pre")
		if got := p.Status.BlueGreen.PrePromotionAnalysisRunStatus; got == nil || got.Name != "demo-v2-2-pre" {
			t.Errorf("the status has %v", got)
		}
	})
}

// Covers: analysis defect 24.
func TestANameThatIsTooLongForItsRuns(t *testing.T) {
	starts := func(name string) (names []string) {
		s := given(updating(1, 1), attempt, func(s *snapshot) { s.Name = name; steps(weight(25), inline("errors"))(s) }, at(1))
		for _, a := range rollout.Decide(s).Actions {
			if start, ok := a.(rollout.StartRun); ok {
				names = append(names, start.Name)
			}
		}
		return names
	}
	long := strings.Repeat("a", 231)
	if got := starts(long); len(got) != 1 || got[0] != long+"-v2-2-1" {
		t.Errorf("one that fits becomes %v", got)
	}
	first, second := starts(long+"bcdefghij"), starts(long+"bcdefghik")
	if len(first) != 1 || len(second) != 1 || first[0] == second[0] || len(first[0]) > 240 || !strings.HasSuffix(first[0], "-v2-2-1") {
		t.Errorf("got %v and %v", first, second)
	}
}

// Covers: analysis edge 134.
func TestFinishedRunsStayUpToFiveEach(t *testing.T) {
	history := func(s *snapshot) {
		for i := range 7 {
			s.Runs = append(s.Runs, run(fmt.Sprintf("good%d", i), v1alpha1.AnalysisPhaseSuccessful, i+1), run(fmt.Sprintf("bad%d", i), v1alpha1.AnalysisPhaseFailed, i+1))
		}
	}
	does(t, rollout.Decide(given(updating(1, 1), history)), "delete analysis good5", "delete analysis good6", "delete analysis bad5", "delete analysis bad6")
	none := func(s *snapshot) {
		s.Spec.Analysis = &v1alpha1.AnalysisRunStrategy{SuccessfulRunHistoryLimit: ptr(int32(0)), UnsuccessfulRunHistoryLimit: ptr(int32(0))}
	}
	got := 0
	for _, a := range rollout.Decide(given(updating(1, 1), history, none)).Actions {
		if _, ok := a.(rollout.DeleteRun); ok {
			got++
		}
	}
	if got != 14 {
		t.Errorf("with limits of 0 %d of 14 go", got)
	}
}

// The published controller moves traffic before it looks at the runs.
//
// Covers: analysis defect 22.
func TestAVerdictCountsBeforeAnythingMoves(t *testing.T) {
	s := given(routed(25, "v2"), updating(1, 1), attempt, func(s *snapshot) { steps(weight(25), weight(50))(s) }, at(1), beside(v1alpha1.AnalysisPhaseFailed))
	p := rollout.Decide(s)
	if !p.Status.Abort {
		t.Errorf("a failed run does not abort: %+v", p.Status)
	}
	for _, a := range p.Actions {
		if set, ok := a.(rollout.SetSplit); ok && set.Split.Weight(traffic.Canary) > 0 {
			t.Errorf("traffic moves on: %v", a)
		}
	}
}
