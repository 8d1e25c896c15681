package kube

import (
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// copies are the annotations that a Rollout's present ReplicaSet carries for it, with the
// list of their keys: one that the Rollout drops goes from the ReplicaSet as well, and
// what others have put there stays.
func copies(ro *v1alpha1.Rollout) map[string]string {
	out := map[string]string{}
	var keys []string
	for k, v := range ro.Annotations {
		if copied(k) {
			out[k], keys = v, append(keys, k)
		}
	}
	if slices.Sort(keys); len(keys) > 0 {
		out[copiedKey] = strings.Join(keys, ",")
	}
	return out
}

// recopy is the patch that brings the copies on a ReplicaSet up to date, empty for none.
func recopy(rs *appsv1.ReplicaSet, ro *v1alpha1.Rollout) map[string]any {
	patch, want := map[string]any{}, copies(ro)
	for k, v := range want {
		if have, there := rs.Annotations[k]; !there || have != v {
			patch[k] = v
		}
	}
	former := append(strings.Split(rs.Annotations[copiedKey], ","), copiedKey)
	for _, k := range former {
		_, wanted := want[k]
		if _, there := rs.Annotations[k]; there && !wanted && (copied(k) || k == copiedKey) {
			patch[k] = nil
		}
	}
	return patch
}

// copiesStale reports whether a copy differs. A ReplicaSet that another controller made
// has no list of keys; that alone is no reason to write.
func copiesStale(rs *appsv1.ReplicaSet, ro *v1alpha1.Rollout) bool {
	patch := recopy(rs, ro)
	if rs.Annotations[copiedKey] == "" {
		delete(patch, copiedKey)
	}
	return len(patch) > 0
}
