package prometheus

import (
	"fmt"
	"math"

	"github.com/prometheus/common/model"

	"github.com/penstock-io/penstock/internal/metric"
)

// named gives each series of an instant query the value of one of its labels as its name.
func named(res metric.Result, vector model.Vector, by model.LabelName) (metric.Result, error) {
	parts := map[string]metric.Result{}
	for _, s := range vector {
		name := string(s.Metric[by])
		if name == "" {
			return res, fmt.Errorf("nameBy: series %s has no label %s: keep it in the query's `by (%s)`", s.Metric, by, by)
		}
		if _, twice := parts[name]; twice {
			return res, fmt.Errorf("nameBy: two series have %s=%q: aggregate the query by (%s)", by, name, by)
		}
		p := metric.Result{Kind: metric.Values, Value: float64(s.Value), Display: s.Value.String()}
		if math.IsNaN(float64(s.Value)) {
			p.Kind, p.Why = metric.NoData, "the query returned NaN"
		}
		parts[name] = p
	}
	out := metric.Named(parts)
	out.Metadata = res.Metadata
	return out, nil
}
