package kube

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/penstock-io/penstock/internal/loop"
	"github.com/penstock-io/penstock/internal/rollout"
)

// +kubebuilder:rbac:groups="",resources=pods/eviction,verbs=create

const (
	// refusedFor is how long a pod that a disruption budget keeps is left alone.
	refusedFor = 30 * time.Second
	// podsRetry is when to look again for pods that could not be listed.
	podsRetry = 10 * time.Second
	// evictionTimeout bounds one eviction: a budget that is just being computed makes the
	// client wait and ask again by itself.
	evictionTimeout = 5 * time.Second
)

// observePods reads the pods while a restart is due, from the API server: no pod is ever
// cached. That they cannot be read stops the restart and nothing else.
func (r *Rollouts) observePods(ctx context.Context, s *Seen) {
	snap, key := &s.Snapshot, client.ObjectKeyFromObject(s.Rollout)
	selector := selectorOf(s.Rollout)
	if !rollout.RestartDue(&snap.Spec, &snap.Status, snap.Now) || selector == nil {
		r.forgetRefused(key)
		return
	}
	list := &corev1.PodList{}
	err := r.Live.List(ctx, list, client.InNamespace(key.Namespace), client.MatchingLabelsSelector{Selector: selector})
	if err != nil {
		log.FromContext(ctx).Info("pods to restart not read", "error", err.Error())
		s.again(snap.Now.Add(podsRetry))
		return
	}
	owners := map[string]string{} // hash by UID
	for hash, rs := range s.Sets {
		owners[string(rs.UID)] = hash
	}
	snap.Pods, s.pods = []rollout.Pod{}, map[string]types.UID{}
	refused := r.refusedPods(key, snap.Now)
	for i := range list.Items {
		p := &list.Items[i]
		hash, ok := owners[controllerOf(p)]
		if !ok || p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed {
			continue
		}
		s.pods[p.Name] = p.UID
		snap.Pods = append(snap.Pods, rollout.Pod{
			Name: p.Name, Hash: hash, Created: p.CreationTimestamp.Time, Deleting: p.DeletionTimestamp != nil,
			Available: podAvailable(p, s.Sets[hash].Spec.MinReadySeconds, snap.Now), Refused: refused[p.UID],
		})
	}
	seenPods(snap)
}

// seenPods corrects the counters of the revisions by the pods themselves: a pod that was
// evicted a moment ago still counts in the status of its ReplicaSet, and no weight may
// rise on it.
func seenPods(snap *rollout.Snapshot) {
	there := map[string]int32{}
	for _, p := range snap.Pods {
		if p.Available && !p.Deleting {
			there[p.Hash]++
		}
	}
	for i := range snap.Revisions {
		r := &snap.Revisions[i]
		r.Available = min(r.Available, there[r.Hash])
	}
}

// podAvailable reports whether a pod has been ready for so many seconds.
func podAvailable(p *corev1.Pod, seconds int32, now time.Time) bool {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
			since := c.LastTransitionTime
			return seconds == 0 || !since.IsZero() && !since.Add(time.Duration(seconds)*time.Second).After(now)
		}
	}
	return false
}

// restart evicts a pod. That a disruption budget refuses is no error: the pod is left
// alone for a while, and others get their turn (core.md §3.9).
func (r *Rollouts) restart(ctx context.Context, s *Seen, a rollout.Restart) error {
	uid, ok := s.pods[a.Pod]
	if !ok {
		return fmt.Errorf("no pod is named %q", a.Pod)
	}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: s.Rollout.Namespace, Name: a.Pod}}
	ctx, cancel := context.WithTimeout(ctx, evictionTimeout)
	defer cancel()
	err := r.Plain.SubResource("eviction").Create(ctx, pod, &policyv1.Eviction{
		ObjectMeta:    pod.ObjectMeta,
		DeleteOptions: &metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}},
	})
	if apierrors.IsTooManyRequests(err) {
		r.refuse(client.ObjectKeyFromObject(s.Rollout), uid, s.Snapshot.Now)
		return nil
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("no answer within %s: %w", evictionTimeout, err)
	}
	return client.IgnoreNotFound(err)
}

func (r *Rollouts) refuse(key loop.Key, uid types.UID, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.kept[key] == nil {
		r.kept[key] = map[types.UID]time.Time{}
	}
	r.kept[key][uid] = at
}

// refusedPods are the pods that were refused a short while ago.
func (r *Rollouts) refusedPods(key loop.Key, now time.Time) map[types.UID]bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := map[types.UID]bool{}
	for uid, at := range r.kept[key] {
		if out[uid] = now.Sub(at) < refusedFor; !out[uid] {
			delete(r.kept[key], uid)
		}
	}
	return out
}

// justRefused reports whether this pass was refused a pod, so that another may be tried.
func (r *Rollouts) justRefused(s *Seen) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, at := range r.kept[client.ObjectKeyFromObject(s.Rollout)] {
		if at.Equal(s.Snapshot.Now) {
			return true
		}
	}
	return false
}

func (r *Rollouts) forgetRefused(key loop.Key) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.kept, key)
}
