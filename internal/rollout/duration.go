package rollout

import (
	"time"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// attempt keeps status.duration: when the present update began, how long people held
// it up, and how it ended (core.md §8).
func attempt(p *progress) *v1alpha1.RolloutDuration {
	d := &v1alpha1.RolloutDuration{}
	if p.st.Duration != nil {
		d = p.st.Duration.DeepCopy()
	}
	running := d.RolloutStartedAt != nil && d.FinishedAt == nil
	stableUp := p.st.StableRS == p.hash && p.current != nil && p.current.Available >= p.n
	retried := p.Status.AbortedAt != nil && !p.st.Abort
	switch {
	case p.mode == changed && running && p.rollsBack():
		d.CompletionStatus = v1alpha1.CompletionRolledBack
		if p.stable.Hash == p.hash || p.inWindow() || p.blue != nil && p.Now.Before(p.current.RetireAt) {
			d.CompletionStatus = v1alpha1.CompletionFastRolledBack
		}
	case (p.mode == changed || p.mode == first && d.RolloutStartedAt == nil) && !stableUp, retried && !running:
		d = &v1alpha1.RolloutDuration{RolloutStartedAt: p.stamp()}
		running = true
	}
	if d.RolloutStartedAt == nil {
		return nil
	}
	if !running {
		return d
	}
	p.countManualPause(d)
	switch {
	case p.st.Abort:
		d.FinishedAt = p.stamp()
		if d.CompletionStatus == "" {
			d.CompletionStatus = v1alpha1.CompletionAborted
		}
	case stableUp:
		d.FinishedAt = p.stamp()
		if d.CompletionStatus == "" {
			d.CompletionStatus = v1alpha1.CompletionPromoted
			if p.Status.PromoteFull {
				d.CompletionStatus = v1alpha1.CompletionFastPromoted
			}
		}
	case p.Status.PromoteFull && p.st.StableRS == p.hash && d.CompletionStatus == "":
		d.CompletionStatus = v1alpha1.CompletionFastPromoted
	}
	return d
}

// rollsBack reports that the wanted revision is stable itself or older than it; by
// more than the second of its making (§16 no. 32).
func (p *progress) rollsBack() bool {
	return p.stable != nil && p.current != nil && (p.current == p.stable || p.olderThan(p.current, p.stable))
}

// countManualPause adds up the whole seconds that a person, not a timer, held the update.
func (p *progress) countManualPause(d *v1alpha1.RolloutDuration) {
	manual := p.Spec.Paused
	for _, c := range p.st.PauseConditions {
		s, ok := p.at()
		manual = manual || !ok || s.pause != c.Reason || s.endless
	}
	switch {
	case manual && d.ManualPauseStartedAt == nil:
		d.ManualPauseStartedAt = p.stamp()
	case !manual && d.ManualPauseStartedAt != nil:
		d.TotalManualPauseDurationSeconds += int64(p.Now.Sub(d.ManualPauseStartedAt.Time).Seconds())
		d.ManualPauseStartedAt = nil
	}
}

// Ended is an update that has come to its end: how, how long it took, and how much of that
// time people held it up.
type Ended struct {
	Status        v1alpha1.CompletionStatus
	Total, Manual time.Duration
}

// Ends reports which update ends with a status write: the one that is finished by it, or
// the one that another takes the place of.
func Ends(before, after *v1alpha1.RolloutStatus) (e Ended, ended bool) {
	a, b := before.Duration, after.Duration
	running := a != nil && a.RolloutStartedAt != nil && a.FinishedAt == nil
	same := running && b != nil && b.RolloutStartedAt.Equal(a.RolloutStartedAt)
	switch {
	case running && !same && b != nil && b.RolloutStartedAt != nil:
		e = Ended{Status: v1alpha1.CompletionSuperseded, Total: b.RolloutStartedAt.Sub(a.RolloutStartedAt.Time),
			Manual: time.Duration(a.TotalManualPauseDurationSeconds) * time.Second}
		if from := a.ManualPauseStartedAt; from != nil {
			e.Manual += b.RolloutStartedAt.Sub(from.Time)
		}
	case b == nil || b.RolloutStartedAt == nil || b.FinishedAt == nil, a != nil && a.FinishedAt != nil && b.RolloutStartedAt.Equal(a.RolloutStartedAt):
		return Ended{}, false
	default:
		e = Ended{Status: b.CompletionStatus, Total: b.FinishedAt.Sub(b.RolloutStartedAt.Time),
			Manual: time.Duration(b.TotalManualPauseDurationSeconds) * time.Second}
		if from := b.ManualPauseStartedAt; from != nil {
			e.Manual += b.FinishedAt.Sub(from.Time)
		}
	}
	e.Manual = min(e.Manual, e.Total)
	return e, true
}
