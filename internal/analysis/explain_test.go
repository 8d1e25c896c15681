package analysis

import (
	"strings"
	"testing"
	"time"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// Covers: outage 73.
func TestAFailedRunSaysWhatWasMeasuredAgainstWhichBound(t *testing.T) {
	at := func(minutes int, phase v1alpha1.AnalysisPhase, value, message string) v1alpha1.Measurement {
		return v1alpha1.Measurement{Phase: phase, Value: value, Message: message, StartedAt: stamp(start.Add(time.Duration(minutes) * time.Minute)), FinishedAt: stamp(start)}
	}
	both := v1alpha1.Metric{SuccessCondition: "result[0] < 0.01", FailureCondition: "result[0] >= 0.05"}
	success := v1alpha1.Metric{SuccessCondition: "result[0] < 0.01"}
	query := map[string]string{"ResolvedPrometheusQuery": "sum(rate(errors{service=\"web\"}[2m]))\n  / sum(rate(all[2m]))"}
	for name, c := range map[string]struct {
		metric v1alpha1.Metric
		result v1alpha1.MetricResult
		want   string
	}{
		"a successCondition that does not hold": {success, v1alpha1.MetricResult{Phase: failed, Failed: 3, Count: 5, Metadata: query, Measurements: []v1alpha1.Measurement{
			at(0, ok, "[0]", ""), at(1, failed, "[0.07]", ""), at(2, ok, "[0]", ""), at(3, failed, "[0.08]", ""), at(4, failed, "[0.09]", "")}},
			`measured [0.09], and successCondition "result[0] < 0.01" does not hold; 3 of 5 measurements failed since 2026-08-17T10:01:00Z; ` +
				`asked sum(rate(errors{service="web"}[2m])) / sum(rate(all[2m]))`},
		"a failureCondition that holds": {both, v1alpha1.MetricResult{Phase: failed, Failed: 1, Count: 1, Measurements: []v1alpha1.Measurement{at(0, failed, "[0.07]", "")}},
			`measured [0.07], and failureCondition "result[0] >= 0.05" holds; 1 of 1 measurements failed since 2026-08-17T10:00:00Z`},
		"both queries of a comparison": {success, v1alpha1.MetricResult{Phase: failed, Failed: 1, Count: 1, Metadata: map[string]string{"ResolvedWebQuery": "GET c", "stable.ResolvedWebQuery": "GET s"},
			Measurements: []v1alpha1.Measurement{at(0, failed, "canary: 2, stable: 1", "")}},
			`measured canary: 2, stable: 1, and successCondition "result[0] < 0.01" does not hold; 1 of 1 measurements failed since 2026-08-17T10:00:00Z; asked GET c; for stable GET s`},
		"neither": {both, v1alpha1.MetricResult{Phase: unsure, Inconclusive: 1, Count: 1, Measurements: []v1alpha1.Measurement{at(0, unsure, "[0.03]", "")}},
			`measured [0.03], and neither successCondition "result[0] < 0.01" nor failureCondition "result[0] >= 0.05" holds; 1 of 1 measurements undecided since 2026-08-17T10:00:00Z`},
		"no data has said why already": {both, v1alpha1.MetricResult{Phase: unsure, Inconclusive: 1, Count: 1, Measurements: []v1alpha1.Measurement{at(0, unsure, "[]", "no data: x")}},
			`1 of 1 measurements undecided since 2026-08-17T10:00:00Z`},
		"errors": {both, v1alpha1.MetricResult{Phase: errored, ConsecutiveError: 5, Measurements: []v1alpha1.Measurement{at(7, errored, "", "refused")}},
			`5 in a row could not be taken since 2026-08-17T10:07:00Z`},
		"nothing measured": {both, v1alpha1.MetricResult{Phase: errored}, ""},
		"long texts are cut": {v1alpha1.Metric{SuccessCondition: strings.Repeat("é", 300)}, v1alpha1.MetricResult{Phase: failed, Failed: 1, Count: 1, Measurements: []v1alpha1.Measurement{at(0, failed, strings.Repeat("1", 999), "")}},
			`measured ` + strings.Repeat("1", 120) + `…, and successCondition "` + strings.Repeat("é", 100) + `…" does not hold; 1 of 1 measurements failed since 2026-08-17T10:00:00Z`},
	} {
		t.Run(name, func(t *testing.T) {
			if got := explain(&c.result, &c.metric); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}
