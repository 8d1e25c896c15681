package v1alpha1_test

import (
	"encoding/json"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

func TestPodTemplateHash(t *testing.T) {
	demo := corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "demo"}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "demo", Image: "nginx:1.19-alpine"}}},
	}
	one, zero := int32(1), int32(0)
	tests := map[string]struct {
		template   corev1.PodTemplateSpec
		collisions *int32
		want       string
	}{
		"the published hash of the empty template":                   {corev1.PodTemplateSpec{}, nil, "658c46c486"},
		"the published hash of the empty template after a collision": {corev1.PodTemplateSpec{}, &one, "6746d5bbc"}, // Covers: edge 7.
		"the published hash of a template with a container":          {demo, nil, "8c9b79c5c"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := v1alpha1.PodTemplateHash(&test.template, test.collisions); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
	if v1alpha1.PodTemplateHash(&demo, nil) == v1alpha1.PodTemplateHash(&demo, &zero) {
		t.Error("a collision count of 0 hashes like none, want the eight bytes to be fed")
	}
}

func TestStepHash(t *testing.T) {
	tests := map[string]struct{ steps, want string }{
		"no list of steps":       {`null`, "5ffbfbbd64"},
		"an empty list of steps": {`[]`, "5f8cb5778f"},
		"a pause":                {`[{"pause":{}}]`, "6b9b86fbd5"},
		"two pauses":             {`[{"pause":{}},{"pause":{}}]`, "79c9b9f6bf"},
		"a weight and a pause":   {`[{"setWeight":20},{"pause":{}}]`, "54649b9f5c"},
		"a weight and a pause, laid out differently": {`[ {"setWeight" : 20},  {"pause" : {} } ]`, "54649b9f5c"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := v1alpha1.StepHash(decode[[]v1alpha1.CanaryStep](t, test.steps)); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// The hash depends on the order of members and on structs that are written though empty.
func TestStepJSONKeepsThePublishedOrder(t *testing.T) {
	tests := map[string]struct{ in, want string }{
		"all members of a step": {
			in: `{"plugin":{"name":"p"},"setMirrorRoute":{"name":"m"},"setHeaderRoute":{"name":"h"},"setCanaryScale":{},` +
				`"analysis":{},"experiment":{"templates":null},"pause":{},"setWeight":1}`,
			want: `{"setWeight":1,"pause":{},"experiment":{"templates":null,"analysisRunMetadata":{}},` +
				`"analysis":{"analysisRunMetadata":{}},"setCanaryScale":{},"setHeaderRoute":{"name":"h"},` +
				`"setMirrorRoute":{"name":"m"},"plugin":{"name":"p"}}`,
		},
		"an experiment": {
			in: `{"experiment":{"duration":"1m","templates":[{"specRef":"canary","name":"c"}]}}`,
			want: `{"experiment":{"templates":[{"name":"c","specRef":"canary","metadata":{}}],"duration":"1m",` +
				`"analysisRunMetadata":{}}}`,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := encode(t, decode[v1alpha1.CanaryStep](t, test.in)); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

// Arguments are put into a metric in the order of its members, which decides the error users see.
func TestMetricJSONKeepsThePublishedOrder(t *testing.T) {
	const want = `{"name":"n","interval":"1m","initialDelay":"1s","count":1,"successCondition":"s","failureCondition":"f",` +
		`"failureLimit":1,"inconclusiveLimit":1,"consecutiveErrorLimit":1,"provider":{},"consecutiveSuccessLimit":1,` +
		`"noData":"Skip"}`
	if got := encode(t, decode[v1alpha1.Metric](t, want)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func decode[T any](t *testing.T, text string) T {
	t.Helper()
	var value T
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		t.Fatalf("decode %s: %v", text, err)
	}
	return value
}

func encode(t *testing.T, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatalf("encode %T: %v", value, err)
	}
	return string(text)
}
