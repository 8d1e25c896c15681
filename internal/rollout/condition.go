package rollout

import (
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// Reasons and texts of the Progressing condition (core.md §7.3.1).
const (
	reasonUpdated      = "ReplicaSetUpdated"
	reasonNotAvailable = "ReplicaSetNotAvailable"
	reasonAvailable    = "NewReplicaSetAvailable"
	reasonCreated      = "NewReplicaSetCreated"
	reasonFound        = "FoundNewReplicaSet"
	reasonUncreated    = string(ReplicaSetCreateError)
	reasonTimedOut     = "ProgressDeadlineExceeded"
	reasonAborted      = "RolloutAborted"
	reasonPaused       = "RolloutPaused"
	reasonResumed      = "RolloutResumed"
	reasonRetry        = "RolloutRetry"
)

// conditions brings all conditions up to date in one go.
func (p *progress) conditions() {
	st, now := &p.st, p.Now
	dropCondition(st, v1alpha1.RolloutInvalidSpec)
	complete := st.StableRS != "" && st.StableRS == st.CurrentPodHash
	if c := getCondition(&p.Status, v1alpha1.RolloutCompleted); !complete && (c == nil || c.Status == corev1.ConditionTrue) && p.mode != first {
		p.event(RolloutNotCompleted, "Rollout not completed, started update to revision %d (%s)", p.nextNumber(), p.hash)
	}
	healthy := p.healthy()
	p.progressing(complete, healthy)
	paused := p.paused()
	if was := getCondition(st, v1alpha1.RolloutPaused); was != nil || paused {
		setCondition(st, now, v1alpha1.RolloutPaused, boolStatus(paused), reasonPaused, "Rollout is paused")
	}
	enough := p.enough()
	text := "Rollout has minimum availability"
	if !enough {
		text = "Rollout does not have minimum availability"
	}
	setCondition(st, now, v1alpha1.RolloutAvailable, boolStatus(enough), "AvailableReason", text)
	setCondition(st, now, v1alpha1.RolloutCompleted, boolStatus(complete), string(RolloutCompleted), string(RolloutCompleted))
	healthy = healthy && !paused
	if was := getCondition(st, v1alpha1.RolloutHealthy); healthy || was != nil {
		text := "Rollout is healthy"
		if !healthy {
			text = "Rollout is not healthy"
		}
		setCondition(st, now, v1alpha1.RolloutHealthy, boolStatus(healthy), "RolloutHealthy", text)
	}
	p.replicaFailure()
}

// enough reports minimum availability: of all pods, or of the active revision, which must
// then be whole (core.md §7.3).
func (p *progress) enough() bool {
	if p.blue == nil {
		return p.st.AvailableReplicas >= p.n
	}
	r := p.revision(p.activeHash())
	return r != nil && r.Desired == p.n && r.Available == p.n
}

// paused reports whether the rollout waits for a person or a timer.
func (p *progress) paused() bool {
	return len(p.st.PauseConditions) > 0 || p.Spec.Paused
}

// healthy is the published health test (core.md §7.3.2): the spec has been seen by the
// previous pass, all pods are new and available, and the position is the end.
func (p *progress) healthy() bool {
	st := &p.st
	if st.UpdatedReplicas != p.n || st.AvailableReplicas != p.n || p.Status.ObservedGeneration != st.ObservedGeneration {
		return false
	}
	if b := p.blue; b != nil {
		return st.BlueGreen.ActiveSelector == st.CurrentPodHash &&
			(b.PreviewService == "" || st.BlueGreen.PreviewSelector == st.CurrentPodHash)
	}
	atEnd := st.CurrentStepIndex == nil || int(*st.CurrentStepIndex) == len(p.steps)
	return st.Replicas == p.n && atEnd && st.StableRS == st.CurrentPodHash && st.StableRS != ""
}

// progressing sets the Progressing condition; the first case that matches wins.
func (p *progress) progressing(complete, healthy bool) {
	st, now := &p.st, p.Now
	set := func(status metav1.ConditionStatus, reason, text string) {
		setCondition(st, now, v1alpha1.RolloutProgressing, status, reason, text)
	}
	old := getCondition(&p.Status, v1alpha1.RolloutProgressing)
	oldReason := ""
	if old != nil {
		oldReason = old.Reason
	}
	paused := p.paused()
	switch {
	case st.Abort:
		p.progressAborted(oldReason)
	case p.current == nil:
		p.progressCreating(old, oldReason)
	case oldReason == reasonUncreated:
		p.progressCreated(old)
	case oldReason == reasonAborted:
		set(metav1.ConditionUnknown, reasonRetry, "Retrying Rollout after abort")
	case paused && !complete:
		set(metav1.ConditionUnknown, reasonPaused, "Rollout is paused")
	case oldReason == reasonPaused:
		set(metav1.ConditionUnknown, reasonResumed, "Rollout is resumed")
	case healthy:
		set(metav1.ConditionTrue, reasonAvailable, fmt.Sprintf("ReplicaSet %q has successfully progressed.", p.current.Name))
	case old == nil && !p.progressed():
		set(metav1.ConditionTrue, reasonFound, fmt.Sprintf("Found new replica set %q", p.current.Name))
	case p.progressed() || p.fellIll():
		reason, text := reasonUpdated, fmt.Sprintf("ReplicaSet %q is progressing.", p.current.Name)
		if complete && p.fellIll() {
			reason, text = reasonNotAvailable, "Rollout does not have minimum availability"
		}
		dropCondition(st, v1alpha1.RolloutProgressing)
		set(metav1.ConditionTrue, reason, text)
		keepTransition(st, old)
	case !p.indefinite() && p.expired(old):
		set(metav1.ConditionFalse, reasonTimedOut, p.timedOut())
	}
}

// progressCreating is the condition while the wanted revision does not exist.
func (p *progress) progressCreating(old *v1alpha1.RolloutCondition, oldReason string) {
	st, now := &p.st, p.Now
	switch {
	case p.mode == changed: // a new update begins, and with it its deadline
		dropCondition(st, v1alpha1.RolloutProgressing)
		p.progressCreated(old)
	case oldReason == reasonTimedOut, !p.indefinite() && p.expired(old):
		setCondition(st, now, v1alpha1.RolloutProgressing, metav1.ConditionFalse, reasonTimedOut, p.timedOut())
	case p.Uncreated != "":
		setCondition(st, now, v1alpha1.RolloutProgressing, metav1.ConditionFalse, reasonUncreated,
			fmt.Sprintf("Failed to create new replica set %q: %s", p.Name+"-"+p.hash, p.Uncreated))
	case oldReason != reasonUncreated: // a controller that has just begun has not tried yet
		p.progressCreated(old)
	}
}

func (p *progress) progressCreated(old *v1alpha1.RolloutCondition) {
	setCondition(&p.st, p.Now, v1alpha1.RolloutProgressing, metav1.ConditionTrue, reasonCreated,
		fmt.Sprintf("Created new replica set %q", p.Name+"-"+p.hash))
	keepTransition(&p.st, old)
}

func (p *progress) progressAborted(oldReason string) {
	text := fmt.Sprintf("Rollout aborted update to revision %d", p.revisionNumber())
	if p.cause != "" {
		text += ": " + p.cause
	}
	if oldReason != reasonAborted {
		p.notes = append(p.notes, Note{Warning, RolloutAborted, text})
	}
	setCondition(&p.st, p.Now, v1alpha1.RolloutProgressing, metav1.ConditionFalse, reasonAborted, text)
}

func (p *progress) revisionNumber() int64 {
	if p.current != nil {
		return p.current.Number
	}
	return p.Number
}

// fellIll reports that a healthy rollout has just stopped being so.
func (p *progress) fellIll() bool {
	c := getCondition(&p.Status, v1alpha1.RolloutHealthy)
	return c != nil && c.Status == corev1.ConditionTrue && !p.healthy()
}

// progressed is the published progress test (core.md §7.3.3), with one difference: pods
// that come and go make no progress until there are more of them than there ever were
// since the last progress of another kind (rivals.md no. 42).
func (p *progress) progressed() bool {
	a, b := &p.Status, &p.st
	moved := a.CurrentStepIndex != nil && b.CurrentStepIndex != nil && *a.CurrentStepIndex != *b.CurrentStepIndex
	return b.UpdatedReplicas != a.UpdatedReplicas || b.CurrentPodHash != a.CurrentPodHash ||
		b.Replicas-b.UpdatedReplicas < a.Replicas-a.UpdatedReplicas ||
		b.ReadyReplicas+b.AvailableReplicas > a.Reached && (b.ReadyReplicas > a.ReadyReplicas || b.AvailableReplicas > a.AvailableReplicas) ||
		b.StableRS != a.StableRS || b.CurrentStepHash != a.CurrentStepHash || moved ||
		b.BlueGreen.ActiveSelector != a.BlueGreen.ActiveSelector || b.BlueGreen.PreviewSelector != a.BlueGreen.PreviewSelector
}

// indefinite reports that the present wait has no time limit (core.md §7.4).
func (p *progress) indefinite() bool {
	if s, ok := p.at(); ok && (s.kind == pauseStep || s.kind == analysisStep || s.kind == experimentStep) {
		return true
	}
	was := getCondition(&p.Status, v1alpha1.RolloutPaused)
	return p.paused() || was != nil && was.Status == corev1.ConditionTrue || slices.ContainsFunc(p.others, func(r *Revision) bool { return !r.RetireAt.IsZero() })
}

func (v *view) progressDeadline() time.Duration {
	return time.Duration(v.Spec.ProgressDeadlineSecondsOrDefault()) * time.Second
}

// expired reports that a Progressing condition is older than the deadline.
func (v *view) expired(c *v1alpha1.RolloutCondition) bool {
	if c == nil || c.Reason == reasonAborted || c.Reason == reasonPaused {
		return false
	}
	return c.Reason == reasonTimedOut || c.LastUpdateTime.Add(v.progressDeadline()).Before(v.Now)
}

// tooLate reports that the user wants an abort at the deadline and it has passed.
func (p *progress) tooLate() bool {
	return p.Spec.ProgressDeadlineAbort && !p.progressed() && !p.indefinite() &&
		p.expired(getCondition(&p.Status, v1alpha1.RolloutProgressing))
}

func (v *view) timedOut() string {
	if v.current == nil {
		return fmt.Sprintf("Rollout %q has timed out progressing.", v.Name)
	}
	return fmt.Sprintf("ReplicaSet %q has timed out progressing.", v.current.Name)
}

// deadline is when the progress deadline will pass, zero while nothing counts down.
func deadline(v *view, st *v1alpha1.RolloutStatus) time.Time {
	p := progress{view: v, st: *st}
	c := getCondition(st, v1alpha1.RolloutProgressing)
	if c == nil || st.Phase == v1alpha1.RolloutPhaseHealthy || p.indefinite() || p.expired(c) ||
		c.Reason == reasonAborted || c.Reason == reasonPaused {
		return time.Time{}
	}
	return c.LastUpdateTime.Add(v.progressDeadline() + time.Second)
}

// replicaFailure copies the newest revision's complaint, such as a quota (core.md §7.3).
func (p *progress) replicaFailure() {
	bad := p.current
	if bad == nil || bad.Failure == "" {
		bad = nil
		for i := range p.Revisions {
			if p.Revisions[i].Failure != "" {
				bad = &p.Revisions[i]
				break
			}
		}
	}
	if bad == nil {
		dropCondition(&p.st, v1alpha1.RolloutReplicaFailure)
		return
	}
	setCondition(&p.st, bad.FailureSince, v1alpha1.RolloutReplicaFailure, metav1.ConditionTrue, bad.FailureReason, bad.Failure)
}

func boolStatus(b bool) metav1.ConditionStatus {
	if b {
		return metav1.ConditionTrue
	}
	return metav1.ConditionFalse
}

func getCondition(st *v1alpha1.RolloutStatus, kind v1alpha1.RolloutConditionType) *v1alpha1.RolloutCondition {
	for i := range st.Conditions {
		if st.Conditions[i].Type == kind {
			return &st.Conditions[i]
		}
	}
	return nil
}

func dropCondition(st *v1alpha1.RolloutStatus, kind v1alpha1.RolloutConditionType) {
	st.Conditions = slices.DeleteFunc(st.Conditions, func(c v1alpha1.RolloutCondition) bool { return c.Type == kind })
}

// setCondition follows the published rule: the same status and reason leave the entry
// alone, except that a new InvalidSpec text replaces it; otherwise it moves to the end
// and keeps its transition time while the status stays (core.md §7.3).
func setCondition(st *v1alpha1.RolloutStatus, now time.Time, kind v1alpha1.RolloutConditionType, status metav1.ConditionStatus, reason, text string) {
	at := metav1.NewTime(now).Rfc3339Copy()
	next := v1alpha1.RolloutCondition{Type: kind, Status: corev1.ConditionStatus(status),
		LastUpdateTime: at, LastTransitionTime: at, Reason: reason, Message: text}
	if old := getCondition(st, kind); old != nil {
		same := old.Status == next.Status && old.Reason == reason
		if same && (kind != v1alpha1.RolloutInvalidSpec || old.Message == text) {
			return
		}
		if old.Status == next.Status {
			next.LastTransitionTime = old.LastTransitionTime
		}
		dropCondition(st, kind)
	}
	st.Conditions = append(st.Conditions, next)
}

// keepTransition restores the transition time of a condition that was only refreshed.
func keepTransition(st *v1alpha1.RolloutStatus, old *v1alpha1.RolloutCondition) {
	if c := getCondition(st, v1alpha1.RolloutProgressing); old != nil && c != nil && c.Status == old.Status {
		c.LastTransitionTime = old.LastTransitionTime
	}
}
