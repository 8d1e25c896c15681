package analysis

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/metric"
)

func TestConditions(t *testing.T) {
	empty, series := []float64{}, []float64{0.96}
	doc := map[string]any{"status": "pass", "n": 3.0, "s": "12", "yes": true, "deep": map[string]any{"x": 1.0}, "nothing": nil}
	cases := map[string]struct {
		success, failure string
		result           any
		want             v1alpha1.AnalysisPhase
		message          string
	}{
		// data
		"a number passes":         {success: "result >= 1", result: 1.0, want: ok},
		"a vector passes":         {success: "result[0] >= 0.95", result: series, want: ok},
		"a field passes":          {success: `result.status == "pass"`, result: doc, want: ok},
		"a text passes":           {success: `result contains "well"`, result: "all is well", want: ok},
		"infinity":                {success: "isInf(result)", result: math.Inf(-1), want: ok},                                                                               // Covers: analysis edge 78.
		"no conditions and data":  {result: 7.0, want: ok},                                                                                                                  // Covers: analysis edge 79.
		"failure only, false":     {failure: "result < 1", result: 1.0, want: ok},                                                                                           // Covers: analysis edge 80.
		"failure only, true":      {failure: "result < 1", result: 0.0, want: failed},                                                                                       // Covers: analysis edge 80.
		"success only, false":     {success: "result >= 1", result: 0.0, want: failed},                                                                                      // Covers: analysis edge 80.
		"both false":              {success: "result > 2", failure: "result < 1", result: 1.5, want: unsure},                                                                // Covers: analysis edge 80.
		"both true":               {success: "result > 0", failure: "result > 0", result: 1.0, want: failed},                                                                // Covers: analysis edge 80.
		"not a bool":              {success: "result", result: 1.0, want: errored, message: `could not evaluate successCondition "result": expected bool, but got float64`}, // Covers: analysis edge 81.
		"an unknown name":         {success: "results > 1", result: 1.0, want: errored, message: `could not evaluate successCondition "results > 1": unknown name results`}, // Covers: analysis edge 82.
		"in the failureCondition": {failure: "nope", result: 1.0, want: errored, message: `could not evaluate failureCondition "nope": unknown name nope`},                  // Covers: analysis edge 82.
		"a function of ours is no function of theirs": {success: "need(result) > 0", result: 1.0, want: errored},
		"asInt is strict about texts":                 {success: "asInt(result) == 1", result: "1.1", want: errored}, // Covers: analysis edge 83.
		"asInt of a text":                             {success: "asInt(result) == 1", result: "1", want: ok},        // Covers: analysis edge 83.
		"asInt truncates":                             {success: "asInt(result) == 1", result: 1.9, want: ok},        // Covers: analysis edge 83.
		"asFloat of a text":                           {success: "asFloat(result) == 1.5", result: "1.5", want: ok},  // Covers: analysis edge 83.
		"asInt of an object":                          {success: "asInt(result) == 1", result: doc, want: errored},
		"in":                                          {success: `"n" in result`, result: doc, want: ok},                        // Covers: analysis edge 87.
		"any":                                         {success: "any(result, # > 0.9)", result: series, want: ok},              // Covers: analysis edge 87.
		"filter":                                      {success: "len(filter(result, # > 0.9)) == 1", result: series, want: ok}, // Covers: analysis edge 87.
		"optional path and default":                   {success: "(result?.a ?? 0) == 0", result: doc, want: ok},                // Covers: analysis edge 87.
		"a missing field is nil":                      {success: "result.missing == nil", result: doc, want: ok},
		"a missing field is not comparable":           {success: "result.missing > 1", result: doc, want: errored},
		"below a missing field":                       {success: "result.missing.deeper == 1", result: doc, want: errored},
		"below a missing field, optional":             {success: "result.missing?.deeper == nil", result: doc, want: ok},
		"a text is no number":                         {success: "result.s > 3", result: doc, want: errored},
		"true is not 'true'":                          {success: "result.yes == 'true'", result: doc, want: failed},
		"isNil looks at its argument":                 {success: "isNil(result.nothing) && !isNil(result.n)", result: doc, want: ok},
		"default looks at its argument":               {success: "default(result.foo, 5) == 5 && default(result.n, 5) == 3", result: doc, want: ok},
		"now is the moment of the measurement":        {success: `now() == date("2026-08-17T10:00:00Z")`, result: 1.0, want: ok},
		"a vector with some NaN is compared":          {success: "result[1] > 0", result: []float64{nan, 1}, want: ok},
		"an empty object is data":                     {success: "result.status == nil", result: map[string]any{}, want: ok},
		"an empty text is data":                       {success: `result == ""`, result: "", want: ok},
		"a huge range is an error":                    {success: "len(1..100000000) > 1", result: 1.0, want: errored},
		"a condition without end is an error":         {success: strings.Repeat("(", 20000), result: 1.0, want: errored},

		// no data: 3.3 with our answers
		"index into nothing":                                  {success: "result[0] >= 0.95", result: empty, want: unsure, message: "no data: the result is an empty list (noData: Inconclusive)"}, // Covers: analysis edge 73, analysis edge 86, outage 57.
		"all of nothing":                                      {success: "all(result, # > 0.9)", result: empty, want: unsure},                                                                      // Covers: analysis edge 74.
		"none of nothing":                                     {success: "none(result, # > 0.9)", result: empty, want: unsure},
		"any of nothing":                                      {success: "any(result, # > 0.9)", result: empty, want: unsure},
		"the maximum of nothing":                              {success: "max(result) < 1", result: empty, want: unsure},
		"the sum of nothing":                                  {success: "sum(result) < 1", result: empty, want: unsure},
		"the mean of nothing":                                 {success: "mean(result) < 1", result: empty, want: unsure},
		"the count of what fits in nothing":                   {success: "len(filter(result, # > 1)) == 0", result: empty, want: unsure},
		"count of nothing":                                    {success: "count(result, # > 1) == 0", result: empty, want: unsure},
		"?? does not help an empty list":                      {success: "(result[0] ?? 0) < 1", result: empty, want: unsure},
		"default does not help an empty list":                 {success: "default(result, 0) < 0.05", result: empty, want: unsure}, // Covers: analysis edge 84.
		"a failure condition alone":                           {failure: "result[0] < 0.95", result: empty, want: unsure},
		"tested with len, allowed":                            {success: "len(result) == 0 || result[0] > 0.9", result: empty, want: ok}, // Covers: analysis edge 75.
		"tested with len, forbidden":                          {success: "len(result) > 0 && result[0] >= 0.95", result: empty, want: failed},
		"tested with len in a pipe":                           {success: "(result | len()) == 0", result: empty, want: ok},
		"tested with len, and used all the same":              {success: "all(result, # > 0.9) && len(result) < 10", result: empty, want: unsure},
		"tested for nil, which it is not":                     {success: "result != nil && all(result, # > 0.9)", result: empty, want: unsure},
		"only one of two conditions tests":                    {success: "len(result) == 0 || result[0] > 0.9", failure: "result[0] < 0.5", result: empty, want: unsure},
		"both conditions test":                                {success: "len(result) == 0 || result[0] > 0.9", failure: "len(result) > 0 && result[0] < 0.5", result: empty, want: ok},
		"a condition that does not look":                      {success: "true", result: empty, want: unsure},
		"no conditions and no data":                           {result: empty, want: unsure},
		"a wrong condition on no data":                        {success: "nope", result: empty, want: unsure},
		"NaN in a vector, failure only":                       {failure: "result[0] < 0.95", result: []float64{nan}, want: unsure},                                                                          // Covers: analysis edge 76.
		"NaN in a vector, success only":                       {success: "result[0] > 0.95", result: []float64{nan}, want: unsure},                                                                          // Covers: analysis edge 77.
		"NaN, both":                                           {success: "result > 0.95", failure: "result < 0.5", result: nan, want: unsure, message: "no data: the result is NaN (noData: Inconclusive)"}, // Covers: analysis edge 77.
		"NaN tested":                                          {success: "isNaN(result)", result: nan, want: ok},                                                                                            // Covers: analysis edge 78.
		"NaN tested in a vector":                              {success: "isNaN(result[0]) || result[0] < 1", result: []float64{nan}, want: ok},
		"NaN tested one by one":                               {success: "all(result, isNaN(#) || # < 1)", result: []float64{nan, nan}, want: ok},
		"NaN is not handled by len":                           {failure: "len(result) > 0 && result[0] > 0.05", result: []float64{nan}, want: unsure},
		"a series of NaN is no data though it can be counted": {success: "len(result) == 1", result: []float64{nan}, want: unsure},
		"NaN is not handled by ??":                            {failure: "(result ?? 0) > 1", result: nan, want: unsure},
		"isNaN of a vector is a mistake":                      {success: "isNaN(result)", result: []float64{nan}, want: unsure},
		"nil compared":                                        {success: "result < 0.05", result: nil, want: unsure, message: "no data: the result is null (noData: Inconclusive)"}, // Covers: analysis edge 86.
		"nil with default":                                    {success: "default(result, 0) < 0.05", result: nil, want: ok},                                                        // Covers: analysis edge 84.
		"nil with ??":                                         {success: "(result ?? 0) < 0.05", result: nil, want: ok},
		"nil tested with isNil":                               {success: "isNil(result) || result < 1", result: nil, want: ok}, // Covers: analysis edge 85.
		"nil tested with ==":                                  {success: "result == nil", result: nil, want: ok},
		"nil tested, and used all the same":                   {success: "result < 1 || isNil(result)", result: nil, want: unsure},
		"isNaN of nil is a mistake":                           {success: "isNaN(result)", result: nil, want: unsure},
		"a typed nil is nil":                                  {success: "result < 0.05", result: (*float64)(nil), want: unsure},
		"an empty list of anything":                           {success: "result[0].x == 1", result: []any{}, want: unsure},
		"a list of NaN of any type":                           {failure: "result[0] < 1", result: []any{nan}, want: unsure},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			m := &v1alpha1.Metric{SuccessCondition: c.success, FailureCondition: c.failure}
			got := judge(m, metric.Result{Kind: metric.Values, Value: c.result}, start)
			if got.phase != c.want || c.message != "" && got.message != c.message {
				t.Errorf("got %s %q, want %s %q", got.phase, got.message, c.want, c.message)
			}
		})
	}
}

