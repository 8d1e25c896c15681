package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/internal/rollout"
)

// +kubebuilder:rbac:groups="",resources=pods,verbs=get;list;patch

const podWorkers = 10

// podTries are three attempts with growing pauses (core.md §3.7).
var podTries = wait.Backoff{Steps: 3, Duration: 100 * time.Millisecond, Factor: 2}

// setMetadata injects labels and annotations into a revision and its live pods.
//
//  1. template changed, record says pending and which keys to take off the pods
//  2. pods changed, those that are there; new ones come from the template
//  3. record says done
//
// A crash anywhere leaves "pending", which is a fact that the planner answers with the
// same action again (core.md §3.7). Only keys that were injected are ever taken off.
func (r *Rollouts) setMetadata(ctx context.Context, s *Seen, a rollout.SetMetadata) error {
	rs, err := s.set(a.Hash)
	if err != nil {
		return err
	}
	was := injectedOf(rs)
	next := injection{PodTemplateMetadata: a.Metadata, Pending: true, Former: &formerKeys{
		Labels:      former(was.Labels, a.Metadata.Labels, was.Former.labels()),
		Annotations: former(was.Annotations, a.Metadata.Annotations, was.Former.annotations()),
	}}
	inject := map[string]any{
		"labels":      changes(a.Metadata.Labels, next.Former.Labels, s.Rollout.Spec.Template.Labels),
		"annotations": changes(a.Metadata.Annotations, next.Former.Annotations, s.Rollout.Spec.Template.Annotations),
	}
	if err := r.writeInjection(ctx, rs, next, inject); err != nil {
		return err
	}
	if rs.Spec.Replicas == nil || *rs.Spec.Replicas > 0 || rs.Status.Replicas > 0 {
		if err := r.setPods(ctx, rs, inject); err != nil {
			return err
		}
	}
	next.Pending, next.Former = false, nil
	return r.writeInjection(ctx, rs, next, nil)
}

// writeInjection writes the record, and with it the template if there are changes. An
// empty record that is done is taken away.
func (r *Rollouts) writeInjection(ctx context.Context, rs *appsv1.ReplicaSet, in injection, changes map[string]any) error {
	var value any
	if in.Pending || len(in.Labels)+len(in.Annotations) > 0 {
		data, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("encode the ephemeral metadata: %w", err)
		}
		value = string(data)
	}
	body := metadata(at(rs, map[string]any{"annotations": map[string]any{metadataKey: value}}))
	if changes != nil {
		body["spec"] = map[string]any{"template": map[string]any{"metadata": changes}}
	}
	return mergePatch(ctx, r.Writer, rs, body)
}

func (f *formerKeys) labels() []string {
	if f == nil {
		return nil
	}
	return f.Labels
}

func (f *formerKeys) annotations() []string {
	if f == nil {
		return nil
	}
	return f.Annotations
}

// former lists the keys that were injected and are no longer wanted.
func former(was, want map[string]string, earlier []string) (gone []string) {
	add := func(k string) {
		if _, wanted := want[k]; !wanted && !slices.Contains(gone, k) {
			gone = append(gone, k)
		}
	}
	for k := range was {
		add(k)
	}
	for _, k := range earlier {
		add(k)
	}
	slices.Sort(gone)
	return gone
}

// changes is the patch of one metadata map: what is wanted, and what goes. A key that
// the user's own template has falls back to the template's value.
func changes(want map[string]string, gone []string, template map[string]string) map[string]any {
	out := map[string]any{}
	for _, k := range gone {
		out[k] = nil
		if v, own := template[k]; own {
			out[k] = v
		}
	}
	for k, v := range want {
		out[k] = v
	}
	return out
}

// setPods patches the live pods of a revision, ten at a time. Pods are read from the
// API server and only their metadata; they are in no cache.
func (r *Rollouts) setPods(ctx context.Context, rs *appsv1.ReplicaSet, changes map[string]any) error {
	pods := &metav1.PartialObjectMetadataList{}
	pods.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("PodList"))
	if err := r.Live.List(ctx, pods, client.InNamespace(rs.Namespace), client.MatchingLabels{hashLabel: rs.Labels[hashLabel]}); err != nil {
		return fmt.Errorf("list pods of replicaset %s/%s: %w", rs.Namespace, rs.Name, err)
	}
	errs := make([]error, len(pods.Items))
	var workers sync.WaitGroup
	slots := make(chan struct{}, podWorkers)
	for i := range pods.Items {
		pod := &pods.Items[i]
		if controllerOf(pod) != string(rs.UID) || pod.DeletionTimestamp != nil {
			continue
		}
		slots <- struct{}{}
		workers.Go(func() {
			defer func() { <-slots }()
			errs[i] = r.setPod(ctx, pod, changes)
		})
	}
	workers.Wait()
	return errors.Join(errs...)
}

func (r *Rollouts) setPod(ctx context.Context, pod *metav1.PartialObjectMetadata, changes map[string]any) error {
	pod.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Pod"))
	err := retry.OnError(podTries, func(err error) bool { return !apierrors.IsNotFound(err) && ctx.Err() == nil }, func() error {
		return mergePatch(ctx, r.Plain, pod, metadata(map[string]any{"labels": changes["labels"], "annotations": changes["annotations"]}))
	})
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("set metadata of pod %s/%s: %w", pod.Namespace, pod.Name, err)
	}
	return nil
}
