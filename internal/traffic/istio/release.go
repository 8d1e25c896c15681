package istio

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// Signed is the kind whose objects name their rollout in the managed-by annotation.
func (o Options) Signed() schema.GroupVersionKind { return o.kind(kindRule) }

// Release takes the signature and the hash labels off a DestinationRule whose rollout is
// gone or has let go of it, in place: its subsets then select all pods of the host, as the
// user wrote them. Nothing else is touched.
func Release(object map[string]any) {
	list, _, _ := unstructured.NestedFieldNoCopy(object, "spec", "subsets")
	for _, s := range maps(list) {
		setHash(s, "")
	}
	meta := asMap(object["metadata"])
	annotations := asMap(meta["annotations"])
	if delete(annotations, v1alpha1.ManagedByAnnotation); len(annotations) == 0 {
		delete(meta, "annotations")
	}
}
