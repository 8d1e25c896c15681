package experiment

import (
	"fmt"
	"strings"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// Validate lists everything that is wrong with an Experiment, in the published words
// (core.md §10.3). Pod templates are left to the API server.
func Validate(name string, spec *v1alpha1.ExperimentSpec) (problems []string) {
	add := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	for _, m := range spec.Malformed {
		add("%s: Invalid value: %s: %s", m.Path, m.Value, m.Why)
	}
	seen := map[string]bool{}
	for i := range spec.Templates {
		t := &spec.Templates[i]
		switch {
		case t.Selector == nil:
			add("Rollout has missing field '.Spec.Templates[%d].Selector'", i)
		case len(t.Selector.MatchLabels)+len(t.Selector.MatchExpressions) == 0:
			add("This experiment is selecting all pods at index %d. A non-empty selector is required.", i)
		}
		if t.MinReadySeconds > spec.ProgressDeadlineSecondsOrDefault() {
			add("MinReadySeconds cannot be longer than ProgressDeadlineSeconds. Check template index %d", i)
		}
		switch {
		case t.Name == "":
			add("Experiment %s has empty template name at index %d", name, i)
		case seen[t.Name]:
			add("Experiment %s has repeated template name '%s' in templates", name, t.Name)
		}
		seen[t.Name] = true
	}
	// Without this one the Experiment would never end.
	if d, err := spec.Duration.Duration(); err != nil {
		add("Experiment %s has invalid duration '%s'", name, spec.Duration)
	} else if d < 0 {
		add("Experiment %s has negative duration '%s'", name, spec.Duration)
	}
	return problems
}

// joined is the message of the InvalidSpec condition.
func joined(problems []string) string { return strings.Join(problems, "; ") }
