package loop

import (
	"context"
	"encoding/json"
	"reflect"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// difference is what the status write has to say, as the top-level fields of a JSON merge
// patch; nil for nothing.
func difference(o *Outcome) (body map[string]json.RawMessage, err error) {
	if o.Before == nil || o.After == nil || reflect.DeepEqual(o.Before, o.After) {
		return nil, nil
	}
	data, err := client.MergeFrom(o.Before).Data(o.After)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(data, &body); err != nil || len(body) == 0 {
		return nil, err
	}
	return body, nil
}

// writeStatus sends the difference. The patch carries the resourceVersion that was
// decided upon, or that of the own write of this very pass, so that it never overrides
// what a person has just asked for.
func (c *Controller[S, P]) writeStatus(ctx context.Context, o *Outcome, body map[string]json.RawMessage) error {
	version := o.Before.GetResourceVersion()
	if v := c.Record.version(ctx, o.Before); v != "" {
		version = v
	}
	meta, err := json.Marshal(map[string]string{"resourceVersion": version})
	if err != nil {
		return err
	}
	body["metadata"] = meta
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	// The answer is read into the object: one that nobody else holds.
	answer, patch := o.After.DeepCopyObject().(client.Object), client.RawPatch(types.MergePatchType, data)
	if c.Subresource {
		return c.Writer.Status().Patch(ctx, answer, patch)
	}
	return c.Writer.Patch(ctx, answer, patch)
}
