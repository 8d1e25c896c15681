package analysis

import (
	"fmt"
	"slices"
	"strings"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// Templates are the templates that could be read, by name: those of the Rollout's
// namespace and those of the cluster.
type Templates struct {
	Namespaced, Cluster map[string]v1alpha1.AnalysisTemplateSpec
}

func (t Templates) get(ref v1alpha1.AnalysisTemplateRef) (v1alpha1.AnalysisTemplateSpec, error) {
	in, kind := t.Namespaced, "AnalysisTemplate"
	if ref.ClusterScope {
		in, kind = t.Cluster, "ClusterAnalysisTemplate"
	}
	spec, ok := in[ref.TemplateName]
	if !ok {
		return spec, fmt.Errorf("%s '%s' not found", kind, ref.TemplateName)
	}
	return spec, nil
}

// named is a template with the name it was found under.
type named struct {
	ref  v1alpha1.AnalysisTemplateRef
	spec v1alpha1.AnalysisTemplateSpec
}

// Flatten merges the templates that refs name, and those that they name in turn, into
// one. Each counts once; those of the namespace come before those of the cluster.
// Templates that refer to each other in a circle are an error that names the circle.
func Flatten(refs []v1alpha1.AnalysisTemplateRef, t Templates) (v1alpha1.AnalysisTemplateSpec, error) {
	all, err := expandRefs(refs, t)
	if err != nil {
		return v1alpha1.AnalysisTemplateSpec{}, err
	}
	return mergeTemplates(all)
}

func expandRefs(refs []v1alpha1.AnalysisTemplateRef, t Templates) ([]named, error) {
	var all []named
	done := map[v1alpha1.AnalysisTemplateRef]bool{}
	var path []v1alpha1.AnalysisTemplateRef
	var visit func(ref v1alpha1.AnalysisTemplateRef) error
	visit = func(ref v1alpha1.AnalysisTemplateRef) error {
		if i := slices.Index(path, ref); i >= 0 {
			return fmt.Errorf("analysis templates refer to each other in a circle: %s", circle(append(path[i:len(path):len(path)], ref)))
		}
		if done[ref] {
			return nil
		}
		done[ref] = true
		spec, err := t.get(ref)
		if err != nil {
			return err
		}
		if len(spec.Malformed) > 0 { // a run without it would measure something else
			return fmt.Errorf("AnalysisTemplate %s: %s", ref.TemplateName, spec.Malformed[0]) //nolint:staticcheck // published text
		}
		all = append(all, named{ref, spec})
		path = append(path, ref)
		for _, next := range spec.Templates {
			if err := visit(next); err != nil {
				return err
			}
		}
		path = path[:len(path)-1]
		return nil
	}
	for _, ref := range refs {
		if err := visit(ref); err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(all, func(a, b named) int { return scope(a) - scope(b) })
	return all, nil
}

func scope(n named) int {
	if n.ref.ClusterScope {
		return 1
	}
	return 0
}

func circle(path []v1alpha1.AnalysisTemplateRef) string {
	var names []string
	for _, r := range path {
		names = append(names, r.TemplateName)
	}
	return strings.Join(names, " -> ")
}

func mergeTemplates(all []named) (out v1alpha1.AnalysisTemplateSpec, err error) {
	for _, n := range all {
		spec := n.spec.DeepCopy()
		for _, m := range spec.Metrics {
			if slices.ContainsFunc(out.Metrics, func(o v1alpha1.Metric) bool { return o.Name == m.Name }) {
				return out, fmt.Errorf("two metrics have the same name '%s'", m.Name)
			}
			out.Metrics = append(out.Metrics, m)
		}
		if out.DryRun, err = joinDry(out.DryRun, spec.DryRun); err != nil {
			return out, err
		}
		if out.MeasurementRetention, err = joinRetention(out.MeasurementRetention, spec.MeasurementRetention); err != nil {
			return out, err
		}
		if out.Args, err = joinArgs(out.Args, spec.Args); err != nil {
			return out, err
		}
	}
	return out, nil
}

func joinDry(a, b []v1alpha1.DryRun) ([]v1alpha1.DryRun, error) {
	for _, r := range b {
		if slices.Contains(a, r) {
			return nil, fmt.Errorf("two Dry-Run metric rules have the same name '%s'", r.MetricName)
		}
		a = append(a, r)
	}
	return a, nil
}

func joinRetention(a, b []v1alpha1.MeasurementRetention) ([]v1alpha1.MeasurementRetention, error) {
	for _, r := range b {
		if slices.ContainsFunc(a, func(o v1alpha1.MeasurementRetention) bool { return o.MetricName == r.MetricName }) {
			return nil, fmt.Errorf("two Measurement Retention metric rules have the same name '%s'", r.MetricName)
		}
		a = append(a, r)
	}
	return a, nil
}

// joinArgs keeps the first value of an arg that several templates declare.
func joinArgs(a, b []v1alpha1.Argument) ([]v1alpha1.Argument, error) {
	for _, arg := range b {
		i := slices.IndexFunc(a, func(o v1alpha1.Argument) bool { return o.Name == arg.Name })
		switch {
		case i < 0:
			a = append(a, arg)
		case a[i].Value != nil && arg.Value != nil && *a[i].Value != *arg.Value:
			return nil, fmt.Errorf("Argument `%s` specified multiple times with different values: '%s', '%s'", arg.Name, *a[i].Value, *arg.Value) //nolint:staticcheck // published text
		case a[i].Value == nil:
			if arg.ValueFrom == nil {
				arg.ValueFrom = a[i].ValueFrom
			}
			a[i] = arg
		}
	}
	return a, nil
}
