package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/loop"
	"github.com/penstock-io/penstock/internal/metric"
)

// answer is a provider that does as it is told.
type answer struct {
	mu      sync.Mutex
	measure func(ctx context.Context, r metric.Request) (metric.Result, error)
	most    int
	now     int
	stopped []string
}

func (a *answer) Measure(ctx context.Context, r metric.Request) (metric.Result, error) {
	a.mu.Lock()
	a.now++
	a.most = max(a.most, a.now)
	a.mu.Unlock()
	defer func() { a.mu.Lock(); a.now--; a.mu.Unlock() }()
	return a.measure(ctx, r)
}

func (*answer) Describe(metric.Request) map[string]string { return map[string]string{"query": "up"} }

func (a *answer) Stop(_ context.Context, r metric.Request) error {
	a.stopped = append(a.stopped, r.Token)
	return nil
}

// refused is a query that the provider refuses without asking anybody.
const refused = "refused"

func (*answer) Check(m v1alpha1.MetricProvider) error {
	if m.Prometheus.Query == refused {
		return errors.New("query: it is empty")
	}
	return nil
}

func value(v float64) (metric.Result, error) {
	return metric.Result{Kind: metric.Values, Value: []float64{v}, Display: fmt.Sprintf("[%v]", v)}, nil
}

// analysisRun measures each of the metrics once.
func analysisRun(metrics ...string) *v1alpha1.AnalysisRun {
	run := &v1alpha1.AnalysisRun{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "check"}}
	for _, m := range metrics {
		run.Spec.Metrics = append(run.Spec.Metrics, v1alpha1.Metric{Name: m, Count: ptr(intstr.FromInt32(1)), SuccessCondition: "result[0] > 0.5",
			Provider: v1alpha1.MetricProvider{Prometheus: &v1alpha1.PrometheusMetric{Query: "up"}}})
	}
	return run
}

// measuring is a world with one run and a provider; woken gets the wake-ups of the pool.
func measuring(t *testing.T, run *v1alpha1.AnalysisRun, measure func(context.Context, metric.Request) (metric.Result, error)) (w *world, a *answer, woken chan loop.Key) {
	t.Helper()
	w, a, woken = newWorld(t, run), &answer{measure: measure}, make(chan loop.Key, 100)
	w.runs.Pool.Providers = []Measuring{{Name: "prometheus", Provider: a,
		Uses: func(p *v1alpha1.MetricProvider) bool { return p.Prometheus != nil }}}
	w.runs.Pool.Wake = func(_ context.Context, k loop.Key) { woken <- k }
	return w, a, woken
}

func (w *world) runPass() reconcile.Result {
	w.t.Helper()
	r, err := w.runLoop.Reconcile(context.Background(), requestFor("check"))
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

func (w *world) run() *v1alpha1.AnalysisRun {
	w.t.Helper()
	run := &v1alpha1.AnalysisRun{}
	w.get("check", run)
	return run
}

func receive(t testing.TB, c chan loop.Key) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(10 * time.Second):
		t.Fatal("the pool does not answer")
	}
}

// finish makes passes until the run is over.
func (w *world) finish(woken chan loop.Key) v1alpha1.AnalysisRunStatus {
	w.t.Helper()
	for range 20 {
		w.runPass()
		if st := w.run().Status; st.Phase.Completed() {
			return st
		}
		if len(w.runs.Pool.facts(loop.Key{Namespace: "shop", Name: "check"}, w.run().UID).busy) > 0 {
			receive(w.t, woken)
		}
	}
	w.t.Fatalf("the run does not end: %+v", w.run().Status)
	return v1alpha1.AnalysisRunStatus{}
}

