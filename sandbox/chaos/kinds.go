package chaos

import (
	"strconv"
	"strings"
)

// kind is one way to release. In its text $N is the Rollout's name.
type kind struct {
	name string
	// host is where users ask; objects are the routes.
	host, objects string
	strategy      string
	// fallible releases ask an analysis before they promote.
	fallible bool
}

const (
	routed  = "$N.chaos.example"
	service = "$N-stable." + namespace

	istioRoute = `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: $N}
spec:
  hosts: [$N.chaos.example]
  http:
  - name: primary
    route:
    - {destination: {host: $N-stable}, weight: 100}
    - {destination: {host: $N-canary}, weight: 0}
`
	subsetRoute = `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: $N}
spec:
  hosts: [$N.chaos.example]
  http:
  - name: primary
    route:
    - {destination: {host: $N-stable, subset: stable}, weight: 100}
    - {destination: {host: $N-stable, subset: canary}, weight: 0}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: $N}
spec:
  host: $N-stable
  subsets:
  - {name: stable, labels: {app: $N}}
  - {name: canary, labels: {app: $N}}
`
	httpRoute = `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: $N}
spec:
  parentRefs: [{name: gateway}]
  hostnames: [$N.chaos.example]
  rules:
  - backendRefs: [{name: $N-stable, port: 80, weight: 100}, {name: $N-canary, port: 80, weight: 0}]
`
	gatewayAPI = `plugins: {argoproj-labs/gatewayAPI: {httpRoute: $N, namespace: ` + namespace + `}}`
	istio      = `istio: {virtualService: {name: $N, routes: [primary]}}`
	bySubset   = `istio: {virtualService: {name: $N, routes: [primary]}, destinationRule: {name: $N, stableSubsetName: stable, canarySubsetName: canary}}`
	twoRoles   = `
      stableService: $N-stable
      canaryService: $N-canary`
	verdict = `{templates: [{templateName: verdict}], args: [{name: name, value: $N}]}`
	quick   = `
      scaleDownDelaySeconds: 2
      abortScaleDownDelaySeconds: 2`
)

// kinds are in the order in which Rollouts get them.
var kinds = []kind{
	{name: "istio", host: routed, objects: istioRoute, fallible: true, strategy: `
    canary:` + twoRoles + quick + `
      trafficRouting: {` + istio + `}
      steps: [{setWeight: 20}, {pause: {duration: 1s}}, {setWeight: 60}, {analysis: ` + verdict + `}]`},
	{name: "http-route", host: routed, objects: httpRoute, strategy: `
    canary:` + twoRoles + quick + `
      trafficRouting: {` + gatewayAPI + `}
      steps: [{setWeight: 25}, {pause: {duration: 1s}}, {setWeight: 50}, {setWeight: 75}, {pause: {duration: 1s}}]`},
	{name: "blue-green-post", host: service, fallible: true, strategy: `
    blueGreen:
      activeService: $N-stable
      previewService: $N-canary` + quick + `
      postPromotionAnalysis: ` + verdict},
	{name: "dynamic", host: routed, objects: istioRoute, fallible: true, strategy: `
    canary:` + twoRoles + `
      dynamicStableScale: true
      trafficRouting: {` + istio + `}
      steps: [{setWeight: 34}, {pause: {duration: 1s}}, {setWeight: 67}, {analysis: ` + verdict + `}, {setWeight: 100}]`},
	{name: "basic", host: service, fallible: true, strategy: `
    canary:
      maxSurge: 1
      maxUnavailable: 0
      steps: [{setWeight: 34}, {pause: {duration: 1s}}, {setWeight: 67}, {analysis: ` + verdict + `}]`},
	{name: "blue-green", host: service, strategy: `
    blueGreen:
      activeService: $N-stable
      previewService: $N-canary` + quick + `
      previewReplicaCount: 1
      autoPromotionSeconds: 1`},
	{name: "subsets", host: routed, objects: subsetRoute, strategy: `
    canary:` + quick + `
      trafficRouting: {` + bySubset + `}
      steps: [{setWeight: 34}, {pause: {duration: 1s}}, {setWeight: 67}, {pause: {duration: 1s}}]`},
	{name: "blue-green-pre", host: service, fallible: true, strategy: `
    blueGreen:
      activeService: $N-stable
      previewService: $N-canary` + quick + `
      prePromotionAnalysis: ` + verdict},
	{name: "ping-pong", host: routed, objects: istioRoute, strategy: `
    canary:` + quick + `
      pingPong: {pingService: $N-stable, pongService: $N-canary}
      trafficRouting: {` + istio + `}
      steps: [{setWeight: 34}, {pause: {duration: 1s}}, {setWeight: 67}]`},
	{name: "dynamic-http", host: routed, objects: httpRoute, fallible: true, strategy: `
    canary:` + twoRoles + `
      dynamicStableScale: true
      abortScaleDownDelaySeconds: 2
      trafficRouting: {` + gatewayAPI + `}
      steps: [{setWeight: 50}, {pause: {duration: 1s}}, {analysis: ` + verdict + `}]`},
	{name: "experiment", host: routed, objects: istioRoute, fallible: true, strategy: `
    canary:` + twoRoles + quick + `
      trafficRouting: {` + istio + `}
      steps:
      - setWeight: 20
      - experiment:
          duration: 3s
          templates: [{name: baseline, specRef: stable, weight: 10}, {name: next, specRef: canary, weight: 10}]
      - analysis: ` + verdict + `
      - setWeight: 60`},
}

// rollout is what every kind shares. Pods take a second to be ready, or six, which is
// longer than any route needs to settle: a controller that does not wait for them is seen.
// They serve on for some after they were told to end, while a busy machine gets round to telling the gateway.
const rollout = `
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: $N}
spec:
  replicas: 3
  revisionHistoryLimit: 3
  selector: {matchLabels: {app: $N}}
  template:
    metadata: {labels: {app: $N}}
    spec:
      containers:
      - name: app
        image: penstock/demo:v0
        ports: [{name: http, containerPort: 8080}]
        readinessProbe: {initialDelaySeconds: $R, httpGet: {path: /healthz, port: http}}
        lifecycle: {preStop: {sleep: {seconds: 5}}}
  strategy:`

const services = `
apiVersion: v1
kind: Service
metadata: {name: $N-stable}
spec: {selector: {app: $N}, ports: [{name: http, port: 80, targetPort: http}]}
---
apiVersion: v1
kind: Service
metadata: {name: $N-canary}
spec: {selector: {app: $N}, ports: [{name: http, port: 80, targetPort: http}]}
`

// manifests are a Rollout of the kind with all that it needs; its pods are ready after
// some seconds.
func (k kind) manifests(name string, ready int) string {
	all := rollout + k.strategy + "\n---" + services
	if k.objects != "" {
		all += "---" + k.objects
	}
	return strings.NewReplacer("$N", name, "$R", strconv.Itoa(ready)).Replace(all)
}
