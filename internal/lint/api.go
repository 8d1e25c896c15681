package lint

import (
	"strings"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/analysis"
	"github.com/penstock-io/penstock/internal/experiment"
	"github.com/penstock-io/penstock/internal/rollout"
)

// apiRules are what the API itself asks for.
var apiRules = []Rule{
	{ID: ignoreRule, Severity: Error, Title: "A silenced rule has a reason",
		Why:    "A rule that is silenced without a reason is lost: nobody knows later whether the reason still holds.",
		Repair: "write " + IgnoreAnnotation + `: "rule-id: reason", with a rule of this list`, Check: checkIgnore},
	{ID: "schema", Severity: Error, Title: "Every field is one of the API, and stands once",
		Why:    "The API server drops a field that it does not know, without a word: the setting is then not in force.",
		Repair: "correct the name or the value of the field, or take it out", Check: checkSchema},
	{ID: "rollout", Severity: Error, Title: "A Rollout is valid",
		Why:    "The controller does nothing for a Rollout that is invalid; it says why in the condition InvalidSpec.",
		Repair: "correct the field", Check: checkRollout},
	{ID: "experiment", Severity: Error, Title: "An Experiment is valid",
		Why:    "The controller starts nothing for an Experiment that is invalid.",
		Repair: "correct the field", Check: checkExperiment},
	{ID: "metric", Severity: Error, Title: "A metric can be measured",
		Why:    "A run with a metric that is invalid ends with an error before its first measurement, and takes the release back.",
		Repair: "correct the metric", Check: faults(analysis.FaultMetric)},
	{ID: "condition", Severity: Error, Title: "A condition compiles, and gives true or false",
		Why:    "A condition that does not compile gives no verdict: the run ends with an error and takes the release back.",
		Repair: "correct the expression, for example result[0] >= 0.95", Check: faults(analysis.FaultCondition)},
}

func checkSchema(_ *set, o *object, add report) {
	for _, u := range o.unfit {
		add(u.path, u.text, "")
	}
}

func checkRollout(_ *set, o *object, add report) {
	if r, is := o.typed.(*v1alpha1.Rollout); is {
		for _, p := range rollout.Validate(o.namespace, o.name, &r.Spec, nil) {
			add(p.Where, p.Text, p.Mend)
		}
	}
}

func checkExperiment(_ *set, o *object, add report) {
	if e, is := o.typed.(*v1alpha1.Experiment); is {
		for _, text := range experiment.Validate(o.name, &e.Spec) {
			path := "spec"
			if at, _, found := strings.Cut(text, ": "); found && strings.HasPrefix(at, "spec.") {
				path = at
			}
			add(path, text, "")
		}
	}
}

// metricsOf gives what a template or a run measures; ok is false for other kinds.
func metricsOf(o *object) (metrics []v1alpha1.Metric, args []v1alpha1.Argument, malformed []v1alpha1.Malformed, ok bool) {
	switch t := o.typed.(type) {
	case *v1alpha1.AnalysisTemplate:
		return t.Spec.Metrics, t.Spec.Args, t.Spec.Malformed, true
	case *v1alpha1.ClusterAnalysisTemplate:
		return t.Spec.Metrics, t.Spec.Args, t.Spec.Malformed, true
	case *v1alpha1.AnalysisRun:
		return t.Spec.Metrics, t.Spec.Args, t.Spec.Malformed, true
	}
	return nil, nil, nil, false
}

// faults are the rules about metrics.
func faults(kind analysis.FaultKind) func(*set, *object, report) {
	return func(_ *set, o *object, add report) {
		metrics, args, malformed, ok := metricsOf(o)
		if !ok {
			return
		}
		if len(malformed) > 0 { // what could not be read looks empty
			for _, m := range malformed {
				if kind == analysis.FaultMetric {
					add(m.Path, m.String(), "write a value that the field can hold")
				}
			}
			return
		}
		for _, f := range analysis.Faults(metrics, args) {
			if f.Kind == kind {
				add(f.Path, f.Text, "")
			}
		}
	}
}
