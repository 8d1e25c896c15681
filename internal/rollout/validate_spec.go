package rollout

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

var specPath = field.NewPath("spec")

// spec checks what stands beside the strategy (core.md §1.7.1).
func (p *problems) spec(s *v1alpha1.RolloutSpec) {
	p.addAll(validation.ValidateNonnegativeField(int64(s.ReplicasOrDefault()), specPath.Child("replicas")),
		"set spec.replicas to 0 or more")
	selector := p.selector(s)
	if s.WorkloadRef == nil || s.TemplateResolvedFromRef {
		p.template(&s.Template, selector)
	}
	deadline, at := s.ProgressDeadlineSecondsOrDefault(), specPath.Child("progressDeadlineSeconds")
	p.addAll(validation.ValidateNonnegativeField(int64(s.MinReadySeconds), specPath.Child("minReadySeconds")),
		"set spec.minReadySeconds to 0 or more")
	p.addAll(validation.ValidateNonnegativeField(int64(s.RevisionHistoryLimitOrDefault()), specPath.Child("revisionHistoryLimit")),
		"set spec.revisionHistoryLimit to 0 or more")
	p.addAll(validation.ValidateNonnegativeField(int64(deadline), at), "set spec.progressDeadlineSeconds above 0")
	if deadline <= s.MinReadySeconds {
		p.invalid(at, deadline, "must be greater than minReadySeconds",
			"raise spec.progressDeadlineSeconds, which is 600 when not set, or lower spec.minReadySeconds")
	}
	switch both := strategyPath.Child("strategy"); {
	case s.Strategy.Canary == nil && s.Strategy.BlueGreen == nil:
		p.addAt(strategyPath.String(), field.Required(both, "Rollout has missing field '.spec.strategy.canary or .spec.strategy.blueGreen'"),
			"add spec.strategy.canary or spec.strategy.blueGreen")
	case s.Strategy.Canary != nil && s.Strategy.BlueGreen != nil:
		p.addAt(strategyPath.String(), field.Invalid(both, "canary, blueGreen", "Multiple Strategies can not be listed"),
			"keep one of spec.strategy.canary and spec.strategy.blueGreen")
	}
}

// selector checks the selector and that only one of template and workloadRef is used.
// The result is nil for a selector that cannot be used.
func (p *problems) selector(s *v1alpha1.RolloutSpec) labels.Selector {
	at, before := specPath.Child("selector"), len(p.list)
	switch {
	case s.WorkloadRef == nil && s.Selector == nil:
		p.required(at, "Rollout has missing field '.spec.selector'", "add spec.selector with labels of spec.template")
	case s.WorkloadRef == nil:
		p.addAll(labelErrors(s.Selector.MatchLabels, at.Child("matchLabels")), "use valid label names and values in spec.selector.matchLabels")
		p.addAll(metavalidation.ValidateLabelSelector(&metav1.LabelSelector{MatchExpressions: s.Selector.MatchExpressions},
			metavalidation.LabelSelectorValidationOptions{}, at), "correct spec.selector.matchExpressions")
		if len(s.Selector.MatchLabels)+len(s.Selector.MatchExpressions) == 0 {
			p.invalid(at, s.Selector, "empty selector is invalid for deployment", "add labels of spec.template to spec.selector.matchLabels")
		}
	case !s.TemplateResolvedFromRef && len(s.Template.Labels)+len(s.Template.Annotations) > 0:
		p.internal(specPath.Child("template"), "template must be empty for workload reference rollout",
			"remove spec.template or spec.workloadRef")
	}
	selector, err := metav1.LabelSelectorAsSelector(s.Selector)
	if err != nil && len(p.list) == before {
		p.invalid(at, s.Selector, "invalid label selector", "correct the labels and operators of spec.selector")
	}
	if err != nil || s.Selector == nil {
		return nil
	}
	return selector
}

// labelErrors checks each label, in a fixed order.
func labelErrors(set map[string]string, at *field.Path) (all field.ErrorList) {
	for _, k := range slices.Sorted(maps.Keys(set)) {
		all = append(all, metavalidation.ValidateLabels(map[string]string{k: set[k]}, at)...)
	}
	return all
}

// template checks what most often goes wrong with a pod template, in the words of the
// API server, which checks the rest when the ReplicaSet is made. Quantities are left
// alone: a malformed one must never stop the controller (core.md §15 no. 25).
func (p *problems) template(t *corev1.PodTemplateSpec, selector labels.Selector) {
	at := specPath.Child("template")
	if selector != nil && !selector.Empty() && !selector.Matches(labels.Set(t.Labels)) {
		p.invalid(at.Child("metadata", "labels"), t.Labels, "`selector` does not match template `labels`",
			"give spec.template the labels that spec.selector asks for")
	}
	for _, e := range labelErrors(t.Labels, at.Child("labels")) {
		p.addAt(at.Child("metadata", "labels").String(), e, "use valid label names and values in spec.template.metadata.labels")
	}
	at = at.Child("spec")
	if len(t.Spec.Containers) == 0 {
		p.required(at.Child("containers"), "", "add a container to spec.template.spec.containers")
	}
	names, volumes := map[string]bool{}, p.volumes(t.Spec.Volumes, at.Child("volumes"))
	p.containers(t.Spec.Containers, at.Child("containers"), names, volumes)
	p.containers(t.Spec.InitContainers, at.Child("initContainers"), names, volumes)
	restart := at.Child("restartPolicy")
	known := []corev1.RestartPolicy{corev1.RestartPolicyAlways, corev1.RestartPolicyOnFailure, corev1.RestartPolicyNever}
	if t.Spec.RestartPolicy != "" && !slices.Contains(known, t.Spec.RestartPolicy) {
		p.add(field.NotSupported(restart, t.Spec.RestartPolicy, known), "spell the restart policy Always, or leave it out")
	}
	if len(t.Spec.EphemeralContainers) > 0 {
		p.add(field.Forbidden(at.Child("ephemeralContainers"), "ephemeral containers not allowed in pod template"),
			"remove the ephemeral containers")
	}
	if t.Spec.RestartPolicy != "" && t.Spec.RestartPolicy != corev1.RestartPolicyAlways {
		p.add(field.NotSupported(restart, t.Spec.RestartPolicy, known[:1]), "leave the restart policy out, or set it to Always")
	}
	if t.Spec.ActiveDeadlineSeconds != nil {
		p.add(field.Forbidden(at.Child("activeDeadlineSeconds"), "activeDeadlineSeconds in ReplicaSet is not Supported"),
			"remove activeDeadlineSeconds")
	}
}
