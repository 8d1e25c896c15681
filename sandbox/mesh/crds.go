package mesh

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"
)

//go:embed crds/*.yaml
var crdFiles embed.FS

var crdGVR = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}

// establishTimeout bounds the wait for one kind to be served.
const establishTimeout = 30 * time.Second

// CRDs are minimal definitions of the kinds that the gateway follows:
// VirtualService and DestinationRule of Istio, GatewayClass, Gateway and
// HTTPRoute of the Gateway API, TrafficSplit of SMI, and IngressRoute and
// TraefikService of Traefik. Their specs are not validated. Status is a
// subresource of those of Istio and of the Gateway API; the others have none.
func CRDs() ([]*unstructured.Unstructured, error) {
	names, err := fs.Glob(crdFiles, "crds/*.yaml")
	if err != nil {
		return nil, fmt.Errorf("list definitions: %w", err)
	}
	var out []*unstructured.Unstructured
	for _, name := range names {
		raw, err := crdFiles.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		u := &unstructured.Unstructured{}
		if err := yaml.Unmarshal(raw, &u.Object); err != nil {
			return nil, fmt.Errorf("decode %s: %w", name, err)
		}
		out = append(out, u)
	}
	return out, nil
}

// InstallCRDs applies CRDs and returns when all of them are served. It may be
// called again.
func InstallCRDs(ctx context.Context, config *rest.Config) error {
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("make dynamic client: %w", err)
	}
	return installCRDs(ctx, client)
}

func installCRDs(ctx context.Context, client dynamic.Interface) error {
	all, err := CRDs()
	if err != nil {
		return err
	}
	for _, u := range all {
		_, err := client.Resource(crdGVR).Apply(ctx, u.GetName(), u, metav1.ApplyOptions{FieldManager: "penstock-sandbox", Force: true})
		if err != nil {
			return fmt.Errorf("apply definition %s: %w", u.GetName(), err)
		}
	}
	for _, u := range all {
		err := wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, establishTimeout, true, func(ctx context.Context) (bool, error) {
			got, err := client.Resource(crdGVR).Get(ctx, u.GetName(), metav1.GetOptions{})
			return err == nil && established(got), nil
		})
		if err != nil {
			return fmt.Errorf("wait for definition %s: %w", u.GetName(), err)
		}
	}
	return nil
}

func established(crd *unstructured.Unstructured) bool {
	conditions, _, err := unstructured.NestedSlice(crd.Object, "status", "conditions")
	if err != nil {
		return false
	}
	for _, c := range conditions {
		if m, is := c.(map[string]any); is && m["type"] == "Established" && m["status"] == "True" {
			return true
		}
	}
	return false
}
