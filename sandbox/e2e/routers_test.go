package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/sandbox/cluster"
)

// kinds are those that the sandbox's API server does not have.
const kinds = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: mappings.getambassador.io}
spec:
  group: getambassador.io
  scope: Namespaced
  names: {kind: Mapping, listKind: MappingList, plural: mappings, singular: mapping}
  versions: [{name: v2, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}]
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: apisixroutes.apisix.apache.org}
spec:
  group: apisix.apache.org
  scope: Namespaced
  names: {kind: ApisixRoute, listKind: ApisixRouteList, plural: apisixroutes, singular: apisixroute}
  versions: [{name: v2, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}]
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: virtualservices.appmesh.k8s.aws}
spec:
  group: appmesh.k8s.aws
  scope: Namespaced
  names: {kind: VirtualService, listKind: VirtualServiceList, plural: virtualservices, singular: virtualservice}
  versions: [{name: v1beta2, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}]
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: virtualnodes.appmesh.k8s.aws}
spec:
  group: appmesh.k8s.aws
  scope: Namespaced
  names: {kind: VirtualNode, listKind: VirtualNodeList, plural: virtualnodes, singular: virtualnode}
  versions: [{name: v1beta2, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}]
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: virtualrouters.appmesh.k8s.aws}
spec:
  group: appmesh.k8s.aws
  scope: Namespaced
  names: {kind: VirtualRouter, listKind: VirtualRouterList, plural: virtualrouters, singular: virtualrouter}
  versions: [{name: v1beta2, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}]
`

// byObject is a router whose weights stand in one object.
type byObject struct {
	section, manifests   string
	group, version, kind string
	name                 string
	made                 bool
	// weight reads the canary's, and half is a patch that somebody sends.
	weight func(u *unstructured.Unstructured) string
	half   string
}

var byObjects = map[string]byObject{
	"ingress-nginx": {
		section: "nginx: {stableIngress: web}", group: "networking.k8s.io", version: "v1", kind: "Ingress", name: "web-web-canary", made: true,
		manifests: `
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web}
spec:
  ingressClassName: nginx
  rules: [{host: a.example, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web-stable, port: {number: 80}}}}]}}]
`,
		weight: func(u *unstructured.Unstructured) string {
			return u.GetAnnotations()["nginx.ingress.kubernetes.io/canary-weight"]
		},
		half: `{"metadata":{"annotations":{"nginx.ingress.kubernetes.io/canary-weight":"50"}}}`,
	},
	"ALB": {
		section: "alb: {ingress: web, servicePort: 80, rootService: web-root}", group: "networking.k8s.io", version: "v1", kind: "Ingress", name: "web",
		manifests: `
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web}
spec:
  ingressClassName: alb
  rules: [{host: a.example, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web-root, port: {name: use-annotation}}}}]}}]
`,
		weight: func(u *unstructured.Unstructured) string {
			_, text, _ := strings.Cut(u.GetAnnotations()["alb.ingress.kubernetes.io/actions.web-root"], `"web-canary","ServicePort":"80","Weight":`)
			weight, _, _ := strings.Cut(text, "}")
			return weight
		},
		half: `{"metadata":{"annotations":{"alb.ingress.kubernetes.io/actions.web-root":"{\"Type\":\"forward\",\"ForwardConfig\":{\"TargetGroups\":[{\"ServiceName\":\"web-canary\",\"ServicePort\":\"80\",\"Weight\":50},{\"ServiceName\":\"web-stable\",\"ServicePort\":\"80\",\"Weight\":50}]}}"}}}`,
	},
	"SMI": {
		section: "smi: {}", group: "split.smi-spec.io", version: "v1alpha1", kind: "TrafficSplit", name: "web", made: true,
		weight: func(u *unstructured.Unstructured) string { return first(u, "spec", "backends") },
		half:   `{"spec":{"backends":[{"service":"web-canary","weight":"50"},{"service":"web-stable","weight":"50"}]}}`,
	},
	"Ambassador": {
		section: "ambassador: {mappings: [web]}", group: "getambassador.io", version: "v2", kind: "Mapping", name: "web-canary", made: true,
		manifests: `
