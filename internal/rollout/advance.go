package rollout

import (
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/traffic"
)

// progress builds the next status. Only functions of this type decide where the
// rollout stands next; nothing acts for that position before it has been persisted (L4).
type progress struct {
	*view
	st    v1alpha1.RolloutStatus
	notes []Note
	// cause is the controller's own reason for an abort that begins in this pass.
	cause string
}

// advance computes the complete next status and what there is to tell about it.
func advance(v *view, g goal, t tests) (v1alpha1.RolloutStatus, []Note) {
	p := &progress{view: v, st: baseStatus(v)}
	switch v.mode {
	case changed:
		p.reset()
	case first:
		p.promote("Initial deploy")
	case done:
		p.settle()
	case aborted:
		p.stayAborted()
	case stepping:
		p.step(g, t)
	}
	p.tellWeights()
	p.conditions()
	p.st.Phase, p.st.Message = phase(v, &p.st)
	p.st.Duration = attempt(p)
	p.tellPause()
	return p.st, p.notes
}

func (p *progress) event(r Reason, format string, args ...any) {
	p.notes = append(p.notes, Note{Event, r, fmt.Sprintf(format, args...)})
}

func (p *progress) setIndex(i int) {
	p.st.CurrentStepIndex = nil
	if len(p.steps) > 0 {
		n := int32(i)
		p.st.CurrentStepIndex = &n
	}
}

// reset starts over for a new template or new steps (core.md §5.2).
func (p *progress) reset() {
	clearPauses(&p.st)
	p.st.Abort, p.st.AbortedAt, p.st.PromoteFull = false, nil, false
	p.st.RestartedAt = p.Spec.RestartAt
	p.st.Canary.CurrentStepAnalysisRunStatus, p.st.Canary.CurrentBackgroundAnalysisRunStatus = nil, nil
	p.setIndex(0)
	if p.stable != nil && p.stable.Hash == p.hash {
		p.setIndex(len(p.steps))
		if len(p.steps) > 0 && p.Status.CurrentPodHash != "" && p.Status.CurrentPodHash != p.hash {
			p.event(SkipSteps, "Rollback to stable ReplicaSets")
		}
	}
}

// settle is the status of a rollout whose stable revision is the wanted one: an abort
// or a full promotion has nothing to do there (core.md §15 no. 62).
func (p *progress) settle() {
	clearPauses(&p.st)
	p.st.Abort, p.st.AbortedAt, p.st.PromoteFull = false, nil, false
	p.st.Canary.CurrentStepAnalysisRunStatus, p.st.Canary.CurrentBackgroundAnalysisRunStatus = nil, nil
	p.setIndex(len(p.steps))
}

func (p *progress) promote(why string) {
	p.settle()
	if p.st.StableRS == p.hash {
		return
	}
	p.st.StableRS = p.hash
	number := p.Number
	if p.current != nil {
		number = p.current.Number
	}
	p.event(RolloutCompleted, "Rollout completed update to revision %d (%s): %s", max(number, 1), p.hash, why)
}

func (p *progress) stayAborted() {
	clearPauses(&p.st)
	p.st.Abort, p.st.PromoteFull = true, false
	if p.st.AbortedAt == nil {
		p.st.AbortedAt = p.stamp()
	}
	p.st.Canary.CurrentStepAnalysisRunStatus, p.st.Canary.CurrentBackgroundAnalysisRunStatus = nil, nil
	p.setIndex(0)
}

// abort ends the update on the controller's own account.
func (p *progress) abort(cause string) {
	p.cause = cause
	p.stayAborted()
}

func (p *progress) stamp() *metav1.Time {
	t := metav1.NewTime(p.Now).Rfc3339Copy()
	return &t
}

// step is the status between two revisions.
func (p *progress) step(g goal, t tests) {
	p.st.Abort, p.st.AbortedAt = false, nil
	if p.st.PromoteFull {
		clearPauses(&p.st)
		p.st.Canary.CurrentStepAnalysisRunStatus, p.st.Canary.CurrentBackgroundAnalysisRunStatus = nil, nil
	} else {
		p.recordRuns(t)
		if cause := failed(t); cause != "" {
			p.abort(cause)
			return
		}
		if p.tooLate() {
			p.abort(p.timedOut())
			return
		}
		p.recordPauses(t)
	}
	if why, ok := p.complete(); ok {
		p.promote(why)
		return
	}
	p.nextStep(g, t)
	if len(p.st.PauseConditions) == 0 {
		p.st.ControllerPause = false
	}
}

// nextStep moves the position on by one when every gate of the step is open.
func (p *progress) nextStep(g goal, t tests) {
	s, ok := p.at()
	if !ok {
		p.setIndex(len(p.steps))
		return
	}
	p.setIndex(p.index)
	if p.st.PromoteFull {
		return
	}
	why, open := passes(p.view, g, t, s)
	p.notes = append(p.notes, why...)
	if !open {
		return
	}
	p.setIndex(p.index + 1)
	p.st.Canary.CurrentStepAnalysisRunStatus = nil
	p.dropPause(v1alpha1.PauseReasonCanaryPauseStep)
	p.event(RolloutStepCompleted, "Rollout step %d/%d completed (%s)", p.index+1, len(p.steps), s.describe())
}

