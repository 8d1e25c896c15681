package istio

import (
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/traffic"
	"github.com/penstock-io/penstock/internal/traffic/objects"
)

// Signed is the kind whose objects name their rollout in the managed-by annotation.
func (o Options) Signed() schema.GroupVersionKind { return o.kind(kindRule) }

// Release takes the signature and the hash labels off a DestinationRule whose rollout is
// gone or has let go of it, in place: its subsets then select all pods of the host, as the
// user wrote them, and those of its experiments go. Nothing else is touched.
func Release(object map[string]any, owner string) {
	namespace, _, _ := unstructured.NestedString(object, "metadata", "namespace")
	key := traffic.Target{Namespace: namespace, Name: owner}.Key()
	claim, spec := traffic.ClaimOn(object, key), asMap(object["spec"])
	if list, ok := spec["subsets"].([]any); ok && len(claim.Extras) > 0 {
		spec["subsets"] = slices.DeleteFunc(slices.Clone(list), func(e any) bool {
			s, _ := e.(map[string]any)
			name, _ := s["name"].(string)
			return slices.Contains(claim.Extras, name)
		})
	}
	_ = traffic.Claim{}.Put(object, key) // what could be read can be taken away
	list, _, _ := unstructured.NestedFieldNoCopy(object, "spec", "subsets")
	for _, s := range objects.Entries(list) {
		setHash(s, "")
	}
	meta := asMap(object["metadata"])
	annotations := asMap(meta["annotations"])
	if delete(annotations, v1alpha1.ManagedByAnnotation); len(annotations) == 0 {
		delete(meta, "annotations")
	}
}