---
apiVersion: getambassador.io/v2
kind: Mapping
metadata: {name: web}
spec: {prefix: /, service: "web-stable:80"}
`,
		weight: func(u *unstructured.Unstructured) string {
			spec, _ := u.Object["spec"].(map[string]any)
			return fmt.Sprint(spec["weight"])
		},
		half: `{"spec":{"weight":50}}`,
	},
	"App Mesh": {
		section: "appMesh: {virtualService: {name: web}, virtualNodeGroup: {stableVirtualNodeRef: {name: web-stable}, canaryVirtualNodeRef: {name: web-canary}}}",
		group:   "appmesh.k8s.aws", version: "v1beta2", kind: "VirtualRouter", name: "web-router",
		manifests: `
---
apiVersion: appmesh.k8s.aws/v1beta2
kind: VirtualService
metadata: {name: web}
spec: {provider: {virtualRouter: {virtualRouterRef: {name: web-router}}}}
---
apiVersion: appmesh.k8s.aws/v1beta2
kind: VirtualRouter
metadata: {name: web-router}
spec: {routes: [{name: all, httpRoute: {match: {prefix: /}, action: {weightedTargets: [{virtualNodeRef: {name: web-canary}, weight: 0}, {virtualNodeRef: {name: web-stable}, weight: 100}]}}}]}
---
apiVersion: appmesh.k8s.aws/v1beta2
kind: VirtualNode
metadata: {name: web-stable}
spec: {podSelector: {matchLabels: {app: web}}}
---
apiVersion: appmesh.k8s.aws/v1beta2
kind: VirtualNode
metadata: {name: web-canary}
spec: {podSelector: {matchLabels: {app: web}}}
`,
		weight: func(u *unstructured.Unstructured) string {
			list, _, err := unstructured.NestedSlice(u.Object, "spec", "routes")
			if err != nil || len(list) != 1 {
				return fmt.Sprint("no list: ", err)
			}
			return first(&unstructured.Unstructured{Object: list[0].(map[string]any)}, "httpRoute", "action", "weightedTargets")
		},
		half: `{"spec":{"routes":[{"name":"all","httpRoute":{"match":{"prefix":"/"},"action":{"weightedTargets":[{"virtualNodeRef":{"name":"web-canary"},"weight":50},{"virtualNodeRef":{"name":"web-stable"},"weight":50}]}}}]}}`,
	},
	"APISIX": {
		section: "apisix: {route: {name: web, rules: [main]}}", group: "apisix.apache.org", version: "v2", kind: "ApisixRoute", name: "web",
		manifests: `
---
apiVersion: apisix.apache.org/v2
kind: ApisixRoute
metadata: {name: web}
spec: {http: [{name: main, backends: [{serviceName: web-canary, servicePort: 80, weight: 0}, {serviceName: web-stable, servicePort: 80, weight: 100}]}]}
`,
		weight: func(u *unstructured.Unstructured) string {
			list, _, err := unstructured.NestedSlice(u.Object, "spec", "http")
			if err != nil || len(list) != 1 {
				return fmt.Sprint("no list: ", err)
			}
			return first(&unstructured.Unstructured{Object: list[0].(map[string]any)}, "backends")
		},
		half: `{"spec":{"http":[{"name":"main","backends":[{"serviceName":"web-canary","servicePort":80,"weight":50},{"serviceName":"web-stable","servicePort":80,"weight":50}]}]}}`,
	},
	"Traefik": {
		section: "traefik: {weightedTraefikServiceName: web}", group: "traefik.io", version: "v1alpha1", kind: "TraefikService", name: "web",
		manifests: `
