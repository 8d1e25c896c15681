package kube

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/analysis"
	"github.com/penstock-io/penstock/internal/experiment"
)

// startRun creates the AnalysisRun of an analysis. What is wrong with its templates or
// args is a fault that the status tells.
func (e *Experiments) startRun(ctx context.Context, s *ExperimentSeen, a experiment.StartRun) error {
	run, err := e.buildRun(ctx, s, a)
	if err != nil {
		return err
	}
	there := &v1alpha1.AnalysisRun{}
	return e.create(ctx, run, there, func() bool { return s.owns(there) })
}

func (e *Experiments) buildRun(ctx context.Context, s *ExperimentSeen, a experiment.StartRun) (*v1alpha1.AnalysisRun, error) {
	x := s.Experiment
	ref := analysisOf(x, a.Analysis)
	if ref == nil {
		return nil, fmt.Errorf("the spec has no analysis %q", a.Analysis)
	}
	names := []v1alpha1.AnalysisTemplateRef{{TemplateName: ref.TemplateName, ClusterScope: ref.ClusterScope}}
	templates, err := (&Rollouts{Clients: e.Clients, Namespaced: e.Namespaced}).templates(ctx, x.Namespace, names)
	if err != nil {
		return nil, err
	}
	args, secrets := arguments(a.Args)
	in := analysis.BuildInput{Templates: templates, Analysis: v1alpha1.RolloutAnalysis{
		Templates: names, Args: args, DryRun: x.Spec.DryRun, MeasurementRetention: x.Spec.MeasurementRetention}}
	subject, err := e.subject(ctx, x)
	if err != nil {
		return nil, err
	}
	in.Rollout = func() map[string]any { return subject }
	run, err := analysis.Build(in)
	if err != nil {
		return nil, hopeless{err}
	}
	for i := range run.Spec.Args {
		if from := secrets[run.Spec.Args[i].Name]; from != nil {
			run.Spec.Args[i].Value, run.Spec.Args[i].ValueFrom = nil, from
		}
	}
	run.ObjectMeta = s.meta(a.Name, "")
	run.Labels, run.Annotations = union(x.Spec.AnalysisRunMetadata.Labels, nil), union(x.Spec.AnalysisRunMetadata.Annotations, nil)
	if id := x.Labels[instanceLabel]; id != "" {
		run.Labels[instanceLabel] = id
	}
	return &run, nil
}

// arguments are the args in the form of a Rollout's. Those from Secrets are kept apart:
// they go into the run as they are, and only a word stands for them meanwhile.
func arguments(list []v1alpha1.Argument) (args []v1alpha1.AnalysisRunArgument, secrets map[string]*v1alpha1.ValueFrom) {
	secrets = map[string]*v1alpha1.ValueFrom{}
	for _, a := range list {
		next := v1alpha1.AnalysisRunArgument{Name: a.Name}
		switch {
		case a.Value != nil:
			next.Value = *a.Value
		case a.ValueFrom != nil && a.ValueFrom.SecretKeyRef != nil:
			next.Value, secrets[a.Name] = "secret", a.ValueFrom.DeepCopy()
		case a.ValueFrom != nil && a.ValueFrom.FieldRef != nil:
			next.ValueFrom = &v1alpha1.ArgumentValueFrom{FieldRef: a.ValueFrom.FieldRef.DeepCopy()}
		}
		args = append(args, next)
	}
	return args, secrets
}

// subject is what args point into: the Rollout that made the Experiment, or else the
// Experiment itself.
func (e *Experiments) subject(ctx context.Context, x *v1alpha1.Experiment) (map[string]any, error) {
	owner := rolloutOf(x)
	if owner == nil {
		return tree(x), nil
	}
	ro := &v1alpha1.Rollout{}
	err := e.Reader.Get(ctx, client.ObjectKeyFromObject(owner), ro)
	switch {
	case apierrors.IsNotFound(err), err == nil && ro.UID != owner.UID:
		return tree(x), nil
	case err != nil:
		return nil, fmt.Errorf("get rollout %s/%s: %w", owner.Namespace, owner.Name, err)
	}
	return tree(ro), nil
}

func analysisOf(x *v1alpha1.Experiment, name string) *v1alpha1.ExperimentAnalysisTemplateRef {
	for i := range x.Spec.Analyses {
		if x.Spec.Analyses[i].Name == name {
			return &x.Spec.Analyses[i]
		}
	}
	return nil
}

func (e *Experiments) stopRun(ctx context.Context, s *ExperimentSeen, a experiment.StopRun) error {
	run := s.Runs[a.Name]
	if run == nil {
		return fmt.Errorf("no analysisrun is named %q", a.Name)
	}
	return e.terminate(ctx, run)
}
