package kube

import (
	"context"
	"encoding/json"
	"fmt"

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

// metadata is the body of a patch of metadata.
func metadata(fields map[string]any) map[string]any { return map[string]any{"metadata": fields} }

// at adds the version that the decision was based on, so that the API server refuses
// the patch if somebody else has written since.
func at(obj client.Object, fields map[string]any) map[string]any {
	fields["resourceVersion"] = obj.GetResourceVersion()
	fields["uid"] = obj.GetUID()
	return fields
}
