package metric

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Covers: analysis defect 3.
func TestEnough(t *testing.T) {
	counted := func(v any) Result { return Result{Kind: Values, Value: v, Display: "shown"} }
	for name, c := range map[string]struct {
		counted Result
		why     string
		err     string
	}{
		"enough":               {counted([]float64{100}), "", ""},
		"a number alone":       {counted(250.0), "", ""},
		"too few":              {counted([]float64{99.7}), "it would rest on 99 of at least 100 events", ""},
		"none":                 {counted(0.0), "it would rest on 0 of at least 100 events", ""},
		"nothing was counted":  {Result{Kind: NoData, Value: []float64{}}, "it would rest on 0 of at least 100 events", ""},
		"two numbers":          {counted([]float64{100, 100}), "", "evidence must be one number, not shown"},
		"words":                {counted("many"), "", "evidence must be one number, not shown"},
		"less than nothing":    {counted(-1.0), "", "evidence must be one number, not shown"},
		"more than can be":     {counted(math.Inf(1)), "", ""},
		"a number that is NaN": {counted(math.NaN()), "", "evidence must be one number, not shown"},
	} {
		why, err := Enough(c.counted, 100)
		if why != c.why || (err != nil) != (c.err != "") || err != nil && err.Error() != c.err {
			t.Errorf("%s: got %q, %v", name, why, err)
		}
	}
}

func TestCompare(t *testing.T) {
	vector := func(display string, v ...float64) Result { return Result{Kind: Values, Value: v, Display: display} }
	empty := Result{Kind: NoData, Value: []float64{}, Display: "[]", Why: "the query returned no series"}
	for name, c := range map[string]struct{ canary, stable, want Result }{
		"two numbers": {vector("[0.02]", 0.02), vector("[0.01]", 0.01),
			Result{Kind: Values, Value: Series{"canary": 0.02, "stable": 0.01}, Display: "canary: [0.02], stable: [0.01]"}},
		"several series stay a list": {vector("[1,2]", 1, 2), Result{Kind: Values, Value: 3.0, Display: "3"},
			Result{Kind: Values, Value: Series{"canary": []float64{1, 2}, "stable": 3.0}, Display: "canary: [1,2], stable: 3"}},
		"no baseline": {vector("[0.02]", 0.02), empty,
			Result{Kind: NoData, Value: Series{"canary": 0.02, "stable": nil}, Display: "canary: [0.02], stable: []", Why: "stable: the query returned no series"}},
		"nothing at all": {empty, empty, Result{Kind: NoData, Value: Series{"canary": nil, "stable": nil}, Display: "canary: [], stable: []",
			Why: "canary: the query returned no series; stable: the query returned no series"}},
		"what the sources add is told apart": {Result{Kind: Values, Value: 1.0, Display: "1", Metadata: map[string]string{"warnings": "a"}}, Result{Kind: Values, Value: 2.0, Display: "2"},
			Result{Kind: Values, Value: Series{"canary": 1.0, "stable": 2.0}, Display: "canary: 1, stable: 2", Metadata: map[string]string{"canary.warnings": "a"}}},
	} {
		t.Run(name, func(t *testing.T) {
			if d := cmp.Diff(c.want, Compare(c.canary, c.stable)); d != "" {
				t.Error(d)
			}
		})
	}
}
