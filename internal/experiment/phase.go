package experiment

import (
	"fmt"
	"slices"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// Orders of badness: the worst one counts (core.md §10.4).
var (
	templateOrder = []v1alpha1.TemplateStatusCode{v1alpha1.TemplateStatusSuccessful, v1alpha1.TemplateStatusRunning,
		v1alpha1.TemplateStatusProgressing, v1alpha1.TemplateStatusError, v1alpha1.TemplateStatusFailed}
	analysisOrder = []v1alpha1.AnalysisPhase{v1alpha1.AnalysisPhaseSuccessful, v1alpha1.AnalysisPhaseRunning,
		v1alpha1.AnalysisPhasePending, v1alpha1.AnalysisPhaseInconclusive, v1alpha1.AnalysisPhaseError, v1alpha1.AnalysisPhaseFailed}
)

// available notes the first moment at which the pods of all templates are available:
// the duration and the analyses count from then.
func (v *view) available() {
	worst, _ := v.worstTemplate()
	if v.plan.Status.AvailableAt == nil && !v.ending && worst == v1alpha1.TemplateStatusRunning {
		v.plan.Status.AvailableAt = v.stamp()
	}
	if end := finish(&v.Spec, v.plan.Status.AvailableAt); !v.ending && !end.IsZero() && end.After(v.Now) {
		v.wake(end)
	}
}

// conclude gives the Experiment's phase. A completed one stays what it is until a person
// asks for a retry.
func (v *view) conclude() {
	st := &v.plan.Status
	before := st.Phase
	if before.Completed() {
		return
	}
	if st.Phase, st.Message = v.verdict(); st.Phase == before {
		return
	}
	n := Note{Kind: Event, Reason: ExperimentPrefix + Reason(st.Phase),
		Message: fmt.Sprintf("Experiment transitioned from %s -> %s", before, st.Phase)}
	if unsuccessful(st.Phase) {
		n.Kind = Warning
	}
	v.plan.Notes = append(v.plan.Notes, n)
}

func (v *view) verdict() (v1alpha1.AnalysisPhase, string) {
	if v.Status.Phase == "" {
		return v1alpha1.AnalysisPhasePending, ""
	}
	worst, why := v.worstTemplate()
	measured, said, passed := v.measured()
	if over(worst) {
		if worst == v1alpha1.TemplateStatusSuccessful && (measured.Completed() || v.required) {
			return measured, said
		}
		return v1alpha1.AnalysisPhase(worst), why
	}
	if unsuccessful(measured) || passed {
		return measured, said
	}
	if worst == v1alpha1.TemplateStatusProgressing {
		return v1alpha1.AnalysisPhasePending, why
	}
	return v1alpha1.AnalysisPhase(worst), why
}

// worstTemplate is what the templates say together. No templates at all run for the
// duration, like any.
func (v *view) worstTemplate() (worst v1alpha1.TemplateStatusCode, why string) {
	worst = v1alpha1.TemplateStatusSuccessful
	if len(v.Spec.Templates) == 0 && !v.ending && !v.elapsed() {
		worst = v1alpha1.TemplateStatusRunning
	}
	for _, t := range v.plan.Status.TemplateStatuses {
		if slices.Index(templateOrder, t.Status) > slices.Index(templateOrder, worst) {
			worst, why = t.Status, t.Message
		}
	}
	return worst, why
}

// measured is what the analyses say together. passed: all that are required succeeded,
// which is enough as long as none of the others has failed.
func (v *view) measured() (worst v1alpha1.AnalysisPhase, why string, passed bool) {
	worst, passed = v1alpha1.AnalysisPhaseSuccessful, v.required
	for i := range v.Spec.Analyses {
		a := &v.Spec.Analyses[i]
		as := analysisStatus(v.plan.Status.AnalysisRuns, a.Name)
		if as == nil && v.ending {
			continue // it was never started, and will not be
		}
		phase, message := v1alpha1.AnalysisPhasePending, ""
		if as != nil {
			phase, message = as.Phase, as.Message
		}
		if slices.Index(analysisOrder, phase) > slices.Index(analysisOrder, worst) {
			worst, why = phase, message
		}
		passed = passed && (!a.RequiredForCompletion || phase == v1alpha1.AnalysisPhaseSuccessful)
	}
	switch {
	case unsuccessful(worst):
		return worst, why, false
	case worst != v1alpha1.AnalysisPhaseSuccessful && passed:
		return v1alpha1.AnalysisPhaseSuccessful, "Required AnalysisRuns completed", true
	case worst == v1alpha1.AnalysisPhasePending:
		return v1alpha1.AnalysisPhaseRunning, "", false
	}
	return worst, why, passed
}
