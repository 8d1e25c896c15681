package rollout

import (
	"slices"
	"time"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/traffic"
)

// mode is where a rollout stands, seen from far away.
type mode string

const (
	// changed: the template or the steps are not those of the persisted position.
	changed mode = "changed"
	// first: no stable revision exists, so the new one serves as soon as it can.
	first mode = "first"
	// done: the stable revision is the wanted one.
	done mode = "done"
	// aborted: traffic and capacity go back to stable.
	aborted mode = "aborted"
	// stepping: between two revisions, at a step.
	stepping mode = "stepping"
)

// view is a Snapshot with what every function derives from it, computed once.
type view struct {
	*Snapshot
	// blue is nil for a canary; canary is never nil, and empty for blue-green.
	blue   *v1alpha1.BlueGreenStrategy
	canary *v1alpha1.CanaryStrategy
	rules  rules
	steps  []step
	mode   mode
	// n is the wanted number of pods; total is the sum of the weights.
	n, total int32
	// dynamic: stable shrinks as the canary's weight grows.
	dynamic bool
	// index is the position, within 0..len(steps).
	index int
	// hash is the pod template hash of the wanted revision, existing or not.
	hash            string
	current, stable *Revision
	// others are neither current nor stable, newest first.
	others []*Revision
	// planned are the splits that the writes of this pass make, each alone. Pods and weight are
	// written in any order, so pods must fit all of them.
	planned []traffic.Split
	// express says why the steps are left out, "" when they are not.
	express string
}

func newView(s *Snapshot) *view {
	v := &view{Snapshot: s, n: max(s.Spec.ReplicasOrDefault(), 0), hash: s.TemplateHash}
	v.compile()
	v.total = v.rules.total
	for i := range s.Revisions {
		r := &s.Revisions[i]
		if r.Current {
			v.current, v.hash = r, r.Hash
		}
		if s.Status.StableRS != "" && r.Hash == s.Status.StableRS {
			v.stable = r
		}
	}
	for i := range s.Revisions {
		if r := &s.Revisions[i]; r != v.current && r != v.stable {
			v.others = append(v.others, r)
		}
	}
	v.mode = v.where()
	v.express = v.expressway()
	if v.blue != nil {
		v.steps = v.blueSteps(v.express != "")
	}
	v.index = v.position()
	return v
}

func (v *view) where() mode {
	st := &v.Status
	switch {
	case st.CurrentPodHash == "" && st.ObservedGeneration == "":
		return changed // seen for the first time
	case st.CurrentPodHash != "" && st.CurrentPodHash != v.hash, st.CurrentStepHash != v.StepsHash:
		return changed
	case v.stable == nil:
		return first
	case v.stable.Hash == v.hash:
		return done
	case st.Abort && (!st.PromoteFull || st.AbortedAt == nil):
		// Of an abort and a full promotion the later one counts; an abort that has not
		// been dated yet is new.
		return aborted
	}
	return stepping
}

// Why an update leaves its steps out, in the words of the RolloutCompleted event
// (core.md §5.8, §6.9). An active Service without a revision is a first deployment.
const (
	expressFull   = "Full promotion requested"
	expressWindow = "Rollback within window"
	expressFast   = "Fast rollback"
	expressFirst  = "Initial deploy"
)

// expressway says why the steps are left out, "" when they are not.
func (v *view) expressway() string {
	if v.mode != stepping {
		return ""
	}
	switch {
	case v.Status.PromoteFull:
		return expressFull
	case v.inWindow():
		return expressWindow
	case v.blue == nil:
		return ""
	case v.activeHash() == "":
		return expressFirst
	case v.current != nil && v.olderThan(v.current, v.stable) && v.Now.Before(v.current.RetireAt):
		// Its pods stand because their delay has not run out (core.md §5.9).
		return expressFast
	}
	return ""
}

// inWindow reports that the wanted revision is older than stable with fewer revisions
// between them than the rollback window allows (core.md §5.9).
func (v *view) inWindow() bool {
	w := v.Spec.RollbackWindow
	if w == nil || w.Revisions <= 0 || v.current == nil || v.stable == nil || !v.olderThan(v.current, v.stable) {
		return false
	}
	between := int32(0)
	for _, r := range v.others {
		if v.olderThan(v.current, r) && v.olderThan(r, v.stable) {
			between++
		}
	}
	return between < w.Revisions
}

// olderThan orders revisions by their making; two of one second by the number that each
// got first (core.md §16 no. 32).
func (*view) olderThan(a, b *Revision) bool {
	if !a.Created.Equal(b.Created) {
		return a.Created.Before(b.Created)
	}
	return a.Born < b.Born
}

func (v *view) position() int {
	switch {
	case v.mode == done || v.mode == first:
		return len(v.steps)
	case v.mode != stepping:
		return 0
	case v.blue != nil:
		return v.bluePosition()
	case v.express == expressWindow:
		return len(v.steps)
	case v.Status.CurrentStepIndex == nil:
		return 0
	}
	return min(max(int(*v.Status.CurrentStepIndex), 0), len(v.steps))
}

