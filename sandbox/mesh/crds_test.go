package mesh

import (
	"encoding/json"
	"testing"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

func TestDefinitionsAreValidAndCoverWhatTheGatewayWatches(t *testing.T) {
	all, err := CRDs()
	if err != nil {
		t.Fatal(err)
	}
	served := map[schema.GroupVersionResource]bool{}
	for _, u := range all {
		raw, err := u.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		var crd apiextensionsv1.CustomResourceDefinition
		if err := json.Unmarshal(raw, &crd); err != nil {
			t.Fatal(err)
		}
		apiextensionsv1.SetObjectDefaults_CustomResourceDefinition(&crd)
		var internal apiextensions.CustomResourceDefinition
		if err := apiextensionsv1.Convert_v1_CustomResourceDefinition_To_apiextensions_CustomResourceDefinition(&crd, &internal, nil); err != nil {
			t.Fatal(err)
		}
		internal.Status.StoredVersions = []string{crd.Spec.Versions[0].Name}
		for _, problem := range validation.ValidateCustomResourceDefinition(t.Context(), &internal) {
			t.Errorf("%s: %v", u.GetName(), problem)
		}
		for _, v := range crd.Spec.Versions {
			served[schema.GroupVersionResource{Group: crd.Spec.Group, Version: v.Name, Resource: crd.Spec.Names.Plural}] = v.Served
		}
	}
	for _, gvr := range customKinds(istioVersions) {
		if !served[gvr] {
			t.Errorf("%s is not served", gvr)
		}
	}
}

func TestEstablished(t *testing.T) {
	crd := func(status string) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: map[string]any{"status": map[string]any{"conditions": []any{map[string]any{"type": "Established", "status": status}}}}}
	}
	if established(crd("False")) || established(&unstructured.Unstructured{Object: map[string]any{}}) || !established(crd("True")) {
		t.Error("established does not follow the condition")
	}
}