// Covers: analysis defect 1.
func TestNoDataPolicy(t *testing.T) {
	cases := map[string]struct {
		policy  v1alpha1.NoDataPolicy
		phase   v1alpha1.AnalysisPhase
		message string
		count   int32
	}{
		"unset is Inconclusive": {"", unsure, "no data: the query returned no series (noData: Inconclusive)", 1},
		"Inconclusive":          {v1alpha1.NoDataInconclusive, unsure, "no data: the query returned no series (noData: Inconclusive)", 1},
		"Fail":                  {v1alpha1.NoDataFail, failed, "no data: the query returned no series (noData: Fail)", 1},
		// Covers: analysis edge 86.
		"Error counts as errors": {v1alpha1.NoDataError, errored,
			"no data: the query returned no series (noData: Error): metric result is nil or empty: no data returned from the metric provider", 0},
		"Success":                {v1alpha1.NoDataSuccess, ok, "no data: the query returned no series (noData: Success)", 1},
		"Skip counts as nothing": {v1alpha1.NoDataSkip, unsure, "no data: the query returned no series (noData: Skip)", 0},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			m := aMetric("m", func(m *v1alpha1.Metric) { m.NoData, m.SuccessCondition = c.policy, "result[0] > 1" })
			o := Outcome{Name: "m", Metric: m, Result: metric.Result{Kind: metric.NoData, Value: []float64{}, Display: "[]", Why: "the query returned no series"}}
			r := Fold(v1alpha1.AnalysisRunStatus{}, aSpec(m), []Outcome{o}, start).MetricResults[0]
			got := r.Measurements[0]
			if got.Phase != c.phase || got.Message != c.message || r.Count != c.count {
				t.Errorf("got %s %q with count %d", got.Phase, got.Message, r.Count)
			}
		})
	}
	t.Run("a policy that is set outweighs a condition that tests", func(t *testing.T) {
		m := &v1alpha1.Metric{SuccessCondition: "len(result) == 0", NoData: v1alpha1.NoDataFail}
		if got := judge(m, metric.Result{Kind: metric.NoData, Value: []float64{}}, start); got.phase != failed {
			t.Errorf("got %s", got.phase)
		}
	})
	t.Run("NoData from a provider without a value", func(t *testing.T) {
		m := &v1alpha1.Metric{SuccessCondition: "result > 1"}
		got := judge(m, metric.Result{Kind: metric.NoData, Why: "the answer is null"}, start)
		if got.phase != unsure || got.message != "no data: the answer is null (noData: Inconclusive)" {
			t.Errorf("got %+v", got)
		}
	})
}