func TestABaselineIsAskedBesideTheCanary(t *testing.T) {
	compare := func(stable func() (metric.Result, error)) v1alpha1.AnalysisRunStatus {
		run := analysisRun("errors")
		m := &run.Spec.Metrics[0]
		m.SuccessCondition = "result.canary <= 2 * result.stable"
		m.ConsecutiveErrorLimit = ptr(intstr.FromInt32(0))
		m.Baseline = &v1alpha1.Baseline{Prometheus: &v1alpha1.PrometheusMetric{Query: "stable"}}
		w, _, woken := measuring(t, run, func(_ context.Context, r metric.Request) (metric.Result, error) {
			if r.Provider.Prometheus.Query == "stable" {
				return stable()
			}
			return value(0.02)
		})
		return w.finish(woken)
	}
	for name, c := range map[string]struct {
		stable  func() (metric.Result, error)
		want    v1alpha1.AnalysisPhase
		value   string
		message string
	}{
		"as bad as twice stable": {func() (metric.Result, error) { return value(0.01) }, v1alpha1.AnalysisPhaseSuccessful, "canary: [0.02], stable: [0.01]", ""},
		"worse":                  {func() (metric.Result, error) { return value(0.005) }, v1alpha1.AnalysisPhaseFailed, "canary: [0.02], stable: [0.005]", ""},
		"no baseline": {func() (metric.Result, error) {
			return metric.Result{Kind: metric.NoData, Value: []float64{}, Display: "[]", Why: "the query returned no series"}, nil
		}, v1alpha1.AnalysisPhaseInconclusive, "canary: [0.02], stable: []", "no data: stable: the query returned no series (noData: Inconclusive)"},
		"a baseline that cannot be asked": {func() (metric.Result, error) { return metric.Result{}, errors.New("connection refused") },
			v1alpha1.AnalysisPhaseError, "", "baseline: connection refused"},
	} {
		t.Run(name, func(t *testing.T) {
			st := compare(c.stable)
			m := st.MetricResults[0].Measurements[0]
			if st.Phase != c.want || m.Value != c.value || m.Message != c.message {
				t.Errorf("%s, measured %q: %q; want %s %q %q", st.Phase, m.Value, m.Message, c.want, c.value, c.message)
			}
		})
	}
}

func TestAMeasurementRestsOnEnoughEvidence(t *testing.T) {
	for name, c := range map[string]struct {
		counted func() (metric.Result, error)
		want    v1alpha1.AnalysisPhase
		message string
		asked   int // how often the metric itself was asked
	}{
		"enough":  {func() (metric.Result, error) { return value(100) }, v1alpha1.AnalysisPhaseFailed, "", 1},
		"too few": {func() (metric.Result, error) { return value(99) }, v1alpha1.AnalysisPhaseInconclusive, "no data: it would rest on 99 of at least 100 events (noData: Inconclusive)", 0},
		"it cannot be counted": {func() (metric.Result, error) { return metric.Result{}, errors.New("connection refused") },
			v1alpha1.AnalysisPhaseError, "evidence: connection refused", 0},
		"it is no count": {func() (metric.Result, error) {
			return metric.Result{Kind: metric.Values, Value: "many", Display: `"many"`}, nil
		}, v1alpha1.AnalysisPhaseError, `evidence: evidence must be one number, not "many"`, 0},
	} {
		t.Run(name, func(t *testing.T) {
			run := analysisRun("errors")
			m := &run.Spec.Metrics[0]
			m.ConsecutiveErrorLimit = ptr(intstr.FromInt32(0))
			m.Evidence = &v1alpha1.Evidence{AtLeast: intstr.FromString("100"), Baseline: v1alpha1.Baseline{Prometheus: &v1alpha1.PrometheusMetric{Query: "count"}}}
			var asked atomic.Int32
			w, _, woken := measuring(t, run, func(_ context.Context, r metric.Request) (metric.Result, error) {
				if r.Provider.Prometheus.Query == "count" {
					return c.counted()
				}
				asked.Add(1)
				return value(0)
			})
			st := w.finish(woken)
			if got := st.MetricResults[0].Measurements[0]; st.Phase != c.want || got.Message != c.message || int(asked.Load()) != c.asked {
				t.Errorf("%s: %q, asked %d times", st.Phase, got.Message, asked.Load())
			}
		})
	}
}

