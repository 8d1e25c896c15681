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
func gates(s step) []gate {
	list := []gate{notPaused, decided}
	switch s.kind {
	case pauseStep:
		list = append(list, pauseElapsed)
	case scaleStep:
		list = append(list, capacityReady)
	case previewStep:
		list = append(list, capacityReady, previewShown)
	case weightStep:
		list = append(list, capacityReady, trafficConfirmed)
	case analysisStep:
		list = append(list, runPassed)
	case experimentStep:
		list = append(list, experimentPassed)
	case headerStep, mirrorStep:
		list = append(list, routesWritten)
	case pluginStep:
		list = append(list, pluginDone)
	case cutoverStep:
		list = append(list, capacityReady, cutOver, targetsServed)
	}
	return list
}

// passes evaluates all gates of the current step.
func passes(v *view, g goal, t tests, s step) (notes []Note, open bool) {
	open = true
	for _, gate := range gates(s) {
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
	if t.trial != nil && t.trial.Phase == v1alpha1.AnalysisPhaseInconclusive {
		return Note{Waiting, AnalysisInconclusive, "experiment " + t.trial.Name +
			" could not decide; promote to try again, or abort: " + t.trial.Message}, false
	}
	return Note{Waiting, AnalysisInconclusive, "an analysis could not decide; promote to measure again, or abort"}, !undecided(v.Status.PauseConditions)
}

// undecided: the rollout is paused because a run could not decide.
func undecided(list []v1alpha1.PauseCondition) bool {
	return hasPause(list, v1alpha1.PauseReasonInconclusiveAnalysis) || hasPause(list, v1alpha1.PauseReasonInconclusiveExperiment)
}

// capacityReady: both revisions have the pods that the step wants, and those of the
// current one are available (core.md §5.5).
func capacityReady(v *view, g goal, _ tests) (Note, bool) {
	want := g.pods
	stableOK := v.stable != nil
	switch {
	case v.blue != nil || v.dynamic:
	case v.Routed:
		stableOK = stableOK && v.stable.Desired == v.n && v.stable.Actual == v.n
	default:
		surge, _ := v.fenceposts()
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
	if !v.asWanted(g) {
		return Note{Waiting, TrafficNotConfirmed, fmt.Sprintf("weight is %d, not yet %d", got, g.weight)}, false
	}
	return Note{Waiting, TrafficNotConfirmed, fmt.Sprintf(
		"weight %d is written; the data plane is not known to follow it yet", got)}, v.Traffic.Confirmed()
}

// asWanted reports whether the written split is what the goal asks for. Extra
// destinations come and go with their experiment, so they are taken as they are.
func (v *view) asWanted(g goal) bool {
	w := v.Traffic.Written
	next := v.reweigh(g.weight, w.Extras())
	next.Headers, next.Mirrors = w.Headers, w.Mirrors
	return next.Equal(w)
}

// routesWritten: the managed routes of the step are on the route objects.
func routesWritten(v *view, g goal, _ tests) (Note, bool) {
	want := traffic.Split{Headers: g.headers, Mirrors: g.mirrors}
	return Note{Waiting, TrafficNotConfirmed, "the managed routes of this step are not written yet"},
		!v.Routed || v.Traffic.Written.SameRoutes(want)
}

// previewShown: the preview Service leads to the new revision.
func previewShown(v *view, _ goal, _ tests) (Note, bool) {
	return Note{Waiting, ServiceNotSwitched, "the preview service is not known to lead to revision " + v.hash + " only"}, v.shown()
}

// cutOver: the active Service selects the new revision.
func cutOver(v *view, _ goal, _ tests) (Note, bool) {
	return Note{Waiting, ServiceNotSwitched, "the active service does not select revision " + v.hash + " yet"},
		v.activeHash() == v.hash
}

// pauseElapsed: the user resumed, or the timer of the pause ran out (core.md §5.5).
func pauseElapsed(v *view, _ goal, _ tests) (Note, bool) {
	if resumed(&v.Status) {
		return Note{}, true
	}
	end, timed := v.pauseEnd()
	if p, limited := v.patience(); limited {
		switch late := v.Now.After(p.end); {
		case late && p.then == v1alpha1.PauseTimeoutPromote:
			return Note{}, true
		case late:
			return Note{Waiting, NeedsApproval, p.missed() + "; it still waits"}, false
		}
		return Note{Waiting, NeedsApproval, "the step pauses until somebody promotes the rollout; " + p.announced()}, false
	}
	if !timed {
		return Note{Waiting, NeedsApproval, "the step pauses until somebody promotes the rollout"}, false
	}
	if end.IsZero() {
		return Note{Waiting, PauseElapsing, "the pause of this step begins"}, false
	}
	if !v.Now.After(end) {
		return Note{Waiting, PauseElapsing, "the step pauses until " + end.UTC().Format(time.RFC3339)}, false
	}
	return Note{}, true
}

// pauseEnd is when the pause of the current step ends. timed is false for an endless
// pause; the time is zero while the pause has not been recorded.
func (v *view) pauseEnd() (end time.Time, timed bool) {
	s, ok := v.at()
	if !ok || s.kind != pauseStep || s.endless {
		return time.Time{}, false
	}
	for _, p := range v.Status.PauseConditions {
		if p.Reason == s.pause {
			return p.StartTime.Add(time.Duration(s.seconds) * time.Second), true
		}
	}
	return time.Time{}, true
}

// runPassed: the run of this step has a verdict, and it is success.
func runPassed(v *view, _ goal, t tests) (Note, bool) {
	if s, ok := v.at(); ok && len(s.analysis.Templates) == 0 {
		return Note{}, true
	}
	if verdict(t.step) == v1alpha1.AnalysisPhaseSuccessful {
		return Note{}, true
	}
	name := t.startStep
	if t.step != nil {
		name = t.step.Name
	}
	return Note{Waiting, AnalysisRunning, "analysis " + name + " has no verdict yet"}, false
}

// experimentPassed: the Experiment of this step has ended well.
func experimentPassed(_ *view, _ goal, t tests) (Note, bool) {
	if t.trial != nil && t.trial.Phase == v1alpha1.AnalysisPhaseSuccessful {
		return Note{}, true
	}
	name := t.startTrial
	if t.trial != nil {
		name = t.trial.Name
	}
	return Note{Waiting, ExperimentRunning, "experiment " + name + " has no verdict yet"}, false
}
