package kube

import (
	"context"

	corev1 "k8s.io/api/core/v1"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/analysis"
	"github.com/penstock-io/penstock/internal/rollout"
)

// +kubebuilder:rbac:groups="",resources=services,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=argoproj.io,resources=analysistemplates;clusteranalysistemplates,verbs=get;list;watch

// misread reports a Rollout whose strategy, selector or number of pods is not what its
// user meant. Nothing that it names is looked up, adopted, released or steered then.
func misread(s *Seen) bool {
	s.Snapshot.Trouble = rollout.Misread(&s.Rollout.Spec)
	if len(s.Snapshot.Trouble) == 0 {
		return false
	}
	s.Snapshot.Invalid = rollout.InvalidMessage(s.Rollout.Name,
		rollout.Validate(s.Rollout.Namespace, s.Rollout.Name, &s.Rollout.Spec, nil))
	return true
}

// mayName reports that a Rollout names more than can be read of it, so that nothing may
// be released because it does not name it.
func mayName(ro *v1alpha1.Rollout) bool { return len(ro.Spec.Malformed) > 0 }

// check puts what is wrong with the Rollout, or with what it names, into the snapshot.
// What could not be looked up is trouble, and nothing is said about it.
func (r *Rollouts) check(ctx context.Context, s *Seen, services map[string]*corev1.Service) {
	refs := &rollout.References{Routes: s.routes, Workload: s.unresolved}
	if len(s.Snapshot.Trouble) == 0 {
		refs.Services = map[string]rollout.ServiceRef{}
		for name, svc := range services {
			refs.Services[name] = rollout.ServiceRef{Selector: svc.Spec.Selector, ManagedBy: svc.Annotations[managedKey]}
		}
	}
	sections := analyses(&s.Rollout.Spec)
	names := trialTemplates(&s.Rollout.Spec)
	for _, a := range sections {
		names = append(names, a.analysis.Templates...)
	}
	templates, err := r.templates(ctx, s.Rollout.Namespace, names)
	if err != nil {
		s.trouble(s.Snapshot.Now, err)
	} else {
		refs.Templates, refs.Builds = templateRefs(templates), map[string]string{}
		for _, a := range sections {
			// The real hashes come with the run.
			in := buildInput(s.Rollout, *a.analysis, templates)
			in.Type, in.Step, in.Latest, in.Stable = a.kind, a.step, "dummy-new-hash", "dummy-stable-hash"
			if err := analysis.Check(in); err != nil {
				refs.Builds[a.path] = err.Error()
			}
		}
	}
	s.Snapshot.Invalid = rollout.InvalidMessage(s.Rollout.Name,
		rollout.Validate(s.Rollout.Namespace, s.Rollout.Name, &s.Rollout.Spec, refs))
}

// trialTemplates are the templates that experiment steps name.
func trialTemplates(spec *v1alpha1.RolloutSpec) (names []v1alpha1.AnalysisTemplateRef) {
	c := spec.Strategy.Canary
	if c == nil {
		return nil
	}
	for i := range c.Steps {
		if c.Steps[i].Experiment == nil {
			continue
		}
		for _, a := range c.Steps[i].Experiment.Analyses {
			names = append(names, v1alpha1.AnalysisTemplateRef{TemplateName: a.TemplateName, ClusterScope: a.ClusterScope})
		}
	}
	return names
}

// templateRefs is what validation needs of the templates.
func templateRefs(t analysis.Templates) map[rollout.TemplateKey]rollout.TemplateRef {
	refs := map[rollout.TemplateKey]rollout.TemplateRef{}
	for scope, list := range map[bool]map[string]v1alpha1.AnalysisTemplateSpec{false: t.Namespaced, true: t.Cluster} {
		for name, spec := range list {
			ref := rollout.TemplateRef{Args: spec.Args, Nested: spec.Templates}
			if len(spec.Malformed) > 0 {
				ref.Err = spec.Malformed[0].String()
			}
			for i := range spec.Metrics {
				ref.Metrics = append(ref.Metrics, metricRef(&spec.Metrics[i]))
			}
			refs[rollout.TemplateKey{TemplateName: name, ClusterScope: scope}] = ref
		}
	}
	return refs
}

// metricRef says whether a metric ends: it has no interval, or a count, which may be an
// arg that the run will fill in.
func metricRef(m *v1alpha1.Metric) rollout.MetricRef {
	ref := rollout.MetricRef{Name: m.Name, Count: "<nil>"}
	if m.Count != nil {
		ref.Count = m.Count.String()
	}
	counted := m.Count != nil && (m.Count.StrVal != "" || m.Count.IntVal != 0)
	ref.Endless = m.Interval != "" && !counted
	return ref
}
