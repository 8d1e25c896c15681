package analysis

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// BuildInput is what an AnalysisRun of a Rollout is made from.
type BuildInput struct {
	// Rollout is the Rollout, for args that point into it.
	Rollout Tree
	// Analysis names the templates and gives the args; Templates holds every template
	// that it names, directly or not.
	Analysis  v1alpha1.RolloutAnalysis
	Templates Templates
	// Latest and Stable are the hashes for podTemplateHashValue.
	Latest, Stable string
	// Type is Step, Background, PrePromotion or PostPromotion; Step is the index of the
	// step when Type is Step. Revision is the revision number, InstanceID the
	// controller's, empty for none.
	Type       string
	Step       int32
	Revision   int64
	InstanceID string
}

// Tree gives an object as decoded JSON, when somebody asks for it: few do. Nil is an empty one.
type Tree func() map[string]any

func (t Tree) whole() map[string]any {
	if t == nil {
		return nil
	}
	return t()
}

// Build makes a run: its spec, labels and annotations. Name, namespace and owner are
// the caller's. The error is a fact for the user, in published words.
func Build(in BuildInput) (v1alpha1.AnalysisRun, error) {
	var run v1alpha1.AnalysisRun
	t, err := Flatten(in.Analysis.Templates, in.Templates)
	if err != nil {
		return run, err
	}
	supplied, err := supply(in, false)
	if err != nil {
		return run, err
	}
	if run.Spec.Args, err = mergeArgs(in, t.Args, supplied, false); err != nil {
		return run, err
	}
	if run.Spec.DryRun, err = joinDry(slices.Clone(in.Analysis.DryRun), t.DryRun); err != nil {
		return run, err
	}
	if run.Spec.MeasurementRetention, err = joinRetention(slices.Clone(in.Analysis.MeasurementRetention), t.MeasurementRetention); err != nil {
		return run, err
	}
	run.Spec.Metrics = t.Metrics
	run.Labels, run.Annotations = metadataOf(in)
	return run, nil
}

// Check says what is wrong with an analysis before a run of it is due: templates that
// are missing or do not fit together, args without a value, and, except for background
// runs, metrics without an end. Paths into the Rollout's status may not exist yet.
func Check(in BuildInput) error {
	for _, a := range in.Analysis.Args {
		if a.Value != "" && a.ValueFrom != nil {
			return fmt.Errorf("arg '%s' has both Value and ValueFrom fields", a.Name)
		}
	}
	all, err := expandRefs(in.Analysis.Templates, in.Templates)
	if err != nil {
		return err
	}
	if in.Type != "Background" {
		for _, n := range all {
			for i := range n.spec.Metrics {
				if m := &n.spec.Metrics[i]; endless(m) {
					return fmt.Errorf("AnalysisTemplate %s has metric %s which runs indefinitely. Invalid value for count: %s", n.ref.TemplateName, m.Name, m.Count) //nolint:staticcheck // published text
				}
			}
		}
	}
	t, err := mergeTemplates(all)
	if err != nil {
		return err
	}
	supplied, err := supply(in, true)
	if err != nil {
		return err
	}
	if _, err = mergeArgs(in, t.Args, supplied, true); err != nil {
		return err
	}
	if _, err = joinDry(slices.Clone(in.Analysis.DryRun), t.DryRun); err != nil {
		return err
	}
	_, err = joinRetention(slices.Clone(in.Analysis.MeasurementRetention), t.MeasurementRetention)
	return err
}

// endless is true for a metric that has an interval and no count. A count that holds
// an arg is taken as one.
func endless(m *v1alpha1.Metric) bool {
	if m.Count != nil && m.Count.StrVal != "" {
		return false
	}
	_, limited := effectiveCount(m)
	return !limited
}

// supply computes the values of the Rollout's args. An arg without a value supplies
// the empty string, which never replaces a template's default. early: fields that do
// not exist yet are no error.
func supply(in BuildInput, early bool) (map[string]string, error) {
	values := map[string]string{}
	for _, a := range in.Analysis.Args {
		v, err := argOf(in, a)
		if err != nil && !(early && err != errNotMetadata && a.ValueFrom != nil) {
			return nil, err
		}
		values[a.Name] = v
	}
	return values, nil
}

func argOf(in BuildInput, a v1alpha1.AnalysisRunArgument) (string, error) {
	switch from := a.ValueFrom; {
	case from != nil && from.PodTemplateHashValue != nil && *from.PodTemplateHashValue == v1alpha1.Stable:
		return in.Stable, nil
	case from != nil && from.PodTemplateHashValue != nil && *from.PodTemplateHashValue == v1alpha1.Latest:
		return in.Latest, nil
	case from != nil && from.FieldRef != nil:
		return fieldRef(in.Rollout.whole(), from.FieldRef.FieldPath)
	}
	return expand(a.Name, a.Value, in.Rollout)
}

// mergeArgs puts supplied values into the templates' args. A supplied value takes the
// place of a default, also of one from a Secret; args that no template declares are
// left out. Defaults that point into the Rollout are resolved here.
func mergeArgs(in BuildInput, args []v1alpha1.Argument, supplied map[string]string, early bool) ([]v1alpha1.Argument, error) {
	for i := range args {
		a := &args[i]
		v, ok := supplied[a.Name]
		switch {
		case ok && (v != "" || a.Value == nil && a.ValueFrom == nil):
			a.Value, a.ValueFrom = &v, nil
		case a.ValueFrom != nil && a.ValueFrom.FieldRef != nil:
			v, err := fieldRef(in.Rollout.whole(), a.ValueFrom.FieldRef.FieldPath)
			if err != nil && (!early || err == errNotMetadata) {
				return nil, fmt.Errorf("args.%s: %w", a.Name, err)
			}
			a.Value, a.ValueFrom = &v, nil
		case a.Value != nil:
			v, err := expand(a.Name, *a.Value, in.Rollout)
			if err != nil {
				return nil, err
			}
			a.Value = &v
		case a.ValueFrom == nil:
			return nil, fmt.Errorf("args.%s was not resolved", a.Name)
		}
	}
	return args, nil
}

// metadataOf gives labels and annotations; the user's may replace ours, and the
// Rollout's selector replaces both.
func metadataOf(in BuildInput) (labels, annotations map[string]string) {
	labels = map[string]string{v1alpha1.PodTemplateHashLabel: in.Latest, v1alpha1.RolloutTypeLabel: in.Type}
	if in.Type == "Step" {
		labels[v1alpha1.StepIndexLabel] = strconv.Itoa(int(in.Step))
	}
	if in.InstanceID != "" {
		labels[v1alpha1.InstanceIDLabel] = in.InstanceID
	}
	annotations = map[string]string{v1alpha1.RevisionAnnotation: strconv.FormatInt(in.Revision, 10)}
	maps.Copy(labels, in.Analysis.AnalysisRunMetadata.Labels)
	maps.Copy(annotations, in.Analysis.AnalysisRunMetadata.Annotations)
	var selector any = in.Rollout.whole()
	for _, k := range []string{"spec", "selector", "matchLabels"} {
		m, _ := selector.(map[string]any)
		selector = m[k]
	}
	if m, ok := selector.(map[string]any); ok {
		for k, v := range m {
			if text, ok := v.(string); ok {
				labels[k] = text
			}
		}
	}
	return labels, annotations
}
