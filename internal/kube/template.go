package kube

import (
	"encoding/json"
	"maps"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
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
