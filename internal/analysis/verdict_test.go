package analysis

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

const (
	good = 1.0
	bad  = 0.0
	down = "connection refused"
)

// published is a message without the explanation that follows the published part.
func published(message string) string {
	before, _, _ := strings.Cut(message, "; ")
	return before
}

// Covers: analysis edge 65, analysis edge 68, analysis edge 70, analysis defect 8.
func TestVerdict(t *testing.T) {
	endless := every("1m")
	both := func(m *v1alpha1.Metric) { m.SuccessCondition, m.FailureCondition = "result >= 1", "result <= -1" } // 0 is undecided
	allow := func(n int) func(*v1alpha1.Metric) {
		return func(m *v1alpha1.Metric) { m.InconclusiveLimit = num(n) }
	}
	errs := func(n int) func(*v1alpha1.Metric) {
		return func(m *v1alpha1.Metric) { m.ConsecutiveErrorLimit = num(n) }
	}
	cases := map[string]struct {
		metric   v1alpha1.Metric
		answers  []answer
		want     v1alpha1.AnalysisPhase
		message  string
		measured int
	}{
		"failureLimit 1 keeps Running after one failure":              {aMetric("m", endless, failureLimit(1)), values(bad, good), running, "", 0},                                                                                                                                                                                                      // Covers: analysis edge 52.
		"failureLimit 1 fails after two failures":                     {aMetric("m", endless, failureLimit(1)), values(bad, good, bad), failed, `Metric "m" assessed Failed due to failed (2) > failureLimit (1)`, 3},                                                                                                                                   // Covers: analysis edge 52.
		"the default tolerates no failure":                            {aMetric("m", endless), values(bad), failed, `Metric "m" assessed Failed due to failed (1) > failureLimit (0)`, 1},                                                                                                                                                               // Covers: analysis edge 53.
		"any failures, then 3 successes in a row":                     {aMetric("m", endless, failureLimit(-1), successLimit(3)), values(bad, bad, good, good, bad, good, good, good), ok, "", 8},                                                                                                                                                       // Covers: analysis edge 54.
		"count reached before 3 in a row":                             {aMetric("m", endless, failureLimit(-1), successLimit(3), count(4)), values(good, good, bad, good), failed, `Metric "m" assessed Failed due to consecutiveSuccesses (1) < consecutiveSuccessLimit (3) when count (4) was reached`, 4},                                            // Covers: analysis edge 54.
		"count 10 reached with 3 in a row, 4 wanted":                  {aMetric("m", endless, failureLimit(4), successLimit(4), count(10)), values(good, good, good, bad, good, good, bad, good, good, good), unsure, `Metric "m" assessed Inconclusive due to consecutiveSuccesses (3) < consecutiveSuccessLimit (4) when count (10) was reached`, 10}, // Covers: analysis edge 55.
		"4 in a row end it early":                                     {aMetric("m", endless, failureLimit(4), successLimit(4), count(10)), values(bad, good, good, good, good), ok, "", 5},                                                                                                                                                             // Covers: analysis edge 55.
		"5 failures outweigh 4 in a row":                              {aMetric("m", endless, failureLimit(4), successLimit(4), count(10)), values(bad, bad, bad, bad, bad), failed, `Metric "m" assessed Failed due to failed (5) > failureLimit (4)`, 5},                                                                                              // Covers: analysis edge 55.
		"the default tolerates nothing undecided":                     {aMetric("m", endless, both), values(bad), unsure, `Metric "m" assessed Inconclusive due to inconclusive (1) > inconclusiveLimit (0)`, 1},                                                                                                                                        // Covers: analysis edge 56.
		"inconclusiveLimit 1 tolerates one":                           {aMetric("m", endless, both, allow(1), count(2)), values(bad, good), ok, "", 2},                                                                                                                                                                                                  // Covers: analysis edge 56.
		"five errors in a row":                                        {aMetric("m", endless), values(down), errored, `Metric "m" assessed Error due to consecutiveErrors (5) > consecutiveErrorLimit (4): "Error Message: connection refused"`, 5},                                                                                                     // Covers: analysis edge 57.
		"a success in between resets":                                 {aMetric("m", endless, count(2)), values(down, down, down, down, good, down, down, down, down, good), ok, "", 10},                                                                                                                                                                // Covers: analysis edge 57.
		"a failure in between resets too":                             {aMetric("m", endless, failureLimit(1), count(2)), values(down, down, down, down, bad, down, down, down, down, good), ok, "", 10},                                                                                                                                                // Covers: analysis edge 57.
		"consecutiveErrorLimit 0":                                     {aMetric("m", endless, errs(0)), values(down), errored, `Metric "m" assessed Error due to consecutiveErrors (1) > consecutiveErrorLimit (0): "Error Message: connection refused"`, 1},                                                                                            // Covers: analysis edge 57.
		"failures within the limit":                                   {aMetric("m", endless, failureLimit(1), count(3)), values(bad, good, good), ok, "", 3},                                                                                                                                                                                           // Covers: analysis edge 59.
		"a negative count ends after one measurement":                 {aMetric("m", endless, count(-1)), values(good), ok, "", 1},
		"no data is undecided, and says so in the run's message":      {aMetric("m", endless), values(nil), unsure, `Metric "m" assessed Inconclusive due to inconclusive (1) > inconclusiveLimit (0): "Error Message: no data: the result is null (noData: Inconclusive)"`, 1},
		"skipped measurements without data leave the verdict to data": {aMetric("m", endless, count(1), func(m *v1alpha1.Metric) { m.NoData = v1alpha1.NoDataSkip }), values(nil, nil, good), ok, "", 3},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, aSpec(c.metric), map[string][]answer{"m": c.answers})
			got := w.run(30)
			if message := published(got.Message); got.Phase != c.want || message != c.message {
				t.Errorf("got %s %q, want %s %q", got.Phase, message, c.want, c.message)
			}
			if c.measured != 0 && len(w.asked) != c.measured {
				t.Errorf("measured %d times, want %d", len(w.asked), c.measured)
			}
			if !got.Phase.Completed() {
				return
			}
			if again := Decide(w.snap); len(again.Actions) != 0 || dump(t, again.Status) != dump(t, got) {
				t.Errorf("assessed again: %s", dump(t, again))
			}
			sum := got.RunSummary
			if n := sum.Successful + sum.Failed + sum.Inconclusive + sum.Error; sum.Count != 1 || n != 1 {
				t.Errorf("summary %+v for %s", sum, got.Phase)
			}
		})
	}
}