// bluePosition finds the first step that is not behind the rollout. Blue-green has no
// published index, so what was persisted and what is observed say where it stands: the
// active Service, the verdicts, the pause, and the check point that marks its end.
func (v *view) bluePosition() int {
	if v.retrying() && v.activeHash() != v.hash {
		return 0 // what the former attempt has reached does not count
	}
	for i, s := range v.steps {
		if !v.behind(s) {
			return i
		}
	}
	return len(v.steps)
}

func (v *view) behind(s step) bool {
	st := &v.Status
	served := v.activeHash() == v.hash
	switch s.kind {
	case previewStep:
		// Pods that come and go later do not undo what has begun (core.md §15 no. 106).
		begun := v.runNamed(st.BlueGreen.PrePromotionAnalysisRunStatus) || len(st.PauseConditions) > 0 || resumed(st)
		return served || st.BlueGreen.ScaleUpPreviewCheckPoint || begun ||
			v.current != nil && v.reached(v.current, s.pods) && v.shown()
	case analysisStep:
		return s.run == PrePromotion && (served || st.BlueGreen.ScaleUpPreviewCheckPoint) || v.passed(s.run)
	case pauseStep:
		return served || st.BlueGreen.ScaleUpPreviewCheckPoint
	case cutoverStep:
		return v.cutoverBehind()
	}
	return false
}

// runNamed reports that the status names a run of the present attempt.
func (v *view) runNamed(ref *v1alpha1.RolloutAnalysisRunStatus) bool {
	return ref != nil && ref.Name != "" && !v.retrying()
}

// retrying: an abort was taken back, and this is the first pass that knows it.
func (v *view) retrying() bool { return v.mode == stepping && v.Status.AbortedAt != nil }

// shown reports that the preview Service, if there is one, is known to lead to the new
// revision only, so that a test through it meets no old pod (rivals.md no. 11).
func (v *view) shown() bool {
	d, found := v.Traffic.Written.Of(traffic.Canary)
	return !found || d.Service == "" || v.pointsOnly(traffic.Canary, v.hash)
}

// passed reports whether the run that the status names for a promotion has succeeded.
func (v *view) passed(k RunKind) bool {
	ref := *refOf(&v.Status, k)
	if !v.runNamed(ref) {
		return false
	}
	i := slices.IndexFunc(v.Runs, func(r Run) bool { return r.Name == ref.Name })
	if i < 0 {
		// While undecided it was one that was told to stop.
		return ref.Status == v1alpha1.AnalysisPhaseSuccessful && !undecided(v.Status.PauseConditions)
	}
	return verdict(&v.Runs[i]) == v1alpha1.AnalysisPhaseSuccessful
}

// activeHash is the revision that the stable role's Service selects.
func (v *view) activeHash() string {
	d, _ := v.Traffic.Written.Of(traffic.Stable)
	return d.Hash
}

// full reports whether everything should move to the new revision without further
// steps: the user asked for it, or the steps are through.
func (v *view) full() bool {
	return v.express == expressFull || v.index >= len(v.steps)
}

// at returns the step of the position; ok is false past the end.
func (v *view) at() (s step, ok bool) {
	if v.mode != stepping || v.index >= len(v.steps) {
		return step{}, false
	}
	return v.steps[v.index], true
}

// need is the number of pods that a share of the traffic takes: ceil(n·weight/total)
// (core.md §5.6), so 5 % of 20 pods is 1 and of 21 pods is 2.
func (v *view) need(weight int32) int32 {
	if weight <= 0 || v.total <= 0 {
		return 0
	}
	return int32(min((int64(v.n)*int64(weight)+int64(v.total)-1)/int64(v.total), maxCount))
}

// maxCount bounds pod counts, so that no sum of two overflows.
const maxCount = 1 << 29

// share is the largest share of the traffic that so many pods can take.
func (v *view) share(pods int32) int32 {
	if v.n <= 0 || pods >= v.n {
		return v.total
	}
	return int32(int64(v.total) * int64(max(pods, 0)) / int64(v.n))
}

// revision returns the one with the hash, nil if it does not exist.
func (v *view) revision(hash string) *Revision {
	i := slices.IndexFunc(v.Revisions, func(r Revision) bool { return r.Hash == hash })
	if i < 0 || hash == "" {
		return nil
	}
	return &v.Revisions[i]
}

func (v *view) service(name string) (s Service, found bool) {
	for _, s := range v.Services {
		if s.Name == name && name != "" && s.Exists {
			return s, true
		}
	}
	return Service{}, false
}

// canRemove is false while any fact is missing that could speak against taking pods away.
func (v *view) canRemove() bool {
	return len(v.Trouble) == 0 && (!v.Routed || (v.Traffic.Known && v.Traffic.Problem == ""))
}

// overdue reports that an abort has waited for stable as long as the user lets a rollout
// stand still. From then on whatever pods stable has must do.
func (v *view) overdue() bool {
	at := v.abortDue()
	return !at.IsZero() && v.Now.After(at)
}

// abortDue is when an abort stops waiting for stable; zero when none runs.
func (v *view) abortDue() time.Time {
	if v.mode != aborted || v.Status.AbortedAt == nil {
		return time.Time{}
	}
	return v.Status.AbortedAt.Add(v.progressDeadline())
}

// available is the number of pods that can be counted on: those that are there now, less
// any that a scale-down which is under way is about to take.
func available(r *Revision) int32 {
	if r == nil {
		return 0
	}
	return min(r.Available, r.Desired)
}
