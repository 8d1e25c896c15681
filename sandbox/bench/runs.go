package bench

import (
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// kept is how many measurements a status keeps unless told otherwise.
const kept = 10

func runName(i int) string { return fmt.Sprintf("run-%04d", i) }

// asking is a metric that asks a pretend Prometheus; good is one answer of it, and query
// tells who asks.
func asking(address, query string, every time.Duration) v1alpha1.Metric {
	return v1alpha1.Metric{
		Name: "success-rate", Interval: v1alpha1.DurationString(every.String()), SuccessCondition: "result[0] > 0.5",
		Provider: v1alpha1.MetricProvider{Prometheus: &v1alpha1.PrometheusMetric{Address: address, Query: query}},
	}
}

// endless is a run that measures for ever, and gives no source up.
func endless(namespace string, i int, address string, every time.Duration) *v1alpha1.AnalysisRun {
	m := asking(address, fmt.Sprintf("success_rate{run=%q}", runName(i)), every)
	limit := intstr.FromInt32(1_000_000)
	m.ConsecutiveErrorLimit = &limit
	return &v1alpha1.AnalysisRun{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: runName(i)},
		Spec:       v1alpha1.AnalysisRunSpec{Metrics: []v1alpha1.Metric{m}},
	}
}

// finished is what a successful run has left: ten measurements in five minutes.
func finished(namespace string, i int, now time.Time) *v1alpha1.AnalysisRun {
	const every = 30 * time.Second
	count := intstr.FromInt32(kept)
	m := asking("http://prometheus.example:9090", fmt.Sprintf("success_rate{run=%q}", runName(i)), every)
	m.Count = &count
	at := func(n int) *metav1.Time { return &metav1.Time{Time: now.Add(-time.Hour + time.Duration(n)*every)} }
	r := v1alpha1.MetricResult{Name: m.Name, Phase: v1alpha1.AnalysisPhaseSuccessful, Count: kept, Successful: kept, ConsecutiveSuccess: kept}
	for n := range kept {
		r.Measurements = append(r.Measurements, v1alpha1.Measurement{
			Phase: v1alpha1.AnalysisPhaseSuccessful, Value: "[0.9987]", StartedAt: at(n), FinishedAt: at(n),
		})
	}
	return &v1alpha1.AnalysisRun{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: runName(i)},
		Spec:       v1alpha1.AnalysisRunSpec{Metrics: []v1alpha1.Metric{m}},
		Status: v1alpha1.AnalysisRunStatus{
			Phase: v1alpha1.AnalysisPhaseSuccessful, StartedAt: at(0), CompletedAt: at(kept - 1),
			RunSummary: v1alpha1.RunSummary{Count: 1, Successful: 1}, DryRunSummary: &v1alpha1.RunSummary{}, MetricResults: []v1alpha1.MetricResult{r},
		},
	}
}

// template is asked in the background of every release of A3.
func template(namespace, address string) *v1alpha1.AnalysisTemplate {
	return &v1alpha1.AnalysisTemplate{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "success-rate"},
		Spec:       v1alpha1.AnalysisTemplateSpec{Metrics: []v1alpha1.Metric{asking(address, "success_rate", time.Second)}},
	}
}

// watched is a canary that pauses at a quarter, with analysis in the background.
func watched(namespace, name string) *v1alpha1.Rollout {
	ro := basic(namespace, name, 4)
	quarter := int32(25)
	canary := ro.Spec.Strategy.Canary
	canary.Steps = []v1alpha1.CanaryStep{{SetWeight: &quarter}, {Pause: &v1alpha1.RolloutPause{}}}
	canary.Analysis = &v1alpha1.RolloutAnalysisBackground{RolloutAnalysis: v1alpha1.RolloutAnalysis{
		Templates: []v1alpha1.AnalysisTemplateRef{{TemplateName: "success-rate"}},
	}}
	return ro
}