---
apiVersion: traefik.io/v1alpha1
kind: TraefikService
metadata: {name: web}
spec: {weighted: {services: [{name: web-canary, port: 80, weight: 0}, {name: web-stable, port: 80, weight: 100}]}}
`,
		weight: func(u *unstructured.Unstructured) string { return first(u, "spec", "weighted", "services") },
		half:   `{"spec":{"weighted":{"services":[{"name":"web-canary","port":80,"weight":50},{"name":"web-stable","port":80,"weight":50}]}}}`,
	},
	"GRPCRoute": {
		section: "plugins: {argoproj-labs/gatewayAPI: {grpcRoute: web}}", group: "gateway.networking.k8s.io", version: "v1", kind: "GRPCRoute", name: "web",
		manifests: routeOf("GRPCRoute"), weight: inRule,
		half: `{"spec":{"rules":[{"backendRefs":[{"name":"web-canary","port":80,"weight":50},{"name":"web-stable","port":80,"weight":50}]}]}}`,
	},
	"TCPRoute": {
		section: "plugins: {argoproj-labs/gatewayAPI: {tcpRouteSelector: {matchLabels: {app: web}}}}", group: "gateway.networking.k8s.io", version: "v1", kind: "TCPRoute", name: "web",
		manifests: routeOf("TCPRoute"), weight: inRule,
		half: `{"spec":{"rules":[{"backendRefs":[{"name":"web-canary","port":80,"weight":50},{"name":"web-stable","port":80,"weight":50}]}]}}`,
	},
}

// routeOf is a route of the Gateway API, of a kind that the sandbox's gateway does not follow.
func routeOf(kind string) string {
	return `
---
apiVersion: gateway.networking.k8s.io/v1
kind: ` + kind + `
metadata: {name: web, labels: {app: web}}
spec: {parentRefs: [{name: public}], rules: [{backendRefs: [{name: web-canary, port: 80, weight: 0}, {name: web-stable, port: 80, weight: 100}]}]}
`
}

// inRule is the weight of the first backend of the last rule of a route.
func inRule(u *unstructured.Unstructured) string {
	list, _, err := unstructured.NestedSlice(u.Object, "spec", "rules")
	if err != nil || len(list) == 0 {
		return fmt.Sprint("no list: ", err)
	}
	return first(&unstructured.Unstructured{Object: list[len(list)-1].(map[string]any)}, "backendRefs")
}

// gatewayKinds are the definitions of routes as the Gateway API publishes them.
func gatewayKinds(t *testing.T) []*unstructured.Unstructured {
	t.Helper()
	dir, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/gateway-api").Output()
	if err != nil {
		t.Fatal(err)
	}
	all, err := cluster.DecodeFiles(os.DirFS(strings.TrimSpace(string(dir))), "config/crd/standard")
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(all, func(u *unstructured.Unstructured) bool {
		return u.GetName() != "grpcroutes.gateway.networking.k8s.io" && u.GetName() != "tcproutes.gateway.networking.k8s.io"
	})
}

// first is the weight of the first entry of a list.
func first(u *unstructured.Unstructured, fields ...string) string {
	list, _, err := unstructured.NestedSlice(u.Object, fields...)
	if err != nil || len(list) == 0 {
		return fmt.Sprint("no list: ", err)
	}
	return fmt.Sprint(list[0].(map[string]any)["weight"])
}

func (b byObject) reads(t *testing.T, ns, want string, limit time.Duration) {
	t.Helper()
	within(t, limit, func() error {
		u := object(b.group, b.version, b.kind)
		if err := shared.Client().Get(t.Context(), types.NamespacedName{Namespace: ns, Name: b.name}, u); err != nil {
			return err
		}
		if got := b.weight(u); got != want {
			return fmt.Errorf("the weight is %s, want %s", got, want)
		}
		return nil
	})
}

// TestRoutersByOneObject: the real API server takes what is written, drift is mended from the
// watch, an abort takes the weight back, and what was made goes when it is not asked for.
func TestRoutersByOneObject(t *testing.T) {
	t.Parallel()
	made, err := cluster.Decode([]byte(kinds))
	if err != nil {
		t.Fatal(err)
	}
	if err := shared.Apply(t.Context(), "", append(made, gatewayKinds(t)...)...); err != nil {
		t.Fatal(err)
	}
	for name, b := range byObjects {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ns := space(t)
			strategy := fmt.Sprintf(`
    canary:
      stableService: web-stable
      canaryService: web-canary
      trafficRouting: {%s}
      steps: [{setWeight: 20}, {pause: {}}]
