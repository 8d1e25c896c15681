package kube

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/analysis"
	"github.com/penstock-io/penstock/internal/rollout"
)

// observeExperiments reads the Experiments of the Rollout, by name. It comes after the
// traffic: one that the status lists and the routes do not lead to yet is read from the
// API server, because traffic goes to it only if it is on after the listing. The other
// half of that bargain is in internal/experiment.
func (r *Rollouts) observeExperiments(ctx context.Context, s *Seen) error {
	list := &v1alpha1.ExperimentList{}
	err := r.Reader.List(ctx, list, client.InNamespace(s.Rollout.Namespace), r.owner(string(s.Rollout.UID)))
	if err != nil {
		return fmt.Errorf("list experiments of rollout %s/%s: %w", s.Rollout.Namespace, s.Rollout.Name, err)
	}
	slices.SortFunc(list.Items, func(a, b v1alpha1.Experiment) int { return strings.Compare(a.Name, b.Name) })
	s.Experiments = map[string]*v1alpha1.Experiment{}
	for i := range list.Items {
		x := &list.Items[i]
		if !ownedBy(x, s.Rollout) {
			continue
		}
		if s.aboutToRoute(x) {
			live := &v1alpha1.Experiment{}
			err := r.Live.Get(ctx, client.ObjectKeyFromObject(x), live)
			switch {
			case err == nil && live.UID == x.UID:
				x = live
			case err == nil, apierrors.IsNotFound(err):
				continue
			default:
				s.trouble(s.Snapshot.Now, fmt.Errorf("get experiment %s/%s: %w", x.Namespace, x.Name, err))
			}
		}
		s.Snapshot.Experiments = append(s.Snapshot.Experiments, experimentFacts(x))
		s.Experiments[x.Name] = x
	}
	return nil
}

// aboutToRoute reports whether the status lists pods of an Experiment that the routes do
// not lead to.
func (s *Seen) aboutToRoute(x *v1alpha1.Experiment) bool {
	for _, t := range x.Status.TemplateStatuses {
		if !lists(s.Rollout, t.PodTemplateHash, t.ServiceName) {
			continue
		}
		led := false
		for _, d := range s.Snapshot.Traffic.Written.Extras() {
			led = led || d.Weight > 0 && (d.Hash == t.PodTemplateHash || d.Service == t.ServiceName)
		}
		if !led {
			return true
		}
	}
	return false
}

func experimentFacts(x *v1alpha1.Experiment) rollout.Experiment {
	f := rollout.Experiment{
		Name: x.Name, Hash: x.Labels[hashLabel], Number: number(x.Annotations),
		Phase: x.Status.Phase, Message: x.Status.Message,
		Terminating: x.Spec.Terminate, Deleting: x.DeletionTimestamp != nil, Created: x.CreationTimestamp.Time,
	}
	for _, t := range x.Status.TemplateStatuses {
		pods := rollout.ExperimentTemplate{Name: t.Name, Service: t.ServiceName, Hash: t.PodTemplateHash}
		// Pods of a template that is through are about to go, so none can be counted on.
		if t.Status == v1alpha1.TemplateStatusRunning || t.Status == v1alpha1.TemplateStatusProgressing {
			pods.Available = t.AvailableReplicas
		}
		if t.LastTransitionTime != nil {
			pods.Since = t.LastTransitionTime.Add(time.Second) // whole seconds, of which the rest is cut off
		}
		f.Templates = append(f.Templates, pods)
	}
	return f
}

// startExperiment creates the Experiment of a step. One of the same name that is ours
// already is the same Experiment.
func (r *Rollouts) startExperiment(ctx context.Context, s *Seen, a rollout.StartExperiment) error {
	x, err := newExperiment(s, a)
	if err != nil {
		return err
	}
	there := &v1alpha1.Experiment{}
	return r.create(ctx, x, there, func() bool { return ownedBy(there, s.Rollout) })
}