// complete reports whether the update is over, and why (core.md §5.8).
func (p *progress) complete() (why string, ok bool) {
	if p.current == nil || !p.full() || p.Spec.Paused || len(p.Trouble) > 0 {
		return "", false
	}
	if available(p.current) < p.n && !(p.canary.ReplicaProgressThreshold != nil && p.reached(p.current, p.n)) {
		p.notes = append(p.notes, Note{Waiting, PodsNotAvailable, fmt.Sprintf(
			"promotion waits for pods of revision %s: %d available of %d", p.hash, available(p.current), p.n)})
		return "", false
	}
	if p.st.PromoteFull {
		return "Full promotion requested", true
	}
	if hasPause(p.st.PauseConditions, v1alpha1.PauseReasonInconclusiveAnalysis) {
		return "", false
	}
	if why, open := trafficConfirmed(p.view, goal{weight: p.total}, tests{}); !open {
		p.notes = append(p.notes, why)
		return "", false
	}
	return fmt.Sprintf("Completed all %d canary steps", len(p.steps)), true
}

// recordRuns keeps name, phase and message of the runs that serve now.
func (p *progress) recordRuns(t tests) {
	c := &p.st.Canary
	c.CurrentBackgroundAnalysisRunStatus = p.recordRun("Background", c.CurrentBackgroundAnalysisRunStatus, t.background, t.startBack)
	c.CurrentStepAnalysisRunStatus = p.recordRun("Step", c.CurrentStepAnalysisRunStatus, t.step, t.startStep)
}

func (p *progress) recordRun(kind string, old *v1alpha1.RolloutAnalysisRunStatus, r *Run, starts string) *v1alpha1.RolloutAnalysisRunStatus {
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
			"%s Analysis Run '%s' Status New: '%s' Previous: '%s'", kind, r.Name, r.Phase, prev)}
		if r.Phase == v1alpha1.AnalysisPhaseFailed || r.Phase == v1alpha1.AnalysisPhaseError {
			n.Kind = Warning
		}
		p.notes = append(p.notes, n)
	}
	return next
}

// failed returns the abort message when a run has judged against the revision
// (core.md §5.16); "" otherwise.
func failed(t tests) string {
	for _, c := range []struct {
		r    *Run
		kind string
	}{{t.background, "Background analysis"}, {t.step, "Step-based analysis"}} {
		if c.r == nil || c.r.Phase != v1alpha1.AnalysisPhaseFailed && c.r.Phase != v1alpha1.AnalysisPhaseError {
			continue
		}
		msg := c.kind + " phase error/failed"
		if c.r.Message != "" {
			msg += ": " + c.r.Message
		}
		return msg
	}
	return ""
}

// recordPauses adds and drops pause conditions (core.md §5.15, §7.5).
func (p *progress) recordPauses(t tests) {
	undecided := verdict(t.background) == v1alpha1.AnalysisPhaseInconclusive ||
		verdict(t.step) == v1alpha1.AnalysisPhaseInconclusive
	if undecided {
		p.pause(v1alpha1.PauseReasonInconclusiveAnalysis)
	} else if t.startBack == "" && t.startStep == "" && t.step == nil && t.background == nil {
		p.dropPause(v1alpha1.PauseReasonInconclusiveAnalysis)
	}
	s, ok := p.at()
	switch {
	case !ok || s.spec.Pause == nil:
		p.dropPause(v1alpha1.PauseReasonCanaryPauseStep)
	case !resumed(&p.Status) && !p.Spec.Paused && (!p.Status.ControllerPause || len(p.Status.PauseConditions) > 0):
		p.pause(v1alpha1.PauseReasonCanaryPauseStep)
	}
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

// tellPause turns the change of the pause conditions into its event.
func (p *progress) tellPause() {
	before, after := len(p.Status.PauseConditions) > 0, len(p.st.PauseConditions) > 0
	// A user who resumes has already emptied the list; the controller's mark tells.
	before = before || resumed(&p.Status)
	switch {
	case !before && after:
		p.event(RolloutPaused, "Rollout is paused (%s)", p.st.PauseConditions[0].Reason)
	case before && !after && !p.st.Abort:
		p.event(RolloutResumed, "Rollout is resumed")
	}
}

// tellWeights tells that the written weight has changed (core.md §5.6).
func (p *progress) tellWeights() {
	before, after := p.Status.Canary.Weights, p.st.Canary.Weights
	switch {
	case after == nil || before != nil && before.Canary.Weight == after.Canary.Weight:
	case before == nil:
		p.event(TrafficWeightUpdated, "Traffic weight updated to %d", after.Canary.Weight)
	default:
		p.event(TrafficWeightUpdated, "Traffic weight updated from %d to %d", before.Canary.Weight, after.Canary.Weight)
	}
}

// weights records the written split for people and tools (core.md §1.6); the names are
// always those of the spec.
func weights(v *view) *v1alpha1.TrafficWeights {
	w := v.Traffic.Written
	if !v.Routed || w.IsZero() {
		return nil
	}
	ca, _ := w.Of(traffic.Canary)
	st, _ := w.Of(traffic.Stable)
	out := &v1alpha1.TrafficWeights{
		Canary: v1alpha1.WeightDestination{Weight: ca.Weight, ServiceName: v.canary.CanaryService, PodTemplateHash: ca.Hash},
		Stable: v1alpha1.WeightDestination{Weight: st.Weight, ServiceName: v.canary.StableService, PodTemplateHash: st.Hash},
	}
	if v.Verifies {
		ok := v.Traffic.Confirmed()
		out.Verified = &ok
	}
	return out
}
