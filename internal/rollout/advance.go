package rollout

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-io/penstock/api/v1alpha1"
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
	p := &progress{view: v, st: baseStatus(v, g)}
	p.st.Canary.StepPluginStatuses = t.calls.list
	p.notes = t.calls.notes
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
	p.reach()
	p.conditions()
	p.st.Phase, p.st.Message = phase(v, &p.st)
	p.st.Duration = attempt(p)
	p.tellPause()
	return p.st, p.notes
}

// reach keeps the most pods that were up since something else than pods has moved.
func (p *progress) reach() {
	a, b := &p.Status, &p.st
	up := b.ReadyReplicas + b.AvailableReplicas
	b.Reached = max(a.Reached, up)
	moved := a.CurrentPodHash != b.CurrentPodHash || a.StableRS != b.StableRS || a.UpdatedReplicas != b.UpdatedReplicas ||
		(a.CurrentStepIndex == nil) != (b.CurrentStepIndex == nil) ||
		a.CurrentStepIndex != nil && b.CurrentStepIndex != nil && *a.CurrentStepIndex != *b.CurrentStepIndex
	if moved {
		b.Reached = up
	}
}

func (p *progress) event(r Reason, format string, args ...any) {
	p.notes = append(p.notes, Note{Event, r, fmt.Sprintf(format, args...)})
}

func (p *progress) warn(r Reason, format string, args ...any) {
	p.notes = append(p.notes, Note{Warning, r, fmt.Sprintf(format, args...)})
}

func (p *progress) setIndex(i int) {
	p.st.CurrentStepIndex = nil
	if len(p.steps) > 0 && p.blue == nil {
		n := int32(i)
		p.st.CurrentStepIndex = &n
	}
}

// reset starts over for a new template or new steps (core.md §5.2).
func (p *progress) reset() {
	p.clear()
	p.st.RestartedAt = p.Spec.RestartAt
	p.st.BlueGreen.PrePromotionAnalysisRunStatus, p.st.BlueGreen.PostPromotionAnalysisRunStatus = nil, nil
	p.setIndex(0)
	switch {
	case len(p.steps) == 0 || p.Status.CurrentPodHash == "" || p.Status.CurrentPodHash == p.hash && !p.backToStable():
	case p.backToStable():
		p.setIndex(len(p.steps))
		if p.Status.CurrentPodHash != p.hash {
			p.event(SkipSteps, "Rollback to stable ReplicaSets")
		}
	case p.inWindow() && p.current.Desired > 0:
		p.setIndex(len(p.steps))
		p.event(SkipSteps, "Rollback to active ReplicaSets within RollbackWindow")
	}
}

func (v *view) backToStable() bool { return v.stable != nil && v.stable.Hash == v.hash }

// clear takes away what belongs to an update that is over or starts anew.
func (p *progress) clear() {
	clearPauses(&p.st)
	p.st.Abort, p.st.AbortedAt, p.st.PromoteFull = false, nil, false
	p.st.BlueGreen.ScaleUpPreviewCheckPoint = false
	p.dropRuns()
	p.st.Canary.StepPluginStatuses = nil
}

// dropRuns forgets the runs of a canary; those of blue-green stay for people to see.
func (p *progress) dropRuns() {
	c := &p.st.Canary
	c.CurrentStepAnalysisRunStatus, c.CurrentBackgroundAnalysisRunStatus, c.CurrentExperiment = nil, nil, ""
}

// settle is the status of a rollout whose stable revision is the wanted one: an abort
// or a full promotion has nothing to do there (core.md §15 no. 62).
func (p *progress) settle() {
	kept := p.st.Canary.StepPluginStatuses
	p.clear()
	p.st.Canary.StepPluginStatuses = kept
	p.setIndex(len(p.steps))
}

func (p *progress) promote(why string) {
	p.settle()
	if p.st.StableRS == p.hash {
		return
	}
	p.st.StableRS = p.hash
	if p.canary.PingPong != nil && p.stable != nil {
		p.st.Canary.StablePingPong = v1alpha1.PPPing
		if p.Status.Canary.StablePingPong == v1alpha1.PPPing {
			p.st.Canary.StablePingPong = v1alpha1.PPPong
		}
	}
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
	p.st.BlueGreen.ScaleUpPreviewCheckPoint = false
	p.dropRuns()
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
	if p.retrying() {
		p.forgetAttempt()
	}
	p.st.Abort, p.st.AbortedAt = false, nil
	if p.express == expressFull || p.express == expressWindow {
		clearPauses(&p.st)
		p.dropRuns()
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
		if wait, over := p.impatient(v1alpha1.PauseTimeoutAbort); over {
			p.abort(wait.missed())
			return
		}
		p.recordPauses(t)
	}
	if why, ok := p.complete(); ok {
		p.promote(why)
		return
	}
	p.nextStep(g, t)
	p.skip(t)
	if why, ok := p.completeNext(); ok {
		p.promote(why)
		return
	}
	if len(p.st.PauseConditions) == 0 {
		p.st.ControllerPause = false
	}
}

