package experiment

import (
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

func TestValidation(t *testing.T) {
	template := func(change func(*v1alpha1.TemplateSpec)) mod {
		return templates(aTemplate("a"), aTemplate("b", change))
	}
	for name, c := range map[string]struct {
		mods []mod
		want []string
	}{
		"the smallest one":  {},
		"the whole thing":   {mods: []mod{lasting("1h30m"), deadline(5), measuredBy("x!"), template(func(t *v1alpha1.TemplateSpec) { t.MinReadySeconds = 5 })}},
		"no selector":       {[]mod{template(func(t *v1alpha1.TemplateSpec) { t.Selector = nil })}, []string{"Rollout has missing field '.Spec.Templates[1].Selector'"}},
		"an empty selector": {[]mod{template(func(t *v1alpha1.TemplateSpec) { t.Selector = &metav1.LabelSelector{} })}, []string{"This experiment is selecting all pods at index 1. A non-empty selector is required."}},
		"minReadySeconds above the deadline": {[]mod{deadline(5), template(func(t *v1alpha1.TemplateSpec) { t.MinReadySeconds = 6 })},
			[]string{"MinReadySeconds cannot be longer than ProgressDeadlineSeconds. Check template index 1"}},
		"minReadySeconds above the default deadline": {[]mod{template(func(t *v1alpha1.TemplateSpec) { t.MinReadySeconds = 601 })},
			[]string{"MinReadySeconds cannot be longer than ProgressDeadlineSeconds. Check template index 1"}},
		"no name":             {[]mod{template(func(t *v1alpha1.TemplateSpec) { t.Name = "" })}, []string{"Experiment exp has empty template name at index 1"}},
		"a name twice":        {[]mod{template(func(t *v1alpha1.TemplateSpec) { t.Name = "a" })}, []string{"Experiment exp has repeated template name 'a' in templates"}},
		"no duration at all":  {[]mod{lasting("soon")}, []string{"Experiment exp has invalid duration 'soon'"}},
		"a negative duration": {[]mod{lasting("-1s")}, []string{"Experiment exp has negative duration '-1s'"}},
		"a value that its field cannot hold": {[]mod{func(s *v1alpha1.ExperimentSpec) {
			s.Malformed = []v1alpha1.Malformed{{Path: "spec.templates[0].replicas", Value: `"x"`, Why: "must be a number"}}
		}}, []string{`spec.templates[0].replicas: Invalid value: "x": must be a number`}},
		"everything at once": {[]mod{deadline(0), lasting("x"), templates(v1alpha1.TemplateSpec{MinReadySeconds: 1}, v1alpha1.TemplateSpec{Name: "a", Selector: &metav1.LabelSelector{}}, aTemplate("a"))},
			[]string{"Rollout has missing field '.Spec.Templates[0].Selector'",
				"MinReadySeconds cannot be longer than ProgressDeadlineSeconds. Check template index 0",
				"Experiment exp has empty template name at index 0",
				"This experiment is selecting all pods at index 1. A non-empty selector is required.",
				"Experiment exp has repeated template name 'a' in templates",
				"Experiment exp has invalid duration 'x'"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := aSpec(c.mods...)
			if got := Validate("exp", &s); !slices.Equal(got, c.want) {
				t.Errorf("got %q\nwant %q", got, c.want)
			}
		})
	}
}

func TestAnInvalidSpecChangesOneCondition(t *testing.T) {
	w := newWorld(t, measuredBy("x"))
	w.work(6)
	good := w.s.Status.DeepCopy()
	selector := w.s.Spec.Templates[0].Selector
	w.s.Spec.Templates[0].Selector, w.s.Spec.Duration = nil, "x"
	w.log = nil
	w.work(2)
	if len(w.log) > 0 {
		t.Errorf("did %v", w.log)
	}
	w.phase("while invalid", running, "")
	c := w.s.Status.Conditions[len(w.s.Status.Conditions)-1]
	if c.Type != v1alpha1.InvalidExperimentSpec || c.Status != "True" || c.Reason != "InvalidSpec" ||
		c.Message != "Rollout has missing field '.Spec.Templates[0].Selector'; Experiment exp has invalid duration 'x'" {
		t.Errorf("%+v", c)
	}
	w.quiet("while invalid")
	w.s.Spec.Templates[0].Selector, w.s.Spec.Duration = selector, ""
	w.work(2)
	if dump(t, w.s.Status) != dump(t, good) {
		t.Errorf("after the mend: %s\nwas %s", dump(t, w.s.Status), dump(t, good))
	}
}

func TestAnInvalidExperimentCanBeEnded(t *testing.T) {
	w := newWorld(t, measuredBy("x"), delay(0))
	w.work(6)
	w.s.Spec.Templates[0].Selector = nil
	w.s.Spec.Terminate = true
	w.work(3)
	if !w.run("exp-x").Terminating || w.set("exp-a").Desired != 0 {
		t.Errorf("%+v", w.s)
	}
	w.phase("told to end", succeeded, "")
}

// Nothing that can stand in an Experiment makes Decide fall over.
func TestOddObjects(t *testing.T) {
	for name, s := range map[string]Snapshot{
		"nothing":           {},
		"no templates":      {Now: start, Name: "exp"},
		"a nameless thing":  {Now: start, Spec: v1alpha1.ExperimentSpec{Templates: make([]v1alpha1.TemplateSpec, 3), Terminate: true}},
		"negative replicas": {Now: start, Name: "exp", Spec: aSpec(templates(aTemplate("a", replicas(-3))))},
		"unknown phases": {Now: start, Name: "exp", Spec: aSpec(measuredBy("x")), Status: v1alpha1.ExperimentStatus{Phase: "Odd",
			TemplateStatuses: []v1alpha1.TemplateStatus{{Name: "a", Status: "Odd"}}, AnalysisRuns: []v1alpha1.ExperimentAnalysisRunStatus{{Name: "x", Phase: "Odd"}}}},
		"sets of nobody": {Now: start, Name: "exp", Spec: aSpec(), Sets: []Set{{Name: "x", Desired: 1}, {}}, Services: []Service{{}}, Runs: []Run{{}}},
	} {
		t.Run(name, func(t *testing.T) {
			p := Decide(s)
			if s.Status = p.Status; dump(t, Decide(s)) == "" {
				t.Error("no plan")
			}
		})
	}
	w := newWorld(t, templates())
	w.work(3)
	w.phase("without templates", running, "")
	w.s.Spec.Terminate = true
	w.work(2)
	w.phase("without templates, told to end", succeeded, "")
}
