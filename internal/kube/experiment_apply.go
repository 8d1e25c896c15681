package kube

import (
	"context"
	"errors"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/experiment"
)

// hopeless is a fault that no second try mends.
type hopeless struct{ error }

func (h hopeless) Unwrap() error { return h.error }

// Apply carries out the plan's actions. One that fails stops no other (L3). What the API
// server will never do becomes a fact of the next look.
func (e *Experiments) Apply(ctx context.Context, s ExperimentSeen, p experiment.Plan) error {
	var errs []error
	for _, a := range p.Actions {
		err := e.apply(ctx, &s, a)
		if err == nil {
			if n, ok := experiment.Did(a); ok && e.Events != nil {
				event := eventOf(n)
				e.Events.Event(s.Experiment, event.Type, event.Reason, event.Message)
			}
			continue
		}
		if r, final := refusedBy(err); final {
			e.refuse(s.Experiment, a, r)
		}
		errs = append(errs, fmt.Errorf("%s of experiment %s/%s: %w", a, s.Experiment.Namespace, s.Experiment.Name, err))
	}
	return errors.Join(errs...)
}

// refusedBy reads an error: what the request itself is to blame for stays refused, while
// an API server that is busy or gone, or a newer version of the object, is no refusal.
func refusedBy(err error) (r experiment.Refusal, final bool) {
	var name taken
	var fault hopeless
	switch {
	case errors.As(err, &name):
		return experiment.Refusal{Taken: true, Text: err.Error()}, true
	case errors.As(err, &fault):
		return experiment.Refusal{Text: fault.Error()}, true
	case apierrors.IsInvalid(err), apierrors.IsBadRequest(err), apierrors.IsForbidden(err), apierrors.IsRequestEntityTooLargeError(err):
		return experiment.Refusal{Text: err.Error()}, true
	}
	return experiment.Refusal{}, false
}

func (e *Experiments) apply(ctx context.Context, s *ExperimentSeen, a experiment.Action) error {
	switch a := a.(type) {
	case experiment.EnsureSet:
		return e.createSet(ctx, s, a)
	case experiment.Scale:
		return e.scale(ctx, s, a)
	case experiment.Retire:
		return e.retire(ctx, s, a)
	case experiment.EnsureService:
		return e.createService(ctx, s, a)
	case experiment.PointService:
		return e.pointService(ctx, s, a)
	case experiment.DeleteService:
		return e.deleteService(ctx, s, a)
	case experiment.StartRun:
		return e.startRun(ctx, s, a)
	case experiment.StopRun:
		return e.stopRun(ctx, s, a)
	}
	return fmt.Errorf("no applier for action %T", a)
}

func (s *ExperimentSeen) meta(name, template string) metav1.ObjectMeta {
	x := s.Experiment
	return metav1.ObjectMeta{
		Namespace: x.Namespace, Name: name,
		Annotations:     map[string]string{experimentKey: x.Name, templateKeyOf: template},
		OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(x, v1alpha1.GroupVersion.WithKind("Experiment"))},
	}
}

func (s *ExperimentSeen) owns(o metav1.Object) bool {
	return controllerOf(o) == string(s.Experiment.UID)
}

// createSet creates the ReplicaSet of a template with no pods (core.md §10.4 no. 1). The
// template may have come from a Rollout's ReplicaSet, whose hash ours takes the place of.
func (e *Experiments) createSet(ctx context.Context, s *ExperimentSeen, a experiment.EnsureSet) error {
	t := s.template(a.Template)
	if t == nil {
		return fmt.Errorf("the spec has no template %q", a.Template)
	}
	zero := int32(0)
	rs := &appsv1.ReplicaSet{ObjectMeta: s.meta(a.Name, a.Template), Spec: appsv1.ReplicaSetSpec{
		Replicas: &zero, MinReadySeconds: t.MinReadySeconds, Selector: &metav1.LabelSelector{}, Template: *t.Template.DeepCopy()}}
	if t.Selector != nil {
		rs.Spec.Selector = t.Selector.DeepCopy()
	}
	rs.Spec.Selector.MatchLabels = with(rs.Spec.Selector.MatchLabels, hashLabel, a.Hash)
	rs.Spec.Template.Labels = with(rs.Spec.Template.Labels, hashLabel, a.Hash)
	rs.Labels = with(rs.Spec.Template.Labels, hashLabel, a.Hash)
	there := &appsv1.ReplicaSet{}
	return e.create(ctx, rs, there, func() bool { return s.owns(there) && there.Annotations[templateKeyOf] == a.Template })
}