// Covers: analysis edge 58.
func TestPrecedence(t *testing.T) {
	m := aMetric("m")
	r := v1alpha1.MetricResult{ConsecutiveError: 5, Inconclusive: 1, Failed: 1}
	for _, want := range []v1alpha1.AnalysisPhase{errored, unsure, failed} {
		if phase, _ := overLimit(&r, &m); phase != want {
			t.Errorf("got %s, want %s", phase, want)
		}
		switch want {
		case errored:
			r.ConsecutiveError = 0
		case unsure:
			r.Inconclusive = 0
		}
	}
}

func TestSeveralMetrics(t *testing.T) {
	endless := every("1m")
	both := func(m *v1alpha1.Metric) { m.SuccessCondition, m.FailureCondition = "result >= 1", "result <= -1" }
	quick := func(m *v1alpha1.Metric) { m.ConsecutiveErrorLimit = num(0) }
	// Covers: analysis edge 61, analysis edge 66.
	t.Run("the run is as its worst metric, the first of equals", func(t *testing.T) {
		w := newWorld(t, aSpec(aMetric("u", both), aMetric("e", quick), aMetric("f"), aMetric("f2"), aMetric("ok")),
			map[string][]answer{"u": values(bad), "e": values(down), "f": values(bad), "f2": values(bad), "ok": values(good)})
		got := w.run(5)
		if got.Phase != failed || published(got.Message) != `Metric "f" assessed Failed due to failed (1) > failureLimit (0)` {
			t.Errorf("%s %q", got.Phase, got.Message)
		}
		if d := cmp.Diff(v1alpha1.RunSummary{Count: 5, Successful: 1, Failed: 2, Inconclusive: 1, Error: 1}, got.RunSummary); d != "" {
			t.Error(d) // Covers: analysis edge 67.
		}
		want := Note{Warning: true, Reason: "AnalysisRunFailed", Message: "Analysis Completed. Result: Failed"}
		if !slices.Contains(w.notes, want) || !slices.Contains(w.notes, Note{Warning: true, Reason: "MetricError", Message: "Metric 'e' Completed. Result: Error"}) ||
			!slices.Contains(w.notes, Note{Reason: "MetricSuccessful", Message: "Metric 'ok' Completed. Result: Successful"}) {
			t.Errorf("events %v", w.notes)
		}
	})
	// Covers: analysis edge 60, analysis edge 62.
	t.Run("a failed metric stops what is in flight, then the run ends", func(t *testing.T) {
		w := newWorld(t, aSpec(aMetric("job"), aMetric("f"), aMetric("bg", endless)),
			map[string][]answer{"job": {{pending: true}}, "f": values(bad), "bg": values(good)})
		w.pass()
		p := w.pass()
		if !cmp.Equal(p.Actions, []Action{Stop{Metric: "job", Token: "tok"}}) || p.Status.Phase != running {
			t.Errorf("%v %s", p.Actions, p.Status.Phase)
		}
		got := w.run(1)
		if got.Phase != failed || len(w.asked) != 4 {
			t.Errorf("%s after %v", got.Phase, w.asked)
		}
		if m := got.MetricResults[0].Measurements[0]; m.Phase != unsure || m.Message != "Metric Terminated" || m.FinishedAt == nil {
			t.Errorf("%+v", m)
		}
		if bg := resultOf(&got, "bg"); bg.Phase != ok || bg.Count != 1 {
			t.Errorf("sibling %+v", bg)
		}
	})
	// Covers: analysis edge 69.
	t.Run("terminating with a Job in flight is Inconclusive", func(t *testing.T) {
		w := newWorld(t, aSpec(aMetric("job")), map[string][]answer{"job": {{pending: true}}})
		w.pass()
		w.snap.Spec.Terminate = true
		got := w.run(3)
		if got.Phase != unsure || !strings.HasPrefix(got.Message, `Metric "job" assessed Inconclusive due to inconclusive (1) > inconclusiveLimit (0)`) {
			t.Errorf("%s %q", got.Phase, got.Message)
		}
	})
	// Covers: analysis edge 63.
	t.Run("a dry metric does not count and stops nobody", func(t *testing.T) {
		spec := aSpec(aMetric("dry"), aMetric("m", endless, count(3)))
		spec.DryRun = []v1alpha1.DryRun{{MetricName: "dry"}}
		w := newWorld(t, spec, map[string][]answer{"dry": values(bad), "m": values(good)})
		got := w.run(10)
		if got.Phase != ok || len(w.asked) != 4 {
			t.Errorf("%s after %v", got.Phase, w.asked)
		}
		if d := cmp.Diff(&v1alpha1.RunSummary{Count: 1, Failed: 1}, got.DryRunSummary); d != "" {
			t.Error(d)
		}
		if d := cmp.Diff(v1alpha1.RunSummary{Count: 1, Successful: 1}, got.RunSummary); d != "" {
			t.Error(d)
		}
		r := resultOf(&got, "dry")
		if !r.DryRun || r.Phase != failed || published(r.Message) != "Metric assessed Failed due to failed (1) > failureLimit (0)" {
			t.Errorf("%+v", r)
		}
	})
	// Covers: analysis edge 64.
	t.Run("only dry metrics, all failing", func(t *testing.T) {
		spec := aSpec(aMetric("a"), aMetric("b"))
		spec.DryRun = []v1alpha1.DryRun{{MetricName: ".*"}}
		w := newWorld(t, spec, map[string][]answer{"a": values(bad), "b": values(bad)})
		if got := w.run(5); got.Phase != ok || got.Message != "" || got.DryRunSummary.Failed != 2 {
			t.Errorf("%s %q %+v", got.Phase, got.Message, got.DryRunSummary)
		}
	})
	t.Run("a metric that is taken out in the middle makes its spec invalid, not a crash", func(t *testing.T) {
		w := newWorld(t, aSpec(aMetric("a", endless), aMetric("b", endless)), map[string][]answer{"a": values(good), "b": values(good)})
		w.pass()
		w.snap.Spec.Metrics = w.snap.Spec.Metrics[:1]
		w.pass()
		w.snap.Spec.Metrics = nil
		if got := w.run(1); got.Phase != errored || got.Message != "Analysis spec invalid: no metrics specified" {
			t.Errorf("%s %q", got.Phase, got.Message)
		}
	})
}

func TestFixpoint(t *testing.T) {
	w := newWorld(t, aSpec(aMetric("m", every("1m")), aMetric("late", delay("1h"))), map[string][]answer{"m": values(good)})
	w.pass()
	w.pass()
	again := Decide(w.snap)
	if len(again.Actions) != 0 || len(again.Notes) != 0 || dump(t, again.Status) != dump(t, w.snap.Status) {
		t.Errorf("L6: not quiet: %s", dump(t, again))
	}
}
