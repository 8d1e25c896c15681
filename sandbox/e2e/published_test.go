package e2e

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/sandbox/cluster"
)

// conformance holds what others wrote for the published API; it is not part of this
// repository.
const conformance = root + "/../shared/conformance"

// kind is a published kind's own schema.
type kind struct {
	structural *structuralschema.Structural
	validator  validation.SchemaValidator
}

// TestWhatThePublishedKindsKeepIsKept applies manifests that others wrote. What the
// published kinds refuse or prune may be lost here too, and nothing else. The objects
// carry an instance id, so that our controller leaves them alone.
func TestWhatThePublishedKindsKeepIsKept(t *testing.T) {
	for _, folder := range []string{"examples", "argocd"} {
		t.Run(folder, func(t *testing.T) {
			t.Parallel()
			if _, err := os.Stat(filepath.Join(conformance, folder)); err != nil {
				t.Skipf("the published manifests are not beside this repository: %v", err)
			}
			kinds := publishedKinds(t)
			ns := space(t)
			kept, refused := 0, 0
			for i, u := range published(t, filepath.Join(conformance, folder)) {
				u.SetName(fmt.Sprintf("%s-%d", strings.ToLower(u.GetKind()), i))
				if k, ok := kinds[u.GetKind()]; !ok {
					t.Errorf("there is no published kind %s", u.GetKind())
				} else if k.keep(u) {
					keepPublished(t, ns, u)
					kept++
				} else {
					refused++
				}
			}
			t.Logf("%d objects are kept; the published kinds themselves refuse %d", kept, refused)
			if kept == 0 {
				t.Error("no object was found")
			}
		})
	}
}

func publishedKinds(t *testing.T) map[string]kind {
	t.Helper()
	crds, err := cluster.DecodeFiles(os.DirFS(filepath.Join(conformance, "crds")), ".")
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]kind{}
	for _, u := range crds {
		crd := &apiextensionsv1.CustomResourceDefinition{}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, crd); err != nil {
			t.Fatal(err)
		}
		schema := &apiextensions.JSONSchemaProps{}
		if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(crd.Spec.Versions[0].Schema.OpenAPIV3Schema, schema, nil); err != nil {
			t.Fatal(err)
		}
		var k kind
		if k.structural, err = structuralschema.NewStructural(schema); err != nil {
			t.Fatal(err)
		}
		if k.validator, _, err = validation.NewSchemaValidator(schema); err != nil {
			t.Fatal(err)
		}
		kinds[crd.Spec.Names.Kind] = k
	}
	return kinds
}

// keep prunes an object as the published kind would, and reports whether it accepts it.
func (k kind) keep(u *unstructured.Unstructured) bool {
	pruning.Prune(u.Object, k.structural, true)
	return len(validation.ValidateCustomResource(nil, u.Object, k.validator)) == 0
}

// published are the objects of our group in a folder, as a user would write them.
func published(t *testing.T, folder string) (list []*unstructured.Unstructured) {
	t.Helper()
	err := fs.WalkDir(os.DirFS(folder), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".yaml") {
			return err
		}
		text, err := os.ReadFile(filepath.Join(folder, path))
		if err != nil {
			return err
		}
		objects, err := cluster.Decode(text)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		for _, u := range objects {
			if u.GroupVersionKind().Group == v1alpha1.GroupVersion.Group {
				u.SetAnnotations(map[string]string{"from": path})
				list = append(list, u)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func keepPublished(t *testing.T, ns string, u *unstructured.Unstructured) {
	t.Helper()
	where := u.GetAnnotations()["from"]
	clean := u.DeepCopy()
	clean.Object["metadata"] = map[string]any{
		"name": u.GetName(), "annotations": map[string]any{"from": where}, "labels": map[string]any{v1alpha1.InstanceIDLabel: "nobody"},
	}
	if u.GetKind() != "ClusterAnalysisTemplate" {
		clean.SetNamespace(ns)
	}
	stored := clean.DeepCopy()
	if err := shared.Client().Create(t.Context(), stored); err != nil {
		t.Errorf("%s: %v", where, err)
		return
	}
	if u.GetKind() == "Rollout" && u.Object["status"] != nil {
		stored.Object["status"] = u.DeepCopy().Object["status"]
		if err := shared.Client().Status().Update(t.Context(), stored); err != nil {
			t.Errorf("%s: %v", where, err)
			return
		}
	}
	readBack(t, clean.GetNamespace(), clean, "spec", "status")
}
