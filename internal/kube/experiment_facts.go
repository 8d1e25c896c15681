package kube

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/experiment"
	"github.com/penstock-io/penstock/internal/loop"
)

const (
	experimentKey = v1alpha1.ExperimentNameAnnotation
	templateKeyOf = v1alpha1.ExperimentTemplateNameAnnotation
)

// observeSets reads the owned ReplicaSets, oldest first.
func (e *Experiments) observeSets(ctx context.Context, s *ExperimentSeen) error {
	x, list := s.Experiment, &appsv1.ReplicaSetList{}
	if err := e.Reader.List(ctx, list, client.InNamespace(x.Namespace), client.MatchingFields{ownerIndex: string(x.UID)}); err != nil {
		return fmt.Errorf("list replicasets of experiment %s/%s: %w", x.Namespace, x.Name, err)
	}
	for _, rs := range oldestFirst(list) {
		if rs.Annotations[templateKeyOf] == "" {
			continue
		}
		s.Sets[rs.Name] = rs
		s.Snapshot.Sets = append(s.Snapshot.Sets, setFacts(rs, x))
	}
	return nil
}

// setFacts are the facts of one ReplicaSet. x may be nil where only changes matter.
func setFacts(rs *appsv1.ReplicaSet, x *v1alpha1.Experiment) experiment.Set {
	r := revisionOf(rs)
	f := experiment.Set{
		Template: rs.Annotations[templateKeyOf], Name: r.Name, Hash: r.Hash,
		Desired: r.Desired, Actual: r.Actual, Ready: r.Ready, Available: r.Available, Observed: r.Observed,
		RetireAt: r.RetireAt, RetireUnreadable: r.RetireUnreadable, Deleting: r.Deleting,
	}
	if x == nil {
		return f
	}
	for i := range x.Spec.Templates {
		if t := &x.Spec.Templates[i]; t.Name == f.Template {
			f.Current = f.Current || runs(rs, t, collisions(x, t.Name))
		}
	}
	return f
}

// runs reports whether a ReplicaSet runs a template: by the hash, or by meaning, because
// the hash depends on the library that made it. After a collision the hash may be that
// of another template, so both must agree.
func runs(rs *appsv1.ReplicaSet, t *v1alpha1.TemplateSpec, count *int32) bool {
	if count == nil && rs.Labels[hashLabel] == experiment.Hash(&t.Template, nil) {
		return true
	}
	return sameTemplate(rs, &t.Template)
}

func collisions(x *v1alpha1.Experiment, template string) *int32 {
	for _, st := range x.Status.TemplateStatuses {
		if st.Name == template {
			return st.CollisionCount
		}
	}
	return nil
}

// observeServices reads the owned Services, and those that have a name we need.
func (e *Experiments) observeServices(ctx context.Context, s *ExperimentSeen) error {
	x, list := s.Experiment, &corev1.ServiceList{}
	if err := e.Reader.List(ctx, list, client.InNamespace(x.Namespace), client.MatchingFields{ownerIndex: string(x.UID)}); err != nil {
		return fmt.Errorf("list services of experiment %s/%s: %w", x.Namespace, x.Name, err)
	}
	for i := range list.Items {
		s.addService(&list.Items[i])
	}
	for _, name := range wantedServices(s) {
		if s.Services[name] != nil {
			continue
		}
		svc := &corev1.Service{}
		err := e.Reader.Get(ctx, loop.Key{Namespace: x.Namespace, Name: name}, svc)
		if err == nil {
			s.addService(svc)
		} else if !apierrors.IsNotFound(err) {
			return fmt.Errorf("get service %s/%s: %w", x.Namespace, name, err)
		}
	}
	slices.SortFunc(s.Snapshot.Services, func(a, b experiment.Service) int { return strings.Compare(a.Name, b.Name) })
	return nil
}

func (s *ExperimentSeen) addService(svc *corev1.Service) {
	f := experiment.Service{Name: svc.Name, Hash: svc.Spec.Selector[hashLabel], Deleting: svc.DeletionTimestamp != nil}
	if controllerOf(svc) == string(s.Experiment.UID) {
		f.Template = svc.Annotations[templateKeyOf]
	}
	s.Services[svc.Name] = svc
	s.Snapshot.Services = append(s.Snapshot.Services, f)
}

// wantedServices are the names that the templates' Services have, or will have.
func wantedServices(s *ExperimentSeen) (names []string) {
	for i := range s.Experiment.Spec.Templates {
		t := &s.Experiment.Spec.Templates[i]
		if t.Service == nil {
			continue
		}
		if t.Service.Name != "" {
			names = append(names, t.Service.Name)
			continue
		}
		for _, set := range s.Snapshot.Sets {
			if set.Template == t.Name {
				names = append(names, set.Name)
			}
		}
	}
	return names
}

