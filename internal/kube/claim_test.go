package kube

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/rollout"
)

func TestReplicaSetsThatTheSelectorLeftAreReleased(t *testing.T) {
	strange := func(rs *appsv1.ReplicaSet) { rs.Labels["app"] = "other" }
	for name, c := range map[string]struct {
		spec     func(*v1alpha1.Rollout)
		change   func(*appsv1.ReplicaSet)
		released bool
	}{
		"one that the selector matches stays":       {func(*v1alpha1.Rollout) {}, func(*appsv1.ReplicaSet) {}, false},
		"one that the selector does not match goes": {func(*v1alpha1.Rollout) {}, strange, true},
		// Covers: defect 7.
		"none goes while the selector is not known":     {func(ro *v1alpha1.Rollout) { ro.Spec.Selector = nil }, strange, false},
		"none goes while the selector selects anything": {func(ro *v1alpha1.Rollout) { ro.Spec.Selector.MatchLabels = nil }, strange, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := shop(t, c.spec)
			w.create(owned(t, "abc", c.change))
			n := len(w.observe().Snapshot.Revisions)
			rs := w.set("web-abc")
			if ownedBy(rs, webRollout()) == c.released || (n == 0) != c.released {
				t.Errorf("%d revisions, owners %v", n, rs.OwnerReferences)
			}
			if !c.released {
				return
			}
			if rs.Labels["app"] = "web"; w.client.Update(context.Background(), rs) != nil || len(w.observe().Snapshot.Revisions) != 1 {
				t.Error("it was not taken back once the selector matched again")
			}
		})
	}
}

func TestForeignOwnersOfAReleasedReplicaSetStay(t *testing.T) {
	w := shop(t)
	w.create(owned(t, "abc", func(rs *appsv1.ReplicaSet) {
		rs.Labels["app"] = "other"
		rs.OwnerReferences = append(rs.OwnerReferences, rs.OwnerReferences[0])
		rs.OwnerReferences[1].UID, rs.OwnerReferences[1].Controller = "friend", nil
	}))
	w.observe()
	if refs := w.set("web-abc").OwnerReferences; len(refs) != 1 || refs[0].UID != "friend" {
		t.Errorf("owners %v", refs)
	}
}

// unseen is a cache that does not show an object yet.
type unseen struct {
	client.Reader
	name string
}

func (h unseen) Get(ctx context.Context, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
	if key.Name == h.name {
		return apierrors.NewNotFound(schema.GroupResource{}, key.Name)
	}
	return h.Reader.Get(ctx, key, o, opts...)
}

func (h unseen) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	err := h.Reader.List(ctx, list, opts...)
	if sets, ok := list.(*appsv1.ReplicaSetList); ok {
		var shown []appsv1.ReplicaSet
		for _, rs := range sets.Items {
			if rs.Name != h.name {
				shown = append(shown, rs)
			}
		}
		sets.Items = shown
	}
	return err
}

func TestReplicaSetThatTheCacheDoesNotShow(t *testing.T) {
	hash := v1alpha1.PodTemplateHash(&webRollout().Spec.Template, nil)
	injected := func(rs *appsv1.ReplicaSet) {
		rs.Spec.Template.Labels["role"] = "canary"
		rs.Annotations[metadataKey] = `{"labels":{"role":"canary"}}`
		injectAffinity(&rs.Spec.Template.Spec, wantedAway(webRollout(apart), "old"))
	}
	for name, c := range map[string]struct {
		there func(*appsv1.ReplicaSet)
		taken bool
	}{
		// Covers: edge 5.
		"ours, of the same template, is adopted":       {func(*appsv1.ReplicaSet) {}, false},
		"ours, with what we have injected, is adopted": {injected, false},
		// Covers: edge 6.
		"ours, of another template, is a collision": {func(rs *appsv1.ReplicaSet) { rs.Spec.Template.Spec.Containers[0].Image = "other" }, true},
		// Covers: edge 6.
		"somebody else's is a collision":                   {func(rs *appsv1.ReplicaSet) { rs.OwnerReferences[0].UID = "x" }, true},
		"nobody's, which the selector matches, is adopted": {func(rs *appsv1.ReplicaSet) { rs.OwnerReferences = nil }, false},
		"nobody's, which it does not match, is a collision": {func(rs *appsv1.ReplicaSet) {
			rs.OwnerReferences, rs.Labels["app"] = nil, "other"
		}, true},
		"ours without the hash label, which no cache will ever show": {func(rs *appsv1.ReplicaSet) { delete(rs.Labels, hashLabel) }, true},
	} {
		t.Run(name, func(t *testing.T) {
			w := shop(t)
			w.create(owned(t, hash, c.there))
			w.rollouts.Reader = unseen{w.client, "web-" + hash}
			if got := w.observe().Snapshot.NameTaken; got != c.taken {
				t.Fatalf("taken %v", got)
			}
			if c.taken {
				w.work(settled) // and a name of its own is found
				if n := w.rollout().Status.CollisionCount; n == nil || *n != 1 || w.rollout().Status.CurrentPodHash == hash {
					t.Errorf("collisions %v, hash %s", n, w.rollout().Status.CurrentPodHash)
				}
				return
			}
			if err := w.do(rollout.EnsureRevision{Hash: hash, Number: 1}); !apierrors.IsAlreadyExists(err) && !strings.Contains(err.Error(), "already exists") {
				t.Errorf("got %v", err)
			}
			w.rollouts.Reader = w.client
			w.work(settled)
			if r := w.observe().Snapshot.Revisions; len(r) != 1 || !r[0].Current || r[0].Hash != hash || w.rollout().Status.CollisionCount != nil {
				t.Errorf("revisions %+v, collisions %v", r, w.rollout().Status.CollisionCount)
			}
			if events := strings.Join(w.told(), "\n"); strings.Contains(events, "NewReplicaSetCreated") {
				t.Errorf("it was told as new:\n%s", events)
			}
		})
	}
}

// Covers: edge 9.
func TestOnlyReadableNumbersCount(t *testing.T) {
	w := shop(t)
	w.create(owned(t, "bad", func(rs *appsv1.ReplicaSet) {
		rs.Spec.Template.Spec.Containers[0].Image, rs.Annotations[revisionKey] = "nought", "seven"
	}))
	w.create(owned(t, "good", func(rs *appsv1.ReplicaSet) {
		rs.Spec.Template.Spec.Containers[0].Image, rs.Annotations[revisionKey] = "nil", "3"
	}))
	w.work(settled)
	if got := w.rollout().Annotations[revisionKey]; got != "4" {
		t.Errorf("the new revision is %s", got)
	}
	if got := w.set("web-bad").Annotations[revisionKey]; got != "seven" {
		t.Errorf("the unreadable number is now %s", got)
	}
}

// Covers: edge 12.
func TestWhatWasSeenIsACopy(t *testing.T) {
	w := shop(t)
	w.work(settled)
	before, s := w.observe(), w.observe()
	for _, rs := range s.Sets {
		rs.Spec.Template.Labels["broken"], rs.Annotations[revisionKey] = "yes", "99"
	}
	s.Rollout.Spec.Template.Labels["broken"] = "yes"
	if d := cmp.Diff(before.Snapshot, w.observe().Snapshot); d != "" {
		t.Error(d)
	}
}
