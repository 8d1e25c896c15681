package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// mergePatch sends a JSON merge patch and reads the answer into the object, which then
// has its new version: a second action of the same pass builds on the first one.
func mergePatch(ctx context.Context, c client.Client, obj client.Object, body map[string]any) error {
	data, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("encode a patch: %w", err)
	}
	return c.Patch(ctx, obj, client.RawPatch(types.MergePatchType, data))
}

// patchSet is mergePatch for what a release does most: of the answer only metadata is asked
// for, which spares both sides the template.
func patchSet(ctx context.Context, c client.Client, rs *appsv1.ReplicaSet, body map[string]any) error {
	answer := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: rs.Namespace, Name: rs.Name, UID: rs.UID}}
	answer.SetGroupVersionKind(appsv1.SchemeGroupVersion.WithKind("ReplicaSet"))
	if err := mergePatch(ctx, c, answer, body); err != nil {
		return err
	}
	rs.ObjectMeta = answer.ObjectMeta
	return nil
}

// metadata is the body of a patch of metadata.
func metadata(fields map[string]any) map[string]any { return map[string]any{"metadata": fields} }

// at adds the version that the decision was based on, so that the API server refuses
// the patch if somebody else has written since.
func at(obj client.Object, fields map[string]any) map[string]any {
	fields["resourceVersion"] = obj.GetResourceVersion()
	fields["uid"] = obj.GetUID()
	return fields
}

// taken is the answer that a name belongs to somebody else's object.
type taken struct{ error }

func (t taken) Unwrap() error { return t.error }

func (t taken) Error() string { return t.error.Error() + ", and is not ours" }

// create makes an object. One of the same name that mine accepts is the same object; the
// cache will show it. there is an empty one to read into.
func (c Clients) create(ctx context.Context, o, there client.Object, mine func() bool) error {
	err := c.Writer.Create(ctx, o)
	if !apierrors.IsAlreadyExists(err) {
		return err
	}
	if live := c.Live.Get(ctx, client.ObjectKeyFromObject(o), there); live != nil {
		return fmt.Errorf("get the one of that name: %w", live)
	}
	if mine() {
		return nil
	}
	return taken{err}
}

// terminate asks an AnalysisRun or an Experiment to end.
func (c Clients) terminate(ctx context.Context, o client.Object) error {
	body := map[string]any{"metadata": map[string]any{"uid": o.GetUID()}, "spec": map[string]any{"terminate": true}}
	return client.IgnoreNotFound(mergePatch(ctx, c.Writer, o, body))
}

// remove deletes an object, and in the background what it owns.
func (c Clients) remove(ctx context.Context, o client.Object) error {
	uid := o.GetUID()
	return client.IgnoreNotFound(c.Writer.Delete(ctx, o, client.Preconditions{UID: &uid}, client.PropagationPolicy(metav1.DeletePropagationBackground)))
}

// deadline writes when a ReplicaSet is to lose its pods; the zero time takes that away.
func (c Clients) deadline(ctx context.Context, rs *appsv1.ReplicaSet, end time.Time) error {
	var value any
	if !end.IsZero() {
		value = end.UTC().Format(time.RFC3339)
	}
	return mergePatch(ctx, c.Writer, rs, metadata(at(rs, map[string]any{"annotations": map[string]any{deadlineKey: value}})))
}
