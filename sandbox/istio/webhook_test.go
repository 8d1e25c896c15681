package istio

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/dynamic"
)

// isValid asks Istio's webhook about the objects as they stand, which the API server would
// ask in a cluster with Istio.
func (r *release) isValid(t *testing.T, name string) {
	t.Helper()
	kinds := map[string]dynamic.NamespaceableResourceInterface{"VirtualService": shared.Resource(virtualServices)}
	if strings.Contains(r.manifests, "kind: DestinationRule") {
		kinds["DestinationRule"] = shared.Resource(destinationRules)
	}
	for kind, client := range kinds {
		u, err := client.Namespace(r.namespace).Get(t.Context(), "web", metav1.GetOptions{})
		if err == nil {
			err = review(t.Context(), u)
		}
		if err != nil {
			t.Errorf("%s: Istio does not like the %s: %v", name, kind, err)
		}
	}
}

// review returns what Istio's webhook has against an object, warnings included.
func review(ctx context.Context, u *unstructured.Unstructured) error {
	raw, err := u.MarshalJSON()
	if err != nil {
		return err
	}
	k := u.GroupVersionKind()
	body, err := json.Marshal(admissionv1.AdmissionReview{
		TypeMeta: metav1.TypeMeta{APIVersion: "admission.k8s.io/v1", Kind: "AdmissionReview"},
		Request: &admissionv1.AdmissionRequest{
			UID: "1", Operation: admissionv1.Update, Namespace: u.GetNamespace(), Name: u.GetName(),
			Kind: metav1.GroupVersionKind{Group: k.Group, Version: k.Version, Kind: k.Kind}, Object: runtime.RawExtension{Raw: raw},
		},
	})
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+webhook+"/validate", bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close() //nolint:errcheck // only read
	var a admissionv1.AdmissionReview
	if err := json.NewDecoder(answer.Body).Decode(&a); err != nil {
		return fmt.Errorf("read the answer %s of Istio's webhook: %w", answer.Status, err)
	}
	if a.Response == nil || !a.Response.Allowed || len(a.Response.Warnings) > 0 {
		return fmt.Errorf("%v", a.Response)
	}
	return nil
}

// A review that finds nothing would find nothing in anything.
func TestIstioRefusesABrokenObject(t *testing.T) {
	for name, spec := range map[string]map[string]any{
		"a route without destination": {"hosts": []any{"web"}, "http": []any{map[string]any{"name": "primary"}}},
		"a rule without host":         {"hosts": []any{}},
	} {
		t.Run(name, func(t *testing.T) {
			u := &unstructured.Unstructured{Object: map[string]any{
				"apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
				"metadata": map[string]any{"name": "broken", "namespace": "default"}, "spec": spec,
			}}
			if err := review(t.Context(), u); err == nil {
				t.Error("Istio takes it")
			}
		})
	}
}
