package experiment

import (
	"fmt"
	"strings"
	"time"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// arguments resolves what the values say about this Experiment:
//
//	{{templates.NAME.podTemplateHash}}   {{templates.NAME.replicaset.name}}
//	{{experiment.availableAt}}           {{experiment.finishedAt}}
//
// What has a valueFrom is passed on as it is. finishedAt is known only with a duration.
func (v *view) arguments(args []v1alpha1.Argument) ([]v1alpha1.Argument, error) {
	values := map[string]string{}
	for i := range v.Spec.Templates {
		name := v.Spec.Templates[i].Name
		if set := v.setOf(name); set != nil {
			values["templates."+name+".podTemplateHash"] = set.Hash
			values["templates."+name+".replicaset.name"] = set.Name
		}
	}
	if at := v.Status.AvailableAt; at != nil {
		values["experiment.availableAt"] = at.UTC().Format(time.RFC3339)
		if end := finish(&v.Spec, at); !end.IsZero() {
			values["experiment.finishedAt"] = end.UTC().Format(time.RFC3339)
		}
	}
	var out []v1alpha1.Argument
	for i := range args {
		a := *args[i].DeepCopy()
		if a.Value != nil {
			text, err := substitute(*a.Value, values)
			if err != nil {
				return nil, err
			}
			a.Value = &text
		}
		out = append(out, a)
	}
	return out, nil
}

// substitute replaces the tags of one value, once: braces inside what is put in stay.
func substitute(text string, values map[string]string) (string, error) {
	var b strings.Builder
	for rest := text; ; {
		before, after, found := strings.Cut(rest, "{{")
		b.WriteString(before)
		if !found {
			return b.String(), nil
		}
		tag, next, closed := strings.Cut(after, "}}")
		if !closed {
			return "", fmt.Errorf("Cannot find end tag=\"}}\" in the template=%q starting from %q", text, after) //nolint:staticcheck // published text
		}
		value, known := values[strings.TrimSpace(tag)]
		if !known {
			return "", fmt.Errorf("failed to resolve {{%s}}", tag)
		}
		b.WriteString(value)
		rest = next
	}
}
