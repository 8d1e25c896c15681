package rollout

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// The edge cases of core.md §15 and analysis-traffic.md §7 that Validate can decide.
// §15 nos. 20 (CEL in the CRD) and 28 (writing the condition) are decided elsewhere.
func TestEdgeCases(t *testing.T) {
	twice := templates(map[string]TemplateRef{"t": {Metrics: []MetricRef{{Name: "m"}}, Nested: nested("u")}, "u": {}})
	tests := map[string]struct {
		patch string
		refs  *References
		want  []string
	}{
		"21 stableService alone":              {patch: "strategy: {canary: {stableService: a}}"},                                                                                                           // Covers: edge 21.
		"21 canaryService alone":              {patch: "strategy: {canary: {canaryService: a}}"},                                                                                                           // Covers: edge 21.
		"22 Istio with subsets, no Services":  {patch: "strategy: {canary: {trafficRouting: {istio: {virtualService: {name: v}, destinationRule: {name: d, canarySubsetName: c, stableSubsetName: s}}}}}"}, // Covers: edge 22.
		"23 setCanaryScale beside setWeight":  {patch: routedSteps(istio, "{setWeight: 5, setCanaryScale: {weight: 10}}")},                                                                                 // Covers: edge 23.
		"24 pause 1h30m":                      {patch: steps(`{pause: {duration: "1h30m"}}`)},                                                                                                              // Covers: edge 24.
		"24 pause 90 as text":                 {patch: steps(`{pause: {duration: "90"}}`)},                                                                                                                 // Covers: edge 24.
		"24 pause 90":                         {patch: steps(`{pause: {duration: 90}}`)},                                                                                                                   // Covers: edge 24.
		"24 pause 90s":                        {patch: steps(`{pause: {duration: 90s}}`)},                                                                                                                  // Covers: edge 24.
		"24 pause 0s":                         {patch: steps(`{pause: {duration: 0s}}`)},
		"24 pause 1ms":                        {patch: steps(`{pause: {duration: 1ms}}`)},
		"24 pause -1 as text":                 {patch: steps(`{pause: {duration: "-1"}}`), want: []string{`spec.strategy.steps[0].pause.duration: Invalid value: "-1": Duration needs to be greater than 0`}}, // Covers: edge 24.
		"24 pause beyond 32 bits":             {patch: steps(`{pause: {duration: "2147483648"}}`), want: []string{`spec.strategy.steps[0].pause.duration: Invalid value: "2147483648": Duration needs to be greater than 0`}},
		"24 pause beyond 32 bits in hours":    {patch: steps(`{pause: {duration: "600000h"}}`), want: []string{`spec.strategy.steps[0].pause.duration: Invalid value: "600000h": Duration needs to be greater than 0`}},
		"25 privileged container, host path":  {patch: "template: {spec: {volumes: [{name: v, hostPath: {path: /}}], containers: [{name: a, image: a, securityContext: {privileged: true}}]}}"}, // Covers: edge 25.
		"25 numeric memory, unknown resource": {patch: "template: {spec: {containers: [{name: a, image: a, resources: {limits: {memory: 1, x: 1e30, cpu: -5}}}]}}"},                             // Covers: edge 25.
		"26 the template exists by now":       {patch: inStep, refs: templates(map[string]TemplateRef{"t": {}})},
		"27 the Service exists by now":        {patch: stableA, refs: services(map[string]ServiceRef{"a": {}})},
		"29 the hash in a selector is ours":   {patch: stableA, refs: selecting(map[string]string{v1alpha1.PodTemplateHashLabel: "x"})}, // Covers: edge 29.
		"30 no Rollout manages the Service":   {patch: stableA, refs: services(map[string]ServiceRef{"a": {ManagedBy: ""}})},
		"31 the background may run for ever":  {patch: background, refs: templates(map[string]TemplateRef{"t": endless})}, // Covers: edge 31, analysis edge 136.
		// Covers: edge 31.
		"31 pre-promotion may not": {patch: "strategy: {canary: null, blueGreen: {activeService: a, prePromotionAnalysis: {templates: [{templateName: t}]}}}",
			refs: templates(map[string]TemplateRef{"t": endless}),
			want: []string{`spec.strategy.blueGreen.prePromotionAnalysis.templates: Invalid value: "t": AnalysisTemplate t has metric m which runs indefinitely. Invalid value for count: <nil>`}},
		"32 minReadySeconds at the default deadline": {patch: "minReadySeconds: 600", want: []string{"spec.progressDeadlineSeconds: Invalid value: 600: must be greater than minReadySeconds"}}, // Covers: edge 32.
		"32 minReadySeconds below it":                {patch: "minReadySeconds: 599"},

		"§1.7.2 numbers that are not checked": {patch: "{rollbackWindow: {revisions: -1}, strategy: {canary: {abortScaleDownDelaySeconds: -1, minPodsPerReplicaSet: -1, " +
			"replicaProgressThreshold: {type: Pod, value: -5}, maxSurge: -1, maxUnavailable: -5%, analysis: {startingStep: -3}}}}"},
		"§1.7.2 numbers of blue-green that are not checked": {patch: "strategy: {canary: null, blueGreen: {activeService: a, autoPromotionSeconds: -1, " +
			"scaleDownDelaySeconds: -1, abortScaleDownDelaySeconds: -1, scaleDownDelayRevisionLimit: -1, maxUnavailable: abc}}"},
		"§1.7.2 numbers with a router that are not checked": {patch: routedSteps(managedIstio, "{setCanaryScale: {weight: -1}}, {setCanaryScale: {weight: 500}}, "+
			"{setMirrorRoute: {name: h, percentage: 500, match: [{headers: {x: {}}}]}}")},
		"§1.7.2 a way of scaling down that nobody knows": {patch: "{selector: null, template: null, workloadRef: {name: w, scaleDown: later}}"},
		"§1.7.2 a bare 25 is no zero":                    {patch: `strategy: {canary: {maxSurge: "25", maxUnavailable: 0}}`},
		"§1.7.2 words are no zero":                       {patch: routed(", maxSurge: none, maxUnavailable: 0", istio)},
		"§7.1 no. 9 a template named twice":              {patch: "strategy: {canary: {analysis: {templates: [{templateName: t}, {templateName: u}]}}}", refs: twice},
		"§7.1 no. 5 another template's value": {patch: "strategy: {canary: {analysis: {templates: [{templateName: t}, {templateName: u}]}}}",
			refs: templates(map[string]TemplateRef{"t": {Args: []v1alpha1.Argument{{Name: "x"}}}, "u": {Args: []v1alpha1.Argument{{Name: "x", Value: new(string)}}}})},
		"§7.1 no. 10 a template that names itself": {patch: background, refs: templates(map[string]TemplateRef{"t": {Nested: nested("t")}}),
			want: []string{bgPath + `Invalid value: "templateNames: [t]": analysis templates refer to each other in a circle: t -> t`}},
		"§7.7 no. 120 no templates":   {patch: "strategy: {canary: {steps: [{analysis: {templates: []}}]}}", refs: templates(nil)}, // Covers: analysis edge 120.
		"Services were not looked up": {patch: stableA, refs: &References{}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, published(Validate("shop", "web", specOf(t, tc.patch), tc.refs))); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhatAnalysisSaysIsNotRepeated(t *testing.T) {
	const two = "strategy: {canary: {steps: [{analysis: {templates: [{templateName: t}]}}, {analysis: {templates: [{templateName: t}]}}]}}"
	missing := "AnalysisTemplate 't' not found"
	second := strings.Replace(stepPath, "[0]", "[1]", 1)
	builds := map[string]string{strings.TrimSuffix(stepPath, ": "): missing, strings.TrimSuffix(second, ": "): missing}
	tests := map[string]struct {
		refs *References
		want []string
	}{
		"both know of the missing template": {
			refs: &References{Templates: map[TemplateKey]TemplateRef{}, Builds: builds},
			want: []string{stepPath + `Invalid value: "t": ` + missing, second + `Invalid value: "t": ` + missing},
		},
		"only analysis does, for both steps": {
			refs: &References{Builds: builds},
			want: []string{stepPath + `Invalid value: "templateNames: [t]": ` + missing, second + `Invalid value: "templateNames: [t]": ` + missing},
		},
		"an error of its own comes first": {
			refs: &References{Templates: map[TemplateKey]TemplateRef{{TemplateName: "t"}: endless}, Builds: map[string]string{strings.TrimSuffix(stepPath, ": "): "bad"}},
			want: []string{
				stepPath + `Invalid value: "templateNames: [t]": bad`,
				stepPath + `Invalid value: "t": AnalysisTemplate t has metric m which runs indefinitely. Invalid value for count: <nil>`,
				second + `Invalid value: "t": AnalysisTemplate t has metric m which runs indefinitely. Invalid value for count: <nil>`,
			},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, published(Validate("shop", "web", specOf(t, two), tc.refs))); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
	same := &References{Routes: "spec.strategy.canary.trafficRouting.istio: Internal error: either VirtualService or VirtualServices must be configured"}
	if got := published(Validate("shop", "web", specOf(t, routed("", "istio: {}")), same)); len(got) != 1 {
		t.Errorf("the router repeats the spec's problem: %q", got)
	}
}

func TestAWorkloadsTemplateIsCheckedOnceResolved(t *testing.T) {
	spec := specOf(t, "{workloadRef: {name: web}, strategy: {canary: {stableService: a}}}")
	spec.TemplateResolvedFromRef, spec.Template.Labels = true, map[string]string{"app": "api"}
	want := []string{
		"spec.template.metadata.labels: Invalid value: {\"app\":\"api\"}: `selector` does not match template `labels`",
		`spec.strategy.canary.stableService: Invalid value: "a": Service "a" has unmatch label "app" in rollout`,
	}
	if diff := cmp.Diff(want, published(Validate("shop", "web", spec, selecting(map[string]string{"app": "web"})))); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
	unresolved := specOf(t, "{selector: null, template: null, workloadRef: {name: web}, strategy: {canary: {stableService: a}}}")
	if got := published(Validate("shop", "web", unresolved, selecting(map[string]string{"app": "web"}))); len(got) > 0 {
		t.Errorf("a template that is not known yet is judged: %q", got)
	}
}

func TestDownwardPaths(t *testing.T) {
	for path, want := range map[string]bool{
		"metadata.name": true, "metadata.namespace": true, "metadata.uid": true, "metadata.labels": true, "metadata.annotations": true,
		"metadata.labels['app']": true, "metadata.labels['app.kubernetes.io/name']": true, "metadata.annotations['Big/Key']": true,
		"metadata": false, "metadata.foo": false, "metadata.labels.app": false, "metadata.labels[app]": false, "metadata.labels['']": false,
		"metadata.labels['a b']": false, "metadata.labels['app'": false, "metadata.name['x']": false, "metadata.labels['a']x": false,
	} {
		if got := downward(path); got != want {
			t.Errorf("downward(%q) = %v, want %v", path, got, want)
		}
	}
}

// What is not run yet is refused by name, after everything published, and one line of
// the list is needed for each.
func TestWhatThisVersionDoesNotRunIsRefused(t *testing.T) {
	const routing = "spec.strategy.canary.trafficRouting"
	tests := map[string]struct {
		patch string
		want  []string // path and value
	}{
		"ambassador is run": {routed("", "ambassador: {mappings: [m]}"), nil},
		"appMesh is run":    {routed("", "appMesh: {virtualService: {name: m}}"), nil},
		"other plugins":     {routed("", "plugins: {z/z: {}, a/a: {}, argoproj-labs/gatewayAPI: {}}"), nil},
		// An unknown router is pruned by the API server, and none is left.
		// Covers: outage 48.
		"no router":     {routed("", ""), []string{routing + `: ""`}},
		"two routers":   {routed("", istio+", plugins: {argoproj-labs/gatewayAPI: {}}"), nil},
		"three routers": {routed("", istio+", traefik: {weightedTraefikServiceName: t}, plugins: {argoproj-labs/gatewayAPI: {}}"), nil},

		"istio is run":           {routed("", istio), nil},
		"alb is run":             {routed("", "alb: {ingress: i, servicePort: 80}"), nil},
		"apisix is run":          {routed("", "apisix: {route: {name: r}}"), nil},
		"nginx is run":           {routed("", "nginx: {stableIngress: i}"), nil},
		"smi is run":             {routed("", "smi: {}"), nil},
		"traefik is run":         {routed("", "traefik: {weightedTraefikServiceName: t}"), nil},
		"the gateway API is run": {routed("", "plugins: {argoproj-labs/gatewayAPI: {}}"), nil},
		"a canary is run":        {"replicas: 1", nil},
		"blue-green is run":      {"strategy: {canary: null, blueGreen: {activeService: a}}", nil},
		"workloadRef is run":     {"{selector: null, template: null, workloadRef: {name: w}}", nil},
		"all kinds of step are run": {routedSteps(managedIstio, "{setWeight: 1}, {experiment: {templates: []}}, {plugin: {name: x/y}}, {setHeaderRoute: {name: h}}, "+
			"{setMirrorRoute: {name: h}}, {analysis: {}}, {setCanaryScale: {replicas: 1}}, {pause: {}}"), nil},
		"dynamicStableScale is run": {routed(", dynamicStableScale: true", istio), nil},
		"ping-pong is run":          {routed(", pingPong: {pingService: p, pongService: q}", istio), nil},
		"managed routes alone":      {routed("", managedIstio), nil},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			var got, want []string
			for _, p := range Validate("shop", "web", specOf(t, tc.patch), nil) {
				got = append(got, p.Text)
				if p.Mend == "" {
					t.Errorf("%s has no mend", p.Text)
				}
			}
			for _, w := range tc.want {
				path, value, _ := strings.Cut(w, ": ")
				want = append(want, fmt.Sprintf("%s: Invalid value: %s: not run by this version of Penstock", path, value))
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
	both := Validate("shop", "web", specOf(t, "{replicas: -1, strategy: {canary: {stableService: a, canaryService: b, trafficRouting: {}}}}"), services(map[string]ServiceRef{}))
	last := slices.IndexFunc(both, func(p Problem) bool { return strings.HasSuffix(p.Text, notRun) })
	if len(both) != 4 || last != 3 {
		t.Errorf("published problems must come first: %v", both)
	}
}
