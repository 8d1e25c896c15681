package rollout

import "fmt"

// routed lays a canary with a router over the healthy spec.
func routed(canary, router string) string {
	return fmt.Sprintf("strategy: {canary: {stableService: a, canaryService: b, trafficRouting: {%s}%s}}", router, canary)
}

const istio = "istio: {virtualService: {name: web}}"

const (
	needBoth = "Canary service and Stable service must to be set to use Traffic Routing"
	noStable = `spec.strategy.stableService: Invalid value: "": ` + needBoth
	noCanary = `spec.strategy.canaryService: Invalid value: "": ` + needBoth
)

// needing is a row for a router that needs both Services.
func needing(router string) row {
	return row{
		bad: "strategy: {canary: {trafficRouting: {" + router + "}}}", good: routed("", router),
		want: []string{noStable, noCanary},
	}
}

// routingRows are the rows of core.md §1.7.2 about routing.
var routingRows = map[string]row{
	"ping-pong with a router that cannot": {
		bad:  routed(", pingPong: {pingService: p, pongService: q}", "smi: {}"),
		good: routed(", pingPong: {pingService: p, pongService: q}", istio),
		want: []string{"spec.strategy.trafficRouting.alb: Invalid value: null: Ping-pong feature works with the ALB, Istio, and plugin-based traffic routers only"},
	},
	"ping-pong without ping": {
		bad:  routed(`, pingPong: {pingService: "", pongService: q}`, istio),
		good: routed(", pingPong: {pingService: p, pongService: q}", istio),
		want: []string{`spec.strategy.pingPong.pingService: Invalid value: "": Ping service and Pong service must to be set to use Ping-Pong feature`},
	},
	"ping-pong without pong": {
		bad:  routed(`, pingPong: {pingService: p, pongService: ""}`, istio),
		good: routed(", pingPong: {pingService: p, pongService: q}", "plugins: {x/y: {}}"),
		want: []string{`spec.strategy.pingPong.pongService: Invalid value: "": Ping service and Pong service must to be set to use Ping-Pong feature`},
	},
	"ping is pong": {
		bad:  routed(`, pingPong: {pingService: p, pongService: p}`, istio),
		good: routed(", pingPong: {pingService: p, pongService: q}", istio),
		want: []string{`spec.strategy.pingPong.pingService: Invalid value: "p": This rollout uses the same service for the ping and pong services, but two different services are required.`},
	},
	"ping-pong with ALB needs a root Service": {
		bad:  routed(", pingPong: {pingService: p, pongService: q}", "alb: {ingress: i, servicePort: 80}"),
		good: routed(", pingPong: {pingService: p, pongService: q}", "alb: {ingress: i, servicePort: 80, rootService: r}"),
		want: []string{`spec.strategy.trafficRouting.alb.rootService: Invalid value: "": Root service field is required for the configuration with ALB and ping-pong feature enabled`},
	},
	"ping-pong without a router is not checked": {
		bad:  "{replicas: -1, strategy: {canary: {pingPong: {pingService: p, pongService: p}}}}",
		good: "strategy: {canary: {pingPong: {pingService: p, pongService: p}}}",
		want: []string{"spec.replicas: Invalid value: -1: must be greater than or equal to 0"},
	},
	"SMI needs both Services":        needing("smi: {}"),
	"Apisix needs both Services":     needing("apisix: {}"),
	"Ambassador needs both Services": needing("ambassador: {mappings: [m]}"),
	"Nginx needs both Services":      needing("nginx: {stableIngress: i}"),
	"App Mesh needs both Services":   needing("appMesh: {virtualService: {name: v}}"),
	"Traefik needs both Services":    needing("traefik: {weightedTraefikServiceName: t}"),
	"ALB needs both Services":        needing("alb: {ingress: i, servicePort: 80}"),
	"Istio needs both Services":      needing(istio),
	"ALB with ping-pong needs none": {
		bad:  "strategy: {canary: {trafficRouting: {alb: {ingress: i, servicePort: 80, rootService: r}}}}",
		good: "strategy: {canary: {pingPong: {pingService: p, pongService: q}, trafficRouting: {alb: {ingress: i, servicePort: 80, rootService: r}}}}",
		want: []string{noStable, noCanary},
	},
	"Istio with ping-pong needs none": {
		bad:  "strategy: {canary: {stableService: a, trafficRouting: {" + istio + "}}}",
		good: "strategy: {canary: {pingPong: {pingService: p, pongService: q}, trafficRouting: {" + istio + "}}}",
		want: []string{noCanary},
	},
	"a plugin needs no Services": {
		bad:  "strategy: {canary: {canaryService: b, trafficRouting: {smi: {}, plugins: {x/y: {}}}}}",
		good: "strategy: {canary: {canaryService: b, trafficRouting: {plugins: {x/y: {}}}}}",
		want: []string{noStable},
	},
	"dynamicStableScale excludes scaleDownDelaySeconds": {
		bad: routed(", dynamicStableScale: true, scaleDownDelaySeconds: 30", istio), good: routed(", scaleDownDelaySeconds: 30", istio),
		want: []string{"spec.strategy.dynamicStableScale: Invalid value: true: Canary dynamicStableScale cannot be used with scaleDownDelaySeconds"},
	},
	"maxTrafficWeight is for Nginx and plugins": {
		bad: routed("", istio+", maxTrafficWeight: 1000"), good: routed("", "plugins: {x/y: {}}, maxTrafficWeight: 1000"),
		want: []string{"spec.strategy.trafficRouting.maxTrafficWeight: Invalid value: 1000: Canary maxTrafficWeight in traffic routing only supported in Nginx and Plugins"},
	},
	"maxTrafficWeight beside a router that counts to 100": {
		bad: routed("", istio+", nginx: {stableIngress: web}, maxTrafficWeight: 1000"), good: routed("", istio+", nginx: {stableIngress: web}, maxTrafficWeight: 100"),
		want: []string{"spec.strategy.canary.trafficRouting.maxTrafficWeight: Invalid value: 1000: Canary maxTrafficWeight in traffic routing only supported in Nginx and Plugins"},
	},
}