// observeRuns reads the owned AnalysisRuns, oldest first.
func (e *Experiments) observeRuns(ctx context.Context, s *ExperimentSeen) error {
	x, list := s.Experiment, &v1alpha1.AnalysisRunList{}
	if err := e.Reader.List(ctx, list, client.InNamespace(x.Namespace), client.MatchingFields{ownerIndex: string(x.UID)}); err != nil {
		return fmt.Errorf("list analysisruns of experiment %s/%s: %w", x.Namespace, x.Name, err)
	}
	slices.SortFunc(list.Items, func(a, b v1alpha1.AnalysisRun) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	})
	for i := range list.Items {
		run := &list.Items[i]
		s.Runs[run.Name] = run
		s.Snapshot.Runs = append(s.Snapshot.Runs, experiment.Run{Name: run.Name, Phase: run.Status.Phase, Message: run.Status.Message,
			Terminating: run.Spec.Terminate, Deleting: run.DeletionTimestamp != nil})
	}
	return nil
}

// observeTemplates finds out, before anything is measured, whether the templates of the
// analyses exist. What the cache does not show may have come a moment ago.
func (e *Experiments) observeTemplates(ctx context.Context, s *ExperimentSeen) error {
	x := s.Experiment
	if x.Status.AvailableAt != nil || x.Status.Phase.Completed() || x.Spec.Terminate {
		return nil
	}
	live := Clients{Reader: e.Live, Live: e.Live}
	for _, a := range x.Spec.Analyses {
		ref := v1alpha1.AnalysisTemplateRef{TemplateName: a.TemplateName, ClusterScope: a.ClusterScope}
		err := e.template(ctx, e.Clients, x.Namespace, ref)
		if apierrors.IsNotFound(err) {
			err = e.template(ctx, live, x.Namespace, ref)
		}
		switch {
		case apierrors.IsNotFound(err):
			if s.Snapshot.Missing == nil {
				s.Snapshot.Missing = map[string]string{}
			}
			s.Snapshot.Missing[a.Name] = notFound(ref)
		case err != nil:
			return fmt.Errorf("get analysis template %s: %w", a.TemplateName, err)
		}
	}
	return nil
}

func (e *Experiments) template(ctx context.Context, from Clients, namespace string, ref v1alpha1.AnalysisTemplateRef) error {
	_, err := (&Rollouts{Clients: from, Namespaced: e.Namespaced}).template(ctx, namespace, ref)
	return err
}

// notFound is the text of the API machinery, as published.
func notFound(ref v1alpha1.AnalysisTemplateRef) string {
	kind := "analysistemplate"
	if ref.ClusterScope {
		kind = "clusteranalysistemplate"
	}
	return apierrors.NewNotFound(v1alpha1.GroupVersion.WithResource(kind).GroupResource(), ref.TemplateName).Error()
}

// observeRollout finds out what the owning Rollout sends traffic to. The cache is enough
// to keep something; before anything is taken away, the API server is asked.
func (e *Experiments) observeRollout(ctx context.Context, s *ExperimentSeen) error {
	owner := rolloutOf(s.Experiment)
	if owner == nil {
		return nil
	}
	for _, from := range []client.Reader{e.Reader, e.Live} {
		if !experiment.Decide(s.Snapshot).Removes() {
			return nil
		}
		ro := &v1alpha1.Rollout{}
		if err := from.Get(ctx, client.ObjectKeyFromObject(owner), ro); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("get rollout %s/%s before pods are taken away: %w", owner.Namespace, owner.Name, err)
		}
		if ro.UID != owner.UID {
			ro = &v1alpha1.Rollout{} // it has gone, and its traffic with it
		}
		s.mark(ro)
	}
	return nil
}

// mark notes what the Rollout lists as destinations beside stable and canary.
func (s *ExperimentSeen) mark(ro *v1alpha1.Rollout) {
	for i := range s.Snapshot.Sets {
		set := &s.Snapshot.Sets[i]
		set.Routed = lists(ro, set.Hash, "")
	}
	for i := range s.Snapshot.Services {
		svc := &s.Snapshot.Services[i]
		svc.Routed = lists(ro, svc.Hash, svc.Name)
		for j := range s.Snapshot.Sets { // whoever lists the Service means its pods
			if set := &s.Snapshot.Sets[j]; svc.Routed && svc.Template == set.Template && svc.Hash == set.Hash {
				set.Routed = true
			}
		}
	}
}

func lists(ro *v1alpha1.Rollout, hash, service string) bool {
	w := ro.Status.Canary.Weights
	return w != nil && slices.ContainsFunc(w.Additional, func(d v1alpha1.WeightDestination) bool {
		return hash != "" && d.PodTemplateHash == hash || service != "" && d.ServiceName == service
	})
}
