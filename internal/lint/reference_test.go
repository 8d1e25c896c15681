package lint

import "testing"

const services = `apiVersion: v1
kind: Service
metadata: {name: web-stable}
spec: {selector: {app: web}}
---
apiVersion: v1
kind: Service
metadata: {name: web-canary}
spec: {selector: {app: web}}
`

var routed = change(goodRollout, "    canary:\n", "    canary:\n      stableService: web-stable\n      canaryService: web-canary\n"+
	"      trafficRouting:\n        istio:\n          virtualService: {name: web, routes: [primary]}\n          destinationRule: {name: web, canarySubsetName: new, stableSubsetName: old}\n")

const virtualService = `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web}
spec: {http: [{name: primary}]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: web}
spec: {subsets: [{name: new}, {name: old}]}
`

func TestReferencesAmongTheManifests(t *testing.T) {
	nginx := change(goodRollout, "    canary:\n", "    canary:\n      stableService: web-stable\n      canaryService: web-canary\n      trafficRouting: {nginx: {stableIngress: web}}\n")
	ingress := "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: web}\nspec: {rules: [{http: {paths: [{backend: {service: {name: web-stable}}}]}}]}\n"
	args := change(goodTemplate, "spec:\n", "spec:\n  args: [{name: host}]\n")
	checkRows(t, map[string]lintRow{
		"all is there":                   {texts: []string{routed, services, virtualService, goodTemplate}},
		"nothing else is given":          {texts: []string{routed}},
		"a Service of another name":      {texts: []string{routed, change(services, "web-canary", "web-canry")}, want: []string{"missing-reference 14 spec.strategy.canary.canaryService"}},
		"a Service of another namespace": {texts: []string{change(routed, "{name: web}\nspec", "{name: web, namespace: a}\nspec"), change(services, "{name: web-canary}", "{name: web-canary, namespace: b}")}, want: []string{"missing-reference 14 spec.strategy.canary.canaryService"}},
		"a Service of other pods":        {texts: []string{routed, change(services, "web-canary}\nspec: {selector: {app: web", "web-canary}\nspec: {selector: {app: api")}, want: []string{"reference 14 spec.strategy.canary.canaryService"}},
		"a template of another name":     {texts: []string{goodRollout, change(goodTemplate, "metadata: {name: rate}", "metadata: {name: rates}")}, want: []string{"missing-reference 14 spec.strategy.canary.analysis.templates"}},
		"an arg without a value":         {texts: []string{goodRollout, args}, want: []string{"reference 14 spec.strategy.canary.analysis.templates", "reference 14 spec.strategy.canary.analysis.templates"}},
		"an arg that gets its value":     {texts: []string{change(goodRollout, "        templates:", "        args: [{name: host, value: a}]\n        templates:"), args}},
		"an arg that nobody declares":    {texts: []string{goodRollout, change(goodTemplate, "query: up", "query: 'up{{args.x}}'")}, want: []string{"analysis-args 14 spec.strategy.canary.analysis.templates", "undeclared-arg 10 spec.metrics[0].provider.prometheus.query"}},
		"a route of another name":        {texts: []string{routed, change(virtualService, "primary", "second")}, want: []string{"route 17 spec.strategy.canary.trafficRouting.istio.virtualService"}},
		"a subset of another name":       {texts: []string{routed, change(virtualService, "old", "older")}, want: []string{"route 18 spec.strategy.canary.trafficRouting.istio.destinationRule"}},
		"a VirtualService that is not":   {texts: []string{routed, change(virtualService, "VirtualService\nmetadata: {name: web}", "VirtualService\nmetadata: {name: api}")}, want: []string{"missing-reference 17 spec.strategy.canary.trafficRouting.istio.virtualService"}},
		"an Ingress that leads there":    {texts: []string{nginx, ingress, services}},
		"an Ingress that does not":       {texts: []string{nginx, change(ingress, "web-stable", "api"), services}, want: []string{"route 15 spec.strategy.canary.trafficRouting.nginx.stableIngress"}},
		"the first of two Rollouts has no routes": {texts: []string{change(goodRollout, "{name: web}\nspec", "{name: first}\nspec"), nginx, change(ingress, "web-stable", "api")},
			want: []string{"route 15 spec.strategy.canary.trafficRouting.nginx.stableIngress"}},
		"an arg of an experiment without a value":   {texts: []string{experimentOf("rate"), args}, want: []string{"analysis-args 6 spec.analyses[0].templateName"}},
		"an experiment whose template is not given": {texts: []string{experimentOf("rates"), args}, want: []string{"missing-reference 6 spec.analyses[0].templateName"}},
		"an experiment that gives its args":         {texts: []string{change(experimentOf("rate"), "templateName: rate", "templateName: rate, args: [{name: host, value: a}]"), args}},
		"a run with an arg that it does not have":   {texts: []string{change(goodTemplate, "AnalysisTemplate", "AnalysisRun", "query: up", "query: 'up{{args.x}}'")}, want: []string{"analysis-args 4 spec", "undeclared-arg 10 spec.metrics[0].provider.prometheus.query"}},
		"a run whose condition is wrong":            {texts: []string{change(goodTemplate, "AnalysisTemplate", "AnalysisRun", "> 0.9", ">")}, want: []string{"condition 9 spec.metrics[0].successCondition"}},
		"an experiment step":                        {texts: []string{change(goodRollout, "        - setWeight: 50", "        - experiment: {duration: 1m, templates: [{name: a, specRef: canary}], analyses: [{name: a, templateName: rate}]}"), args}, want: []string{"reference 14 spec.strategy.canary.analysis.templates", "reference 14 spec.strategy.canary.analysis.templates", "analysis-args 16 spec.strategy.canary.steps[0].experiment.analyses[0].templateName"}},
	})
}