// routerRows are the sections of the routers in core.md §1.7.3.
var routerRows = map[string]row{
	"Nginx with both forms": {
		bad: routed("", "nginx: {stableIngress: i, stableIngresses: [i]}"), good: routed("", "nginx: {stableIngresses: [i]}"),
		want: []string{"spec.strategy.canary.trafficRouting.nginx: Internal error: Either StableIngress or StableIngresses must be configured. Both are configured."},
	},
	"Nginx with neither form": {
		bad: routed("", "nginx: {}"), good: routed("", "nginx: {stableIngress: i}"),
		want: []string{"spec.strategy.canary.trafficRouting.nginx: Internal error: Either StableIngress or StableIngresses must be configured. Neither are configured."},
	},
	"ALB with both forms": {
		bad: routed("", "alb: {servicePort: 80, ingress: i, ingresses: [i]}"), good: routed("", "alb: {servicePort: 80, ingresses: [i]}"),
		want: []string{"spec.strategy.canary.trafficRouting.alb: Internal error: Either Ingress or Ingresses must be configured. Both are configured."},
	},
	"ALB with neither form": {
		bad: routed("", "alb: {servicePort: 80}"), good: routed("", "alb: {servicePort: 80, ingress: i}"),
		want: []string{"spec.strategy.canary.trafficRouting.alb: Internal error: Either Ingress or Ingresses must be configured. Neither are configured."},
	},
	// Covers: traffic edge 176.
	"ALB with no stickiness": {
		bad: routed("", "alb: {servicePort: 80, ingress: i, stickinessConfig: {enabled: true, durationSeconds: 0}}"), good: routed("", "alb: {servicePort: 80, ingress: i, stickinessConfig: {enabled: false, durationSeconds: 0}}"),
		want: []string{"spec.strategy.canary.trafficRouting.alb.stickinessConfig.durationSeconds: Invalid value: 0: TargetGroupStickinessConfig's duration must be between 1 and 604800 seconds (7 days)!"},
	},
	// Covers: traffic edge 176.
	"ALB with too long a stickiness": {
		bad: routed("", "alb: {servicePort: 80, ingress: i, stickinessConfig: {enabled: true, durationSeconds: 604801}}"), good: routed("", "alb: {servicePort: 80, ingress: i, stickinessConfig: {enabled: true, durationSeconds: 604800}}"),
		want: []string{"spec.strategy.canary.trafficRouting.alb.stickinessConfig.durationSeconds: Invalid value: 604801: TargetGroupStickinessConfig's duration must be between 1 and 604800 seconds (7 days)!"},
	},
	"Istio with both forms": {
		bad: routed("", "istio: {virtualService: {name: v}, virtualServices: [{name: w}]}"), good: routed("", "istio: {virtualServices: [{name: w}]}"),
		want: []string{"spec.strategy.canary.trafficRouting.istio: Internal error: either VirtualService or VirtualServices must be configured"},
	},
	"Istio with neither form": {
		bad: routed("", "istio: {}"), good: routed("", istio),
		want: []string{"spec.strategy.canary.trafficRouting.istio: Internal error: either VirtualService or VirtualServices must be configured"},
	},
	"Ambassador without a mapping": {
		bad: routed("", "ambassador: {mappings: []}"), good: routed("", "ambassador: {mappings: [m]}"),
		want: []string{"spec.strategy.canary.trafficRouting.ambassador.mappings: Invalid value: []: must provide at least one mapping"},
	},
	"App Mesh without a virtual service": {
		bad: routed("", "appMesh: {}"), good: routed("", "appMesh: {virtualService: {name: v}}"),
		want: []string{"spec.strategy.canary.trafficRouting.appmesh.virtualService: Invalid value: null: must provide virtual-service"},
	},
}
