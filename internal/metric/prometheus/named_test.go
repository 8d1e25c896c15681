package prometheus

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/model"

	"github.com/penstock-io/penstock/internal/metric"
)

func TestSeriesAreNamedByALabel(t *testing.T) {
	series := func(role string, v float64) *model.Sample {
		return &model.Sample{Metric: model.Metric{"role": model.LabelValue(role), "job": "web"}, Value: model.SampleValue(v)}
	}
	for name, c := range map[string]struct {
		vector  model.Vector
		want    metric.Result
		problem string
	}{
		"one by one": {model.Vector{series("canary", 2), series("stable", 1)},
			metric.Result{Kind: metric.Values, Value: metric.Series{"canary": 2.0, "stable": 1.0}, Display: "canary: 2, stable: 1"}, ""},
		"NaN is no data, and says of which": {model.Vector{series("canary", math.NaN()), series("stable", 1)},
			metric.Result{Kind: metric.NoData, Value: metric.Series{"canary": nil, "stable": 1.0}, Display: "canary: NaN, stable: 1", Why: "canary: the query returned NaN"}, ""},
		"two of one name":   {model.Vector{series("canary", 2), series("canary", 1)}, metric.Result{}, `two series have role="canary": aggregate the query by (role)`},
		"without the label": {model.Vector{series("", 2)}, metric.Result{}, "has no label role"},
		"none at all":       {model.Vector{}, metric.Result{Kind: metric.NoData, Value: []float64{}, Display: "[]", Why: "the query returned no series"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := decode(c.vector, nil, "role")
			if c.problem != "" {
				if err == nil || !strings.Contains(err.Error(), c.problem) {
					t.Errorf("%v, want %q", err, c.problem)
				}
				return
			}
			got.Names = nil
			if d := cmp.Diff(c.want, got); d != "" || err != nil {
				t.Errorf("%v %s", err, d)
			}
		})
	}
}