// Covers: analysis defect 15.
func TestASourceThatHangsDelaysNoOther(t *testing.T) {
	w, _, woken := measuring(t, analysisRun("rate"), func(ctx context.Context, r metric.Request) (metric.Result, error) {
		if r.Provider.Prometheus.Address == "http://hangs" {
			<-ctx.Done()
			return metric.Result{}, ctx.Err()
		}
		return value(0)
	})
	p := w.runs.Pool
	hanging := analysisRun("rate")
	hanging.Spec.Metrics[0].Provider.Prometheus.Address = "http://hangs"
	for i := range 500 {
		run := hanging.DeepCopy()
		run.Name, run.UID = fmt.Sprint("hangs-", i), types.UID(fmt.Sprint(i))
		p.start(job{run: run, name: "rate"})
	}
	// The run is judged although as many measurements hang as are taken at a time, and more.
	if st := w.finish(woken); st.Phase != v1alpha1.AnalysisPhaseFailed {
		t.Errorf("phase %s: %s", st.Phase, st.Message)
	}
	p.Close()
	if len(p.lanes) != 0 {
		t.Errorf("sources that nobody asks are still there: %d", len(p.lanes))
	}
}

func TestEverySourceHasItsOwnLane(t *testing.T) {
	for want, m := range map[string]v1alpha1.MetricProvider{
		"prometheus prom:9090": {Prometheus: &v1alpha1.PrometheusMetric{Address: "http://prom:9090/x"}},
		"prometheus ":          {Prometheus: &v1alpha1.PrometheusMetric{}},
		"web checks.shop":      {Web: &v1alpha1.WebMetric{URL: "https://checks.shop/a?b=c"}},
		"web":                  {Web: &v1alpha1.WebMetric{URL: "http://[::1"}},
		"graphite g":           {Graphite: &v1alpha1.GraphiteMetric{Address: "http://g"}},
		"datadog":              {Datadog: &v1alpha1.DatadogMetric{}},
		"job":                  {Job: &v1alpha1.JobMetric{}},
		"influxdb a":           {Influxdb: &v1alpha1.InfluxdbMetric{Profile: "a"}},
		"plugin a/b":           {Plugin: map[string]json.RawMessage{"a/b": nil}},
		"":                     {},
	} {
		if got := sourceOf(&m); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// Covers: outage 65.
func TestRunIsMeasuredOutsideThePass(t *testing.T) {
	go1 := make(chan struct{})
	w, _, woken := measuring(t, analysisRun("rate"), func(context.Context, metric.Request) (metric.Result, error) {
		<-go1
		return value(1)
	})
	var seen []string
	w.runs.Pool.OnMeasurement = func(run, m string, p v1alpha1.AnalysisPhase, _ time.Time) {
		seen = append(seen, run+" "+m+" "+string(p))
	}
	w.runPass()
	if st := w.run().Status; st.Phase != "" {
		t.Fatalf("that it has begun was written without waiting for the first measurement: %+v", st)
	}
	w.now = w.now.Add(5 * time.Second)
	w.runPass() // the pass does not wait, and does not start a second measurement
	if st := w.run().Status; st.Phase != v1alpha1.AnalysisPhaseRunning || len(st.MetricResults) != 0 {
		t.Fatalf("status %+v", st)
	}
	close(go1)
	receive(t, woken)
	st := w.finish(woken)
	if st.Phase != v1alpha1.AnalysisPhaseSuccessful || len(st.MetricResults[0].Measurements) != 1 || st.MetricResults[0].Measurements[0].Value != "[1]" {
		t.Errorf("status %+v", st)
	}
	if len(seen) != 1 || seen[0] != "check rate Successful" {
		t.Errorf("told %v", seen)
	}
	if events := strings.Join(w.told(), "\n"); strings.Count(events, "AnalysisRunSuccessful") != 1 {
		t.Errorf("events:\n%s", events)
	}
}

// The status of a run that goes well is written every few seconds, however often it
// measures; bad news comes at once, with everything before it.
func TestGoodMeasurementsAreWrittenTogether(t *testing.T) {
	run := analysisRun("rate")
	run.Spec.Metrics[0].Count, run.Spec.Metrics[0].Interval = ptr(intstr.FromInt32(10)), "1s"
	run.Spec.Metrics[0].FailureLimit = ptr(intstr.FromInt32(1))
	next := 1.0
	w, _, woken := measuring(t, run, func(context.Context, metric.Request) (metric.Result, error) { return value(next) })
	began := w.now
	var written []int
	for second := range 9 {
		if second == 7 {
			next = 0
		}
		w.runPass()
		receive(t, woken)
		w.runPass()
		n := 0
		if st := w.run().Status; len(st.MetricResults) > 0 {
			n = len(st.MetricResults[0].Measurements)
		}
		written = append(written, n)
		w.now = w.now.Add(time.Second)
	}
	if want := []int{0, 0, 0, 0, 4, 4, 4, 8, 9}; !slices.Equal(written, want) {
		t.Errorf("in the status were, second by second, %v measurements, want %v", written, want)
	}
	st := w.run().Status
	if st.Phase != v1alpha1.AnalysisPhaseFailed || !st.StartedAt.Time.Equal(began) {
		t.Errorf("began at %v, want %v: %+v", st.StartedAt, began, st)
	}
	for i, m := range st.MetricResults[0].Measurements {
		if want := began.Add(time.Duration(i) * time.Second); !m.StartedAt.Time.Equal(want) {
			t.Errorf("measurement %d began at %v, want %v", i, m.StartedAt, want)
		}
	}
}

func TestLostStatusWriteLosesNoMeasurement(t *testing.T) {
	calls := 0
	w, _, woken := measuring(t, analysisRun("rate"), func(context.Context, metric.Request) (metric.Result, error) {
		calls++
		return value(1)
	})
	w.runPass()
	receive(t, woken)
	w.refuse = conflictOn("patch")
	w.runPass()
	w.refuse = nil
	if st := w.finish(woken); st.Phase != v1alpha1.AnalysisPhaseSuccessful || calls != 1 {
		t.Errorf("%d measurements, status %+v", calls, st)
	}
}

func TestMeasurementsThatGoWrong(t *testing.T) {
	secret := func(run *v1alpha1.AnalysisRun) {
		run.Spec.Args = []v1alpha1.Argument{{Name: "token", ValueFrom: &v1alpha1.ValueFrom{SecretKeyRef: &v1alpha1.SecretKeyRef{Name: "s", Key: "k"}}}}
	}
	for name, c := range map[string]struct {
		change  func(*v1alpha1.AnalysisRun)
		measure func(context.Context, metric.Request) (metric.Result, error)
		want    string
	}{
		"a provider that fails": {nil, func(context.Context, metric.Request) (metric.Result, error) {
			return metric.Result{}, errors.New("no route")
		}, "no route"},
		"a provider that panics": {nil, func(context.Context, metric.Request) (metric.Result, error) { panic("oops") }, "panicked: oops"},
		"a provider that never answers": {nil, func(ctx context.Context, _ metric.Request) (metric.Result, error) {
			<-ctx.Done()
			return metric.Result{}, ctx.Err()
		}, "deadline exceeded"},
		"a provider that nobody has": {func(r *v1alpha1.AnalysisRun) {
			r.Spec.Metrics[0].Provider = v1alpha1.MetricProvider{Web: &v1alpha1.WebMetric{}}
		}, nil, "Analysis spec invalid: metrics[0].provider: there is no such provider in this version"},
		"a baseline that nobody has": {func(r *v1alpha1.AnalysisRun) {
			r.Spec.Metrics[0].Baseline = &v1alpha1.Baseline{Web: &v1alpha1.WebMetric{}}
		}, nil, "Analysis spec invalid: metrics[0].baseline: there is no such provider in this version"},
		// Covers: analysis edge 49, analysis defect 9.
		"a metric that its provider refuses": {func(r *v1alpha1.AnalysisRun) { r.Spec.Metrics[0].Provider.Prometheus.Query = refused }, nil,
			"Analysis spec invalid: metrics[0].provider.prometheus: query: it is empty"},
		"evidence that its provider refuses": {func(r *v1alpha1.AnalysisRun) {
			r.Spec.Metrics[0].Evidence = &v1alpha1.Evidence{AtLeast: intstr.FromInt32(1), Baseline: v1alpha1.Baseline{Prometheus: &v1alpha1.PrometheusMetric{Query: refused}}}
		}, nil, "Analysis spec invalid: metrics[0].evidence.prometheus: query: it is empty"},
		"a baseline that its provider refuses": {func(r *v1alpha1.AnalysisRun) {
			r.Spec.Metrics[0].Baseline = &v1alpha1.Baseline{Prometheus: &v1alpha1.PrometheusMetric{Query: refused}}
		}, nil, "Analysis spec invalid: metrics[0].baseline.prometheus: query: it is empty"},
		"a secret that is missing, long before the first measurement": {func(r *v1alpha1.AnalysisRun) {
			secret(r)
			r.Spec.Metrics[0].InitialDelay = "10m"
		}, nil, `secrets "s" not found`},
		"a secret that is missing": {secret, nil, `secrets "s" not found`},
	} {
		t.Run(name, func(t *testing.T) {
			run := analysisRun("rate")
			run.Spec.Metrics[0].ConsecutiveErrorLimit = ptr(intstr.FromInt32(0))
			if c.change != nil {
				c.change(run)
			}
			w, _, woken := measuring(t, run, c.measure)
			w.runs.Pool.Timeout = 20 * time.Millisecond
			st := w.finish(woken)
			if st.Phase != v1alpha1.AnalysisPhaseError || !strings.Contains(st.Message, c.want) {
				t.Errorf("phase %s: %s", st.Phase, st.Message)
			}
		})
	}
}

// Covers: analysis defect 10.
func TestSecretsReachTheProviderAndNothingElse(t *testing.T) {
	run := analysisRun("rate")
	run.Spec.Args = []v1alpha1.Argument{{Name: "token", ValueFrom: &v1alpha1.ValueFrom{SecretKeyRef: &v1alpha1.SecretKeyRef{Name: "s", Key: "k"}}}}
	run.Spec.Metrics[0].Provider.Prometheus.Query = "up{{args.token}}"
	w, _, woken := measuring(t, run, func(_ context.Context, r metric.Request) (metric.Result, error) {
		if r.Provider.Prometheus.Query != "uphunter2" {
			return metric.Result{}, fmt.Errorf("query %s", r.Provider.Prometheus.Query)
		}
		return metric.Result{Kind: metric.Values, Value: []float64{1}, Display: "hunter2"}, nil
	})
	w.create(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "s"}, Data: map[string][]byte{"k": []byte("hunter2")}})
	st := w.finish(woken)
	if st.Phase != v1alpha1.AnalysisPhaseSuccessful || strings.Contains(fmt.Sprintf("%+v", st), "hunter2") {
		t.Errorf("status %+v", st)
	}
}

