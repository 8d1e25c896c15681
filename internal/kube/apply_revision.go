package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/analysis"
	"github.com/penstock-io/penstock/internal/loop"
	"github.com/penstock-io/penstock/internal/rollout"
)

// createSet creates the ReplicaSet of a new revision with no pods (core.md §3.4).
func (r *Rollouts) createSet(ctx context.Context, s *Seen, a rollout.EnsureRevision) error {
	rs, err := newSet(s.Rollout, a)
	if err != nil {
		return err
	}
	maps.Copy(rs.Annotations, past(s, a.Hash))
	err = r.Writer.Create(ctx, rs)
	key := loop.Key{Namespace: s.Rollout.Namespace, Name: s.Rollout.Name}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil || apierrors.IsAlreadyExists(err) {
		// Whose it is, the next pass sees: the loop waits until the cache shows it.
		delete(r.refused, key)
		return err
	}
	r.tell(s.Rollout, rollout.Note{Kind: rollout.Warning, Reason: rollout.ReplicaSetCreateError,
		Message: fmt.Sprintf("Failed to create new replica set %q: %v", rs.Name, err)})
	r.refused[key] = refusal{s.Snapshot.TemplateHash, err.Error(), apierrors.IsInvalid(err)}
	return err
}

func newSet(ro *v1alpha1.Rollout, a rollout.EnsureRevision) (*appsv1.ReplicaSet, error) {
	zero, n := int32(0), int32(1)
	if ro.Spec.Replicas != nil {
		n = *ro.Spec.Replicas
	}
	rs := &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: ro.Namespace, Name: ro.Name + "-" + a.Hash,
			Labels:          with(ro.Spec.Template.Labels, hashLabel, a.Hash),
			Annotations:     map[string]string{},
			OwnerReferences: []metav1.OwnerReference{ownerOf(ro)},
		},
		Spec: appsv1.ReplicaSetSpec{Replicas: &zero, MinReadySeconds: ro.Spec.MinReadySeconds, Template: *ro.Spec.Template.DeepCopy()},
	}
	rs.Spec.Selector = &metav1.LabelSelector{}
	if ro.Spec.Selector != nil {
		rs.Spec.Selector = ro.Spec.Selector.DeepCopy()
	}
	rs.Spec.Selector.MatchLabels = with(rs.Spec.Selector.MatchLabels, hashLabel, a.Hash)
	for k, v := range copies(ro) {
		rs.Annotations[k] = v
	}
	rs.Annotations[revisionKey] = strconv.FormatInt(a.Number, 10)
	rs.Annotations[desiredKey] = strconv.Itoa(int(n))
	rs.Spec.Template.Labels = with(rs.Spec.Template.Labels, hashLabel, a.Hash)
	injectAffinity(&rs.Spec.Template.Spec, wantedAway(ro, awayFrom(ro, a.Hash)))
	if len(a.Metadata.Labels)+len(a.Metadata.Annotations) == 0 {
		return rs, nil
	}
	rs.Spec.Template.Labels = union(rs.Spec.Template.Labels, a.Metadata.Labels)
	rs.Spec.Template.Annotations = union(rs.Spec.Template.Annotations, a.Metadata.Annotations)
	record, err := json.Marshal(injection{PodTemplateMetadata: a.Metadata})
	rs.Annotations[metadataKey] = string(record)
	return rs, err
}

// past is what a revision remembers from the moment when it is wanted: by whom, and how the
// update before it ended, which the status is about to forget.
func past(s *Seen, hash string) map[string]string {
	notes := map[string]string{}
	if s.changedBy != "" {
		notes[changedByKey] = s.changedBy
	}
	st := &s.Rollout.Status
	if st.CurrentPodHash == "" || st.CurrentPodHash == hash {
		return notes
	}
	now := metav1.NewTime(s.Snapshot.Now)
	ended, known := rollout.Ends(st, &v1alpha1.RolloutStatus{Duration: &v1alpha1.RolloutDuration{RolloutStartedAt: &now}})
	if !known {
		ended, known = rollout.Ends(&v1alpha1.RolloutStatus{}, st)
	}
	if !known {
		return notes
	}
	u := v1alpha1.PreviousUpdate{Hash: st.CurrentPodHash, Status: ended.Status, Seconds: int64((ended.Total - ended.Manual).Seconds())}
	if ended.Status == v1alpha1.CompletionAborted {
		u.Message = st.Message
	}
	if text, err := json.Marshal(u); err == nil {
		notes[previousKey] = string(text)
	}
	return notes
}

func with(m map[string]string, k, v string) map[string]string {
	return union(m, map[string]string{k: v})
}

// union is a new map; b wins.
func union(a, b map[string]string) map[string]string {
	out := make(map[string]string, len(a)+len(b))
	maps.Copy(out, a)
	maps.Copy(out, b)
	return out
}

// renumber raises the revision number of an existing ReplicaSet, remembers the former
// one, and brings copied annotations and minReadySeconds up to date (core.md §3.5). The
// number never falls.
func (r *Rollouts) renumber(ctx context.Context, s *Seen, a rollout.Renumber) error {
	rs, err := s.set(a.Hash)
	if err != nil {
		return err
	}
	annotations := recopy(rs, s.Rollout)
	if old := number(rs.Annotations); a.Number > old {
		annotations[revisionKey] = strconv.FormatInt(a.Number, 10)
		for k, v := range past(s, a.Hash) {
			annotations[k] = v
		}
		if old > 0 {
			annotations[historyKey] = history(rs.Annotations[historyKey], old)
		}
	}
	body := metadata(at(rs, map[string]any{"annotations": annotations}))
	if rs.Spec.MinReadySeconds != a.MinReadySeconds {
		body["spec"] = map[string]any{"minReadySeconds": a.MinReadySeconds}
	}
	if len(annotations) == 0 && body["spec"] == nil {
		return nil
	}
	return mergePatch(ctx, r.Writer, rs, body)
}

// history appends a former number. When there are too many, the oldest go, but never the
// first, which tells in what order revisions of the same second were made.
func history(text string, former int64) string {
	var list []string
	if text != "" {
		list = strings.Split(text, ",")
	}
	list = append(list, strconv.FormatInt(former, 10))
	if over := len(list) - maxHistory; over > 0 {
		list = slices.Delete(list, 1, 1+over)
	}
	return strings.Join(list, ",")
}

func buildRun(in analysis.BuildInput) (*v1alpha1.AnalysisRun, error) {
	run, err := analysis.Build(in)
	return &run, err
}
