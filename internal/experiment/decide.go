package experiment

import (
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// view is a Snapshot with the Plan that grows from it.
type view struct {
	Snapshot
	plan Plan
	// ending: by what is persisted, the Experiment is over or to be ended.
	ending bool
	// required: some analysis must succeed for the Experiment to do so.
	required bool
}

// Decide says what is next for one Experiment (core.md §10.4).
//
// An invalid spec stops everything but an end that is under way: what a person told to
// terminate goes away whatever else is wrong.
func Decide(s Snapshot) Plan {
	v := &view{Snapshot: s, plan: Plan{Status: *s.Status.DeepCopy()}}
	if s.Deleting {
		return v.plan
	}
	v.required = slices.ContainsFunc(s.Spec.Analyses, func(a v1alpha1.ExperimentAnalysisTemplateRef) bool { return a.RequiredForCompletion })
	v.ending = v.ends()
	if problems := Validate(s.Name, &s.Spec); v.invalid(problems) && !v.ending {
		return v.plan
	}
	v.templates()
	v.analyses()
	v.available()
	v.conclude()
	v.progress()
	return v.plan
}

// ends reports whether the persisted state, the wishes of people included, calls for an
// end: then nothing new is made, and what there is goes.
func (v *view) ends() bool {
	if v.Spec.Terminate || v.Status.Phase.Completed() {
		return true
	}
	for i := range v.Spec.Templates {
		if ts := templateStatus(v.Status.TemplateStatuses, v.Spec.Templates[i].Name); ts != nil && bad(ts.Status) {
			return true
		}
	}
	passed := v.required
	for i := range v.Spec.Analyses {
		a := &v.Spec.Analyses[i]
		as := analysisStatus(v.Status.AnalysisRuns, a.Name)
		if as != nil && as.Phase.Completed() && as.Phase != v1alpha1.AnalysisPhaseSuccessful {
			return true
		}
		if a.RequiredForCompletion && (as == nil || as.Phase != v1alpha1.AnalysisPhaseSuccessful) {
			passed = false
		}
	}
	return passed
}

// elapsed reports whether the duration is over, counted from the persisted moment at
// which all pods were available.
func (v *view) elapsed() bool {
	end := finish(&v.Spec, v.Status.AvailableAt)
	return !end.IsZero() && !v.Now.Before(end)
}

// finish is when the Experiment will have lasted its duration; zero for never.
func finish(spec *v1alpha1.ExperimentSpec, available *metav1.Time) time.Time {
	d, err := spec.Duration.Duration()
	if err != nil || spec.Duration == "" || available == nil {
		return time.Time{}
	}
	return available.Add(d)
}

func (v *view) do(a Action) { v.plan.Actions = append(v.plan.Actions, a) }

func (v *view) wait(r Reason, message string) {
	v.plan.Notes = append(v.plan.Notes, Note{Kind: Waiting, Reason: r, Message: message})
}

func (v *view) wake(at time.Time) {
	if v.plan.Wake.IsZero() || at.Before(v.plan.Wake) {
		v.plan.Wake = at
	}
}

// stamp is now as the API stores it, in whole seconds.
func (v *view) stamp() *metav1.Time {
	t := metav1.NewTime(v.Now.Truncate(time.Second))
	return &t
}

func templateStatus(list []v1alpha1.TemplateStatus, name string) *v1alpha1.TemplateStatus {
	for i := range list {
		if list[i].Name == name {
			return &list[i]
		}
	}
	return nil
}

func analysisStatus(list []v1alpha1.ExperimentAnalysisRunStatus, name string) *v1alpha1.ExperimentAnalysisRunStatus {
	for i := range list {
		if list[i].Name == name {
			return &list[i]
		}
	}
	return nil
}
