package analysis

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/metric"
)

// start is when the runs of the tests start.
var start = time.Date(2026, 8, 17, 10, 0, 0, 0, time.UTC)

var nan = math.NaN()

const (
	ok      = v1alpha1.AnalysisPhaseSuccessful
	failed  = v1alpha1.AnalysisPhaseFailed
	errored = v1alpha1.AnalysisPhaseError
	unsure  = v1alpha1.AnalysisPhaseInconclusive
	running = v1alpha1.AnalysisPhaseRunning
)

func ptr[T any](v T) *T { return &v }

func num(n int) *intstr.IntOrString { return ptr(intstr.FromInt32(int32(n))) }

// aMetric is the smallest valid metric.
func aMetric(name string, mods ...func(*v1alpha1.Metric)) v1alpha1.Metric {
	m := v1alpha1.Metric{
		Name: name, SuccessCondition: "result >= 1",
		Provider: v1alpha1.MetricProvider{Web: &v1alpha1.WebMetric{URL: "http://x"}},
	}
	for _, mod := range mods {
		mod(&m)
	}
	return m
}

func every(d string) func(*v1alpha1.Metric) {
	return func(m *v1alpha1.Metric) { m.Interval = v1alpha1.DurationString(d) }
}
func count(n int) func(*v1alpha1.Metric) { return func(m *v1alpha1.Metric) { m.Count = num(n) } }
func failureLimit(n int) func(*v1alpha1.Metric) {
	return func(m *v1alpha1.Metric) { m.FailureLimit = num(n) }
}
func successLimit(n int) func(*v1alpha1.Metric) {
	return func(m *v1alpha1.Metric) { m.ConsecutiveSuccessLimit = num(n) }
}
func delay(d string) func(*v1alpha1.Metric) {
	return func(m *v1alpha1.Metric) { m.InitialDelay = v1alpha1.DurationString(d) }
}

func aSpec(metrics ...v1alpha1.Metric) v1alpha1.AnalysisRunSpec {
	return v1alpha1.AnalysisRunSpec{Metrics: metrics}
}

// world drives one run the way a controller does: decide, measure, fold, wait.
type world struct {
	t    *testing.T
	snap Snapshot
	// answers are taken one by one per metric; the last one repeats.
	answers map[string][]answer
	notes   []Note
	asked   []string
	plan    Plan
}

type answer struct {
	value   any
	err     string
	pending bool
}

func values(vs ...any) (out []answer) {
	for _, v := range vs {
		if s, ok := v.(string); ok {
			out = append(out, answer{err: s})
			continue
		}
		out = append(out, answer{value: v})
	}
	return out
}

func newWorld(t *testing.T, spec v1alpha1.AnalysisRunSpec, answers map[string][]answer) *world {
	return &world{t: t, snap: Snapshot{Now: start, Spec: spec}, answers: answers}
}

// pass is one decide, with its measurements folded in.
func (w *world) pass() Plan {
	before := dump(w.t, w.snap)
	w.plan = Decide(w.snap)
	if again := Decide(w.snap); dump(w.t, again) != dump(w.t, w.plan) {
		w.t.Errorf("Decide is not deterministic:\n%s\n%s", dump(w.t, w.plan), dump(w.t, again))
	}
	if after := dump(w.t, w.snap); before != after {
		w.t.Errorf("Decide changed its input:\n%s\n%s", before, after)
	}
	w.notes = append(w.notes, w.plan.Notes...)
	w.snap.Status = w.plan.Status
	var outcomes []Outcome
	for _, a := range w.plan.Actions {
		switch a := a.(type) {
		case Measure:
			w.asked = append(w.asked, a.String())
			outcomes = append(outcomes, w.measure(a))
		case Stop:
			w.asked = append(w.asked, a.String())
			outcomes = append(outcomes, Outcome{Name: a.Metric, Metric: w.snap.Spec.Metrics[a.Index], Stopped: true, Started: w.snap.Now})
		}
	}
	status := dump(w.t, w.snap.Status)
	next := Fold(w.snap.Status, w.snap.Spec, outcomes, w.snap.Now)
	if dump(w.t, w.snap.Status) != status {
		w.t.Error("Fold changed its input")
	}
	w.snap.Status = next
	return w.plan
}

func (w *world) measure(a Measure) Outcome {
	list := w.answers[a.Metric]
	if len(list) == 0 {
		w.t.Fatalf("no answer for %s", a.Metric)
	}
	next := list[0]
	if len(list) > 1 {
		w.answers[a.Metric] = list[1:]
	}
	o := Outcome{Name: a.Metric, Metric: w.snap.Spec.Metrics[a.Index], Err: next.err, Started: w.snap.Now}
	if next.pending {
		o.Result = metric.Result{Kind: metric.Pending, Token: "tok", After: 30 * time.Second}
	} else if next.err == "" {
		o.Result = metric.Result{Kind: metric.Values, Value: next.value}
	}
	return o
}

// run passes until the run is over or n passes are made; time jumps to each wake-up.
func (w *world) run(n int) v1alpha1.AnalysisRunStatus {
	for range n {
		p := w.pass()
		if w.snap.Status.Phase.Completed() {
			break
		}
		if len(p.Actions) == 0 && !p.Wake.IsZero() {
			w.snap.Now = p.Wake
		}
	}
	return w.snap.Status
}

// dump is a value as JSON, with the types of actions.
func dump(t *testing.T, v any) string {
	t.Helper()
	if p, ok := v.(Plan); ok {
		var lines []string
		for _, a := range p.Actions {
			lines = append(lines, a.String())
		}
		v = map[string]any{"status": p.Status, "actions": lines, "wake": p.Wake, "notes": p.Notes}
	}
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func at(d time.Duration) *metav1.Time { return ptr(metav1.NewTime(start.Add(d))) }