const workload = `apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: a}], initContainers: [{name: migrate, image: a}]}
`

func TestTheTemplateOfAReferencedWorkload(t *testing.T) {
	refers := `apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: web}
spec:
  workloadRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  strategy:
    blueGreen: {activeService: web-stable, scaleDownDelaySeconds: 60}
`
	set := change(workload, "Deployment", "ReplicaSet")
	template := "apiVersion: v1\nkind: PodTemplate\nmetadata: {name: web}\ntemplate:\n  metadata: {labels: {app: web}}\n  spec: {containers: [{name: web, image: a}], initContainers: [{name: migrate, image: a}]}\n"
	const schema = "blue-green-schema 4 spec.template.spec.initContainers[0]"
	checkRows(t, map[string]lintRow{
		"is not given":                 {texts: []string{refers}},
		"is looked at":                 {texts: []string{refers, workload}, want: []string{schema}},
		"is given before":              {texts: []string{workload, refers}, want: []string{schema}},
		"of a ReplicaSet":              {texts: []string{change(refers, "kind: Deployment", "kind: ReplicaSet"), set}, want: []string{schema}},
		"of a PodTemplate":             {texts: []string{change(refers, "apiVersion: apps/v1, kind: Deployment", "apiVersion: v1, kind: PodTemplate", "  strategy", "  selector: {matchLabels: {app: web}}\n  strategy"), template}, want: []string{schema}},
		"of another name":              {texts: []string{refers, change(workload, "{name: web}\nspec", "{name: wbe}\nspec")}, want: []string{"missing-reference 5 spec.workloadRef"}},
		"of another namespace":         {texts: []string{change(refers, "{name: web}\nspec", "{name: web, namespace: a}\nspec"), change(workload, "{name: web}\nspec", "{name: web, namespace: b}\nspec")}},
		"that the Services do not fit": {texts: []string{refers, change(workload, "labels: {app: web}", "labels: {app: api}", "matchLabels: {app: web}", "matchLabels: {app: api}", ", initContainers: [{name: migrate, image: a}]", ""), services}, want: []string{"reference 7 spec.strategy.blueGreen.activeService"}},
		"that is not well formed":      {texts: []string{refers, change(workload, "    metadata: {labels: {app: web}}", "    metadata: 7")}},
	})
}

func experimentOf(template string) string {
	return "apiVersion: argoproj.io/v1alpha1\nkind: Experiment\nmetadata: {name: e}\nspec:\n  templates: [{name: a, selector: {matchLabels: {a: b}}}]\n  analyses: [{name: a, templateName: " + template + "}]\n"
}
