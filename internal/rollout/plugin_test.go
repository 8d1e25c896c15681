package rollout_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/rollout"
)

const (
	runs, ends, undoes             = v1alpha1.StepPluginOperationRun, v1alpha1.StepPluginOperationTerminate, v1alpha1.StepPluginOperationAbort
	going, passed, failed, crashed = v1alpha1.StepPluginPhaseRunning, v1alpha1.StepPluginPhaseSuccessful, v1alpha1.StepPluginPhaseFailed, v1alpha1.StepPluginPhaseError
)

// judging is an update at the step of a plugin, the second one, which has been called once.
func judging(first step) []mod {
	return []mod{routed(0, "v2"), steps(first, step{Plugin: &v1alpha1.PluginStep{Name: "acme/judge"}}, weight(25)), updating(1, 1), at(1),
		attempt, func(s *snapshot) {
			s.Status.Canary.StepPluginStatuses = []v1alpha1.StepPluginStatus{{Index: 1, Name: "acme/judge", Operation: runs, Phase: going, Executions: 1}}
		}}
}

func answering(op v1alpha1.StepPluginOperation, phase v1alpha1.StepPluginPhase) mod {
	return func(s *snapshot) {
		s.Answers = []rollout.Answer{{Index: 1, Name: "acme/judge", Operation: op, Phase: phase, Message: "so it is", At: noon}}
	}
}

// TestEventsOfStepPlugins: core.md §5.13.
func TestEventsOfStepPlugins(t *testing.T) {
	for name, c := range map[string]struct {
		op      v1alpha1.StepPluginOperation
		phase   v1alpha1.StepPluginPhase
		kind    rollout.NoteKind
		message string // "" for no event
	}{
		"a run that goes on":                  {runs, going, rollout.Event, ""},
		"a run that succeeds":                 {runs, passed, rollout.Event, ""},
		"a run that fails":                    {runs, failed, rollout.Warning, "Step plugin acme/judge (step 2) transitioned to Failed"},
		"a run that could not be":             {runs, crashed, rollout.Warning, "Step plugin acme/judge (step 2) transitioned to Error"},
		"an abort that was heard":             {undoes, passed, rollout.Event, "Step plugin acme/judge (step 2) aborted (Successful)"},
		"an abort that goes on is refused":    {undoes, going, rollout.Warning, "Step plugin acme/judge (step 2) aborted (Failed)"},
		"an abort that could not be":          {undoes, crashed, rollout.Warning, "Step plugin acme/judge (step 2) aborted (Error)"},
		"an end that was heard":               {ends, passed, rollout.Event, "Step plugin acme/judge (step 2) terminated (Successful)"},
		"an end that goes on is refused, too": {ends, going, rollout.Warning, "Step plugin acme/judge (step 2) terminated (Failed)"},
	} {
		t.Run(name, func(t *testing.T) {
			var got, want []rollout.Note
			for _, n := range rollout.Decide(given(append(judging(weight(0)), answering(c.op, c.phase))...)).Notes {
				if n.Reason == rollout.StepPluginTransition {
					got = append(got, n)
				}
			}
			if c.message != "" {
				want = []rollout.Note{{Kind: c.kind, Reason: rollout.StepPluginTransition, Message: c.message}}
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestAPluginThatFailsAborts(t *testing.T) {
	p := rollout.Decide(given(append(judging(weight(0)), answering(runs, failed))...))
	want := []string{"Rollout aborted update to revision 2: Step Plugin 2 (acme/judge) failed: so it is"}
	if d := cmp.Diff(want, told(p, "RolloutAborted")); d != "" {
		t.Error(d)
	}
}

// The published controller ends each pass of an aborted rollout at the pause of step 0,
// before it comes to the plugins.
//
// Covers: defect 16.
func TestAnAbortReachesThePluginsWhateverTheFirstStepIs(t *testing.T) {
	for name, first := range map[string]step{"a weight": weight(0), "a pause": pause()} {
		s := given(append(judging(first), func(s *snapshot) { s.Status.Abort = true }, seen)...)
		if got := lines(rollout.Decide(s)); !slices.Contains(got, "call plugin acme/judge of step 2: Abort") {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestAPluginRestsBetweenCalls: core.md §5.13. The next call comes 5 s after the time that
// the plugin, or its failure, asks for.
//
// Covers: edge 161.
func TestAPluginRestsBetweenCalls(t *testing.T) {
	for name, c := range map[string]struct {
		answer  rollout.Answer
		backoff v1alpha1.DurationString
	}{
		"as long as it asks for":      {rollout.Answer{Phase: going, RequeueAfter: 17 * time.Second}, "17s"},
		"at least as long as allowed": {rollout.Answer{Phase: going, RequeueAfter: 10 * time.Second}, "30s"},
		"for a while by default":      {rollout.Answer{Phase: going}, "30s"},
		"after an error of its own":   {rollout.Answer{Phase: crashed, RequeueAfter: 17 * time.Second}, "30s"},
		"after a call that failed":    {rollout.Answer{Err: "connection refused"}, "30s"},
	} {
		t.Run(name, func(t *testing.T) {
			c.answer.Index, c.answer.Name, c.answer.Operation, c.answer.At = 1, "acme/judge", runs, noon
			rest, _ := time.ParseDuration(string(c.backoff))
			s := given(append(judging(weight(0)), func(s *snapshot) { s.Answers = []rollout.Answer{c.answer} })...)
			p := rollout.Decide(s)
			e := p.Status.Canary.StepPluginStatuses[0]
			if e.Backoff != c.backoff || e.Executions != 2 || p.Wake.Sub(noon) != rest+5*time.Second {
				t.Errorf("backoff %s after %d calls, looks again after %s", e.Backoff, e.Executions, p.Wake.Sub(noon))
			}
			s.Status, s.Answers = p.Status, nil
			later(rest - time.Second)(&s)
			if got := lines(rollout.Decide(s)); slices.Contains(got, "call plugin acme/judge of step 2: Run") {
				t.Error("it is called while it rests")
			}
			later(6 * time.Second)(&s)
			if got := lines(rollout.Decide(s)); !slices.Contains(got, "call plugin acme/judge of step 2: Run") {
				t.Errorf("it is not called again: %v", got)
			}
		})
	}
}