`, b.section)
			within(t, 30*time.Second, func() error { // a new kind is not served at once
				list, err := cluster.Decode([]byte(web(strategy) + services + b.manifests))
				if err != nil {
					return err
				}
				return shared.Apply(t.Context(), ns, list...)
			})
			await(t, ns, "web", time.Minute, inPhase(v1alpha1.RolloutPhaseHealthy))
			b.reads(t, ns, "0", 10*time.Second)
			setImage(t, ns, "web", "penstock/demo:v2")
			await(t, ns, "web", 30*time.Second, atStep(1))
			b.reads(t, ns, "20", 0)
			u := object(b.group, b.version, b.kind)
			u.SetNamespace(ns)
			u.SetName(b.name)
			if err := shared.Client().Patch(t.Context(), u, client.RawPatch(types.MergePatchType, []byte(b.half))); err != nil {
				t.Fatal(err)
			}
			b.reads(t, ns, "20", 3*time.Second)
			ro := rollout(t, ns, "web")
			if err := shared.Client().Status().Patch(t.Context(), ro, client.RawPatch(types.MergePatchType, []byte(`{"status":{"abort":true}}`))); err != nil {
				t.Fatal(err)
			}
			b.reads(t, ns, "0", 5*time.Second)
			if !b.made {
				return
			}
			if err := shared.Client().Patch(t.Context(), ro, client.RawPatch(types.JSONPatchType, []byte(`[{"op":"remove","path":"/spec/strategy/canary/trafficRouting"}]`))); err != nil {
				t.Fatal(err)
			}
			within(t, 10*time.Second, func() error {
				if err := shared.Client().Get(t.Context(), client.ObjectKeyFromObject(u), u); client.IgnoreNotFound(err) != nil || err == nil {
					return fmt.Errorf("%s %s is still there: %v", b.kind, b.name, err)
				}
				return nil
			})
		})
	}
}

// TestRoutersOfSeveralKinds: one Rollout routes with two kinds, of which one takes header
// routes, and the real API server takes those, too.
//
// Covers: traffic edge 186.
func TestRoutersOfSeveralKinds(t *testing.T) {
	t.Parallel()
	if err := shared.Apply(t.Context(), "", gatewayKinds(t)...); err != nil {
		t.Fatal(err)
	}
	ns := space(t)
	within(t, 30*time.Second, func() error { // a new kind is not served at once
		list, err := cluster.Decode([]byte(web(`
    canary:
      stableService: web-stable
      canaryService: web-canary
      trafficRouting:
        managedRoutes: [{name: testers}]
        plugins: {argoproj-labs/gatewayAPI: {grpcRoute: web, tcpRoute: web}}
      steps:
      - setWeight: 20
      - setHeaderRoute: {name: testers, match: [{headerName: x-test, headerValue: {prefix: "a."}}]}
      - pause: {}
`) + services + routeOf("GRPCRoute") + routeOf("TCPRoute")))
		if err != nil {
			return err
		}
		return shared.Apply(t.Context(), ns, list...)
	})
	read := func(kind, want string) {
		t.Helper()
		within(t, 10*time.Second, func() error {
			u := object("gateway.networking.k8s.io", "v1", kind)
			if err := shared.Client().Get(t.Context(), types.NamespacedName{Namespace: ns, Name: "web"}, u); err != nil {
				return err
			}
			rules, _, err := unstructured.NestedSlice(u.Object, "spec", "rules")
			if got := fmt.Sprintf("%d rules, canary %s", len(rules), inRule(u)); got != want {
				return fmt.Errorf("%s: %s, want %s, %v", kind, got, want, err)
			}
			return nil
		})
	}
	await(t, ns, "web", time.Minute, inPhase(v1alpha1.RolloutPhaseHealthy))
	setImage(t, ns, "web", "penstock/demo:v2")
	await(t, ns, "web", 30*time.Second, atStep(2))
	read("GRPCRoute", "2 rules, canary 20")
	read("TCPRoute", "1 rules, canary 20")
	resume(t, ns, "web")
	await(t, ns, "web", time.Minute, inPhase(v1alpha1.RolloutPhaseHealthy))
	read("GRPCRoute", "1 rules, canary 0")
	read("TCPRoute", "1 rules, canary 0")
}
