package gatewayapi

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/traffic"
	"github.com/penstock-io/penstock/internal/traffic/objects"
	"github.com/penstock-io/penstock/internal/traffic/routertest"
)

const web = `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web, namespace: shop, generation: 3, labels: {team: a}, annotations: {note: keep}}
spec:
  parentRefs: [{name: public, namespace: infra}]
  future: {field: [1, 2.5, null, {x: true}]}
  rules:
  - name: preview
    matches: [{headers: [{name: x-preview, value: "1"}]}]
    backendRefs: [{name: canary, port: 80}]
  - name: health
    backendRefs: [{name: stable, port: 80, weight: 7}]
  - timeouts: {request: 3s}
    filters: [{type: RequestMirror, requestMirror: {backendRef: {name: canary, port: 80}}}]
    backendRefs:
    - {name: stable, port: 80, weight: 100, filters: []}
    - {group: "", kind: Service, name: canary, port: 80, weight: 0}
    - {name: legacy, port: 80, weight: 25}
    - {group: multicluster.x-k8s.io, kind: ServiceImport, name: canary, port: 80, weight: 0}
    - {name: canary, namespace: other, port: 80, weight: 0}
  - backendRefs:
    - {name: canary, namespace: shop, port: 81, weight: 0}
    - {name: stable, port: 81, weight: 100}
status:
  parents: [{parentRef: {name: public}, controllerName: example.com/gw, conditions: []}]
`

const api = `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: api, namespace: shop, labels: {routes: web}}
spec:
  rules:
  - backendRefs: [{name: stable, port: 80, weight: 100}, {name: canary, port: 80, weight: 0}]
`

func target(section string) traffic.Target {
	var routing v1alpha1.RolloutTrafficRouting
	if err := yaml.Unmarshal([]byte("plugins: {argoproj-labs/gatewayAPI: "+section+"}"), &routing); err != nil {
		panic(err)
	}
	routing.ManagedRoutes = managedNames
	return traffic.Target{Namespace: "shop", Name: "web", StableService: "stable", CanaryService: "canary", Routing: &routing}
}

func build(reader client.Reader, writer client.Client) traffic.Router {
	return New(reader, writer, Options{})
}

// each calls do for our backends in the rules that hold both.
func each(u *unstructured.Unstructured, do func(backend map[string]any)) {
	list, _, _ := unstructured.NestedFieldNoCopy(u.Object, "spec", "rules")
	for _, r := range objects.Entries(list) {
		if name, _ := r["name"].(string); name != "" && !strings.HasPrefix(name, "main") {
			continue
		}
		for _, b := range objects.Entries(r["backendRefs"]) {
			if (b["name"] == "stable" || b["name"] == "canary") && b["namespace"] != "other" && b["kind"] != "ServiceImport" {
				do(b)
			}
		}
	}
}

func fixture(t *testing.T, section string) routertest.Fixture {
	return routertest.Fixture{
		New: build, Target: target(section),
		Objects: []*unstructured.Unstructured{routertest.Object(t, web), routertest.Object(t, api)},
		Extras:  true, Headers: true, Mirrors: true,
		Mask: func(u *unstructured.Unstructured) {
			unowned(u)
			each(u, func(b map[string]any) { delete(b, "weight") })
			for _, key := range []string{"rollouts.argoproj.io/gatewayapi-canary", "marker"} {
				unstructured.RemoveNestedField(u.Object, "metadata", "labels", key)
			}
			if len(u.GetLabels()) == 0 {
				unstructured.RemoveNestedField(u.Object, "metadata", "labels")
			}
		},
		Drift: func(u *unstructured.Unstructured) { each(u, func(b map[string]any) { b["weight"] = int64(1) }) },
	}
}

// Covers: edge 72, outage 16, outage 18.
func TestContract(t *testing.T) {
	for name, section := range map[string]string{
		"by name":               `{httpRoutes: [{name: web, useHeaderRoutes: true}, {name: api, useHeaderRoutes: true}]}`,
		"by both ways to name":  `{httpRoute: web, httpRoutes: [{name: web}, {name: api}]}`,
		"without the label":     `{httpRoutes: [{name: web, useHeaderRoutes: true}, {name: api}], disableInProgressLabel: true}`,
		"with another label":    `{httpRoutes: [{name: web}, {name: api, useHeaderRoutes: true}], inProgressLabelKey: marker}`,
		"in a stated namespace": `{httpRoutes: [{name: api}], httpRoute: web, namespace: shop}`,
	} {
		t.Run(name, func(t *testing.T) { routertest.Run(t, fixture(t, section)) })
	}
}

// Covers: edge 74.
func TestContractWithMaxTrafficWeight(t *testing.T) {
	f := fixture(t, `{httpRoute: web, httpRoutes: [{name: web}, {name: api}]}`)
	f.Total = 1000
	for _, u := range f.Objects {
		each(u, func(b map[string]any) {
			if b["name"] == "stable" {
				b["weight"] = int64(1000)
			}
		})
	}
	f.Target.Routing.MaxTrafficWeight = &f.Total
	routertest.Run(t, f)
}
