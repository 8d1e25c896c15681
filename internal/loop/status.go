package loop

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"reflect"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// differs is a quick look; the two may still be the same to the API server.
func differs(o *Outcome) bool {
	return o.Before != nil && o.After != nil && !reflect.DeepEqual(statusOf(o.Before), statusOf(o.After))
}

// difference is the JSON merge patch from the status before to the status after; nil when
// there is nothing to say. Most passes change nothing, and encoding whole objects to find
// that out would be most of their cost, so only the statuses are looked at, and quickly.
func difference(o *Outcome) (patch map[string]any, err error) {
	if !differs(o) {
		return nil, nil
	}
	a, err := json.Marshal(statusOf(o.Before))
	if err != nil {
		return nil, err
	}
	b, err := json.Marshal(statusOf(o.After))
	if err != nil {
		return nil, err
	}
	return mergePatch(a, b)
}

// statusOf is the field Status, which every kind that a Controller handles has.
func statusOf(o client.Object) any {
	return reflect.ValueOf(o).Elem().FieldByName("Status").Interface()
}

// mergePatch makes one object of another; both come from one encoder, so that equal
// values have equal bytes. It is nil where they are the same.
func mergePatch(before, after []byte) (patch map[string]any, err error) {
	var a, b map[string]json.RawMessage
	if err := json.Unmarshal(before, &a); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(after, &b); err != nil {
		return nil, err
	}
	set := func(k string, v any) {
		if patch == nil {
			patch = map[string]any{}
		}
		patch[k] = v
	}
	for k, now := range b {
		was, there := a[k]
		switch {
		case there && bytes.Equal(was, now):
		case there && isObject(was) && isObject(now):
			inner, err := mergePatch(was, now)
			if err != nil {
				return nil, err
			}
			if inner != nil {
				set(k, inner)
			}
		default:
			set(k, now)
		}
	}
	for k := range a {
		if _, there := b[k]; !there {
			set(k, nil)
		}
	}
	return patch, nil
}

func isObject(v json.RawMessage) bool { return len(v) > 0 && v[0] == '{' }

// writeStatus sends the difference. The patch carries the resourceVersion that was
// decided upon, or that of the own write of this very pass, so that it never overrides
// what a person has just asked for. Of the answer only the new version is of interest, so
// that only metadata is asked for.
func (c *Controller[S, P]) writeStatus(ctx context.Context, o *Outcome, patch map[string]any) error {
	version := o.Before.GetResourceVersion()
	if v := c.Record.version(ctx, o.Before); v != "" {
		version = v
	}
	data, err := json.Marshal(map[string]any{"metadata": map[string]string{"resourceVersion": version}, "status": patch})
	if err != nil {
		return err
	}
	kind, err := c.Writer.GroupVersionKindFor(o.Before)
	if err != nil {
		return fmt.Errorf("find the kind of %T: %w", o.Before, err)
	}
	answer := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: o.Before.GetNamespace(), Name: o.Before.GetName()}}
	answer.SetGroupVersionKind(kind)
	if c.Subresource {
		return c.Writer.Status().Patch(ctx, answer, client.RawPatch(types.MergePatchType, data))
	}
	return c.Writer.Patch(ctx, answer, client.RawPatch(types.MergePatchType, data))
}
