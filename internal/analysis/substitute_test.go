package analysis

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/metric"
)

// Covers: analysis edge 17, analysis edge 19.
func TestResolve(t *testing.T) {
	nasty := "a\"b\\c\n\t\a\x00\u2028<&>{{args.x}}𝄞"
	m := v1alpha1.Metric{
		Name: "m-{{args.n}}", Interval: "{{ args.n }}s", Count: ptr(intstr.FromString("{{args.n}}")), SuccessCondition: "result > {{args.n}}",
		Provider: v1alpha1.MetricProvider{
			Web: &v1alpha1.WebMetric{URL: "http://x/{{args.x}}", Headers: []v1alpha1.WebMetricHeader{{Key: "K", Value: "{{args.x}}"}}, JSONBody: []byte(`{"{{args.n}}":["{{args.x}}",12345678901234567890]}`)},
			Job: &v1alpha1.JobMetric{Spec: batchv1.JobSpec{Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{{Command: []string{"sh", "-c", `{{"{{"}} .x }} {{args.x}}`}}}}}}},
		},
	}
	spec := v1alpha1.AnalysisRunSpec{Metrics: []v1alpha1.Metric{m}, Args: []v1alpha1.Argument{{Name: "n", Value: ptr("3")}, {Name: "x", Value: &nasty}}}
	all, err := Resolve(spec, nil)
	if err != nil {
		t.Fatal(err)
	}
	got := all[0]
	if got.Name != "m-3" || got.Interval != "3s" || intOr(got.Count, 0) != 3 || got.SuccessCondition != "result > 3" {
		t.Errorf("%+v", got)
	}
	if w := got.Provider.Web; w.URL != "http://x/"+nasty || w.Headers[0].Value != nasty {
		t.Errorf("%+v", w)
	}
	if c := got.Provider.Job.Spec.Template.Spec.Containers[0].Command[2]; c != "{{ .x }} "+nasty {
		t.Errorf("%q", c)
	}
	if body := string(got.Provider.Web.JSONBody); !strings.HasPrefix(body, `{"3":[`) || !strings.HasSuffix(body, ",12345678901234567890]}") {
		t.Errorf("jsonBody %s", body)
	}
	if m.Name != "m-{{args.n}}" || spec.Metrics[0].Provider.Web.Headers[0].Value != "{{args.x}}" {
		t.Error("the spec was changed")
	}
}

func TestResolveErrorsAndSecrets(t *testing.T) {
	secretArg := v1alpha1.Argument{Name: "x", Value: ptr("plain"), ValueFrom: &v1alpha1.ValueFrom{SecretKeyRef: &v1alpha1.SecretKeyRef{Name: "s", Key: "k"}}}
	cases := map[string]struct {
		text    string
		args    []v1alpha1.Argument
		secrets map[string]string
		want    string
		err     string
	}{
		"an arg that is not there":     {"{{args.missing}}", nil, nil, "", "failed to resolve {{args.missing}}; it stands in metrics[0].name, and the run has no args"}, // Covers: analysis edge 18.
		"something that is no arg":     {"{{ something }}", nil, nil, "", "failed to resolve {{ something }}; it stands in metrics[0].name, and the run has no args"},   // Covers: analysis edge 19.
		"a tag without end":            {"a {{args.x", nil, nil, "", `Cannot find end tag="}}" in the template="a {{args.x" starting from "args.x"`},
		"a secret is a placeholder":    {"{{args.x}}", []v1alpha1.Argument{secretArg}, nil, "temp-for-secret", ""},
		"a secret twice and with text": {"{{args.x}}-{{ args.x }}", []v1alpha1.Argument{secretArg}, map[string]string{"x": "s3"}, "s3-s3", ""}, // Covers: analysis edge 22.
		"a secret that was not read":   {"{{args.x}}", []v1alpha1.Argument{secretArg}, map[string]string{}, "", `argument "x" was not supplied`},
		"an empty value":               {"a{{args.x}}b", declared("x", ptr("")), nil, "ab", ""},
		"braces without a tag":         {"a }} b", nil, nil, "a }} b", ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := Resolve(v1alpha1.AnalysisRunSpec{Metrics: []v1alpha1.Metric{{Name: c.text}}, Args: c.args}, c.secrets)
			if errText(err) != c.err || err == nil && got[0].Name != c.want {
				t.Errorf("got %v %v", got, err)
			}
		})
	}
}

func FuzzResolve(f *testing.F) {
	f.Add("a {{args.x}} b", "v\"\\")
	f.Add("{{ args.x }}{{\"{{\"}}", "{{args.x}}")
	f.Add("{{", "\x00\xff")
	f.Fuzz(func(t *testing.T, text, value string) {
		text, value = strings.ToValidUTF8(text, ""), strings.ToValidUTF8(value, "") // what the API server stores
		spec := v1alpha1.AnalysisRunSpec{Metrics: []v1alpha1.Metric{{Name: "m", SuccessCondition: text}}, Args: declared("x", &value)}
		got, err := Resolve(spec, nil)
		if err != nil {
			return
		}
		want := text
		if strings.Contains(text, "{{") {
			if want, err = substitute(text, map[string]string{"x": value}); err != nil {
				t.Fatal(err)
			}
		}
		if got[0].SuccessCondition != want || got[0].Name != "m" {
			t.Errorf("got %q, want %q", got[0].SuccessCondition, want)
		}
	})
}

