package rollout

import (
	"github.com/penstock-io/penstock/api/v1alpha1"
)

func services(all map[string]ServiceRef) *References { return &References{Services: all} }

func selecting(labels map[string]string) *References {
	return services(map[string]ServiceRef{"a": {Selector: labels}})
}

// templates makes References of AnalysisTemplates by name.
func templates(all map[string]TemplateRef) *References {
	r := &References{Templates: map[TemplateKey]TemplateRef{}}
	for name, t := range all {
		r.Templates[TemplateKey{TemplateName: name}] = t
	}
	return r
}

var endless = TemplateRef{Metrics: []MetricRef{{Name: "m", Endless: true, Count: "<nil>"}}}

const (
	stableA    = "strategy: {canary: {stableService: a}}"
	background = "strategy: {canary: {analysis: {templates: [{templateName: t}]}}}"
	inStep     = "strategy: {canary: {steps: [{analysis: {templates: [{templateName: t}]}}]}}"
	inTrial    = "strategy: {canary: {steps: [{experiment: {templates: [], analyses: [{name: a, templateName: u}, {name: b, templateName: t}]}}]}}"
	referring  = "{selector: null, template: null, workloadRef: {name: w}}"
	bgPath     = "spec.strategy.canary.analysis.templates: "
	stepPath   = "spec.strategy.canary.steps[0].analysis.templates: "
)

func built(text string) *References {
	return &References{Builds: map[string]string{"spec.strategy.canary.steps[0].analysis.templates": text}}
}

func nested(names ...string) (keys []TemplateKey) {
	for _, n := range names {
		keys = append(keys, TemplateKey{TemplateName: n})
	}
	return keys
}

