package istio

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/traffic"
	"github.com/penstock-io/penstock/internal/traffic/objects"
	"github.com/penstock-io/penstock/internal/traffic/routertest"
)

const hostService = `
apiVersion: networking.istio.io/v1alpha3
kind: VirtualService
metadata: {name: web, namespace: shop, labels: {team: a}, annotations: {note: keep}}
spec:
  hosts: [web.example.com]
  future: {field: [1, 2.5, null, {x: true}]}
  http:
  - name: preview
    match: [{headers: {x-preview: {exact: "1"}}}]
    route: [{destination: {host: canary}, weight: 100}]
  - name: primary
    timeout: 3s
    retries: {attempts: 3}
    route:
    - {destination: {host: stable, port: {number: 80}}, weight: 80, headers: {request: {set: {a: b}}}}
    - {destination: {host: canary.shop.svc.cluster.local}, weight: 0}
    - {destination: {host: legacy.other.svc.cluster.local}, weight: 20}
    - {destination: {host: stable.other}, weight: 0}
  tls:
  - match: [{port: 443, sniHosts: [web.example.com]}]
    route:
    - {destination: {host: stable}, weight: 100}
    - {destination: {host: canary}, weight: 0}
`

const otherService = `
apiVersion: networking.istio.io/v1alpha3
kind: VirtualService
metadata: {name: web, namespace: edge}
spec:
  http:
  - route:
    - {destination: {host: stable.shop}, weight: 100}
    - {destination: {host: canary.shop.svc}, weight: 0}
    - {destination: {host: canary}, weight: 0}
`

const subsetService = `
apiVersion: networking.istio.io/v1alpha3
kind: VirtualService
metadata: {name: web, namespace: shop}
spec:
  http:
  - route:
    - {destination: {host: web, subset: stable}, weight: 90}
    - {destination: {host: web, subset: canary}, weight: 0}
    - {destination: {host: web, subset: pinned}, weight: 10}
    - {destination: {host: other, subset: canary}, weight: 0}
`

const rule = `
apiVersion: networking.istio.io/v1alpha3
kind: DestinationRule
metadata: {name: web, namespace: shop, annotations: {note: keep}}
spec:
  host: web.shop.svc.cluster.local
  trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}
  subsets:
  - {name: stable, labels: {app: web}, trafficPolicy: {connectionPool: {tcp: {maxConnections: 7}}}}
  - {name: pinned, labels: {app: web, rollouts-pod-template-hash: mine}}
  - {name: canary}
`

func hostTarget() traffic.Target {
	return traffic.Target{
		Namespace: "shop", Name: "web", StableService: "stable", CanaryService: "canary",
		Routing: &v1alpha1.RolloutTrafficRouting{Istio: &v1alpha1.IstioTrafficRouting{VirtualServices: []v1alpha1.IstioVirtualService{
			{Name: "web", Routes: []string{"primary"}},
			{Name: "web.edge"},
		}}, ManagedRoutes: managedNames},
	}
}

func subsetTarget() traffic.Target {
	return traffic.Target{
		Namespace: "shop", Name: "web",
		Routing: &v1alpha1.RolloutTrafficRouting{Istio: &v1alpha1.IstioTrafficRouting{
			VirtualService:  &v1alpha1.IstioVirtualService{Name: "web"},
			DestinationRule: &v1alpha1.IstioDestinationRule{Name: "web", CanarySubsetName: "canary", StableSubsetName: "stable"},
		}, ManagedRoutes: managedNames},
	}
}

func build(reader client.Reader, writer client.Client) traffic.Router {
	return New(reader, writer, Options{})
}

// each calls do for every destination of the routes that the fixtures' rollout owns.
func each(u *unstructured.Unstructured, do func(host, subset string, route map[string]any)) {
	for _, k := range []string{"http", "tls", "tcp"} {
		list, _, _ := unstructured.NestedFieldNoCopy(u.Object, "spec", k)
		for _, r := range objects.Entries(list) {
			if name, _ := r["name"].(string); name == "preview" || strings.HasPrefix(name, "foreign") {
				continue
			}
			for _, d := range objects.Entries(r["route"]) {
				host, _ := asMap(d["destination"])["host"].(string)
				sub, _ := asMap(d["destination"])["subset"].(string)
				do(host, sub, d)
			}
		}
	}
}

// Covers: edge 72, outage 16, outage 18.
func TestContractWithServices(t *testing.T) {
	ours := func(u *unstructured.Unstructured, host string) bool {
		host = full(host, u.GetNamespace())
		return host == "stable.shop" || host == "canary.shop"
	}
	routertest.Run(t, routertest.Fixture{
		New: build, Target: hostTarget(), Extras: true, Headers: true, Mirrors: true, Shape: hostShape,
		Objects: []*unstructured.Unstructured{routertest.Object(t, hostService), routertest.Object(t, otherService)},
		Mask: func(u *unstructured.Unstructured) {
			unowned(u)
			each(u, func(host, _ string, r map[string]any) {
				if ours(u, host) {
					delete(r, "weight")
				}
			})
		},
		Drift: func(u *unstructured.Unstructured) {
			each(u, func(host, _ string, r map[string]any) {
				if ours(u, host) {
					r["weight"] = int64(50)
				}
			})
		},
	})
}

// Covers: edge 72, outage 16, outage 18, traffic edge 157, traffic edge 163.
func TestContractWithSubsets(t *testing.T) {
	routertest.Run(t, routertest.Fixture{
		New: build, Target: subsetTarget(), Pinned: true, Extras: true, Headers: true, Mirrors: true, Shape: subsetShape,
		Objects: []*unstructured.Unstructured{routertest.Object(t, subsetService), routertest.Object(t, rule)},
		Mask: func(u *unstructured.Unstructured) {
			unowned(u)
			list, _, _ := unstructured.NestedFieldNoCopy(u.Object, "spec", "subsets")
			for _, s := range objects.Entries(list) {
				if s["name"] == "stable" || s["name"] == "canary" {
					delete(asMap(s["labels"]), "rollouts-pod-template-hash")
				}
				if l := asMap(s["labels"]); l != nil && len(l) == 0 {
					delete(s, "labels")
				}
			}
			each(u, func(host, sub string, r map[string]any) {
				if host == "web" && (sub == "stable" || sub == "canary") {
					delete(r, "weight")
				}
			})
		},
		Drift: func(u *unstructured.Unstructured) {
			list, _, _ := unstructured.NestedFieldNoCopy(u.Object, "spec", "subsets")
			for _, s := range objects.Entries(list) {
				if s["name"] != "pinned" {
					delete(asMap(s["labels"]), "rollouts-pod-template-hash")
				}
			}
			each(u, func(host, sub string, r map[string]any) {
				if host == "web" && sub == "canary" {
					r["weight"] = int64(0)
				}
			})
		},
	})
}
