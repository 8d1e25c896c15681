package rollout

import (
	"fmt"
	"time"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/traffic"
)

// gate is one condition that must hold before the position moves on. All gates of a
// step are evaluated, so that a person sees every blocker at once.
type gate func(v *view, g goal, t tests) (why Note, open bool)

// gates lists what the step waits for.
func gates(v *view, s step) []gate {
	list := []gate{notPaused, decided}
	switch {
	case s.spec.Pause != nil:
		list = append(list, pauseElapsed)
	case s.spec.SetCanaryScale != nil:
		list = append(list, capacityReady)
	case s.spec.SetWeight != nil:
		list = append(list, capacityReady, trafficConfirmed)
	case s.spec.Analysis != nil:
		list = append(list, runPassed)
	}
	return list
}

// passes evaluates all gates of the current step.
func passes(v *view, g goal, t tests, s step) (notes []Note, open bool) {
	open = true
	for _, gate := range gates(v, s) {
		if why, ok := gate(v, g, t); !ok {
			notes, open = append(notes, why), false
		}
	}
	return notes, open
}

func notPaused(v *view, _ goal, _ tests) (Note, bool) {
	return Note{Waiting, PausedByUser, "the rollout is paused by its spec; unpause it to go on"}, !v.Spec.Paused
}

// decided: no run has ended without a verdict that a person has not looked at yet.
func decided(v *view, _ goal, t tests) (Note, bool) {
	run := t.background
	if verdict(run) != v1alpha1.AnalysisPhaseInconclusive {
		run = t.step
	}
	if verdict(run) == v1alpha1.AnalysisPhaseInconclusive {
		return Note{Waiting, AnalysisInconclusive, "analysis " + run.Name +
			" could not decide; promote to measure again, or abort: " + run.Message}, false
	}
	return Note{Waiting, AnalysisInconclusive, "an analysis could not decide; promote to measure again, or abort"},
		!hasPause(v.Status.PauseConditions, v1alpha1.PauseReasonInconclusiveAnalysis)
}

// capacityReady: both revisions have the pods that the step wants, and those of the
// current one are available (core.md §5.5).
func capacityReady(v *view, g goal, _ tests) (Note, bool) {
	want := g.pods
	stableOK := v.stable != nil
	if v.Routed {
		stableOK = stableOK && v.stable.Desired == v.n && v.stable.Actual == v.n
	} else {
		surge, _ := fenceposts(v.canary, v.n)
		var wantStable int32
		want, wantStable = approximate(v.n, g.weight, v.total, surge)
		stableOK = stableOK && v.stable.Desired == wantStable && v.stable.Actual == wantStable
		for _, r := range v.others {
			if r.Available > 0 {
				return Note{Waiting, OldPodsRemain, "pods of revision " + r.Hash + " are still there"}, false
			}
		}
	}
	if v.current == nil || !v.reached(v.current, want) {
		return Note{Waiting, PodsNotAvailable, fmt.Sprintf(
			"revision %s has %d available pods of %d", v.hash, available(v.current), want)}, false
	}
	if !stableOK {
		return Note{Waiting, StableNotAvailable, "stable does not have its number of pods yet"}, false
	}
	return Note{}, true
}

// reached reports whether a revision has as many available pods as the progress
// threshold asks of a wanted count; all of them where none is set (core.md §5.5).
func (v *view) reached(r *Revision, want int32) bool {
	t := v.canary.ReplicaProgressThreshold
	switch {
	case t == nil || t.Value < 0:
		return r.Desired == want && r.Available == want
	case t.Type == v1alpha1.ProgressTypePercentage:
		return want == 0 || int64(r.Available)*100 >= int64(t.Value)*int64(want)
	}
	return r.Available >= t.Value
}

// trafficConfirmed: the step's weight is written, and the data plane is known to follow.
func trafficConfirmed(v *view, g goal, _ tests) (Note, bool) {
	if !v.Routed {
		return Note{}, true
	}
	got := v.Traffic.Written.Weight(traffic.Canary)
	if got != g.weight || !reweigh(v.Traffic.Written, got).Equal(v.Traffic.Written) {
		return Note{Waiting, TrafficNotConfirmed, fmt.Sprintf("weight is %d, not yet %d", got, g.weight)}, false
	}
	return Note{Waiting, TrafficNotConfirmed, fmt.Sprintf(
		"weight %d is written; the data plane is not known to follow it yet", got)}, v.Traffic.Confirmed()
}

// pauseElapsed: the user resumed, or the timer of the pause ran out (core.md §5.5).
func pauseElapsed(v *view, _ goal, _ tests) (Note, bool) {
	if resumed(&v.Status) {
		return Note{}, true
	}
	end, timed := v.pauseEnd()
	if !timed {
		return Note{Waiting, NeedsApproval, "the step pauses until somebody promotes the rollout"}, false
	}
	if end.IsZero() || !v.Now.After(end) {
		return Note{Waiting, PauseElapsing, "the step pauses until " + end.UTC().Format(time.RFC3339)}, false
	}
	return Note{}, true
}

// pauseEnd is when the pause of the current step ends. timed is false for an endless
// pause; the time is zero while the pause has not been recorded.
func (v *view) pauseEnd() (end time.Time, timed bool) {
	s, ok := v.at()
	if !ok || s.spec.Pause == nil || s.spec.Pause.Duration == nil {
		return time.Time{}, false
	}
	for _, p := range v.Status.PauseConditions {
		if p.Reason == v1alpha1.PauseReasonCanaryPauseStep {
			return p.StartTime.Add(time.Duration(s.spec.Pause.DurationSeconds()) * time.Second), true
		}
	}
	return time.Time{}, true
}

// runPassed: the run of this step has a verdict, and it is success.
func runPassed(v *view, _ goal, t tests) (Note, bool) {
	if s, ok := v.at(); ok && len(s.spec.Analysis.Templates) == 0 {
		return Note{}, true
	}
	switch verdict(t.step) {
	case v1alpha1.AnalysisPhaseSuccessful:
		return Note{}, true
	}
	name := t.startStep
	if t.step != nil {
		name = t.step.Name
	}
	return Note{Waiting, AnalysisRunning, "analysis " + name + " has no verdict yet"}, false
}
