package analysis

import (
	"fmt"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/metric"
)

// Counted names the question for a metric's evidence; metric.Stable is that for its
// baseline, and "" that of the metric itself.
const Counted = "evidence"

// Take makes one measurement out of the questions of a metric: its evidence first, and what
// is asked no further where that is too little; then the metric itself, and beside it its
// baseline. ask puts one question to its source. A measurement that is resumed has had its
// evidence.
func Take(m *v1alpha1.Metric, resumed bool, ask func(of string, source v1alpha1.MetricProvider) (metric.Result, error)) (metric.Result, error) {
	if m.Evidence != nil && !resumed {
		counted, err := ask(Counted, m.Evidence.Provider())
		why := ""
		if err == nil {
			why, err = metric.Enough(counted, AtLeast(m))
		}
		switch {
		case err != nil:
			return metric.Result{}, fmt.Errorf("evidence: %w", err)
		case why != "":
			return metric.Result{Kind: metric.NoData, Why: why}, nil
		}
	}
	res, err := ask("", m.Provider)
	if err != nil || m.Baseline == nil {
		return res, err
	}
	stable, err := ask(metric.Stable, m.Baseline.Provider())
	if err != nil {
		return metric.Result{}, fmt.Errorf("baseline: %w", err)
	}
	return metric.Compare(res, stable), nil
}
