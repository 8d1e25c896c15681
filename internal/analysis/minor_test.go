package analysis

import (
	"testing"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// Good measurements may wait; whatever somebody on call wants to know, or a restarted
// controller has to, may not.
func TestGoodMeasurementsAreMinor(t *testing.T) {
	good := v1alpha1.Measurement{Phase: v1alpha1.AnalysisPhaseSuccessful, Value: "1", FinishedAt: stamp(start)}
	running := func(change func(*v1alpha1.AnalysisRunStatus, *v1alpha1.MetricResult)) *v1alpha1.AnalysisRunStatus {
		st := &v1alpha1.AnalysisRunStatus{Phase: v1alpha1.AnalysisPhaseRunning, StartedAt: stamp(start), RunSummary: v1alpha1.RunSummary{Count: 1},
			MetricResults: []v1alpha1.MetricResult{{Name: "errors", Phase: v1alpha1.AnalysisPhaseRunning, Measurements: []v1alpha1.Measurement{good},
				Count: 1, Successful: 1, ConsecutiveSuccess: 1, Metadata: map[string]string{"query": "up"}}}}
		if change != nil {
			change(st, &st.MetricResults[0])
		}
		return st
	}
	one := running(nil)
	for name, c := range map[string]struct {
		before *v1alpha1.AnalysisRunStatus
		change func(*v1alpha1.AnalysisRunStatus, *v1alpha1.MetricResult)
		minor  bool
	}{
		"the beginning":                 {&v1alpha1.AnalysisRunStatus{}, func(st *v1alpha1.AnalysisRunStatus, _ *v1alpha1.MetricResult) { st.MetricResults = nil }, true},
		"the beginning, and a good one": {&v1alpha1.AnalysisRunStatus{}, nil, true},
		"another good one": {one, func(_ *v1alpha1.AnalysisRunStatus, r *v1alpha1.MetricResult) {
			r.Measurements, r.Count, r.Successful, r.ConsecutiveSuccess = append(r.Measurements, good), 2, 2, 2
		}, true},
		"the first one of another metric": {one, func(st *v1alpha1.AnalysisRunStatus, r *v1alpha1.MetricResult) {
			st.MetricResults = append(st.MetricResults, *r)
			st.MetricResults[1].Name = "latency"
		}, true},
		"a failed one":                {one, func(_ *v1alpha1.AnalysisRunStatus, r *v1alpha1.MetricResult) { r.Failed++ }, false},
		"the first one, failed":       {&v1alpha1.AnalysisRunStatus{}, func(_ *v1alpha1.AnalysisRunStatus, r *v1alpha1.MetricResult) { r.Failed++ }, false},
		"an inconclusive one":         {one, func(_ *v1alpha1.AnalysisRunStatus, r *v1alpha1.MetricResult) { r.Inconclusive++ }, false},
		"one that could not be taken": {one, func(_ *v1alpha1.AnalysisRunStatus, r *v1alpha1.MetricResult) { r.Error++; r.ConsecutiveError++ }, false},
		"one in flight": {one, func(_ *v1alpha1.AnalysisRunStatus, r *v1alpha1.MetricResult) {
			r.Measurements = append(r.Measurements, v1alpha1.Measurement{Phase: v1alpha1.AnalysisPhaseRunning})
		}, false},
		"words about a metric": {one, func(_ *v1alpha1.AnalysisRunStatus, r *v1alpha1.MetricResult) { r.Message = "too few requests" }, false},
		"the end of a metric": {one, func(_ *v1alpha1.AnalysisRunStatus, r *v1alpha1.MetricResult) {
			r.Phase = v1alpha1.AnalysisPhaseSuccessful
		}, false},
		"words about the run": {one, func(st *v1alpha1.AnalysisRunStatus, _ *v1alpha1.MetricResult) { st.Message = "no" }, false},
		"the end of the run": {one, func(st *v1alpha1.AnalysisRunStatus, _ *v1alpha1.MetricResult) {
			st.Phase = v1alpha1.AnalysisPhaseSuccessful
		}, false},
		"what comes after the end of the run": {&v1alpha1.AnalysisRunStatus{Phase: v1alpha1.AnalysisPhaseFailed}, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			if after := running(c.change); Minor(c.before, after) != c.minor {
				t.Errorf("minor is %v: %+v", !c.minor, after)
			}
		})
	}
	flying := running(func(_ *v1alpha1.AnalysisRunStatus, r *v1alpha1.MetricResult) {
		r.Measurements = append(r.Measurements, v1alpha1.Measurement{Phase: v1alpha1.AnalysisPhaseRunning})
	})
	if Minor(flying, one) {
		t.Error("that nothing is in flight any more is minor")
	}
}
