package rollout

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// Covers: defect 21.
func TestTheMessageListsAllProblemsAndBeginsAsPublished(t *testing.T) {
	first := Problem{Path: "spec.a", Where: "spec.a", Text: "spec.a: Required value"}
	for name, c := range map[string]struct {
		all  []Problem
		want string
	}{
		"nothing is wrong":  {nil, ""},
		"no mend is known":  {[]Problem{first}, `The Rollout "web" is invalid: spec.a: Required value`},
		"the mend follows":  {[]Problem{{Path: "spec.a", Where: "spec.a", Text: "spec.a: no", Mend: "set it"}}, `The Rollout "web" is invalid: spec.a: no (set it)`},
		"a misleading path": {[]Problem{{Path: "spec.a", Where: "spec.b.a", Text: "spec.a: no", Mend: "set it"}}, `The Rollout "web" is invalid: spec.a: no (spec.b.a: set it)`},
		"only where it is":  {[]Problem{{Path: "spec.a", Where: "spec.b.a", Text: "spec.a: no"}}, `The Rollout "web" is invalid: spec.a: no (spec.b.a)`},
		"several":           {[]Problem{first, {Path: "spec.b", Where: "spec.b", Text: "spec.b: no", Mend: "set b"}}, `The Rollout "web" is invalid: spec.a: Required value; spec.b: no (set b)`},
	} {
		if got := InvalidMessage("web", c.all); got != c.want {
			t.Errorf("%s: got %s", name, got)
		}
	}
}

// Covers: defect 21.
func TestALongMessageIsBounded(t *testing.T) {
	many := func(n, size int) (all []Problem) {
		for i := range n {
			path := fmt.Sprintf("spec.steps[%d]", i)
			all = append(all, Problem{Path: path, Where: path, Text: path + ": Invalid value: " + strings.Repeat("ä", size) + ": end", Mend: "mend"})
		}
		return all
	}
	for name, c := range map[string]struct {
		all  []Problem
		said int
		end  string
	}{
		"as many as are listed": {many(20, 1), 20, ": end (mend)"},
		"one more":              {many(21, 1), 20, "; and 1 more"},
		"many":                  {many(3000, 1), 20, "; and 2980 more"},
		"many long ones":        {many(10, 400), 4, "; and 6 more"},
		"one huge one":          {many(1, 100_000), 1, ": end (mend)"},
		"huge ones":             {many(300, 10_000), 3, "; and 297 more"},
	} {
		got := InvalidMessage(strings.Repeat("w", 253), c.all)
		if n := strings.Count(got, "spec.steps["); n != c.said || !strings.HasSuffix(got, c.end) || len(got) > 4096 || !utf8.ValidString(got) {
			t.Errorf("%s: %d problems in %d bytes: %s", name, n, len(got), got)
		}
	}
}

// Whoever follows the published path in the manifest must get to the field.
//
// Covers: defect 21.
func TestWhereLeadsToTheFieldOfTheManifest(t *testing.T) {
	const affinity = "antiAffinity: {preferredDuringSchedulingIgnoredDuringExecution: {weight: 0}}"
	for name, c := range map[string]struct {
		patch      string
		refs       *References
		path, want string
	}{
		"a canary's step":       {steps("{setWeight: 101}"), nil, "spec.strategy.steps[0].setWeight", "spec.strategy.canary.steps[0].setWeight"},
		"a canary's services":   {"strategy: {canary: {stableService: a, canaryService: a}}", nil, "spec.strategy.stableService", "spec.strategy.canary.stableService"},
		"no strategy":           {"strategy: {canary: null}", nil, "spec.strategy.strategy", "spec.strategy"},
		"two strategies":        {"strategy: {blueGreen: {activeService: a}}", nil, "spec.strategy.strategy", "spec.strategy"},
		"blue-green's services": {`strategy: {canary: null, blueGreen: {activeService: ""}}`, nil, "spec.strategy.activeService", "spec.strategy.blueGreen.activeService"},
		"a canary's anti-affinity": {"strategy: {canary: {" + affinity + "}}", nil, "spec.strategy.antiAffinity.weight",
			"spec.strategy.canary.antiAffinity.preferredDuringSchedulingIgnoredDuringExecution.weight"},
		"blue-green's anti-affinity":       {"strategy: {canary: null, blueGreen: {activeService: a, antiAffinity: {}}}", nil, "spec.strategy.antiAffinity", "spec.strategy.blueGreen.antiAffinity"},
		"ping-pong on a router without it": {routed(", pingPong: {pingService: p, pongService: q}", "smi: {}"), nil, "spec.strategy.trafficRouting.alb", "spec.strategy.canary.pingPong"},
		"the template's labels":            {`template: {metadata: {labels: {"a/b/c": x}}}`, nil, "spec.template.labels", "spec.template.metadata.labels"},
		"App Mesh":                         {routed("", "appMesh: {}"), nil, "spec.strategy.canary.trafficRouting.appmesh.virtualService", "spec.strategy.canary.trafficRouting.appMesh.virtualService"},
		"an arg of an analysis": {steps("{analysis: {args: [{name: b, value: x}, {name: a, valueFrom: {fieldRef: {fieldPath: metadata.foo}}}]}}"), nil,
			"spec.strategy.steps[0].analyses", "spec.strategy.canary.steps[0].analysis.args[1]"},
		"an arg of an experiment's analysis": {steps("{experiment: {templates: [], analyses: [{name: x, templateName: t, args: [{name: a, valueFrom: {fieldRef: {fieldPath: metadata.foo}}}]}]}}"), nil,
			"spec.strategy.steps[0].analyses", "spec.strategy.canary.steps[0].experiment.analyses[0].args[0]"},
		"a template that a template names": {inStep, templates(map[string]TemplateRef{"t": {Nested: nested("u")}}), "spec.templates", "spec.strategy.canary.steps[0].analysis.templates"},
		"a full path":                      {inStep, templates(nil), "spec.strategy.canary.steps[0].analysis.templates", "spec.strategy.canary.steps[0].analysis.templates"},
	} {
		all := Validate("shop", "web", specOf(t, c.patch), c.refs)
		if len(all) == 0 || all[0].Path != c.path || all[0].Where != c.want {
			t.Errorf("%s: got %+v, want %s at %s", name, all, c.path, c.want)
		}
	}
}

