package kube

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/loop"
	"github.com/penstock-io/penstock/internal/rollout"
)

// +kubebuilder:rbac:groups=apps,resources=replicasets,verbs=get;list;watch;create;patch;delete

// observeSets turns the owned ReplicaSets into revisions, newest number first.
func (r *Rollouts) observeSets(ctx context.Context, s *Seen) error {
	ro := s.Rollout
	sets, err := r.claim(ctx, ro)
	if err != nil {
		return err
	}
	current := currentOf(sets, ro, s.Snapshot.TemplateHash)
	for _, rs := range sets {
		rev := revisionOf(rs)
		rev.Current = rs == current
		if rev.Current || rev.Hash == ro.Status.StableRS {
			rev.AffinityStale = !keptAway(&rs.Spec.Template.Spec).equal(wantedAway(ro, awayFrom(ro, rev.Hash)))
		}
		rev.AnnotationsStale = rev.Current && copiesStale(rs, ro)
		s.Snapshot.Revisions = append(s.Snapshot.Revisions, rev)
		s.Sets[rev.Hash] = rs
	}
	slices.SortStableFunc(s.Snapshot.Revisions, func(a, b rollout.Revision) int {
		return cmp.Or(cmp.Compare(b.Number, a.Number), b.Created.Compare(a.Created), cmp.Compare(a.Name, b.Name))
	})
	if current != nil || unresolved(ro) {
		return nil
	}
	return r.observeName(ctx, s, sets)
}

// observeName finds out whether the name of the next ReplicaSet is taken: by one of our
// own with another template, which is a hash collision, or by somebody else's, which
// the cache need not show.
func (r *Rollouts) observeName(ctx context.Context, s *Seen, sets []*appsv1.ReplicaSet) error {
	name := s.Rollout.Name + "-" + s.Snapshot.TemplateHash
	if slices.ContainsFunc(sets, func(rs *appsv1.ReplicaSet) bool { return rs.Name == name }) {
		s.Snapshot.NameTaken = true
		return nil
	}
	if s.Snapshot.Invalid != "" {
		return nil
	}
	rs := &appsv1.ReplicaSet{}
	err := r.Live.Get(ctx, loop.Key{Namespace: s.Rollout.Namespace, Name: name}, rs)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("get replicaset %s/%s: %w", s.Rollout.Namespace, name, err)
	}
	s.Snapshot.NameTaken = !r.willBeOurs(rs, s)
	return nil
}

// willBeOurs reports whether a ReplicaSet that the cache does not show yet is, or on the
// next look becomes, the revision of the template. What was injected does not count
// (core.md §15 no. 6).
func (*Rollouts) willBeOurs(rs *appsv1.ReplicaSet, s *Seen) bool {
	orphan := controllerOf(rs) == "" && rs.DeletionTimestamp == nil && selects(s.Rollout, rs)
	return (ownedBy(rs, s.Rollout) || orphan) && rs.Labels[hashLabel] == s.Snapshot.TemplateHash &&
		sameTemplate(rs, &s.Rollout.Spec.Template)
}

func oldestFirst(list *appsv1.ReplicaSetList) []*appsv1.ReplicaSet {
	var sets []*appsv1.ReplicaSet
	for i := range list.Items {
		if rs := &list.Items[i]; rs.Labels[hashLabel] != "" {
			sets = append(sets, rs)
		}
	}
	slices.SortFunc(sets, func(a, b *appsv1.ReplicaSet) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	})
	return sets
}

func ownerOf(ro *v1alpha1.Rollout) metav1.OwnerReference {
	return *metav1.NewControllerRef(ro, v1alpha1.GroupVersion.WithKind("Rollout"))
}

// currentOf finds the revision of the template among owned sets, oldest first: by the
// hash, then by meaning, because the hash depends on the library that made it.
func currentOf(sets []*appsv1.ReplicaSet, ro *v1alpha1.Rollout, hash string) *appsv1.ReplicaSet {
	if unresolved(ro) { // the hash is that of the last pass
		i := slices.IndexFunc(sets, func(rs *appsv1.ReplicaSet) bool { return rs.Labels[hashLabel] == hash })
		if i < 0 {
			return nil
		}
		return sets[i]
	}
	// With a collision the hash may belong to another template, so both must agree.
	for _, rs := range sets {
		if rs.Labels[hashLabel] == hash && (ro.Status.CollisionCount == nil || sameTemplate(rs, &ro.Spec.Template)) {
			return rs
		}
	}
	for _, rs := range sets {
		if rs.DeletionTimestamp == nil && sameTemplate(rs, &ro.Spec.Template) {
			return rs
		}
	}
	return nil
}

// revisionOf reads the facts of one ReplicaSet.
func revisionOf(rs *appsv1.ReplicaSet) rollout.Revision {
	rev := rollout.Revision{
		Hash: rs.Labels[hashLabel], Name: rs.Name, Number: number(rs.Annotations), Desired: 1,
		Actual: rs.Status.Replicas, Ready: rs.Status.ReadyReplicas, Available: rs.Status.AvailableReplicas,
		Observed: rs.Status.ObservedGeneration >= rs.Generation, Created: rs.CreationTimestamp.Time,
		MinReadySeconds: rs.Spec.MinReadySeconds, Deleting: rs.DeletionTimestamp != nil,
		Born: born(rs.Annotations), Against: keptAway(&rs.Spec.Template.Spec).hash(),
	}
	if rs.Spec.Replicas != nil {
		rev.Desired = *rs.Spec.Replicas
	}
	if text, ok := rs.Annotations[deadlineKey]; ok && text != "" {
		at, err := time.Parse(time.RFC3339, text)
		rev.RetireAt, rev.RetireUnreadable = at, err != nil
		if err != nil {
			rev.RetireAt = time.Time{}
		}
	}
	injected := injectedOf(rs)
	rev.Metadata, rev.MetadataStale = injected.PodTemplateMetadata, injected.Pending
	for _, c := range rs.Status.Conditions {
		if c.Type == appsv1.ReplicaSetReplicaFailure && c.Status == corev1.ConditionTrue {
			rev.Failure, rev.FailureReason, rev.FailureSince = c.Message, c.Reason, c.LastTransitionTime.Time
		}
	}
	return rev
}

// number reads the revision annotation, 0 when it is missing or no positive number.
func number(annotations map[string]string) int64 {
	n, err := strconv.ParseInt(annotations[revisionKey], 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// born is the first number that a ReplicaSet had: the first of the revision history, or
// the number that it still has.
func born(annotations map[string]string) int64 {
	first, _, _ := strings.Cut(annotations[historyKey], ",")
	if n, err := strconv.ParseInt(strings.TrimSpace(first), 10, 64); err == nil && n > 0 {
		return n
	}
	return number(annotations)
}

// injection is the record, on the ReplicaSet, of the ephemeral metadata in it.
type injection struct {
	v1alpha1.PodTemplateMetadata `json:",inline"`
	// Pending is Penstock's own: some pods may not carry it yet.
	Pending bool `json:"pending,omitempty"`
	// Former are keys to take off those pods.
	Former *formerKeys `json:"former,omitempty"`
}

type formerKeys struct {
	Labels      []string `json:"labels,omitempty"`
	Annotations []string `json:"annotations,omitempty"`
}

func injectedOf(rs *appsv1.ReplicaSet) injection {
	var in injection
	if err := json.Unmarshal([]byte(rs.Annotations[metadataKey]), &in); err != nil {
		return injection{}
	}
	return in
}