// skip ends the weight steps that follow the one that has just ended and change nothing:
// by pods alone 40 % and 60 % of two are both one. All then go into one write.
func (p *progress) skip(t tests) {
	if p.Routed {
		return
	}
	for next, ok := p.ahead(); ok; next, ok = p.ahead() {
		s, more := next.at()
		if !more || s.kind != weightStep {
			return
		}
		g := decideGoal(next)
		acts, _ := capacity(next, g)
		if _, open := passes(next, g, t, s); !open || len(acts) > 0 {
			return
		}
		p.endStep(next.index, s)
	}
}

// completeNext reports whether the step that has just ended was the last and leaves nothing
// to wait for: both then go into one write.
func (p *progress) completeNext() (why string, ok bool) {
	end, ok := p.ahead()
	if !ok || end.index < len(p.steps) {
		return "", false
	}
	next := progress{view: end, st: p.st}
	return next.complete()
}

// ahead is the same moment seen from the position that follows a weight step which has
// just ended.
func (p *progress) ahead() (next *view, ok bool) {
	s, at := p.at()
	if i := p.st.CurrentStepIndex; p.blue != nil || !at || s.kind != weightStep || i == nil || int(*i) <= p.index {
		return nil, false
	}
	v := *p.view
	v.index = int(*p.st.CurrentStepIndex)
	return &v, true
}

// forgetAttempt drops what an aborted attempt has left: its verdicts count no more.
func (p *progress) forgetAttempt() {
	p.st.BlueGreen.PrePromotionAnalysisRunStatus, p.st.BlueGreen.PostPromotionAnalysisRunStatus = nil, nil
	p.st.BlueGreen.ScaleUpPreviewCheckPoint = false
	p.dropRuns()
	p.st.Canary.StepPluginStatuses = nil
}

// nextStep moves the position on by one when every gate of the step is open.
func (p *progress) nextStep(g goal, t tests) {
	s, ok := p.at()
	if !ok {
		p.setIndex(len(p.steps))
		return
	}
	p.setIndex(p.index)
	if p.express == expressFull && p.blue == nil {
		return
	}
	why, open := passes(p.view, g, t, s)
	p.notes = append(p.notes, why...)
	if p.blue != nil {
		p.nextBlue(s, open)
		return
	}
	if !open || p.retrying() {
		return
	}
	p.endStep(p.index, s)
}

// endStep moves the position behind a step.
func (p *progress) endStep(i int, s step) {
	p.setIndex(i + 1)
	p.st.Canary.CurrentStepAnalysisRunStatus, p.st.Canary.CurrentExperiment = nil, ""
	p.dropPause(v1alpha1.PauseReasonCanaryPauseStep)
	if wait, over := p.impatient(v1alpha1.PauseTimeoutPromote); over {
		p.warn(PauseTimedOut, "%s: the rollout goes on", wait.missed())
	}
	p.event(RolloutStepCompleted, "Rollout step %d/%d completed (%s)", i+1, len(p.steps), s.text)
}

// nextBlue records what the facts do not show by themselves: that everything before the
// cutover is through.
func (p *progress) nextBlue(s step, open bool) {
	if p.retrying() {
		return
	}
	if s.kind == pauseStep && open {
		p.dropPause(v1alpha1.PauseReasonBlueGreenPause)
	}
	if s.kind == pauseStep && open || s.kind == cutoverStep && p.express == "" && !p.Spec.Paused {
		p.st.BlueGreen.ScaleUpPreviewCheckPoint = true
	}
}

// complete reports whether the update is over, and why (core.md §5.8, §6.9).
func (p *progress) complete() (why string, ok bool) {
	if p.current == nil || !p.full() || p.Spec.Paused || len(p.Trouble) > 0 || p.blue != nil && p.index < len(p.steps) {
		return "", false
	}
	if available(p.current) < p.n && !(p.canary.ReplicaProgressThreshold != nil && p.reached(p.current, p.n)) {
		p.notes = append(p.notes, Note{Waiting, PodsNotAvailable, fmt.Sprintf(
			"promotion waits for pods of revision %s: %d available of %d", p.hash, available(p.current), p.n)})
		return "", false
	}
	if p.express == expressFull || p.blue != nil && p.express != "" {
		return p.express, true
	}
	if undecided(p.st.PauseConditions) {
		return "", false
	}
	if p.blue != nil {
		return "Completed blue-green update", true
	}
	if why, open := trafficConfirmed(p.view, goal{weight: p.total}, tests{}); !open {
		p.notes = append(p.notes, why)
		return "", false
	}
	if p.express != "" {
		return p.express, true
	}
	return fmt.Sprintf("Completed all %d canary steps", len(p.steps)), true
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
	if wait, over := p.impatient(v1alpha1.PauseTimeoutHold); over && p.st.Message != p.Status.Message {
		p.warn(PauseTimedOut, "%s: the rollout goes on waiting", wait.missed())
	}
}