func TestPoolIsBounded(t *testing.T) {
	release := make(chan struct{})
	w, a, woken := measuring(t, analysisRun("a", "b", "c", "d", "e"), func(context.Context, metric.Request) (metric.Result, error) {
		<-release
		return value(1)
	})
	w.runPass()
	for range 5 {
		release <- struct{}{}
	}
	if st := w.finish(woken); st.Phase != v1alpha1.AnalysisPhaseSuccessful {
		t.Errorf("status %+v", st)
	}
	if a.most > 2 {
		t.Errorf("%d measurements at a time, want 2 at most", a.most)
	}
}

func TestTerminatedRunStopsWhatIsInFlight(t *testing.T) {
	w, a, woken := measuring(t, analysisRun("job"), func(context.Context, metric.Request) (metric.Result, error) {
		return metric.Result{Kind: metric.Pending, Token: "job-1", After: time.Hour}, nil
	})
	w.runPass()
	receive(t, woken)
	w.runPass()
	run := w.run()
	run.Spec.Terminate = true
	if err := w.client.Update(context.Background(), run); err != nil {
		t.Fatal(err)
	}
	st := w.finish(woken)
	if len(a.stopped) != 1 || a.stopped[0] != "job-1" {
		t.Errorf("stopped %v", a.stopped)
	}
	if !st.Phase.Completed() {
		t.Errorf("status %+v", st)
	}
}

func TestDeletedRunIsLetGo(t *testing.T) {
	begun := make(chan loop.Key)
	w, _, _ := measuring(t, analysisRun("rate"), func(ctx context.Context, _ metric.Request) (metric.Result, error) {
		begun <- loop.Key{}
		<-ctx.Done()
		return metric.Result{}, ctx.Err()
	})
	w.runPass()
	receive(t, begun)
	if err := w.client.Delete(context.Background(), w.run()); err != nil {
		t.Fatal(err)
	}
	w.now = w.now.Add(2 * time.Second) // until then the own status write may be on its way
	w.runPass()
	w.runs.Pool.mu.Lock()
	defer w.runs.Pool.mu.Unlock()
	if len(w.runs.Pool.runs) != 0 {
		t.Error("the pool still holds the run")
	}
}
