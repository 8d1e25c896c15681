package rollout

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/traffic"
)

// tests are the runs that matter at the position: which exist, which to start.
type tests struct {
	background, step     *Run
	wantBack             bool
	wantStep             RunKind // "" for none
	startBack, startStep string  // name of the run to start, "" for none
	trial                *Experiment
	startTrial           string
	calls                calls
}

// runs finds the runs of the position, and starts and stops what is missing or over.
// A run's name is computed from the runs that exist, so that a lost status write finds
// the run that it started again.
func runs(v *view) (tests, []Action) {
	var t tests
	if v.mode == changed {
		return t, nil
	}
	v.wanted(&t)
	t.calls = plugins(v)
	if t.wantBack {
		t.background, t.startBack = v.runOf(Background, -1)
	}
	if t.wantStep != "" {
		t.step, t.startStep = v.runOf(t.wantStep, v.stepOf(t.wantStep))
	}
	var acts []Action
	if t.startBack != "" {
		acts = append(acts, v.start(Background, -1, t.startBack))
	}
	if t.startStep != "" {
		acts = append(acts, v.start(t.wantStep, v.stepOf(t.wantStep), t.startStep))
	}
	for i := range v.Runs {
		r := &v.Runs[i]
		if r == t.background || r == t.step || r.Completed() || r.Terminating || r.Deleting {
			continue
		}
		acts = append(acts, StopRun{r.Name})
	}
	acts = append(append(acts, t.calls.acts...), v.trials(&t)...)
	return t, append(acts, v.oldRuns(t)...)
}

// stepOf is the step-index label of a run: only those of canary steps have one.
func (v *view) stepOf(k RunKind) int32 {
	if k == StepRun {
		return int32(v.index)
	}
	return -1
}

// wanted says which runs the position calls for (core.md §5.16, §6.6). The first pass of
// a retry calls for none: it drops what the former attempt has left.
func (v *view) wanted(t *tests) {
	if v.mode != stepping || v.express == expressFull || v.current == nil || v.retrying() {
		return
	}
	if a := v.canary.Analysis; a != nil && len(a.Templates) > 0 && v.express == "" {
		_, stepsLeft := v.at()
		t.wantBack = a.StartingStep == nil || !stepsLeft || v.index >= int(*a.StartingStep)
	}
	if v.condemned(v.Status.BlueGreen.PostPromotionAnalysisRunStatus) {
		t.wantStep = PostPromotion // also when the Service has gone back already, and the status does not say so yet
		return
	}
	if s, ok := v.at(); ok && s.kind == analysisStep && len(s.analysis.Templates) > 0 {
		// After a cutover the first answers would still be the old pods'.
		if s.run != PostPromotion || v.pointsOnly(traffic.Stable, v.hash) {
			t.wantStep = s.run
		}
	}
}

// condemned reports that a run of the present attempt, which the status names, has judged
// against the revision after its cutover.
func (v *view) condemned(ref *v1alpha1.RolloutAnalysisRunStatus) bool {
	return v.blue != nil && v.runNamed(ref) && slices.ContainsFunc(v.Runs, func(r Run) bool {
		return r.Name == ref.Name && (r.Phase == v1alpha1.AnalysisPhaseFailed || r.Phase == v1alpha1.AnalysisPhaseError)
	})
}

// refOf is where the status keeps the run of a kind.
func refOf(st *v1alpha1.RolloutStatus, k RunKind) **v1alpha1.RolloutAnalysisRunStatus {
	switch k {
	case Background:
		return &st.Canary.CurrentBackgroundAnalysisRunStatus
	case PrePromotion:
		return &st.BlueGreen.PrePromotionAnalysisRunStatus
	case PostPromotion:
		return &st.BlueGreen.PostPromotionAnalysisRunStatus
	}
	return &st.Canary.CurrentStepAnalysisRunStatus
}

// runOf returns the run that serves now, or the name of one to start.
func (v *view) runOf(k RunKind, step int32) (*Run, string) {
	ref := *refOf(&v.Status, k)
	var run *Run
	for i := range v.Runs {
		r := &v.Runs[i]
		if r.Kind != k || r.Step != step || r.Hash != v.current.Hash || r.Deleting {
			continue
		}
		named := ref != nil && r.Name == ref.Name
		// One that was started while the status write got lost is taken up again.
		lost := !r.Completed() && !r.Terminating && r.Number == v.current.Number && !v.former(r.Created)
		if named || lost && (run == nil || run.Completed()) {
			run = r
			if !r.Completed() {
				break
			}
		}
	}
	switch {
	case run == nil:
		if undecided(v.Status.PauseConditions) {
			return nil, ""
		}
		return nil, v.freeName(k, step)
	case verdict(run) == v1alpha1.AnalysisPhaseInconclusive && resumed(&v.Status):
		return nil, v.freeName(k, step) // the user wants another measurement
	}
	return run, ""
}