func FuzzConditions(f *testing.F) {
	for _, s := range []string{
		"result[0] >= 0.95", "all(result, # > 1) || result == nil", "let x = result; x", "result?.a ?? 0", "reduce(result, # + #acc)",
		"result | map(# * 2) | sum() < 1", "isNaN(result) ? true : default(result, 1) > 0", `result matches "("`, "$env.result == 1", "{}[result]", "result[1:2]",
	} {
		f.Add(s, uint8(0))
	}
	results := []any{nil, []float64{}, []float64{nan}, nan, 1.0, "x", []any{1.0, nil}, map[string]any{"a": 1.0}, (*float64)(nil)}
	f.Fuzz(func(t *testing.T, text string, pick uint8) {
		if len(text) > 60 {
			return // nested loops over ranges take longer than a fuzzer waits
		}
		v := results[int(pick)%len(results)]
		m := &v1alpha1.Metric{SuccessCondition: text}
		got := judge(m, metric.Result{Kind: metric.Values, Value: v}, start)
		if text == "" {
			return
		}
		if form := missing(v); form != hasData && got.phase == ok && !strings.Contains(text, "len") && !strings.ContainsAny(text, "?=!") &&
			!strings.Contains(text, "isN") && !strings.Contains(text, "default") {
			t.Errorf("%q passes on %v", text, v)
		}
	})
}

func BenchmarkEvaluate(b *testing.B) {
	for b.Loop() {
		if _, err := evaluate("len(result) > 0 && all(result, # >= 0.95)", []float64{1, 2, 3}, time.Time{}); err != nil {
			b.Fatal(err)
		}
	}
}

func TestConditionsThatAreNeverBool(t *testing.T) {
	for text, refused := range map[string]bool{
		"result[0] + 1": true, "-result": true, "result[0] / result[1] * 100": true, "result ?? 0": true, "result[0] > 1 ? 1 : 0": true,
		"1..3": true, `result[0] > 1 ? result[0] > 2 : "x"`: true, "len(result)": true,
		"result": false, "result[0]": false, "result.ok ?? false": false, "!result.bad": false, "result[0] - 1 > 2": false, "result[0] > 1 ? result[1] : true": false,
	} {
		err := refuses(text)
		if (err != nil) != refused || err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", text, err)
		}
	}
}