// referenceRows are the rows of core.md §1.7.3 about Services and templates.
var referenceRows = map[string]row{
	// Covers: edge 174.
	"stable and canary Services are missing": {
		bad: "strategy: {canary: {stableService: a, canaryService: b}}", badRefs: services(map[string]ServiceRef{}),
		good: "strategy: {canary: {stableService: a, canaryService: b}}", goodRefs: services(map[string]ServiceRef{"a": {}, "b": {}}),
		want: []string{
			`spec.strategy.canary.stableService: Invalid value: "a": service "a" not found`,
			`spec.strategy.canary.canaryService: Invalid value: "b": service "b" not found`,
		},
	},
	"ping and pong Services are missing": {
		bad: "strategy: {canary: {pingPong: {pingService: p, pongService: q}}}", badRefs: services(map[string]ServiceRef{}),
		good: "strategy: {canary: {pingPong: {pingService: p, pongService: q}}}", goodRefs: services(map[string]ServiceRef{"p": {}, "q": {}}),
		want: []string{
			`spec.strategy.canary.pingPong.pingService: Invalid value: "p": service "p" not found`,
			`spec.strategy.canary.pingPong.pongService: Invalid value: "q": service "q" not found`,
		},
	},
	// Covers: edge 174.
	"active and preview Services are missing": {
		bad: "strategy: {canary: null, blueGreen: {activeService: a, previewService: b}}", badRefs: services(map[string]ServiceRef{}),
		good: "strategy: {canary: null, blueGreen: {activeService: a}}", goodRefs: services(map[string]ServiceRef{"a": {}}),
		want: []string{
			`spec.strategy.blueGreen.activeService: Invalid value: "a": service "a" not found`,
			`spec.strategy.blueGreen.previewService: Invalid value: "b": service "b" not found`,
		},
	},
	// Covers: edge 29.
	"a Service selects a label that the template lacks": {
		bad: stableA, badRefs: selecting(map[string]string{"app": "web", "tier": "front"}),
		good: stableA, goodRefs: selecting(map[string]string{"app": "web", v1alpha1.PodTemplateHashLabel: "abc"}),
		want: []string{`spec.strategy.canary.stableService: Invalid value: "a": Service "a" has unmatch label "tier" in rollout`},
	},
	"a Service selects another value of a label": {
		bad: stableA, badRefs: selecting(map[string]string{"app": "api"}),
		good: stableA, goodRefs: selecting(map[string]string{"app": "web"}),
		want: []string{`spec.strategy.canary.stableService: Invalid value: "a": Service "a" has unmatch label "app" in rollout`},
	},
	// Covers: edge 30.
	"a Service belongs to another Rollout": {
		bad: stableA, badRefs: services(map[string]ServiceRef{"a": {ManagedBy: "api"}}),
		good: stableA, goodRefs: services(map[string]ServiceRef{"a": {ManagedBy: "web"}}),
		want: []string{`spec.strategy.canary.stableService: Invalid value: "a": Service "a" is managed by another Rollout`},
	},
	// Covers: analysis edge 136.
	"a template of a step is missing": {
		bad: inStep, badRefs: templates(nil), good: inStep, goodRefs: templates(map[string]TemplateRef{"t": {}}),
		want: []string{stepPath + `Invalid value: "t": AnalysisTemplate 't' not found`},
	},
	"a cluster template of the background is missing": {
		bad: "strategy: {canary: {analysis: {templates: [{templateName: t, clusterScope: true}]}}}", badRefs: templates(map[string]TemplateRef{"t": {}}),
		good: background, goodRefs: templates(map[string]TemplateRef{"t": {}}),
		want: []string{bgPath + `Invalid value: "t": ClusterAnalysisTemplate 't' not found`},
	},
	"templates of a blue-green are missing": {
		bad: "strategy: {canary: null, blueGreen: {activeService: a, prePromotionAnalysis: {templates: [{templateName: t}]}, " +
			"postPromotionAnalysis: {templates: [{templateName: t}]}}}", badRefs: templates(nil),
		good: "strategy: {canary: null, blueGreen: {activeService: a, prePromotionAnalysis: {templates: []}}}", goodRefs: templates(nil),
		want: []string{
			`spec.strategy.blueGreen.prePromotionAnalysis.templates: Invalid value: "t": AnalysisTemplate 't' not found`,
			`spec.strategy.blueGreen.postPromotionAnalysis.templates: Invalid value: "t": AnalysisTemplate 't' not found`,
		},
	},
	"the templates of an experiment are missing": {
		bad: inTrial, badRefs: templates(map[string]TemplateRef{"u": {}}), good: inTrial, goodRefs: templates(map[string]TemplateRef{"t": endless, "u": {}}),
		want: []string{`spec.strategy.canary.steps[0].experiment.analyses[1].templateName: Invalid value: "t": AnalysisTemplate 't' not found`},
	},
	"the workload gives no template": {
		bad: referring, badRefs: &References{Workload: `deployments.apps "w" not found`}, good: referring, goodRefs: &References{},
		want: []string{`deployments.apps "w" not found`},
	},
	"an error of the workload comes first, and means nothing without one": {
		bad: "{replicas: -1, selector: null, template: null, workloadRef: {name: w}}", badRefs: &References{Workload: "no"},
		good: "replicas: 1", goodRefs: &References{Workload: "no"},
		want: []string{"no", "spec.replicas: Invalid value: -1: must be greater than or equal to 0"},
	},
	"a template that a template names is missing": {
		bad: inStep, badRefs: templates(map[string]TemplateRef{"t": {Nested: nested("u", "t2")}, "t2": {}}),
		good: inStep, goodRefs: templates(map[string]TemplateRef{"t": {Nested: nested("u", "t2")}, "t2": {Nested: nested("u")}, "u": {}}),
		want: []string{`spec.templates: Invalid value: "u": AnalysisTemplate 'u' not found`},
	},
	"templates that name each other": {
		bad: inStep, badRefs: templates(map[string]TemplateRef{"t": {Nested: nested("u")}, "u": {Nested: nested("t")}}),
		good: inStep, goodRefs: templates(map[string]TemplateRef{"t": {Nested: nested("u")}, "u": {}}),
		want: []string{stepPath + `Invalid value: "templateNames: [t]": analysis templates refer to each other in a circle: t -> u -> t`},
	},
	"no run can be made": {
		bad: inStep, badRefs: built("args.x was not resolved"), good: inStep, goodRefs: built(""),
		want: []string{stepPath + `Invalid value: "templateNames: [t]": args.x was not resolved`},
	},
	// Covers: edge 31, analysis edge 136.
	"a step runs for ever": {
		bad: inStep, badRefs: templates(map[string]TemplateRef{"t": endless}), good: background, goodRefs: templates(map[string]TemplateRef{"t": endless}),
		want: []string{stepPath + `Invalid value: "t": AnalysisTemplate t has metric m which runs indefinitely. Invalid value for count: <nil>`},
	},
	"the metrics of a template are wrong": {
		bad: inStep, badRefs: templates(map[string]TemplateRef{"t": {Err: "no metrics specified"}}),
		good: inStep, goodRefs: templates(map[string]TemplateRef{"t": {}}),
		want: []string{stepPath + `Invalid value: "t": AnalysisTemplate t: no metrics specified`},
	},
	"an arg has both value and valueFrom": {
		bad:  steps("{analysis: {templates: [{templateName: t}], args: [{name: x, value: a, valueFrom: {podTemplateHashValue: Latest}}]}}"),
		good: steps("{analysis: {templates: [{templateName: t}], args: [{name: x, valueFrom: {podTemplateHashValue: Latest}}]}}"),
		want: []string{stepPath + `Invalid value: "templateNames: [t]": arg 'x' has both Value and ValueFrom fields`},
	},
	"the background gives no args": {
		bad: background, badRefs: templates(map[string]TemplateRef{"t": {Args: []v1alpha1.Argument{{Name: "x"}}}}),
		good: background, goodRefs: templates(map[string]TemplateRef{"t": {Args: []v1alpha1.Argument{{Name: "x", Value: new(string)}}}}),
		want: []string{bgPath + `Invalid value: "t": missing analysis arguments in rollout spec`},
	},
	"the background lacks an arg": {
		bad:      "strategy: {canary: {analysis: {templates: [{templateName: t}], args: [{name: z, value: a}]}}}",
		badRefs:  templates(map[string]TemplateRef{"t": {Args: []v1alpha1.Argument{{Name: "x"}}}}),
		good:     "strategy: {canary: {analysis: {templates: [{templateName: t}], args: [{name: x, value: a}]}}}",
		goodRefs: templates(map[string]TemplateRef{"t": {Args: []v1alpha1.Argument{{Name: "x"}}}}),
		want:     []string{bgPath + `Invalid value: "t": x`},
	},
	"a router has a problem with its objects": {
		bad: routed("", istio), badRefs: &References{Routes: `spec.strategy.canary.trafficRouting.istio.virtualService.name: Invalid value: "web": no`},
		good: routed("", istio), goodRefs: &References{},
		want: []string{`spec.strategy.canary.trafficRouting.istio.virtualService.name: Invalid value: "web": no`},
	},
}