// Every place that is named must exist in the types, whatever the problem.
func TestNoProblemNamesAFieldThatDoesNotExist(t *testing.T) {
	for name, r := range allRows() {
		for _, p := range Validate("shop", "web", specOf(t, r.bad), r.badRefs) {
			strategy, ok := strings.CutPrefix(p.Where, "spec.strategy.")
			if ok && !strings.HasPrefix(strategy, "canary") && !strings.HasPrefix(strategy, "blueGreen") {
				t.Errorf("%s: %s leaves out the strategy", name, p.Where)
			}
		}
	}
}

func readSpec(t testing.TB, text string) *v1alpha1.RolloutSpec {
	t.Helper()
	data, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	spec := &v1alpha1.RolloutSpec{}
	if err := json.Unmarshal(data, spec); err != nil {
		t.Fatal(err)
	}
	return spec
}

// Covers: edge 25.
func TestWhatCouldNotBeReadIsSaidFirstAndHidesWhatFollows(t *testing.T) {
	const base = "selector: {matchLabels: {app: web}}, template: {metadata: {labels: {app: web}}, spec: {containers: [{name: web, image: web"
	for name, c := range map[string]struct {
		spec string
		want []string
	}{
		"a memory in words": {"{" + base + ", resources: {limits: {memory: abc}}}]}}, strategy: {canary: {}}}",
			[]string{`spec.template.spec.containers[0].resources.limits[memory]: Invalid value: "abc": quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'`}},
		"volumes hide that they are not found": {"{" + base + ", volumeMounts: [{name: v, mountPath: /a}]}], volumes: {name: v}}}, strategy: {canary: {}}}",
			[]string{`spec.template.spec.volumes: Invalid value: {"name":"v"}: must be a list`}},
		"a step hides that it is empty": {"{" + base + "}]}}, strategy: {canary: {steps: [{setWeight: x}, {}]}}}",
			[]string{`spec.strategy.canary.steps[0].setWeight: Invalid value: "x": must be a whole number of 32 bits`,
				`spec.strategy.steps[1]: Invalid value: "step.Experiment: true step.Pause: true step.SetWeight: true step.Analysis: true step.SetCanaryScale: true ` +
					`step.SetHeaderRoute: true step.SetMirrorRoutes: true step.Plugin: true": ` + noStepKind}},
		"a strategy that is a word":  {"{" + base + "}]}}, strategy: fast}", []string{`spec.strategy: Invalid value: "fast": must be an object`}},
		"a template that is a word":  {"{selector: {matchLabels: {app: web}}, template: web, strategy: {canary: {}}}", []string{`spec.template: Invalid value: "web": must be an object`}},
		"the whole spec is a word":   {"canary", []string{`spec: Invalid value: "canary": must be an object`}},
		"what is wrong besides":      {"{replicas: -1, minReadySeconds: x, " + base + "}]}}, strategy: {canary: {}}}", []string{`spec.minReadySeconds: Invalid value: "x": must be a whole number of 32 bits`, "spec.replicas: Invalid value: -1: must be greater than or equal to 0"}},
		"step 1 is not step 10":      {"{" + base + "}]}}, strategy: {canary: {steps: [{setWeight: 1}, {setWeight: x}" + strings.Repeat(", {setWeight: 1}", 8) + ", {}]}}}", []string{"", ""}},
		"a name that begins with it": {"{paused: 5, " + base + "}]}}, strategy: {canary: {canaryService: a, stableService: a}}}", []string{"", ""}},
	} {
		var got []string
		for i, p := range Validate("shop", "web", readSpec(t, c.spec), nil) {
			if got = append(got, p.Text); i < len(c.want) && c.want[i] == "" {
				got[i] = ""
			}
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