func (s *ExperimentSeen) template(name string) *v1alpha1.TemplateSpec {
	for i := range s.Experiment.Spec.Templates {
		if s.Experiment.Spec.Templates[i].Name == name {
			return &s.Experiment.Spec.Templates[i]
		}
	}
	return nil
}

func (s *ExperimentSeen) set(name string) (*appsv1.ReplicaSet, error) {
	if rs := s.Sets[name]; rs != nil {
		return rs, nil
	}
	return nil, fmt.Errorf("no replicaset is named %q", name)
}

// scale sets the size, if the ReplicaSet is the one that was decided upon. What has lost
// its pods has no deadline any more.
func (e *Experiments) scale(ctx context.Context, s *ExperimentSeen, a experiment.Scale) error {
	rs, err := s.set(a.Set)
	if err != nil {
		return err
	}
	fields := map[string]any{}
	if _, marked := rs.Annotations[deadlineKey]; marked && a.To == 0 {
		fields["annotations"] = map[string]any{deadlineKey: nil}
	}
	return mergePatch(ctx, e.Writer, rs, map[string]any{"metadata": at(rs, fields), "spec": map[string]any{"replicas": a.To}})
}

func (e *Experiments) retire(ctx context.Context, s *ExperimentSeen, a experiment.Retire) error {
	rs, err := s.set(a.Set)
	if err != nil {
		return err
	}
	return e.deadline(ctx, rs, a.At)
}

func (e *Experiments) createService(ctx context.Context, s *ExperimentSeen, a experiment.EnsureService) error {
	rs, err := s.set(a.Set)
	if err != nil {
		return err
	}
	ports, err := e.ports(ctx, s.Experiment, &rs.Spec.Template.Spec)
	if err != nil {
		return err
	}
	svc := &corev1.Service{ObjectMeta: s.meta(a.Name, a.Template),
		Spec: corev1.ServiceSpec{Selector: union(rs.Spec.Template.Labels, nil), Ports: ports}}
	there := &corev1.Service{}
	return e.create(ctx, svc, there, func() bool { return s.owns(there) && there.Annotations[templateKeyOf] == a.Template })
}

// pointService makes a Service select another ReplicaSet's pods, and those only.
func (e *Experiments) pointService(ctx context.Context, s *ExperimentSeen, a experiment.PointService) error {
	rs, err := s.set(a.Set)
	if err != nil {
		return err
	}
	svc := s.Services[a.Name]
	if svc == nil {
		return fmt.Errorf("no service is named %q", a.Name)
	}
	ports, err := e.ports(ctx, s.Experiment, &rs.Spec.Template.Spec)
	if err != nil {
		return err
	}
	selector := map[string]any{}
	for k := range svc.Spec.Selector {
		selector[k] = nil
	}
	for k, v := range rs.Spec.Template.Labels {
		selector[k] = v
	}
	return mergePatch(ctx, e.Writer, svc, map[string]any{
		"metadata": at(svc, map[string]any{}),
		"spec":     map[string]any{"selector": selector, "ports": ports},
	})
}

func (e *Experiments) deleteService(ctx context.Context, s *ExperimentSeen, a experiment.DeleteService) error {
	svc := s.Services[a.Name]
	if svc == nil || !s.owns(svc) {
		return fmt.Errorf("no service of ours is named %q", a.Name)
	}
	return client.IgnoreNotFound(e.Writer.Delete(ctx, svc, client.Preconditions{UID: &svc.UID, ResourceVersion: &svc.ResourceVersion}))
}
