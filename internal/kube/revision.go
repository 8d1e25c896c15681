package kube

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/loop"
	"github.com/penstock-io/penstock/internal/rollout"
)

// +kubebuilder:rbac:groups=apps,resources=replicasets,verbs=get;list;watch;create;patch;delete

// observeSets turns the owned ReplicaSets into revisions, newest number first.
func (r *Rollouts) observeSets(ctx context.Context, s *Seen) error {
	ro := s.Rollout
	sets, err := r.ownedSets(ctx, ro)
	if err != nil {
		return err
	}
	adopted, err := r.adopt(ctx, ro)
	if err != nil {
		return err
	}
	sets = append(sets, adopted...)
	current := currentOf(sets, ro, s.Snapshot.TemplateHash)
	for _, rs := range sets {
		rev := revisionOf(rs)
		rev.Current = rs == current
		s.Snapshot.Revisions = append(s.Snapshot.Revisions, rev)
		s.Sets[rev.Hash] = rs
	}
	slices.SortStableFunc(s.Snapshot.Revisions, func(a, b rollout.Revision) int {
		return cmp.Or(cmp.Compare(b.Number, a.Number), b.Created.Compare(a.Created), cmp.Compare(a.Name, b.Name))
	})
	if current != nil {
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
	s.Snapshot.NameTaken = !ownedBy(rs, s.Rollout)
	return nil
}

func (r *Rollouts) ownedSets(ctx context.Context, ro *v1alpha1.Rollout) ([]*appsv1.ReplicaSet, error) {
	list := &appsv1.ReplicaSetList{}
	err := r.Reader.List(ctx, list, client.InNamespace(ro.Namespace), r.owner(string(ro.UID)))
	if err != nil {
		return nil, fmt.Errorf("list replicasets of rollout %s/%s: %w", ro.Namespace, ro.Name, err)
	}
	return slices.DeleteFunc(oldestFirst(list), func(rs *appsv1.ReplicaSet) bool { return !ownedBy(rs, ro) }), nil
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

// adopt takes over ReplicaSets that the selector matches and nobody owns, after a live
// look that the Rollout is still this one (core.md §2.2 no. 4b).
func (r *Rollouts) adopt(ctx context.Context, ro *v1alpha1.Rollout) ([]*appsv1.ReplicaSet, error) {
	selector, err := metav1.LabelSelectorAsSelector(ro.Spec.Selector)
	if err != nil || selector.Empty() || r.Writer == nil {
		return nil, nil // an unusable selector is reported by the validation
	}
	list := &appsv1.ReplicaSetList{}
	err = r.Reader.List(ctx, list, client.InNamespace(ro.Namespace),
		r.owner(noOwner), client.MatchingLabelsSelector{Selector: selector})
	if err != nil {
		return nil, fmt.Errorf("list replicasets without owner for rollout %s/%s: %w", ro.Namespace, ro.Name, err)
	}
	orphans := slices.DeleteFunc(oldestFirst(list), func(rs *appsv1.ReplicaSet) bool {
		return rs.DeletionTimestamp != nil || controllerOf(rs) != ""
	})
	if len(orphans) == 0 {
		return nil, nil
	}
	live := &v1alpha1.Rollout{}
	if err := r.Live.Get(ctx, client.ObjectKeyFromObject(ro), live); err != nil {
		return nil, fmt.Errorf("get rollout %s/%s before adopting: %w", ro.Namespace, ro.Name, err)
	}
	if live.UID != ro.UID || live.DeletionTimestamp != nil {
		return nil, loop.ErrGone
	}
	for _, rs := range orphans {
		body := metadata(map[string]any{
			"uid": rs.UID, "resourceVersion": rs.ResourceVersion,
			"ownerReferences": append(slices.Clone(rs.OwnerReferences), ownerOf(ro)),
		})
		if err := mergePatch(ctx, r.Writer, rs, body); err != nil {
			return nil, fmt.Errorf("adopt replicaset %s/%s: %w", rs.Namespace, rs.Name, err)
		}
	}
	return orphans, nil
}

func ownerOf(ro *v1alpha1.Rollout) metav1.OwnerReference {
	return *metav1.NewControllerRef(ro, v1alpha1.GroupVersion.WithKind("Rollout"))
}

// currentOf finds the revision of the template among owned sets, oldest first: by the
// hash, then by meaning, because the hash depends on the library that made it.
func currentOf(sets []*appsv1.ReplicaSet, ro *v1alpha1.Rollout, hash string) *appsv1.ReplicaSet {
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
