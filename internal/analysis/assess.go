package analysis

import (
	"fmt"
	"slices"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// effectiveCount is how many measurements a metric takes, errors not counted; limited
// is false for one that goes on until it is told to end.
func effectiveCount(m *v1alpha1.Metric) (count int, limited bool) {
	if n := intOr(m.Count, 0); n != 0 {
		return n, true
	}
	return 1, m.Interval == ""
}

// verdict is what the counters of a metric say; message is empty when nothing was
// wrong.
func verdict(r *v1alpha1.MetricResult, m *v1alpha1.Metric) (phase v1alpha1.AnalysisPhase, message string) {
	if phase, message = overLimit(r, m); message != "" {
		return phase, message
	}
	wanted := intOr(m.ConsecutiveSuccessLimit, 0)
	if wanted > 0 && int(r.ConsecutiveSuccess) >= wanted {
		return v1alpha1.AnalysisPhaseSuccessful, ""
	}
	count, limited := effectiveCount(m)
	if !limited || int(r.Count) < count {
		return v1alpha1.AnalysisPhaseRunning, ""
	}
	if wanted <= 0 {
		return v1alpha1.AnalysisPhaseSuccessful, ""
	}
	phase = v1alpha1.AnalysisPhaseInconclusive
	if intOr(m.FailureLimit, 0) < 0 {
		phase = v1alpha1.AnalysisPhaseFailed
	}
	return phase, fmt.Sprintf("consecutiveSuccesses (%d) < consecutiveSuccessLimit (%d) when count (%d) was reached", r.ConsecutiveSuccess, wanted, count)
}

// overLimit reports the limit that was exceeded; of several the gravest, which is
// Error before Inconclusive before Failed: what could not be measured cannot be blamed.
func overLimit(r *v1alpha1.MetricResult, m *v1alpha1.Metric) (phase v1alpha1.AnalysisPhase, message string) {
	if n := intOr(m.ConsecutiveErrorLimit, defaultConsecutiveErrors); int(r.ConsecutiveError) > n {
		return v1alpha1.AnalysisPhaseError, fmt.Sprintf("consecutiveErrors (%d) > consecutiveErrorLimit (%d)", r.ConsecutiveError, n)
	}
	if n := intOr(m.InconclusiveLimit, 0); int(r.Inconclusive) > n {
		return v1alpha1.AnalysisPhaseInconclusive, fmt.Sprintf("inconclusive (%d) > inconclusiveLimit (%d)", r.Inconclusive, n)
	}
	if n := intOr(m.FailureLimit, 0); n >= 0 && int(r.Failed) > n {
		return v1alpha1.AnalysisPhaseFailed, fmt.Sprintf("failed (%d) > failureLimit (%d)", r.Failed, n)
	}
	return "", ""
}

// metricPhase is the phase of a metric that has been measured.
func metricPhase(r *v1alpha1.MetricResult, m *v1alpha1.Metric, ending bool) v1alpha1.AnalysisPhase {
	last := lastOf(r)
	switch {
	case r.Phase.Completed():
		return r.Phase
	case last == nil && ending:
		return v1alpha1.AnalysisPhaseSuccessful
	case last == nil:
		return v1alpha1.AnalysisPhasePending
	case last.FinishedAt == nil:
		return v1alpha1.AnalysisPhaseRunning
	}
	phase, _ := verdict(r, m)
	if phase == v1alpha1.AnalysisPhaseRunning && ending {
		return v1alpha1.AnalysisPhaseSuccessful
	}
	return phase
}

func lastOf(r *v1alpha1.MetricResult) *v1alpha1.Measurement {
	if r == nil || len(r.Measurements) == 0 {
		return nil
	}
	return &r.Measurements[len(r.Measurements)-1]
}

// inFlight returns the measurement that goes on outside, if there is one.
func inFlight(r *v1alpha1.MetricResult) *v1alpha1.Measurement {
	if last := lastOf(r); last != nil && last.FinishedAt == nil {
		return last
	}
	return nil
}

// InFlight is the measurement of a metric that goes on; nil for none.
func InFlight(status *v1alpha1.AnalysisRunStatus, name string) *v1alpha1.Measurement {
	return inFlight(resultOf(status, name))
}

func resultOf(status *v1alpha1.AnalysisRunStatus, name string) *v1alpha1.MetricResult {
	i := slices.IndexFunc(status.MetricResults, func(r v1alpha1.MetricResult) bool { return r.Name == name })
	if i < 0 {
		return nil
	}
	return &status.MetricResults[i]
}

// grave orders phases from best to worst, for the run.
var grave = []v1alpha1.AnalysisPhase{
	v1alpha1.AnalysisPhaseSuccessful, v1alpha1.AnalysisPhaseRunning, v1alpha1.AnalysisPhasePending,
	v1alpha1.AnalysisPhaseInconclusive, v1alpha1.AnalysisPhaseError, v1alpha1.AnalysisPhaseFailed,
}

func worse(a, b v1alpha1.AnalysisPhase) bool {
	return slices.Index(grave, a) > slices.Index(grave, b)
}

// why is the reason part of the messages of a run and of a dry metric.
func why(r *v1alpha1.MetricResult, m *v1alpha1.Metric) string {
	_, message := verdict(r, m)
	if message == "" {
		return ""
	}
	message = fmt.Sprintf("assessed %s due to %s", r.Phase, message)
	if last := lastOf(r); last != nil && last.Message != "" {
		message += fmt.Sprintf(": \"Error Message: %s\"", last.Message)
	}
	if more := explain(r, m); more != "" {
		message += "; " + more
	}
	return message
}

// tally counts the metrics by phase, dry ones apart.
func tally(results []*v1alpha1.MetricResult, dry []bool) (real, dryRun v1alpha1.RunSummary) {
	for i, r := range results {
		s := &real
		if dry[i] {
			s = &dryRun
		}
		s.Count++
		if r == nil {
			continue
		}
		switch r.Phase {
		case v1alpha1.AnalysisPhaseSuccessful:
			s.Successful++
		case v1alpha1.AnalysisPhaseFailed:
			s.Failed++
		case v1alpha1.AnalysisPhaseInconclusive:
			s.Inconclusive++
		case v1alpha1.AnalysisPhaseError:
			s.Error++
		}
	}
	return real, dryRun
}
