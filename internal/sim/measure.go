package sim

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/analysis"
	"github.com/penstock-io/penstock/internal/metric"
)

// tickRuns gives every AnalysisRun that is due a pass of the real engine. It reports
// whether anything changed.
func (w *World) tickRuns() (changed bool) {
	for _, r := range w.runs {
		if r.wake.IsZero() || w.Now.Before(r.wake) {
			continue
		}
		for w.pass(r) {
			changed = true
		}
	}
	return changed
}

// pass is one look of the analysis controller at a run: measure what is due, fold the
// answers, persist.
func (w *World) pass(r *run) (again bool) {
	p := analysis.Decide(analysis.Snapshot{Now: w.Now, Spec: r.spec, Status: r.status})
	before := r.status
	r.status, r.wake = p.Status, p.Wake
	metrics, err := analysis.Resolve(r.spec, nil)
	if err != nil && len(p.Actions) > 0 {
		w.broke("a measurement of an invalid run was asked for: " + err.Error())
	}
	var outcomes []analysis.Outcome
	for _, a := range p.Actions {
		m, ok := a.(analysis.Measure)
		if !ok {
			continue
		}
		outcomes = append(outcomes, w.measure(r, metrics[m.Index]))
	}
	if len(outcomes) > 0 {
		r.status = analysis.Fold(r.status, r.spec, outcomes, w.Now)
		w.tellMeasured(r, outcomes)
	}
	if r.status.Phase != before.Phase && r.status.Phase.Completed() {
		w.log("  analysis %s is %s%s", w.name(r.name), r.status.Phase, because(r.status.Message))
	}
	return len(outcomes) > 0 || r.status.Phase != before.Phase
}

func because(message string) string {
	if message == "" {
		return ""
	}
	return ": " + message
}

// tellMeasured logs the measurements that are not successful.
func (w *World) tellMeasured(r *run, outcomes []analysis.Outcome) {
	for _, o := range outcomes {
		for _, res := range r.status.MetricResults {
			if res.Name != o.Name || len(res.Measurements) == 0 {
				continue
			}
			if m := res.Measurements[len(res.Measurements)-1]; m.Phase != v1alpha1.AnalysisPhaseSuccessful {
				w.log("  metric %s of %s is %s%s", o.Name, w.name(r.name), m.Phase, because(strings.Trim(m.Value+" "+m.Message, " ")))
			}
		}
	}
}

func (w *World) measure(r *run, m v1alpha1.Metric) analysis.Outcome {
	out := analysis.Outcome{Name: m.Name, Metric: m, Started: w.Now}
	var err error
	out.Result, err = analysis.Take(&m, false, func(of string, source v1alpha1.MetricProvider) (metric.Result, error) {
		q := m
		if q.Provider = source; of != "" {
			q.Name += "." + of
		}
		return w.ask(r, q)
	})
	if err != nil {
		out.Err = err.Error()
	}
	return out
}

// ask is one source; that of a baseline has the metric's name with ".stable" behind
// it, that of its evidence ".evidence".
func (w *World) ask(r *run, m v1alpha1.Metric) (metric.Result, error) {
	answer := Reading{Value: []float64{1}}
	if w.Metric != nil {
		answer = w.Metric(Question{Metric: m, Image: w.imageOf(r.hash)})
	}
	switch {
	case answer.Err != "":
		return metric.Result{}, errors.New(answer.Err)
	case answer.NoData:
		return metric.Result{Kind: metric.NoData, Why: "the query returned no series"}, nil
	}
	text, err := json.Marshal(answer.Value)
	if err != nil { // JSON has no NaN
		text = fmt.Append(nil, answer.Value)
	}
	return metric.Result{Kind: metric.Values, Value: answer.Value, Display: string(text)}, nil
}

func (w *World) imageOf(hash string) string {
	if r := w.rev(hash); r != nil {
		return r.image
	}
	return ""
}

func (w *World) nextRun() (at time.Time) {
	for _, r := range w.runs {
		at = sooner(at, r.wake)
	}
	return at
}

func asMap(r *v1alpha1.Rollout) map[string]any {
	out := map[string]any{}
	data, err := json.Marshal(r)
	if err == nil {
		err = json.Unmarshal(data, &out)
	}
	if err != nil {
		return nil
	}
	return out
}