// newExperiment makes the Experiment of a step (core.md §5.17).
func newExperiment(s *Seen, a rollout.StartExperiment) (*v1alpha1.Experiment, error) {
	ro := s.Rollout
	c := ro.Spec.Strategy.Canary
	if c == nil || a.Step < 0 || int(a.Step) >= len(c.Steps) || c.Steps[a.Step].Experiment == nil {
		return nil, fmt.Errorf("step %d is no experiment", a.Step+1)
	}
	step := c.Steps[a.Step].Experiment
	x := &v1alpha1.Experiment{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: ro.Namespace, Name: a.Name, Labels: with(ro.Labels, hashLabel, a.Hash),
			Annotations:     map[string]string{revisionKey: strconv.FormatInt(a.Number, 10)},
			OwnerReferences: []metav1.OwnerReference{ownerOf(ro)},
		},
		Spec: v1alpha1.ExperimentSpec{
			Duration: step.Duration, ProgressDeadlineSeconds: ro.Spec.ProgressDeadlineSeconds,
			ScaleDownDelaySeconds: step.ScaleDownDelaySeconds, DryRun: step.DryRun, AnalysisRunMetadata: step.AnalysisRunMetadata,
		},
	}
	for i := range step.Templates {
		t, err := experimentTemplate(s, &step.Templates[i], a)
		if err != nil {
			return nil, err
		}
		x.Spec.Templates = append(x.Spec.Templates, t)
	}
	for _, ref := range step.Analyses {
		in := buildInput(ro, v1alpha1.RolloutAnalysis{Args: ref.Args}, analysis.Templates{})
		in.Latest, in.Stable = a.Hash, a.Stable
		args, err := analysis.Arguments(in)
		if err != nil {
			return nil, fmt.Errorf("analysis %s: %w", ref.Name, err)
		}
		x.Spec.Analyses = append(x.Spec.Analyses, v1alpha1.ExperimentAnalysisTemplateRef{Name: ref.Name, TemplateName: ref.TemplateName,
			ClusterScope: ref.ClusterScope, RequiredForCompletion: ref.RequiredForCompletion, Args: args})
	}
	return x.DeepCopy(), nil
}

var errSpecRef = errors.New("Invalid template step SpecRef: must be canary or stable") //nolint:staticcheck // published text

// experimentTemplate copies the pods of a revision, with what the step changes.
func experimentTemplate(s *Seen, t *v1alpha1.RolloutExperimentTemplate, a rollout.StartExperiment) (out v1alpha1.TemplateSpec, err error) {
	var rs *appsv1.ReplicaSet
	switch t.SpecRef {
	case v1alpha1.CanarySpecRef:
		rs, err = s.set(a.Hash)
	case v1alpha1.StableSpecRef:
		rs, err = s.set(a.Stable)
	default:
		err = errSpecRef
	}
	if err != nil {
		return out, err
	}
	out = v1alpha1.TemplateSpec{Name: t.Name, Replicas: t.Replicas, MinReadySeconds: rs.Spec.MinReadySeconds,
		Selector: rs.Spec.Selector.DeepCopy(), Template: *rs.Spec.Template.DeepCopy()}
	if t.Selector != nil {
		out.Selector = t.Selector.DeepCopy()
	}
	if len(t.Metadata.Labels) > 0 {
		if out.Selector == nil {
			out.Selector = &metav1.LabelSelector{}
		}
		out.Template.Labels = union(out.Template.Labels, t.Metadata.Labels)
		out.Selector.MatchLabels = union(out.Selector.MatchLabels, t.Metadata.Labels)
	}
	if len(t.Metadata.Annotations) > 0 {
		out.Template.Annotations = union(out.Template.Annotations, t.Metadata.Annotations)
	}
	if t.Weight != nil || t.Service != nil {
		out.Service = &v1alpha1.TemplateService{}
	}
	if t.Service != nil {
		out.Service.Name = t.Service.Name
	}
	return out, nil
}

func (r *Rollouts) stopExperiment(ctx context.Context, s *Seen, a rollout.StopExperiment) error {
	x := s.Experiments[a.Name]
	if x == nil {
		return fmt.Errorf("no experiment is named %q", a.Name)
	}
	return r.terminate(ctx, x)
}

func (r *Rollouts) deleteExperiment(ctx context.Context, s *Seen, a rollout.DeleteExperiment) error {
	x := s.Experiments[a.Name]
	if x == nil {
		return fmt.Errorf("no experiment is named %q", a.Name)
	}
	return r.remove(ctx, x)
}
