package rollout

import (
	"fmt"
	"slices"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// recordRuns keeps name, phase and message of the runs that serve now.
func (p *progress) recordRuns(t tests) {
	c := &p.st.Canary
	if p.blue != nil {
		p.recordBlueRuns(t)
		return
	}
	c.CurrentBackgroundAnalysisRunStatus = p.recordRun(c.CurrentBackgroundAnalysisRunStatus, t.background, t.startBack)
	c.CurrentStepAnalysisRunStatus = p.recordRun(c.CurrentStepAnalysisRunStatus, t.step, t.startStep)
	c.CurrentExperiment = t.startTrial
	if t.trial != nil {
		c.CurrentExperiment = t.trial.Name
	}
}

// recordBlueRuns follows also a run that the position has left behind: its verdict has to
// outlive it, since it may be deleted before the cutover.
func (p *progress) recordBlueRuns(t tests) {
	for _, k := range []RunKind{PrePromotion, PostPromotion} {
		ref := refOf(&p.st, k)
		if k == t.wantStep {
			*ref = p.recordRun(*ref, t.step, t.startStep)
		} else if i := slices.IndexFunc(p.Runs, func(r Run) bool { return *ref != nil && r.Name == (*ref).Name }); i >= 0 {
			*ref = p.recordRun(*ref, &p.Runs[i], "")
		}
	}
}

func (p *progress) recordRun(old *v1alpha1.RolloutAnalysisRunStatus, r *Run, starts string) *v1alpha1.RolloutAnalysisRunStatus {
	switch {
	case starts != "":
		return &v1alpha1.RolloutAnalysisRunStatus{Name: starts}
	case r == nil:
		return nil
	}
	next := &v1alpha1.RolloutAnalysisRunStatus{Name: r.Name, Status: r.Phase, Message: r.Message}
	prev := "NoPreviousStatus"
	if old != nil && old.Name == r.Name && old.Status != "" {
		prev = string(old.Status)
	}
	if r.Phase != "" && prev != string(r.Phase) {
		n := Note{Event, AnalysisRunPrefix + Reason(r.Phase), fmt.Sprintf(
			"%s Analysis Run '%s' Status New: '%s' Previous: '%s'", r.Kind, r.Name, r.Phase, prev)}
		if r.Phase == v1alpha1.AnalysisPhaseFailed || r.Phase == v1alpha1.AnalysisPhaseError {
			n.Kind = Warning
		}
		p.notes = append(p.notes, n)
	}
	return next
}

// failed returns the abort message when something has judged against the revision
// (core.md §5.16, §5.17, §6.6); "" otherwise.
func failed(t tests) string {
	because := func(text, message string) string {
		if message == "" {
			return text
		}
		return text + ": " + message
	}
	bad := func(p v1alpha1.AnalysisPhase) bool {
		return p == v1alpha1.AnalysisPhaseFailed || p == v1alpha1.AnalysisPhaseError
	}
	for _, r := range []*Run{t.background, t.step} {
		if r != nil && bad(r.Phase) {
			return because(judges[r.Kind]+" phase error/failed", r.Message)
		}
	}
	if x := t.trial; x != nil && bad(x.Phase) {
		return because("Experiment analysis phase is error/failed", x.Message)
	}
	return t.calls.failed
}

// judges are the kinds of run in abort messages.
var judges = map[RunKind]string{
	Background: "Background analysis", StepRun: "Step-based analysis",
	PrePromotion: "Blue/green pre-promotion analysis", PostPromotion: "Blue/green post-promotion analysis",
}

// recordPauses adds and drops pause conditions (core.md §5.15, §6.4, §7.5).
func (p *progress) recordPauses(t tests) {
	p.recordUndecided(t)
	s, ok := p.at()
	if !ok || s.kind != pauseStep {
		p.dropPause(v1alpha1.PauseReasonCanaryPauseStep)
		p.dropPause(v1alpha1.PauseReasonBlueGreenPause)
		return
	}
	if s.patience > 0 && p.held() && !p.Spec.Paused {
		p.dropPause(s.pause) // whoever held the rollout has all the time again
	}
	fresh := !p.Status.ControllerPause || len(p.Status.PauseConditions) > 0
	if !resumed(&p.Status) && !p.Spec.Paused && fresh {
		p.pause(s.pause)
	}
}

func (p *progress) recordUndecided(t tests) {
	switch {
	case verdict(t.background) == v1alpha1.AnalysisPhaseInconclusive || verdict(t.step) == v1alpha1.AnalysisPhaseInconclusive:
		p.pause(v1alpha1.PauseReasonInconclusiveAnalysis)
	case !t.wantBack && t.wantStep == "": // a run that was deleted leaves the question open
		p.dropPause(v1alpha1.PauseReasonInconclusiveAnalysis)
	}
	switch {
	case t.trial != nil && t.trial.Phase == v1alpha1.AnalysisPhaseInconclusive:
		p.pause(v1alpha1.PauseReasonInconclusiveExperiment)
	case t.trial == nil && t.startTrial == "" && !p.tries():
		p.dropPause(v1alpha1.PauseReasonInconclusiveExperiment)
	}
}

// tries: the position calls for an Experiment.
func (p *progress) tries() bool {
	s, ok := p.at()
	return ok && s.kind == experimentStep && p.express == ""
}

func (p *progress) pause(reason v1alpha1.PauseReason) {
	if hasPause(p.st.PauseConditions, reason) {
		return
	}
	p.st.PauseConditions = append(slices.Clone(p.st.PauseConditions), v1alpha1.PauseCondition{Reason: reason, StartTime: *p.stamp()})
	p.st.ControllerPause = true
}

func (p *progress) dropPause(reason v1alpha1.PauseReason) {
	p.st.PauseConditions = slices.DeleteFunc(slices.Clone(p.st.PauseConditions),
		func(c v1alpha1.PauseCondition) bool { return c.Reason == reason })
	if len(p.st.PauseConditions) == 0 {
		p.st.PauseConditions = nil
	}
}

func clearPauses(st *v1alpha1.RolloutStatus) {
	st.PauseConditions, st.ControllerPause = nil, false
}
