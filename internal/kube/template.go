package kube

import (
	"encoding/json"
	"maps"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// sameTemplate reports whether a ReplicaSet runs the wanted pod template.
//
// The stored template has gone through the API server, which fills in defaults, and
// through this controller, which adds the hash label, ephemeral metadata and the
// anti-affinity term. So the additions are taken away first, and then a field that the
// wanted template leaves out matches whatever the API server put there:
//
//	wanted  {image: a}                           live  {image: a, imagePullPolicy: Always}   same
//	wanted  {image: a, imagePullPolicy: Never}   live  {image: a, imagePullPolicy: Always}   different
//
// What no default ever adds must match in full: labels, annotations, node selectors,
// and the number of elements of every list. The price is that taking a field out of the
// template, whose value is not the default, looks like no change where the hash differs
// anyway; lookups by hash come first, so that matters only for ReplicaSets that another
// version of the library has hashed.
func sameTemplate(rs *appsv1.ReplicaSet, want *corev1.PodTemplateSpec) bool {
	live := rs.Spec.Template.DeepCopy()
	injected := injectedOf(rs)
	live.Labels = without(live.Labels, injected.Labels, want.Labels)
	live.Annotations = without(live.Annotations, injected.Annotations, want.Annotations)
	delete(live.Labels, hashLabel)
	wanted := want.DeepCopy()
	delete(wanted.Labels, hashLabel)
	if !sameMap(live.Labels, wanted.Labels) || !sameMap(live.Annotations, wanted.Annotations) ||
		!sameMap(live.Spec.NodeSelector, wanted.Spec.NodeSelector) {
		return false
	}
	stripAffinity(&live.Spec)
	stripAffinity(&wanted.Spec)
	live.Spec.DeprecatedServiceAccount, wanted.Spec.DeprecatedServiceAccount = "", ""
	if equality.Semantic.DeepEqual(live.Spec, wanted.Spec) {
		return true
	}
	a, b := tree(wanted.Spec), tree(live.Spec)
	return a != nil && b != nil && covers(a, b)
}

// without removes keys that were injected with the same value and are not wanted.
func without(live, injected, want map[string]string) map[string]string {
	out := maps.Clone(live)
	for k, v := range injected {
		if _, wanted := want[k]; !wanted && out[k] == v {
			delete(out, k)
		}
	}
	return out
}

func sameMap(a, b map[string]string) bool { return len(a) == 0 && len(b) == 0 || maps.Equal(a, b) }

func tree(v any) map[string]any {
	data, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	var out map[string]any
	if json.Unmarshal(data, &out) != nil {
		return nil
	}
	return out
}

// covers reports whether every value that is set in want is the same in live.
func covers(want, live any) bool {
	switch w := want.(type) {
	case nil:
		return true
	case map[string]any:
		l, ok := live.(map[string]any)
		if !ok {
			return len(w) == 0 // {} and a missing section mean the same
		}
		for k, v := range w {
			if !covers(v, l[k]) {
				return false
			}
		}
		return restDefaults(w, l)
	case []any:
		l, ok := live.([]any)
		return (ok || len(w) == 0) && slices.EqualFunc(w, l, covers)
	}
	return want == live
}

// restDefaults reports whether live holds, beyond want, only what defaults can add:
// no list, such as containers, volumes, env or tolerations, and no affinity.
func restDefaults(want, live map[string]any) bool {
	for k, v := range live {
		if _, there := want[k]; there {
			continue
		}
		if list, isList := v.([]any); isList && len(list) > 0 || k == "affinity" || k == "limits" {
			return false
		}
	}
	return true
}

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

func ours(t corev1.PodAffinityTerm) bool {
	return t.LabelSelector != nil && slices.ContainsFunc(t.LabelSelector.MatchExpressions,
		func(e metav1.LabelSelectorRequirement) bool { return e.Key == hashLabel })
}

// injectAffinity keeps the pods of a new revision away from those of stable, if the
// strategy asks for it (core.md §3.8). The first revision gets no term.
func injectAffinity(spec *corev1.PodSpec, ro *v1alpha1.Rollout, hash string) {
	anti, stable := antiAffinity(&ro.Spec), ro.Status.StableRS
	if anti == nil || stable == "" || stable == hash {
		return
	}
	term := corev1.PodAffinityTerm{
		LabelSelector: &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{
			{Key: hashLabel, Operator: metav1.LabelSelectorOpIn, Values: []string{stable}}}},
		Namespaces: []string{ro.Namespace}, TopologyKey: hostTopology,
	}
	if spec.Affinity == nil {
		spec.Affinity = &corev1.Affinity{}
	}
	if spec.Affinity.PodAntiAffinity == nil {
		spec.Affinity.PodAntiAffinity = &corev1.PodAntiAffinity{}
	}
	to := spec.Affinity.PodAntiAffinity
	if p := anti.PreferredDuringSchedulingIgnoredDuringExecution; p != nil {
		to.PreferredDuringSchedulingIgnoredDuringExecution = append(to.PreferredDuringSchedulingIgnoredDuringExecution,
			corev1.WeightedPodAffinityTerm{Weight: p.Weight, PodAffinityTerm: term})
	} else if anti.RequiredDuringSchedulingIgnoredDuringExecution != nil {
		to.RequiredDuringSchedulingIgnoredDuringExecution = append(to.RequiredDuringSchedulingIgnoredDuringExecution, term)
	}
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
