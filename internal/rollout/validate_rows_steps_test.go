package rollout

// steps lays canary steps over the healthy spec.
func steps(list string) string { return "strategy: {canary: {steps: [" + list + "]}}" }

// routedSteps does so with a router.
func routedSteps(router, list string) string { return routed(", steps: ["+list+"]", router) }

const managedIstio = istio + ", managedRoutes: [{name: h}]"

const (
	missed  = "StringMatch value missed, match value must have one of the following: exact, regex, prefix"
	tooMany = "StringMatch match value must have exactly one of the following: exact, regex, prefix"
	onlyALB = "SetHeaderRoute match value invalid. ALB supports 'exact' value only"
)

// stepRows are the rows of core.md §1.7.2 about steps.
var stepRows = map[string]row{
	"a step of two kinds": {
		bad: steps("{setWeight: 5, pause: {}}"), good: steps("{setWeight: 5}, {pause: {}}"),
		want: []string{`spec.strategy.steps[0]: Invalid value: "step.Experiment: true step.Pause: false step.SetWeight: false step.Analysis: true ` +
			`step.SetCanaryScale: true step.SetHeaderRoute: true step.SetMirrorRoutes: true step.Plugin: true": ` +
			`Step must have one of the following set: experiment, setWeight, setCanaryScale, plugin or pause`},
	},
	"a step of no kind": {
		bad: steps("{setWeight: 5}, {}"), good: steps("{setWeight: 5}, {plugin: {name: x}}"),
		want: []string{`spec.strategy.steps[1]: Invalid value: "step.Experiment: true step.Pause: true step.SetWeight: true step.Analysis: true ` +
			`step.SetCanaryScale: true step.SetHeaderRoute: true step.SetMirrorRoutes: true step.Plugin: true": ` +
			`Step must have one of the following set: experiment, setWeight, setCanaryScale, plugin or pause`},
	},
	"an analysis beside an experiment": {
		bad: steps("{analysis: {}, experiment: {templates: []}}"), good: steps("{analysis: {}}, {experiment: {templates: []}}"),
		want: []string{`spec.strategy.steps[0]: Invalid value: "step.Experiment: false step.Pause: true step.SetWeight: true step.Analysis: false ` +
			`step.SetCanaryScale: true step.SetHeaderRoute: true step.SetMirrorRoutes: true step.Plugin: true": ` +
			`Step must have one of the following set: experiment, setWeight, setCanaryScale, plugin or pause`},
	},
	"a weight above 100": {
		bad: steps("{setWeight: 101}"), good: steps("{setWeight: 100}"),
		want: []string{"spec.strategy.steps[0].setWeight: Invalid value: 101: SetWeight needs to be between 0 and 100"},
	},
	"a weight below 0": {
		bad: steps("{setWeight: -1}"), good: steps("{setWeight: 0}"),
		want: []string{"spec.strategy.steps[0].setWeight: Invalid value: -1: SetWeight needs to be between 0 and 100"},
	},
	// Covers: edge 74.
	"a weight above maxTrafficWeight": {
		bad:  routedSteps("plugins: {x/y: {}}, maxTrafficWeight: 1000", "{setWeight: 1001}"),
		good: routedSteps("plugins: {x/y: {}}, maxTrafficWeight: 1000", "{setWeight: 1000}"),
		want: []string{"spec.strategy.steps[0].setWeight: Invalid value: 1001: SetWeight needs to be between 0 and 1000"},
	},
	// Covers: edge 24.
	"a negative pause": {
		bad: steps("{pause: {duration: -1}}"), good: steps("{pause: {duration: 0}}"),
		want: []string{"spec.strategy.steps[0].pause.duration: Invalid value: -1: Duration needs to be greater than 0"},
	},
	"a negative timeout": {
		bad: steps("{pause: {timeout: -1}}"), good: steps("{pause: {timeout: 1}}"),
		want: []string{"spec.strategy.steps[0].pause.timeout: Invalid value: -1: Timeout needs to be at least 1 second"},
	},
	"an unreadable timeout": {
		bad: steps(`{pause: {timeout: "4 h"}}`), good: steps(`{pause: {timeout: "4h"}}`),
		want: []string{`spec.strategy.steps[0].pause.timeout: Invalid value: "4 h": Timeout needs to be at least 1 second`},
	},
	"a timeout of a timed pause": {
		bad: steps(`{pause: {duration: 5, timeout: 4h}}`), good: steps(`{pause: {timeout: 4h, onTimeout: Hold}}`),
		want: []string{`spec.strategy.steps[0].pause.timeout: Invalid value: "4h": Timeout bounds the wait for a person, and this pause ends after its duration`},
	},
	"what happens on no timeout": {
		bad: steps(`{pause: {onTimeout: Promote}}`), good: steps(`{pause: {timeout: 4h, onTimeout: Promote}}`),
		want: []string{"spec.strategy.steps[0].pause.timeout: Required value: OnTimeout requires a timeout"},
	},
	"an unknown end of a timeout": {
		bad: steps(`{pause: {timeout: 4h, onTimeout: abort}}`), good: steps(`{pause: {timeout: 4h, onTimeout: Abort}}`),
		want: []string{`spec.strategy.steps[0].pause.onTimeout: Invalid value: "abort": OnTimeout is none of Abort, Promote and Hold`},
	},
	// Covers: edge 24.
	"an unreadable pause": {
		bad: steps(`{pause: {duration: "90 s"}}`), good: steps(`{pause: {duration: "90s"}}`),
		want: []string{`spec.strategy.steps[0].pause.duration: Invalid value: "90 s": Duration needs to be greater than 0`},
	},
	// Covers: edge 55.
	"setCanaryScale without a router": {
		bad: steps("{setCanaryScale: {replicas: 1}}"), good: routedSteps(istio, "{setCanaryScale: {weight: 500}}"),
		want: []string{"spec.strategy.trafficRouting: Required value: SetCanaryScale requires TrafficRouting to be set"},
	},
	"setHeaderRoute with a router that cannot": {
		bad:  routedSteps("smi: {}, managedRoutes: [{name: h}]", "{setHeaderRoute: {name: h}}"),
		good: routedSteps("apisix: {}, managedRoutes: [{name: h}]", "{setHeaderRoute: {name: h}}"),
		want: []string{`spec.strategy.steps[0].setHeaderRoute: Invalid value: {"name":"h"}: SetHeaderRoute requires TrafficRouting, supports Istio and ALB and Apisix`},
	},
	"setHeaderRoute without a router": {
		bad:  steps("{setHeaderRoute: {name: h}}"),
		good: routedSteps("plugins: {x/y: {}}, managedRoutes: [{name: h}]", "{setHeaderRoute: {name: h}}"),
		want: []string{`spec.strategy.steps[0].setHeaderRoute: Invalid value: {"name":"h"}: SetHeaderRoute requires TrafficRouting, supports Istio and ALB and Apisix`},
	},
	"a header without a value": {
		bad:  routedSteps(managedIstio, "{setHeaderRoute: {name: h, match: [{headerName: x, headerValue: {exact: a}}, {headerName: z, headerValue: null}]}}"),
		good: routedSteps(managedIstio, "{setHeaderRoute: {name: h, match: [{headerName: x, headerValue: {prefix: a}}]}}"),
		want: []string{`spec.strategy.steps[0].setHeaderRoute.match[1]: Invalid value: {"headerName":"z","headerValue":null}: ` + missed},
	},
	"a header with an empty value": {
		bad:  routedSteps(managedIstio, "{setHeaderRoute: {name: h, match: [{headerName: x, headerValue: {}}]}}"),
		good: routedSteps(managedIstio, "{setHeaderRoute: {name: h, match: [{headerName: x, headerValue: {regex: a}}]}}"),
		want: []string{`spec.strategy.steps[0].setHeaderRoute.match[0]: Invalid value: {}: ` + missed},
	},
	"a header with two values": {
		bad:  routedSteps(managedIstio, "{setHeaderRoute: {name: h, match: [{headerName: x, headerValue: {exact: a, regex: b}}]}}"),
		good: routedSteps(managedIstio, "{setHeaderRoute: {name: h, match: [{headerName: x, headerValue: {exact: a}}]}}"),
		want: []string{`spec.strategy.steps[0].setHeaderRoute.match[0]: Invalid value: {"exact":"a","regex":"b"}: ` + tooMany},
	},
	"an ALB header that is not exact": {
		bad: routedSteps("alb: {ingress: i, servicePort: 80}, managedRoutes: [{name: h}]",
			"{setHeaderRoute: {name: h, match: [{headerName: x, headerValue: {prefix: a}}]}}"),
		good: routedSteps("alb: {ingress: i, servicePort: 80}, managedRoutes: [{name: h}]",
			"{setHeaderRoute: {name: h, match: [{headerName: x, headerValue: {exact: a}}]}}"),
		want: []string{`spec.strategy.steps[0].setHeaderRoute.match[0]: Invalid value: {"headerName":"x","headerValue":{"prefix":"a"}}: ` + onlyALB},
	},
	"an ALB header that is more than exact": {
		bad: routedSteps("alb: {ingress: i, servicePort: 80}, managedRoutes: [{name: h}]",
			"{setHeaderRoute: {name: h, match: [{headerName: x, headerValue: {exact: a, regex: b}}]}}"),
		good: routedSteps("alb: {ingress: i, servicePort: 80}, managedRoutes: [{name: h}]", "{setHeaderRoute: {name: h}}"),
		want: []string{`spec.strategy.steps[0].setHeaderRoute.match[0]: Invalid value: {"headerName":"x","headerValue":{"exact":"a","regex":"b"}}: ` + onlyALB},
	},
	"setMirrorRoute with a router that cannot": {
		bad: routedSteps("alb: {ingress: i, servicePort: 80}, managedRoutes: [{name: h}]", "{setMirrorRoute: {name: h}}"),
		good: routedSteps("plugins: {x/y: {}}, managedRoutes: [{name: h}]",
			"{setMirrorRoute: {name: h, percentage: 500, match: [{headers: {x: {}}}]}}"),
		want: []string{`spec.strategy.steps[0].setMirrorRoute: Invalid value: {"name":"h"}: SetMirrorRoute requires TrafficRouting, supports Istio and Plugins`},
	},
	"setMirrorRoute without a router": {
		bad: steps("{setMirrorRoute: {name: h}}"), good: routedSteps(managedIstio, "{setMirrorRoute: {name: h}}"),
		want: []string{`spec.strategy.steps[0].setMirrorRoute: Invalid value: {"name":"h"}: SetMirrorRoute requires TrafficRouting, supports Istio and Plugins`},
	},
	"a mirrored method with two values": {
		bad:  routedSteps(managedIstio, "{setMirrorRoute: {name: h, match: [{method: {exact: GET, prefix: G}}]}}"),
		good: routedSteps(managedIstio, "{setMirrorRoute: {name: h, match: [{method: {exact: GET}}]}}"),
		want: []string{`spec.strategy.steps[0].setMirrorRoute.match[0]: Invalid value: {"exact":"GET","prefix":"G"}: ` + tooMany},
	},
	"a mirrored path without a value": {
		bad:  routedSteps(managedIstio, "{setMirrorRoute: {name: h, match: [{path: {}}]}}"),
		good: routedSteps(managedIstio, "{setMirrorRoute: {name: h, match: [{path: {prefix: /}}]}}"),
		want: []string{`spec.strategy.steps[0].setMirrorRoute.match[0]: Invalid value: {}: ` + missed},
	},
	// Covers: defect 21.
	"a mirrored header with two values": {
		bad:  routedSteps(managedIstio, "{setMirrorRoute: {name: h, match: [{path: {prefix: /}}, {headers: {a: {}, b: {exact: x, regex: z}}}]}}"),
		good: routedSteps(managedIstio, "{setMirrorRoute: {name: h, match: [{headers: {a: {}, b: {exact: x}, c: {regex: z}}}]}}"),
		want: []string{`spec.strategy.steps[0].setMirrorRoute.match[1]: Invalid value: {"exact":"x","regex":"z"}: ` + tooMany},
	},
	"a route without managedRoutes": {
		bad: routedSteps(istio, "{setHeaderRoute: {name: h}}, {setMirrorRoute: {name: h}}"), good: routedSteps(managedIstio, "{setHeaderRoute: {name: h}}"),
		want: []string{"spec.strategy.trafficRouting.managedRoutes: Required value: Rollout has missing field 'spec.strategy.canary.trafficRouting.managedRoutes'"},
	},
	"a route that is not managed": {
		bad: routedSteps(managedIstio, "{setHeaderRoute: {name: g}}, {setMirrorRoute: {name: h}}"), good: routedSteps(managedIstio, "{setMirrorRoute: {name: h}}"),
		want: []string{`spec.strategy.steps[0].setHeaderRoute: Invalid value: "g": Steps define a route that does not exist in spec.strategy.canary.trafficRouting.managedRoutes`},
	},
	"an experiment weight without a router": {
		bad:  steps("{experiment: {templates: [{name: a, specRef: canary}, {name: b, specRef: canary, weight: 5}]}}"),
		good: steps("{experiment: {templates: [{name: a, specRef: canary}]}}"),
		want: []string{"spec.strategy.steps[0].experiment.templates[1].weight: Invalid value: 5: Experiment template weight cannot be set unless TrafficRouting is enabled"},
	},
	"an experiment weight with a router that cannot": {
		bad:  routedSteps("traefik: {weightedTraefikServiceName: t}", "{experiment: {templates: [{name: a, specRef: canary, weight: 5}]}}"),
		good: routedSteps("smi: {}", "{experiment: {templates: [{name: a, specRef: canary, weight: 5}]}}"),
		want: []string{"spec.strategy.steps[0].experiment.templates[0].weight: Invalid value: 5: " +
			"Experiment template weight is only available for TrafficRouting with SMI, ALB, Istio and Plugins at this time"},
	},
	"a step analysis arg from unknown metadata": {
		bad:  steps("{analysis: {args: [{name: a, valueFrom: {fieldRef: {fieldPath: metadata.foo}}}, {name: b, value: x}]}}"),
		good: steps("{analysis: {args: [{name: a, valueFrom: {fieldRef: {fieldPath: metadata.name}}}, {name: b, valueFrom: {fieldRef: {fieldPath: status.foo}}}]}}"),
		want: []string{`spec.strategy.steps[0].analyses: Invalid value: "metadata.foo": Analyses arguments must refer to valid object metadata supported by downwardAPI`},
	},
	"an experiment's analysis arg from unknown metadata": {
		bad:  steps("{experiment: {templates: [], analyses: [{name: x, templateName: t, args: [{name: a, valueFrom: {fieldRef: {fieldPath: metadata.labels.app}}}]}]}}"),
		good: steps(`{experiment: {templates: [], analyses: [{name: x, templateName: t, args: [{name: a, valueFrom: {fieldRef: {fieldPath: "metadata.labels['app']"}}}]}]}}`),
		want: []string{`spec.strategy.steps[0].analyses: Invalid value: "metadata.labels.app": Analyses arguments must refer to valid object metadata supported by downwardAPI`},
	},
}