func TestFold(t *testing.T) {
	m := aMetric("m")
	// Covers: analysis edge 21.
	t.Run("secrets are taken out of every text", func(t *testing.T) {
		o := Outcome{Name: "m", Metric: m, Secrets: []string{"hunter22"}, Started: start, Describe: map[string]string{"q": "up hunter22"},
			Result: metric.Result{Kind: metric.Values, Value: 1.0, Display: "hunter22!", Metadata: map[string]string{"warnings": "hunter22"}}}
		broken := Outcome{Name: "m", Metric: m, Secrets: []string{"hunter22"}, Err: "no hunter22"}
		wrong := o
		wrong.Metric.SuccessCondition = `asInt(result) == 1`
		wrong.Result.Value = "hunter22"
		got := dump(t, Fold(v1alpha1.AnalysisRunStatus{}, aSpec(m), []Outcome{o, broken, wrong}, start))
		if strings.Contains(got, "hunter22") || strings.Count(got, "*****") < 4 {
			t.Error(got)
		}
	})
	t.Run("texts are bounded and stay whole characters", func(t *testing.T) {
		o := Outcome{Name: "m", Metric: m, Err: strings.Repeat("ä", 3000)}
		long := Outcome{Name: "m", Metric: m, Result: metric.Result{Kind: metric.Values, Value: 1.0, Display: strings.Repeat("x", 1<<20)}}
		got := Fold(v1alpha1.AnalysisRunStatus{}, aSpec(m), []Outcome{o, long}, start).MetricResults[0].Measurements
		if n := len(got[0].Message); n > maxText || n < maxText-32 || strings.ToValidUTF8(got[0].Message, "?") != got[0].Message {
			t.Errorf("message of %d bytes", n)
		}
		if len(got[1].Value) > maxText {
			t.Errorf("value of %d bytes", len(got[1].Value))
		}
		if want := fmt.Sprintf("… (%d bytes more)", 1<<20-strings.Count(got[1].Value, "x")); !strings.HasSuffix(got[1].Value, want) {
			t.Errorf("it does not say how much was cut: %s", got[1].Value[maxText-40:])
		}
		many := map[string]string{}
		for i := range 40 {
			many[fmt.Sprintf("%02d", i)] = "v"
		}
		if tidied := tidy(many, nil); len(tidied) != maxMetadata+1 || tidied["dropped"] != "24 more entries" {
			t.Errorf("metadata %v", tidied)
		}
	})
	t.Run("a measurement holds what was seen and when", func(t *testing.T) {
		o := Outcome{Name: "m", Metric: m, Started: start, Result: metric.Result{Kind: metric.Values, Value: 1.0, Display: "1", Metadata: map[string]string{"k": "v"}}, Describe: map[string]string{"d": "e"}}
		got := Fold(v1alpha1.AnalysisRunStatus{}, aSpec(m), []Outcome{o}, start.Add(2e9))
		want := []v1alpha1.MetricResult{{Name: "m", Phase: running, Count: 1, Successful: 1, ConsecutiveSuccess: 1, Metadata: map[string]string{"d": "e"}, Measurements: []v1alpha1.Measurement{
			{Phase: ok, Value: "1", StartedAt: at(0), FinishedAt: at(2e9), Metadata: map[string]string{"k": "v"}}}}}
		if d := cmp.Diff(want, got.MetricResults); d != "" {
			t.Error(d)
		}
	})
	t.Run("what comes too late is dropped", func(t *testing.T) {
		over := v1alpha1.AnalysisRunStatus{Phase: ok}
		o := Outcome{Name: "m", Metric: m, Result: metric.Result{Kind: metric.Values, Value: 0.0}}
		if got := Fold(over, aSpec(m), []Outcome{o}, start); len(got.MetricResults) != 0 {
			t.Errorf("%+v", got)
		}
		one := v1alpha1.AnalysisRunStatus{Phase: running, MetricResults: []v1alpha1.MetricResult{{Name: "m", Phase: ok}}}
		if got := Fold(one, aSpec(m), []Outcome{o, {Name: "gone", Stopped: true}}, start); dump(t, got) != dump(t, one) {
			t.Errorf("%+v", got)
		}
	})
	t.Run("a Stop that does not work ends the measurement as an error", func(t *testing.T) {
		s := v1alpha1.AnalysisRunStatus{Phase: running, MetricResults: []v1alpha1.MetricResult{{Name: "m", Phase: running, Measurements: []v1alpha1.Measurement{{Phase: running}}}}}
		got := Fold(s, aSpec(m), []Outcome{{Name: "m", Metric: m, Stopped: true, Err: "forbidden"}}, start).MetricResults[0]
		if got.Error != 1 || got.Measurements[0].Phase != errored || got.Measurements[0].FinishedAt == nil {
			t.Errorf("%+v", got)
		}
	})
}

func BenchmarkDecide(b *testing.B) {
	var metrics []v1alpha1.Metric
	s := Snapshot{Now: start}
	for _, n := range strings.Split("abcdefghij", "") {
		metrics = append(metrics, aMetric(n, every("1m"), func(m *v1alpha1.Metric) { m.SuccessCondition = "result > {{args.x}}" }))
	}
	s.Spec = v1alpha1.AnalysisRunSpec{Metrics: metrics, Args: declared("x", ptr("1"))}
	for b.Loop() {
		if len(Decide(s).Actions) != 10 {
			b.Fatal("wrong plan")
		}
	}
}

func BenchmarkFold(b *testing.B) {
	m := aMetric("m", every("1m"), func(m *v1alpha1.Metric) {
		m.SuccessCondition, m.FailureCondition = "result[0] >= 0.95", "result[0] < 0.5"
	})
	o := []Outcome{{Name: "m", Metric: m, Result: metric.Result{Kind: metric.Values, Value: []float64{0.97}, Display: "[0.97]"}}}
	for b.Loop() {
		if Fold(v1alpha1.AnalysisRunStatus{}, aSpec(m), o, start).MetricResults[0].Successful != 1 {
			b.Fatal("wrong fold")
		}
	}
}
