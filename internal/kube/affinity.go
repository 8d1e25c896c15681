package kube

import (
	"context"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/rollout"
)

// stripAffinity removes the terms that mention the hash label, and what is left empty.
func stripAffinity(spec *corev1.PodSpec) {
	if spec.Affinity == nil || spec.Affinity.PodAntiAffinity == nil {
		return
	}
	anti := spec.Affinity.PodAntiAffinity
	anti.RequiredDuringSchedulingIgnoredDuringExecution = slices.DeleteFunc(
		anti.RequiredDuringSchedulingIgnoredDuringExecution, ours)
	anti.PreferredDuringSchedulingIgnoredDuringExecution = slices.DeleteFunc(
		anti.PreferredDuringSchedulingIgnoredDuringExecution,
		func(t corev1.WeightedPodAffinityTerm) bool { return ours(t.PodAffinityTerm) })
	if len(anti.RequiredDuringSchedulingIgnoredDuringExecution)+len(anti.PreferredDuringSchedulingIgnoredDuringExecution) == 0 {
		spec.Affinity.PodAntiAffinity = nil
	}
	if equality.Semantic.DeepEqual(*spec.Affinity, corev1.Affinity{}) {
		spec.Affinity = nil
	}
}

// ours reports whether a term is an injected one.
func ours(t corev1.PodAffinityTerm) bool {
	_, found := away(t)
	return found
}

// away is the hash that an injected term keeps away from. A user's term need not have a
// selector at all.
func away(t corev1.PodAffinityTerm) (hash string, found bool) {
	if t.LabelSelector == nil {
		return "", false
	}
	for _, e := range t.LabelSelector.MatchExpressions {
		if e.Key == hashLabel {
			return strings.Join(e.Values, ","), true
		}
	}
	return "", false
}

// keepAway are the injected terms of a pod template.
type keepAway struct {
	required  []corev1.PodAffinityTerm
	preferred []corev1.WeightedPodAffinityTerm
}

// keptAway reads the injected terms out of a pod template.
func keptAway(spec *corev1.PodSpec) (k keepAway) {
	if spec.Affinity == nil || spec.Affinity.PodAntiAffinity == nil {
		return k
	}
	for _, t := range spec.Affinity.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution {
		if ours(t) {
			k.required = append(k.required, t)
		}
	}
	for _, t := range spec.Affinity.PodAntiAffinity.PreferredDuringSchedulingIgnoredDuringExecution {
		if ours(t.PodAffinityTerm) {
			k.preferred = append(k.preferred, t)
		}
	}
	return k
}

// hash is what the terms keep away from, "" for nothing.
func (k keepAway) hash() (hash string) {
	for _, t := range k.preferred {
		hash, _ = away(t.PodAffinityTerm)
	}
	for _, t := range k.required {
		hash, _ = away(t)
	}
	return hash
}

func (k keepAway) equal(o keepAway) bool {
	return equality.Semantic.DeepEqual(k.required, o.required) && equality.Semantic.DeepEqual(k.preferred, o.preferred)
}

// wantedAway are the terms that the strategy asks for against a revision (core.md §3.8).
func wantedAway(ro *v1alpha1.Rollout, hash string) (k keepAway) {
	anti := antiAffinity(&ro.Spec)
	if anti == nil || hash == "" {
		return k
	}
	term := corev1.PodAffinityTerm{
		LabelSelector: &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{
			{Key: hashLabel, Operator: metav1.LabelSelectorOpIn, Values: []string{hash}}}},
		Namespaces: []string{ro.Namespace}, TopologyKey: hostTopology,
	}
	if p := anti.PreferredDuringSchedulingIgnoredDuringExecution; p != nil {
		k.preferred = []corev1.WeightedPodAffinityTerm{{Weight: p.Weight, PodAffinityTerm: term}}
	} else if anti.RequiredDuringSchedulingIgnoredDuringExecution != nil {
		k.required = []corev1.PodAffinityTerm{term}
	}
	return k
}

func antiAffinity(spec *v1alpha1.RolloutSpec) *v1alpha1.AntiAffinity {
	switch {
	case spec.Strategy.Canary != nil:
		return spec.Strategy.Canary.AntiAffinity
	case spec.Strategy.BlueGreen != nil:
		return spec.Strategy.BlueGreen.AntiAffinity
	}
	return nil
}

// awayFrom is what a revision is to keep away from: stable, until it is stable itself.
func awayFrom(ro *v1alpha1.Rollout, hash string) string {
	if ro.Status.StableRS == hash {
		return ""
	}
	return ro.Status.StableRS
}

// injectAffinity puts terms in the place of those that are there; the user's own stay.
func injectAffinity(spec *corev1.PodSpec, k keepAway) {
	stripAffinity(spec)
	if len(k.required)+len(k.preferred) == 0 {
		return
	}
	if spec.Affinity == nil {
		spec.Affinity = &corev1.Affinity{}
	}
	if spec.Affinity.PodAntiAffinity == nil {
		spec.Affinity.PodAntiAffinity = &corev1.PodAntiAffinity{}
	}
	to := spec.Affinity.PodAntiAffinity
	to.RequiredDuringSchedulingIgnoredDuringExecution = append(to.RequiredDuringSchedulingIgnoredDuringExecution, k.required...)
	to.PreferredDuringSchedulingIgnoredDuringExecution = append(to.PreferredDuringSchedulingIgnoredDuringExecution, k.preferred...)
}

// setAffinity rewrites our term in a ReplicaSet's pod template. Pods that run keep what
// they were scheduled with.
func (r *Rollouts) setAffinity(ctx context.Context, s *Seen, a rollout.SetAffinity) error {
	rs, err := s.set(a.Hash)
	if err != nil {
		return err
	}
	next := rs.Spec.Template.Spec.DeepCopy()
	injectAffinity(next, wantedAway(s.Rollout, a.Against))
	var whole any // a JSON merge patch replaces lists as a whole, and null takes away
	if next.Affinity != nil {
		part := map[string]any{"podAntiAffinity": nil}
		if anti := next.Affinity.PodAntiAffinity; anti != nil {
			part["podAntiAffinity"] = map[string]any{
				"requiredDuringSchedulingIgnoredDuringExecution":  orNull(anti.RequiredDuringSchedulingIgnoredDuringExecution),
				"preferredDuringSchedulingIgnoredDuringExecution": orNull(anti.PreferredDuringSchedulingIgnoredDuringExecution),
			}
		}
		whole = part
	}
	return mergePatch(ctx, r.Writer, rs, map[string]any{
		"metadata": at(rs, map[string]any{}),
		"spec":     map[string]any{"template": map[string]any{"spec": map[string]any{"affinity": whole}}},
	})
}

func orNull[T any](list []T) any {
	if len(list) == 0 {
		return nil
	}
	return list
}