// former reports that something was made before the present attempt began, and so says
// nothing about it (core.md §16 no. 2).
func (v *view) former(created time.Time) bool {
	d := v.Status.Duration
	return d != nil && d.RolloutStartedAt != nil && d.FinishedAt == nil && created.Before(d.RolloutStartedAt.Time)
}

// maxBase is the longest name of a run or an Experiment, in bytes, without what is added
// where that is taken; Kubernetes allows 253.
const maxBase = 240

// named is the Rollout's name with something behind it. A name that is too long for that is
// cut, and gets a hash of the whole, as others may begin in the same way.
func named(rollout, rest string) string {
	if len(rollout)+len(rest) <= maxBase {
		return rollout + rest
	}
	sum := sha256.Sum256([]byte(rollout))
	hash := "-" + hex.EncodeToString(sum[:4])
	return strings.TrimRight(rollout[:maxBase-len(rest)-len(hash)], "-.") + hash + rest
}

// freeName is <rollout>-<hash>-<revision>[-<step>|-pre|-post], with .1, .2 … where that
// is taken (core.md §5.16).
func (v *view) freeName(k RunKind, step int32) string {
	rest := fmt.Sprintf("-%s-%d", v.current.Hash, v.current.Number)
	switch k {
	case StepRun:
		rest = fmt.Sprintf("%s-%d", rest, step)
	case PrePromotion:
		rest += "-pre"
	case PostPromotion:
		rest += "-post"
	}
	base := named(v.Name, rest)
	name := base
	for i := 1; slices.ContainsFunc(v.Runs, func(r Run) bool { return r.Name == name }); i++ {
		name = fmt.Sprintf("%s.%d", base, i)
	}
	return name
}

func (v *view) start(k RunKind, step int32, name string) Action {
	stable := ""
	if v.stable != nil {
		stable = v.stable.Hash
	}
	return StartRun{Name: name, Kind: k, Step: step, Hash: v.current.Hash, Number: v.current.Number, Stable: stable}
}

// verdict is what a run says to the rollout. A run that was told to stop has not
// judged, whatever phase it ended with (analysis-traffic.md §8.1 no. 4).
func verdict(r *Run) v1alpha1.AnalysisPhase {
	if r == nil {
		return ""
	}
	if r.Terminating && r.Phase == v1alpha1.AnalysisPhaseSuccessful {
		return v1alpha1.AnalysisPhaseInconclusive
	}
	return r.Phase
}

// resumed reports whether the user has cleared the pause that the controller set.
func resumed(st *v1alpha1.RolloutStatus) bool {
	return st.ControllerPause && len(st.PauseConditions) == 0
}

func hasPause(list []v1alpha1.PauseCondition, reason v1alpha1.PauseReason) bool {
	return slices.ContainsFunc(list, func(p v1alpha1.PauseCondition) bool { return p.Reason == reason })
}

// oldRuns deletes finished runs beyond the history limits, and those whose revision is
// gone; runs that serve now are never deleted (core.md §3.10).
func (v *view) oldRuns(t tests) (acts []Action) {
	good, bad := v.Spec.SuccessfulRunHistoryLimitOrDefault(), v.Spec.UnsuccessfulRunHistoryLimitOrDefault()
	order := make([]*Run, 0, len(v.Runs))
	for i := range v.Runs {
		if r := &v.Runs[i]; r.Completed() && r != t.background && r != t.step && !r.Deleting && !v.inStatus(r.Name) {
			order = append(order, r)
		}
	}
	slices.SortStableFunc(order, func(a, b *Run) int { return b.Created.Compare(a.Created) })
	for _, r := range order {
		left := &bad
		if r.Phase == v1alpha1.AnalysisPhaseSuccessful {
			left = &good
		}
		if *left > 0 && v.revision(r.Hash) != nil {
			*left--
			continue
		}
		acts = append(acts, DeleteRun{r.Name})
	}
	return acts
}

func (v *view) inStatus(name string) bool {
	return slices.ContainsFunc([]RunKind{Background, StepRun, PrePromotion, PostPromotion}, func(k RunKind) bool {
		ref := *refOf(&v.Status, k)
		return ref != nil && ref.Name == name
	})
}
