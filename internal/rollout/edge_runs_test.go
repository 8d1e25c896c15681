package rollout_test

import (
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
