package analysis

import (
	"reflect"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// Minor reports that a status says no more than another one but that a run goes on, and what
// good measurements it has taken meanwhile. That may wait a little for company: it changes no
// verdict, and what is lost with it is only measured again. A measurement in flight, which
// has to be found again, and one that is not good are told at once.
func Minor(before, after *v1alpha1.AnalysisRunStatus) bool {
	if before.Phase != "" && before.Phase != v1alpha1.AnalysisPhaseRunning || after.Phase != v1alpha1.AnalysisPhaseRunning {
		return false
	}
	return reflect.DeepEqual(ungood(before, after), ungood(after, after))
}

// ungood is what a status says beside good measurements; all of them are those of after.
func ungood(st, after *v1alpha1.AnalysisRunStatus) v1alpha1.AnalysisRunStatus {
	u := *st
	u.Phase, u.StartedAt, u.RunSummary, u.DryRunSummary = after.Phase, after.StartedAt, after.RunSummary, after.DryRunSummary
	u.MetricResults = nil
	for i := range after.MetricResults {
		now := &after.MetricResults[i]
		r := v1alpha1.MetricResult{Name: now.Name, Phase: v1alpha1.AnalysisPhaseRunning, DryRun: now.DryRun}
		if was := resultOf(st, now.Name); was != nil {
			r = *was
		}
		r.Measurements = nil
		if m := inFlight(resultOf(st, now.Name)); m != nil {
			r.Measurements = []v1alpha1.Measurement{*m}
		}
		r.Count, r.Successful, r.ConsecutiveSuccess, r.Metadata = now.Count, now.Successful, now.ConsecutiveSuccess, now.Metadata
		u.MetricResults = append(u.MetricResults, r)
	}
	return u
}
