package app

import (
	"testing"
	"time"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/analysis"
	"github.com/penstock-io/penstock/internal/metric"
	"github.com/penstock-io/penstock/internal/metric/cloudwatch"
)

// TestConditionsReadTheFieldsOfCloudWatch: the names are those of AWS's API, as published.
func TestConditionsReadTheFieldsOfCloudWatch(t *testing.T) {
	good := metric.Result{Kind: metric.Values, Display: "[[0.01 0.5]]", Value: []cloudwatch.Answer{{Id: "rate", Label: "Rate", StatusCode: "Complete", Values: []float64{0.01, 0.5}}}}
	for condition, c := range map[string]struct {
		result metric.Result
		want   v1alpha1.AnalysisPhase
	}{
		"result[0].Values[0] < 0.05":                             {good, v1alpha1.AnalysisPhaseSuccessful},
		"all(result[0].Values, # < 0.05)":                        {good, v1alpha1.AnalysisPhaseFailed},
		`result[0].Label == "Rate" && result[0].Id == "rate"`:    {good, v1alpha1.AnalysisPhaseSuccessful},
		`result[0].StatusCode == "Complete"`:                     {good, v1alpha1.AnalysisPhaseSuccessful},
		"len(result[0].Values) > 1 && result[0].Values[1] > 0.4": {good, v1alpha1.AnalysisPhaseSuccessful},
		"all(result[0].Values, true)":                            {metric.Result{Kind: metric.NoData, Display: "[[]]", Why: "w", Value: []cloudwatch.Answer{{Id: "rate"}}}, v1alpha1.AnalysisPhaseInconclusive},
	} {
		spec := v1alpha1.AnalysisRunSpec{Metrics: []v1alpha1.Metric{{Name: "m", SuccessCondition: condition}}}
		at := time.Unix(1786960800, 0)
		st := analysis.Fold(v1alpha1.AnalysisRunStatus{}, spec, []analysis.Outcome{{Name: "m", Metric: spec.Metrics[0], Result: c.result, Started: at}}, at)
		if got := st.MetricResults[0].Measurements[0]; got.Phase != c.want {
			t.Errorf("%s: %s %s, want %s", condition, got.Phase, got.Message, c.want)
		}
	}
}
