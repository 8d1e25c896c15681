package v1alpha1_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"sigs.k8s.io/yaml"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

const wrongQuantity = `quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'`

func asJSON(t testing.TB, text string) []byte {
	t.Helper()
	data, err := yaml.YAMLToJSONStrict([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestWhatDoesNotFitIsLeftOutAndSaid(t *testing.T) {
	container := func(rest string) string {
		return "{replicas: 3, template: {spec: {containers: [{name: a, image: b" + rest + "}]}}}"
	}
	const at = "spec.template.spec.containers[0].resources.limits"
	tests := map[string]struct {
		spec string
		left string // of the spec, "" for all of it
		want []v1alpha1.Malformed
	}{
		// Covers: edge 25.
		"a numeric memory fits":       {spec: container(", resources: {limits: {memory: 1000}}"), left: container(`, resources: {limits: {memory: "1000"}}`)},
		"an unknown resource fits":    {spec: container(`, resources: {limits: {example.com/x: "1"}}`)},
		"ephemeral containers fit":    {spec: "{template: {spec: {containers: [], ephemeralContainers: [{name: a, image: b}]}}}"},
		"an odd volume source is let": {spec: "{template: {spec: {containers: [], volumes: [{name: v, hostPath: {path: /}}]}}}"},
		"a memory in words": {spec: container(`, resources: {limits: {memory: abc, cpu: "1"}}`), left: container(`, resources: {limits: {cpu: "1"}}`),
			want: []v1alpha1.Malformed{{at + "[memory]", `"abc"`, wrongQuantity}}},
		"a memory that is a list": {spec: container(`, resources: {limits: {memory: [1]}}`), left: container(`, resources: {limits: {}}`),
			want: []v1alpha1.Malformed{{at + "[memory]", `[1]`, wrongQuantity}}},
		"limits that are no object": {spec: container(`, resources: {limits: none, requests: {cpu: "1"}}`), left: container(`, resources: {requests: {cpu: "1"}}`),
			want: []v1alpha1.Malformed{{at, `"none"`, "must be an object"}}},
		"a mode in words": {
			spec: `{template: {spec: {containers: [], volumes: [{name: v, configMap: {name: c, defaultMode: "0644"}}, {name: w, emptyDir: {sizeLimit: much}}]}}}`,
			left: `{template: {spec: {containers: [], volumes: [{name: v, configMap: {name: c}}, {name: w, emptyDir: {}}]}}}`,
			want: []v1alpha1.Malformed{
				{"spec.template.spec.volumes[0].configMap.defaultMode", `"0644"`, "must be a whole number of 32 bits"},
				{"spec.template.spec.volumes[1].emptyDir.sizeLimit", `"much"`, wrongQuantity}}},
		"volumes that are no list": {spec: "{template: {spec: {containers: [], volumes: {a: b}}}}", left: "{template: {spec: {containers: []}}}",
			want: []v1alpha1.Malformed{{"spec.template.spec.volumes", `{"a":"b"}`, "must be a list"}}},
		"an ephemeral container with a bad quantity": {
			spec: "{template: {spec: {containers: [], ephemeralContainers: [{name: a, resources: {requests: {cpu: x}}}]}}}",
			left: "{template: {spec: {containers: [], ephemeralContainers: [{name: a, resources: {requests: {}}}]}}}",
			want: []v1alpha1.Malformed{{"spec.template.spec.ephemeralContainers[0].resources.requests[cpu]", `"x"`, wrongQuantity}}},
		"numbers as text": {spec: `{replicas: "3", paused: "yes", minReadySeconds: 5}`, left: "{minReadySeconds: 5}",
			want: []v1alpha1.Malformed{{"spec.paused", `"yes"`, "must be true or false"}, {"spec.replicas", `"3"`, "must be a whole number of 32 bits"}}},
		"a number of more than 32 bits": {spec: "{replicas: 3000000000}", left: "{}",
			want: []v1alpha1.Malformed{{"spec.replicas", "3000000000", "must be a whole number of 32 bits"}}},
		"a fraction": {spec: "{replicas: 1.5}", left: "{}",
			want: []v1alpha1.Malformed{{"spec.replicas", "1.5", "must be a whole number of 32 bits"}}},
		"a step keeps its place": {
			spec: `{strategy: {canary: {stableService: a, steps: [{setWeight: 5}, a, {setWeight: b}, {pause: {}}]}}}`,
			left: `{strategy: {canary: {stableService: a, steps: [{setWeight: 5}, {}, {}, {pause: {}}]}}}`,
			want: []v1alpha1.Malformed{
				{"spec.strategy.canary.steps[1]", `"a"`, "must be an object"},
				{"spec.strategy.canary.steps[2].setWeight", `"b"`, "must be a whole number of 32 bits"}}},
		"a name that is a number": {spec: "{strategy: {canary: {stableService: 5, canaryService: b}}}", left: "{strategy: {canary: {canaryService: b}}}",
			want: []v1alpha1.Malformed{{"spec.strategy.canary.stableService", "5", "must be a string"}}},
		"a time in words": {spec: "{restartAt: today, replicas: 1}", left: "{replicas: 1}",
			want: []v1alpha1.Malformed{{"spec.restartAt", `"today"`, `parsing time "today" as "2006-01-02T15:04:05Z07:00": cannot parse "today" as "2006"`}}},
		"a spec that is a word": {spec: `"all"`, left: "{}", want: []v1alpha1.Malformed{{"spec", `"all"`, "must be an object"}}},
		"a spec that is a list": {spec: `[1, 2]`, left: "{}", want: []v1alpha1.Malformed{{"spec", `[1,2]`, "must be an object"}}},
		"a spec that is null":   {spec: `null`, left: "{}"},
		"a long value is cut":   {spec: `{replicas: "` + strings.Repeat("ä", 60) + `"}`, left: "{}", want: []v1alpha1.Malformed{{"spec.replicas", `"` + strings.Repeat("ä", 49) + "…", "must be a whole number of 32 bits"}}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, left := v1alpha1.RolloutSpec{}, v1alpha1.RolloutSpec{}
			if err := json.Unmarshal(asJSON(t, test.spec), &got); err != nil {
				t.Fatal(err)
			}
			if test.left == "" {
				test.left = test.spec
			}
			if err := v1alpha1.DecodeStrict(asJSON(t, test.left), &left); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got.Malformed); diff != "" {
				t.Errorf("malformed (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(encode(t, left), encode(t, got)); diff != "" {
				t.Errorf("what is left (-want +got):\n%s", diff)
			}
		})
	}
}

// One object that cannot be read would stop the list and the watch of its kind.
//
// Covers: edge 25.
func TestOneMalformedObjectDoesNotStopTheListOfItsKind(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	codec := serializer.NewCodecFactory(scheme).UniversalDeserializer()
	const template = "{spec: {containers: [{name: a, resources: {limits: {memory: abc}}}]}}"
	const metrics = "metrics: [{name: m, provider: {job: {spec: {template: " + template + "}}}}]"
	for kind, spec := range map[string]string{
		"Rollout":                 "template: " + template,
		"Experiment":              "templates: [{name: t, template: " + template + "}]",
		"AnalysisRun":             metrics,
		"AnalysisTemplate":        metrics,
		"ClusterAnalysisTemplate": metrics,
	} {
		const good = "{metadata: {name: good}}"
		text := "{apiVersion: argoproj.io/v1alpha1, kind: " + kind + "List, items: [" + good +
			", {metadata: {name: bad}, spec: {" + spec + "}, status: {phase: [1], message: kept}}, {metadata: {name: word}, spec: word, status: word}, " + good + "]}"
		list, _, err := codec.Decode(asJSON(t, text), nil, nil)
		if err != nil {
			t.Errorf("%s: %v", kind, err)
			continue
		}
		var malformed []v1alpha1.Malformed
		items := 0
		switch list := list.(type) {
		case *v1alpha1.RolloutList:
			items, malformed = len(list.Items), list.Items[1].Spec.Malformed
			if list.Items[1].Status.Message != "kept" {
				t.Error("the rest of the status is lost")
			}
		case *v1alpha1.ExperimentList:
			items, malformed = len(list.Items), list.Items[1].Spec.Malformed
		case *v1alpha1.AnalysisRunList:
			items, malformed = len(list.Items), list.Items[1].Spec.Malformed
		case *v1alpha1.AnalysisTemplateList:
			items, malformed = len(list.Items), list.Items[1].Spec.Malformed
		case *v1alpha1.ClusterAnalysisTemplateList:
			items, malformed = len(list.Items), list.Items[1].Spec.Malformed
		}
		if items != 4 || len(malformed) != 1 || !strings.HasSuffix(malformed[0].Path, "template.spec.containers[0].resources.limits[memory]") {
			t.Errorf("%s: %d items, malformed %v", kind, items, malformed)
		}
	}
}

func TestMuchThatIsMalformedIsSaidInPart(t *testing.T) {
	spec := v1alpha1.RolloutSpec{}
	steps := strings.Repeat("{setWeight: x}, ", 300)
	if err := json.Unmarshal(asJSON(t, "{strategy: {canary: {steps: ["+steps+"]}}}"), &spec); err != nil {
		t.Fatal(err)
	}
	if len(spec.Malformed) != 20 || len(spec.Strategy.Canary.Steps) != 300 {
		t.Errorf("%d said, %d steps", len(spec.Malformed), len(spec.Strategy.Canary.Steps))
	}
}

func TestReadingAnewForgetsWhatWasMalformed(t *testing.T) {
	spec := v1alpha1.RolloutSpec{}
	for text, want := range map[string]int{"{replicas: x}": 1, "{replicas: 2}": 0} {
		if err := json.Unmarshal(asJSON(t, text), &spec); err != nil || len(spec.Malformed) != want {
			t.Errorf("%s: %v, %v", text, spec.Malformed, err)
		}
	}
}

// A stored object that was read in part must never be written back so.
func TestWhatWasMalformedIsNeverEncoded(t *testing.T) {
	spec := v1alpha1.RolloutSpec{}
	if err := json.Unmarshal(asJSON(t, "{replicas: x, paused: true}"), &spec); err != nil {
		t.Fatal(err)
	}
	if got := encode(t, spec.DeepCopy()); got != `{"strategy":{},"paused":true}` {
		t.Errorf("got %s", got)
	}
}

func TestStrictDecodingRefuses(t *testing.T) {
	tests := map[string]struct{ object, want string }{
		"nothing that is known":     {"{metadata: {name: a, labels: {b: c}}, spec: {strategy: {canary: {steps: [{pause: {duration: 5}}]}}}}", ""},
		"an unknown field":          {"spec: {strategy: {canary: {stepz: []}}}", `unknown field "spec.strategy.canary.stepz"`},
		"one within a list":         {"spec: {strategy: {canary: {steps: [{}, {wait: 5}]}}}", `unknown field "spec.strategy.canary.steps[1].wait"`},
		"one in the pod template":   {"spec: {template: {spec: {contaners: []}}}", `unknown field "spec.template.spec.contaners"`},
		"one at the top":            {"sepc: {}", `unknown field "sepc"`},
		"another case of letters":   {"spec: {Replicas: 1}", `unknown field "spec.Replicas"`},
		"a field that is not in it": {"spec: {Malformed: []}", `unknown field "spec.Malformed"`},
		"a value that does not fit": {"spec: {replicas: x}", `spec.replicas: Invalid value: "x": must be a whole number of 32 bits`},
		"both":                      {"{status: {x: 1}, spec: {replicas: x}}", `unknown field "status.x"; spec.replicas: Invalid value: "x": must be a whole number of 32 bits`},
	}
	for name, test := range tests {
		err := v1alpha1.DecodeStrict(asJSON(t, test.object), &v1alpha1.Rollout{})
		if got := ""; err != nil {
			got = err.Error()
			if got != test.want {
				t.Errorf("%s: got %s, want %s", name, got, test.want)
			}
		} else if test.want != "" {
			t.Errorf("%s: no error", name)
		}
	}
	if err := v1alpha1.DecodeStrict([]byte("{"), &v1alpha1.Rollout{}); err == nil {
		t.Error("half a document was read")
	}
}

// Whatever was read, reading it again loses nothing more.
func FuzzDecoding(f *testing.F) {
	f.Add([]byte(`{"template":{"spec":{"volumes":[{"emptyDir":{"sizeLimit":"x"}},5]}},"replicas":1e99}`))
	f.Add([]byte(`{"strategy":{"canary":{"steps":[null,{"pause":{"duration":{}}},{"plugin":{"config":5}}],"trafficRouting":{"plugins":{"a":1}}}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var spec, again v1alpha1.RolloutSpec
		if !json.Valid(data) {
			return
		}
		if err := json.Unmarshal(data, &spec); err != nil {
			t.Fatal(err)
		}
		text := encode(t, spec)
		if err := json.Unmarshal([]byte(text), &again); err != nil || len(again.Malformed) > 0 || len(spec.Malformed) > 20 {
			t.Fatalf("%v, %v of %s", err, again.Malformed, text)
		}
	})
}
