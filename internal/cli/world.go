package cli

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// world is all that `get` shows, as listed: of a Rollout, or of one Experiment where there
// is none. Strangers among the objects are left out by ownership, so a list may hold more
// than belongs to it.
type world struct {
	now         time.Time
	rollout     v1alpha1.Rollout
	experiments []v1alpha1.Experiment
	replicaSets []appsv1.ReplicaSet
	pods        []corev1.Pod
	runs        []v1alpha1.AnalysisRun
}

// revisionOf is the revision annotation, 0 when missing or unreadable.
func revisionOf(o client.Object) int64 {
	n, err := strconv.ParseInt(o.GetAnnotations()[v1alpha1.RevisionAnnotation], 10, 64)
	if err != nil {
		return 0
	}
	return n
}

func ownedBy(child, owner client.Object) bool {
	ref := metav1.GetControllerOfNoCopy(child)
	return ref != nil && ref.UID == owner.GetUID()
}

// sets are the Rollout's ReplicaSets, newest revision first, then by name.
func (w *world) sets() []*appsv1.ReplicaSet { return w.setsOf(&w.rollout) }

func (w *world) setsOf(owner client.Object) (owned []*appsv1.ReplicaSet) {
	for i := range w.replicaSets {
		if rs := &w.replicaSets[i]; ownedBy(rs, owner) {
			owned = append(owned, rs)
		}
	}
	slices.SortFunc(owned, func(a, b *appsv1.ReplicaSet) int {
		return cmp.Or(cmp.Compare(revisionOf(b), revisionOf(a)), cmp.Compare(a.Name, b.Name))
	})
	return owned
}

// trials are the Experiments: those of the Rollout, or the one that was asked for; newest
// revision first, then oldest first, then by name.
func (w *world) trials() (owned []*v1alpha1.Experiment) {
	for i := range w.experiments {
		if x := &w.experiments[i]; w.rollout.UID == "" || ownedBy(x, &w.rollout) {
			owned = append(owned, x)
		}
	}
	slices.SortFunc(owned, func(a, b *v1alpha1.Experiment) int {
		return cmp.Or(cmp.Compare(revisionOf(b), revisionOf(a)),
			a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	})
	return owned
}

// podsOf are the ReplicaSet's pods, oldest first, then by name.
func (w *world) podsOf(rs *appsv1.ReplicaSet) (owned []*corev1.Pod) {
	for i := range w.pods {
		if p := &w.pods[i]; ownedBy(p, rs) {
			owned = append(owned, p)
		}
	}
	slices.SortFunc(owned, func(a, b *corev1.Pod) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	})
	return owned
}

// analyses are the Rollout's AnalysisRuns: newest revision first, then oldest first,
// then by name backwards.
func (w *world) analyses() []*v1alpha1.AnalysisRun { return w.analysesOf(&w.rollout) }

func (w *world) analysesOf(owner client.Object) (owned []*v1alpha1.AnalysisRun) {
	for i := range w.runs {
		if run := &w.runs[i]; ownedBy(run, owner) {
			owned = append(owned, run)
		}
	}
	slices.SortFunc(owned, func(a, b *v1alpha1.AnalysisRun) int {
		return cmp.Or(cmp.Compare(revisionOf(b), revisionOf(a)),
			a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(b.Name, a.Name))
	})
	return owned
}

// roles are what a ReplicaSet is to the Rollout now, in the published order.
func (w *world) roles(rs *appsv1.ReplicaSet) (roles []string) {
	hash, st := rs.Labels[v1alpha1.PodTemplateHashLabel], &w.rollout.Status
	if hash == "" {
		return nil
	}
	if canary := w.rollout.Spec.Strategy.Canary; canary != nil {
		stablePort, canaryPort := string(v1alpha1.PPPong), string(v1alpha1.PPPing)
		if st.Canary.StablePingPong == v1alpha1.PPPing {
			stablePort, canaryPort = canaryPort, stablePort
		}
		role, port := "", ""
		switch hash {
		case st.StableRS:
			role, port = "stable", stablePort
		case st.CurrentPodHash:
			role, port = "canary", canaryPort
		default:
			return nil
		}
		if canary.PingPong != nil {
			return []string{role, port}
		}
		return []string{role}
	}
	if hash == st.StableRS {
		roles = append(roles, "stable")
	}
	switch hash {
	case st.BlueGreen.ActiveSelector:
		roles = append(roles, "active")
	case st.BlueGreen.PreviewSelector:
		roles = append(roles, "preview")
	}
	return roles
}

// weights are the canary's share as the steps ask for it, and as it is.
func (w *world) weights() (wanted, actual int32) {
	canary, st := w.rollout.Spec.Strategy.Canary, &w.rollout.Status
	whole := canary.TrafficRouting.MaxTrafficWeightOrDefault()
	index := 0
	if st.CurrentStepIndex != nil {
		index = int(max(0, *st.CurrentStepIndex))
	}
	through := index >= len(canary.Steps)
	switch {
	case st.Abort:
	case through:
		wanted = whole
	default:
		for i := index; i >= 0; i-- {
			if s := canary.Steps[i].SetWeight; s != nil {
				wanted = *s
				break
			}
		}
	}
	switch {
	case through:
		return wanted, whole
	case st.AvailableReplicas == 0:
		return wanted, 0
	case canary.TrafficRouting == nil:
		return wanted, int32(int64(w.canaryAvailable()) * int64(whole) / int64(st.AvailableReplicas))
	case st.Canary.Weights != nil:
		return wanted, st.Canary.Weights.Canary.Weight
	}
	return wanted, wanted
}

func (w *world) canaryAvailable() int32 {
	for _, rs := range w.sets() {
		if slices.Contains(w.roles(rs), "canary") {
			return rs.Status.AvailableReplicas
		}
	}
	return 0
}
