package kube

import (
	"context"
	"fmt"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/loop"
	"github.com/penstock-io/penstock/internal/rollout"
)

// +kubebuilder:rbac:groups=apps,resources=deployments,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups="",resources=podtemplates,verbs=get;list;watch

// workloadKind is a kind that spec.workloadRef may name. It is read as a Go type: a cache
// of those takes a fraction of the memory of an unstructured one.
type workloadKind struct {
	resource string
	empty    func() client.Object
}

var workloadKinds = map[schema.GroupKind]workloadKind{
	{Group: "apps", Kind: "Deployment"}: {"deployments", func() client.Object { return &appsv1.Deployment{} }},
	{Group: "apps", Kind: "ReplicaSet"}: {"replicasets", func() client.Object { return &appsv1.ReplicaSet{} }},
	{Kind: "PodTemplate"}:               {"podtemplates", func() client.Object { return &corev1.PodTemplate{} }},
}

// workloadVersion is the only version of all those kinds.
const workloadVersion = "v1"

// unresolved reports that the Rollout's template, and perhaps its selector, is that of a
// workload which has not been read. What it looks like then says nothing.
func unresolved(ro *v1alpha1.Rollout) bool {
	return ro.Spec.WorkloadRef != nil && !ro.Spec.TemplateResolvedFromRef
}

// observeWorkload fills in the template of the referenced workload, and its selector where
// the Rollout has none, in memory only (core.md §4). Why that is not possible is a fault
// that the user sees.
func (r *Rollouts) observeWorkload(ctx context.Context, s *Seen) {
	ref := s.Rollout.Spec.WorkloadRef
	if ref == nil {
		return
	}
	s.unresolved = r.resolve(ctx, s, ref)
	s.Snapshot.Spec = s.Rollout.Spec
	s.Snapshot.TemplateHash = v1alpha1.PodTemplateHash(&s.Rollout.Spec.Template, s.Rollout.Status.CollisionCount)
	if unresolved(s.Rollout) {
		// The wanted revision is still the one of the last pass, so that an abort finds it.
		s.Snapshot.TemplateHash = s.Rollout.Status.CurrentPodHash
	}
}

// resolve returns why there is no template, "" when there is one.
func (r *Rollouts) resolve(ctx context.Context, s *Seen, ref *v1alpha1.ObjectRef) (why string) {
	spec := &s.Rollout.Spec
	if len(spec.Template.Labels)+len(spec.Template.Annotations) > 0 {
		return "spec.template: Internal error: template must be empty for workload reference rollout"
	}
	gvk := schema.FromAPIVersionAndKind(ref.APIVersion, ref.Kind)
	kind, known := workloadKinds[gvk.GroupKind()]
	if !known {
		return fmt.Sprintf("workload of type %s/%s is not supported", gvk.Group, gvk.Kind)
	}
	if gvk.Version != workloadVersion {
		return fmt.Sprintf("failed to sync informer for %s", gvk)
	}
	if err := r.watch(ctx, []schema.GroupVersionKind{gvk}); err != nil {
		s.trouble(s.Snapshot.Now, err)
		return fmt.Sprintf("failed to sync informer for %s", gvk)
	}
	missing := apierrors.NewNotFound(schema.GroupResource{Group: gvk.Group, Resource: kind.resource}, ref.Name)
	if ref.Name == "" {
		return missing.Error()
	}
	object, reader := kind.empty(), r.Reader
	if _, is := object.(*appsv1.ReplicaSet); is && r.Sets != nil {
		reader = r.Sets
	}
	err := reader.Get(ctx, loop.Key{Namespace: s.Rollout.Namespace, Name: ref.Name}, object)
	switch {
	case apierrors.IsNotFound(err):
		return missing.Error()
	case err != nil:
		err = fmt.Errorf("get %s %s/%s: %w", ref.Kind, s.Rollout.Namespace, ref.Name, err)
		s.trouble(s.Snapshot.Now, err)
		return err.Error()
	}
	return s.take(object)
}

