package analysis

import (
	"testing"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/metric"
)

func TestAMissingSideOfAComparisonIsNamed(t *testing.T) {
	const named, published = "result.canary <= 2 * result.stable", "result[0] <= result[1] * 2.0"
	vector := func(names []string, v ...float64) metric.Result {
		return metric.Result{Kind: metric.Values, Value: v, Names: names}
	}
	series := func(s metric.Series) metric.Result { return metric.Result{Kind: metric.Values, Value: s} }
	for name, c := range map[string]struct {
		condition string
		result    metric.Result
		want      v1alpha1.AnalysisPhase
		message   string
	}{
		"both, and the canary is good":   {named, series(metric.Series{"canary": 2.0, "stable": 1.0}), ok, ""},
		"both, and the canary is bad":    {named, series(metric.Series{"canary": 2.1, "stable": 1.0}), failed, ""},
		"stable is missing":              {named, series(metric.Series{"canary": 2.0}), unsure, "no data: nothing was measured for stable (there is: canary) (noData: Inconclusive)"},
		"stable has no data":             {named, series(metric.Series{"canary": 2.0, "stable": nil}), unsure, "no data: nothing was measured for stable (there is: canary, stable) (noData: Inconclusive)"},
		"both are missing":               {named, series(metric.Series{"v1": 2.0}), unsure, "no data: nothing was measured for canary and stable (there is: v1) (noData: Inconclusive)"},
		"the published form with both":   {published, vector(nil, 2, 1), ok, ""},
		"the published form with one":    {published, vector([]string{`{role="canary"}`}, 2), unsure, `no data: result[1] is missing: the answer has 1 ({role="canary"}) (noData: Inconclusive)`},
		"without names":                  {published, vector(nil, 2), unsure, "no data: result[1] is missing: the answer has 1 (without names) (noData: Inconclusive)"},
		"a condition that counts itself": {"len(result) < 2 || " + published, vector(nil, 2), ok, ""},
		"another error stays one":        {`result[0] > "x"`, vector(nil, 2), errored, `could not evaluate successCondition "result[0] > "x"": invalid operation: float64 > string`},
		"many names are cut":             {"result[7] > 0", vector([]string{"a", "b", "c", "d", "e", "f", "g"}, 1, 2, 3, 4, 5, 6, 7), unsure, "no data: result[7] is missing: the answer has 7 (a, b, c, d, e and 2 more) (noData: Inconclusive)"},
	} {
		t.Run(name, func(t *testing.T) {
			j := judge(&v1alpha1.Metric{SuccessCondition: c.condition}, c.result, start)
			if j.phase != c.want || j.message != c.message {
				t.Errorf("%s %q, want %s %q", j.phase, j.message, c.want, c.message)
			}
		})
	}
}
