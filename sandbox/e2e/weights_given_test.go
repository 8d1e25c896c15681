package e2e

import (
	"fmt"
	"strings"
)

// routed is a router whose weights are proven with requests. In its texts $ns is the
// namespace and $host the host that users ask.
type routed struct {
	name    string
	host    string
	routing string // trafficRouting of the Rollout
	// subsets tells that the router needs no two Services.
	subsets   bool
	manifests string
	// group, version, kind and weights name the object that has the weights.
	group, version, kind, weights string
	// managed tells that the router has header and mirror routes.
	managed bool
}

const plainHost = "$ns.weights.example"

var routedBy = []routed{
	{
		name: "Istio VirtualService hosts", host: plainHost, managed: true,
		routing: "managedRoutes: [{name: marked}, {name: copied}], istio: {virtualService: {name: web, routes: [primary]}}",
		group:   "networking.istio.io", version: "v1", kind: "VirtualService", weights: "web",
		manifests: `
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web}
spec:
  hosts: [$host]
  http:
  - name: primary
    route:
    - {destination: {host: web-stable}, weight: 100}
    - {destination: {host: web-canary}, weight: 0}
`,
	},
	{
		name: "Istio subsets", host: plainHost, managed: true, subsets: true,
		routing: "managedRoutes: [{name: marked}, {name: copied}], istio: {virtualService: {name: web, routes: [primary]}, " +
			"destinationRule: {name: web, stableSubsetName: stable, canarySubsetName: canary}}",
		group: "networking.istio.io", version: "v1", kind: "VirtualService", weights: "web",
		manifests: rootService + `
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web}
spec:
  hosts: [$host]
  http:
  - name: primary
    route:
    - {destination: {host: web, subset: stable}, weight: 100}
    - {destination: {host: web, subset: canary}, weight: 0}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: web}
spec:
  host: web
  subsets: [{name: stable, labels: {app: web}}, {name: canary, labels: {app: web}}]
`,
	},
	{
		name: "Gateway API HTTPRoute", host: plainHost, managed: true,
		routing: "managedRoutes: [{name: marked}, {name: copied}], plugins: {argoproj-labs/gatewayAPI: {httpRoute: web, namespace: $ns}}",
		group:   "gateway.networking.k8s.io", version: "v1", kind: "HTTPRoute", weights: "web",
		manifests: `
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web}
spec:
  parentRefs: [{name: gateway}]
  hostnames: [$host]
  rules:
  - backendRefs: [{name: web-stable, port: 80, weight: 100}, {name: web-canary, port: 80, weight: 0}]
`,
	},
	{
		name: "NGINX", host: plainHost, routing: "nginx: {stableIngress: web}",
		group: "networking.k8s.io", version: "v1", kind: "Ingress", weights: "web-web-canary",
		manifests: `
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web}
spec:
  ingressClassName: nginx
  rules: [{host: $host, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web-stable, port: {number: 80}}}}]}}]
`,
	},
	{
		name: "SMI", host: "web.$ns", routing: "smi: {rootService: web}",
		group: "split.smi-spec.io", version: "v1alpha1", kind: "TrafficSplit", weights: "web",
		manifests: rootService,
	},
	{
		name: "Traefik", host: plainHost, routing: "traefik: {weightedTraefikServiceName: web}",
		group: "traefik.io", version: "v1alpha1", kind: "TraefikService", weights: "web",
		manifests: `
---
apiVersion: traefik.io/v1alpha1
kind: TraefikService
metadata: {name: web}
spec: {weighted: {services: [{name: web-canary, port: 80, weight: 0}, {name: web-stable, port: 80, weight: 100}]}}
---
apiVersion: traefik.io/v1alpha1
kind: IngressRoute
metadata: {name: web}
spec:
  routes:
  - {kind: Rule, match: "Host(` + "`$host`" + `) && PathPrefix(` + "`/`" + `)", services: [{name: web, kind: TraefikService}]}
`,
	},
}

const rootService = `
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: http}]}
`

// proven are the weights at which the releases pause.
var proven = []int{1, 5, 30, 100}

// copies is how many of a hundred requests under /copied are mirrored.
const copies = 30

// steps pause at each of the proven weights and before that, where there are managed
// routes, with weight 0 and both of them. The header route stays.
func (r routed) steps() string {
	var steps []string
	if r.managed {
		steps = []string{
			"setCanaryScale: {replicas: 1}",
			"setHeaderRoute: {name: marked, match: [{headerName: x-marked, headerValue: {exact: 'yes'}}]}",
			fmt.Sprintf("setMirrorRoute: {name: copied, percentage: %d, match: [{method: {exact: GET}, path: {prefix: /copied}}]}", copies),
			"pause: {}",
			"setMirrorRoute: {name: copied}",
			"setCanaryScale: {matchTrafficWeight: true}",
		}
	}
	for _, w := range proven {
		steps = append(steps, fmt.Sprintf("setWeight: %d", w), "pause: {}")
	}
	return "[{" + strings.Join(steps, "}, {") + "}]"
}

// given is a Rollout with all that its router needs. Its pods answer at once, and go on
// for two seconds when they end, until the gateway has heard of it.
func (r routed) given(ns, host string) string {
	both := "stableService: web-stable, canaryService: web-canary, "
	if r.subsets {
		both = ""
	}
	return strings.NewReplacer("$ns", ns, "$host", host).Replace(`
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: web}
spec:
  replicas: 4
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: app, image: "` + demoImage("v1") + `", ports: [{name: http, containerPort: 8080}], lifecycle: {preStop: {sleep: {seconds: 2}}}}
  strategy:
    canary: {` + both + `scaleDownDelaySeconds: 1, abortScaleDownDelaySeconds: 1, trafficRouting: {` + r.routing + `}, steps: ` + r.steps() + `}
` + services + r.manifests)
}

func demoImage(version string) string { return "penstock/demo:" + version + "-l0s" }
