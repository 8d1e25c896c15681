package lint

import (
	"fmt"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/analysis"
)

// trial is an analysis of an Experiment, or of an experiment step.
type trial struct {
	path string
	ref  v1alpha1.AnalysisTemplateRef
	// args are the names of the args that it gives.
	args map[string]bool
}

func kindOf(ref v1alpha1.AnalysisTemplateRef) string {
	if ref.ClusterScope {
		return "ClusterAnalysisTemplate"
	}
	return "AnalysisTemplate"
}

func trials(o *object) (all []trial) {
	if e, is := o.typed.(*v1alpha1.Experiment); is {
		for i, a := range e.Spec.Analyses {
			t := trial{fmt.Sprintf("spec.analyses[%d].templateName", i),
				v1alpha1.AnalysisTemplateRef{TemplateName: a.TemplateName, ClusterScope: a.ClusterScope}, map[string]bool{}}
			for _, arg := range a.Args {
				t.args[arg.Name] = true
			}
			all = append(all, t)
		}
	}
	_, c := canaryOf(o)
	if c == nil {
		return all
	}
	for n := range c.Steps {
		if c.Steps[n].Experiment == nil {
			continue
		}
		for i, a := range c.Steps[n].Experiment.Analyses {
			t := trial{fmt.Sprintf("%s.experiment.analyses[%d].templateName", step(n), i),
				v1alpha1.AnalysisTemplateRef{TemplateName: a.TemplateName, ClusterScope: a.ClusterScope}, map[string]bool{}}
			for _, arg := range a.Args {
				t.args[arg.Name] = true
			}
			all = append(all, t)
		}
	}
	return all
}

// checkTrials looks for args that get no value. Templates that are not given are left alone.
func checkTrials(o *object, templates analysis.Templates, add report) {
	for _, t := range trials(o) {
		spec, err := analysis.Flatten([]v1alpha1.AnalysisTemplateRef{t.ref}, templates)
		if err != nil {
			continue
		}
		for _, arg := range spec.Args {
			if arg.Value == nil && arg.ValueFrom == nil && !t.args[arg.Name] {
				add(t.path, fmt.Sprintf("args.%s was not resolved", arg.Name), "")
			}
		}
	}
}
