package istio

// level is one of the two ways to tell the revisions apart, with the names that Istio gives
// their clusters.
type level struct {
	section, manifests string
	stable, canary     string
}

var levels = map[string]level{
	"services": {
		section: `
      stableService: web-stable
      canaryService: web-canary
      trafficRouting:
        istio: {virtualService: {name: web, routes: [primary]}}`,
		manifests: `
---
apiVersion: v1
kind: Service
metadata: {name: web-stable}
spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: http}]}
---
apiVersion: v1
kind: Service
metadata: {name: web-canary}
spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: http}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web}
spec:
  hosts: [web]
  http:
  - name: docs
    match: [{uri: {prefix: /docs}}]
    route: [{destination: {host: web}}]
  - name: primary
    route:
    - {destination: {host: web-stable}, weight: 100}
    - {destination: {host: web-canary}, weight: 0}
`,
		stable: "outbound|80||web-stable", canary: "outbound|80||web-canary",
	},
	"subsets": {
		section: `
      trafficRouting:
        istio:
          virtualService: {name: web, routes: [primary]}
          destinationRule: {name: web, stableSubsetName: stable, canarySubsetName: canary}`,
		manifests: `
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web}
spec:
  hosts: [web]
  http:
  - name: docs
    match: [{uri: {prefix: /docs}}]
    route: [{destination: {host: web}}]
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
  subsets:
  - {name: stable, labels: {app: web}}
  - {name: canary, labels: {app: web}}
`,
		stable: "outbound|80|stable|web", canary: "outbound|80|canary|web",
	},
}

// service is the host that a client calls.
const service = `
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: http}]}
`

// What a container has beside its image.
const (
	onePort  = `ports: [{name: http, containerPort: 8080}]`
	twoPorts = `ports: [{name: http, containerPort: 8080}, {name: http-metrics, containerPort: 9090}]`
)

// everyStep is every kind of step that Istio is told of, and a pause after each.
const everyStep = `
      - setWeight: 10
      - pause: {}
      - setHeaderRoute:
          name: testers
          match:
          - {headerName: x-tester, headerValue: {exact: "yes"}}
          - {headerName: user-agent, headerValue: {regex: ".*bot.*"}}
          - {headerName: x-team, headerValue: {prefix: shop-}}
      - pause: {}
      - setMirrorRoute:
          name: shadow
          percentage: 25
          match: [{method: {exact: GET}, path: {prefix: /api}}]
      - pause: {}
      - setWeight: 50
      - pause: {}
      - setHeaderRoute: {name: testers}
      - pause: {}
`

func rolloutOf(l level, container, steps string) string {
	return `
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
      - {name: app, image: "penstock/demo:v1", ` + container + `}
  strategy:
    canary:
      scaleDownDelaySeconds: 2
      abortScaleDownDelaySeconds: 2` + l.section + `
        managedRoutes: [{name: testers}, {name: shadow}]
      steps:` + steps
}