// take fills in what the workload says, and returns what it does not say.
func (s *Seen) take(object client.Object) (why string) {
	spec := &s.Rollout.Spec
	fact := &rollout.Workload{Generation: object.GetGeneration()}
	var template corev1.PodTemplateSpec
	var selector *metav1.LabelSelector
	switch o := object.(type) {
	case *appsv1.Deployment:
		template, selector, s.deployment = o.Spec.Template, o.Spec.Selector, o
		fact.Scalable, fact.Desired = true, 1
		if o.Spec.Replicas != nil {
			fact.Desired = *o.Spec.Replicas
		}
		if o.Status.ObservedGeneration >= o.Generation { // or it counts pods that are on their way
			fact.Available = o.Status.AvailableReplicas
		}
	case *appsv1.ReplicaSet:
		template, selector = o.Spec.Template, o.Spec.Selector
		// One that a Rollout has made is of one revision; what is taken from it is of none.
		delete(template.Labels, hashLabel)
		if selector != nil {
			delete(selector.MatchLabels, hashLabel)
		}
	case *corev1.PodTemplate:
		template = o.Template
	}
	if spec.Selector == nil && selector == nil {
		return "spec.selector: Required value: Rollout has missing field '.spec.selector'"
	}
	if spec.Selector == nil {
		spec.Selector, spec.SelectorResolvedFromRef = selector, true
	}
	spec.Template, spec.TemplateResolvedFromRef = template, true
	s.changedBy = v1alpha1.ChangedBy(object)
	s.Snapshot.Workload = fact
	return ""
}

// markWorkload keeps the generation of the workload on the Rollout. Clients hold it
// against status.workloadObservedGeneration, as they hold the Rollout's own generation
// against status.observedGeneration.
func (r *Rollouts) markWorkload(ctx context.Context, s *Seen) error {
	w := s.Snapshot.Workload
	if w == nil || s.Rollout.DeletionTimestamp != nil {
		return nil
	}
	want := strconv.FormatInt(w.Generation, 10)
	if s.Rollout.Annotations[workloadKey] == want {
		return nil
	}
	err := r.patchRollout(ctx, s, metadata(at(s.Rollout, map[string]any{"annotations": map[string]any{workloadKey: want}})))
	if err != nil {
		return fmt.Errorf("mark the workload's generation on rollout %s/%s: %w", s.Rollout.Namespace, s.Rollout.Name, err)
	}
	return nil
}

// patchRollout patches the Rollout. Of the answer only the metadata is taken over: the
// template that was resolved is not in it.
func (r *Rollouts) patchRollout(ctx context.Context, s *Seen, body map[string]any) error {
	answer := &v1alpha1.Rollout{ObjectMeta: identity(s.Rollout)}
	if err := mergePatch(ctx, r.Writer, answer, body); err != nil {
		return err
	}
	s.Rollout.ObjectMeta = answer.ObjectMeta
	return nil
}

// scaleWorkload sets the size of the referenced Deployment, if it is as it was seen.
func (r *Rollouts) scaleWorkload(ctx context.Context, s *Seen, a rollout.ScaleWorkload) error {
	if s.deployment == nil {
		return fmt.Errorf("no deployment is referenced")
	}
	return mergePatch(ctx, r.Writer, s.deployment, map[string]any{
		"metadata": at(s.deployment, map[string]any{}), "spec": map[string]any{"replicas": a.To}})
}

// setFinalizer puts our finalizer on the Rollout, or takes it off; others' stay.
func (r *Rollouts) setFinalizer(ctx context.Context, s *Seen, a rollout.SetFinalizer) error {
	list := []string{}
	for _, f := range s.Rollout.Finalizers {
		if f != workloadFinalizer {
			list = append(list, f)
		}
	}
	if a.On {
		list = append(list, workloadFinalizer)
	}
	return r.patchRollout(ctx, s, metadata(at(s.Rollout, map[string]any{"finalizers": list})))
}
