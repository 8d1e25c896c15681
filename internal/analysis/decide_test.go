package analysis

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

func TestValidation(t *testing.T) {
	one := func(mods ...func(*v1alpha1.Metric)) v1alpha1.AnalysisRunSpec { return aSpec(aMetric("m", mods...)) }
	set := func(f func(*v1alpha1.Metric)) v1alpha1.AnalysisRunSpec { return one(f) }
	cases := map[string]struct {
		spec v1alpha1.AnalysisRunSpec
		want string // "" is valid
	}{
		"the smallest metric": {one(), ""},
		"a value that could not be read": {v1alpha1.AnalysisRunSpec{Metrics: one().Metrics, Malformed: []v1alpha1.Malformed{{Path: "spec.metrics[0].count", Value: "{}", Why: "no"}}},
			"spec.metrics[0].count: Invalid value: {}: no"},
		"zero metrics":                        {aSpec(), "no metrics specified"},                                                                                                                              // Covers: analysis edge 26.
		"duplicate names":                     {aSpec(aMetric("m"), aMetric("m")), "metrics[1]: duplicate name 'm'"},                                                                                          // Covers: analysis edge 27.
		"count below failureLimit":            {one(count(1), failureLimit(2)), "metrics[0]: count (1) must be >= failureLimit + consecutiveSuccessLimit (2 + 0) if both >= 0"},                               // Covers: analysis edge 28.
		"count below both limits":             {one(count(3), every("1m"), failureLimit(2), successLimit(2)), "metrics[0]: count (3) must be >= failureLimit + consecutiveSuccessLimit (2 + 2) if both >= 0"}, // Covers: analysis edge 29.
		"count of both limits":                {one(count(4), every("1m"), failureLimit(2), successLimit(2)), ""},                                                                                             // Covers: analysis edge 29.
		"both limits off":                     {one(failureLimit(-1)), "metrics[0]: failureLimit and consecutiveSuccessLimit cannot both be disabled"},                                                        // Covers: analysis edge 30.
		"failureLimit -2":                     {one(failureLimit(-2)), "metrics[0]: failureLimit must be >= 0, or -1 to be disabled"},                                                                         // Covers: analysis edge 30.
		"count below consecutiveSuccessLimit": {one(count(2), every("1m"), failureLimit(-1), successLimit(3)), "metrics[0]: count must be >= consecutiveSuccessLimit"},
		"consecutiveSuccessLimit -1":          {one(successLimit(-1)), "metrics[0]: consecutiveSuccessLimit must be >= 0"},
		"inconclusiveLimit -1":                {set(func(m *v1alpha1.Metric) { m.InconclusiveLimit = num(-1) }), "metrics[0]: inconclusiveLimit must be >= 0"},                         // Covers: analysis edge 31.
		"consecutiveErrorLimit -1":            {set(func(m *v1alpha1.Metric) { m.ConsecutiveErrorLimit = num(-1) }), "metrics[0]: consecutiveErrorLimit must be >= 0"},                 // Covers: analysis edge 31.
		"count below inconclusiveLimit":       {set(func(m *v1alpha1.Metric) { m.Count, m.InconclusiveLimit = num(1), num(2) }), "metrics[0]: count must be >= inconclusiveLimit"},     // Covers: analysis edge 31.
		"count 2 without interval":            {one(count(2)), "metrics[0]: interval must be specified when count > 1"},                                                                // Covers: analysis edge 32.
		"a bad interval":                      {one(every("60 s")), "metrics[0]: invalid interval string: time: unknown unit \" s\" in duration \"60 s\"; want one such as 30s or 5m"}, // Covers: analysis edge 33.
		"a bad initialDelay":                  {one(delay("soon")), "metrics[0]: invalid startDelay string: time: invalid duration \"soon\"; want one such as 30s or 5m"},              // Covers: analysis edge 33.
		"no provider":                         {set(func(m *v1alpha1.Metric) { m.Provider.Web = nil }), "metrics[0]: no provider specified"},                                           // Covers: analysis edge 34.
		"evidence without a provider":         {set(func(m *v1alpha1.Metric) { m.Evidence = &v1alpha1.Evidence{AtLeast: intstr.FromInt32(1)} }), "metrics[0]: evidence must have one provider that gives a value, but has 0"},
		"evidence of nothing": {set(func(m *v1alpha1.Metric) {
			m.Evidence = &v1alpha1.Evidence{AtLeast: intstr.FromString("many"), Baseline: v1alpha1.Baseline{Web: &v1alpha1.WebMetric{}}}
		}), `metrics[0]: evidence.atLeast must be a number above 0, but is "many"`},
		"a baseline beside a verdict": {set(func(m *v1alpha1.Metric) {
			m.Provider, m.Baseline = v1alpha1.MetricProvider{Job: &v1alpha1.JobMetric{}}, &v1alpha1.Baseline{Web: &v1alpha1.WebMetric{}}
		}), "metrics[0]: baseline compares values, and this metric's provider gives a verdict of its own: take baseline out, or another provider"},
		"a baseline without a provider": {set(func(m *v1alpha1.Metric) { m.Baseline = &v1alpha1.Baseline{} }), "metrics[0]: baseline must have one provider that gives a value, but has 0"},
		"two providers":                 {set(func(m *v1alpha1.Metric) { m.Provider.Prometheus = &v1alpha1.PrometheusMetric{} }), "metrics[0]: multiple providers specified"}, // Covers: analysis edge 34.
		"a condition that does not compile": {set(func(m *v1alpha1.Metric) { m.SuccessCondition = "results[0] < 1" }),
			`metrics[0].successCondition: "results[0] < 1" is no condition: unknown name results`},
		"a condition that is no bool": {set(func(m *v1alpha1.Metric) { m.FailureCondition = "1 + 1" }),
			`metrics[0].failureCondition: "1 + 1" is no condition: expected bool, but got int`},
		"a condition that only a result could refuse": {set(func(m *v1alpha1.Metric) { m.SuccessCondition = "result" }), ""},
		"an unknown noData":                           {set(func(m *v1alpha1.Metric) { m.NoData = "Maybe" }), `metrics[0]: noData must be Inconclusive, Fail, Error, Success or Skip, but is "Maybe"`},
		"a failureLimit of no number is 0":            {set(func(m *v1alpha1.Metric) { m.FailureLimit = ptr(intstr.FromString("abc")) }), ""},
		"a dryRun rule that fits nothing":             {v1alpha1.AnalysisRunSpec{Metrics: one().Metrics, DryRun: []v1alpha1.DryRun{{MetricName: "x"}}}, "dryRun[0]: Rule didn't match any metric name(s)"},                                                                     // Covers: analysis edge 36.
		"* is no regular expression":                  {v1alpha1.AnalysisRunSpec{Metrics: one().Metrics, DryRun: []v1alpha1.DryRun{{MetricName: "*"}}}, "dryRun[0]: Rule didn't match any metric name(s): error parsing regexp: missing argument to repetition operator: `*`"}, // Covers: analysis edge 37, analysis defect 12.
		".* matches all":                              {v1alpha1.AnalysisRunSpec{Metrics: one().Metrics, DryRun: []v1alpha1.DryRun{{MetricName: ".*"}}}, ""},                                                                                                                   // Covers: analysis edge 37.
		"rules have no anchors":                       {v1alpha1.AnalysisRunSpec{Metrics: []v1alpha1.Metric{aMetric("success-rate")}, DryRun: []v1alpha1.DryRun{{MetricName: "rate"}}}, ""},                                                                                    // Covers: analysis edge 37.
		"a retention rule that fits nothing":          {v1alpha1.AnalysisRunSpec{Metrics: one().Metrics, MeasurementRetention: []v1alpha1.MeasurementRetention{{MetricName: "x"}}}, "measurementRetention[0]: Rule didn't match any metric name(s)"},
		"an error has the index of its metric":        {aSpec(aMetric("a"), aMetric("b", count(2))), "metrics[1]: interval must be specified when count > 1"}, // Covers: analysis edge 35.
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			p := Decide(Snapshot{Now: start, Spec: c.spec})
			if c.want == "" {
				if p.Status.Phase != running {
					t.Errorf("got %s %q", p.Status.Phase, p.Status.Message)
				}
				return
			}
			if p.Status.Phase != errored || p.Status.Message != "Analysis spec invalid: "+c.want {
				t.Errorf("got %s %q, want %q", p.Status.Phase, p.Status.Message, c.want)
			}
			if p.Status.CompletedAt == nil || len(p.Actions) != 0 {
				t.Errorf("completedAt %v, actions %v", p.Status.CompletedAt, p.Actions)
			}
			if len(p.Notes) != 1 || p.Notes[0] != (Note{Warning: true, Reason: "AnalysisRunError", Message: "Analysis Completed. Result: Error"}) {
				t.Errorf("notes %v", p.Notes)
			}
		})
	}
}

func TestWhatAProviderRefusesEndsARunBeforeItStarts(t *testing.T) {
	s := Snapshot{Now: start, Spec: aSpec(aMetric("m")), Problem: "metrics[0].provider.web: url must be one of a server"}
	if p := Decide(s); p.Status.Phase != errored || p.Status.Message != "Analysis spec invalid: "+s.Problem || len(p.Actions) > 0 {
		t.Errorf("%s %q %v", p.Status.Phase, p.Status.Message, p.Actions)
	}
	s.Status.StartedAt = stamp(start)
	if p := Decide(s); p.Status.Phase != running {
		t.Errorf("one that runs is refused: %s", p.Status.Message)
	}
	secret := aSpec(aMetric("m", func(m *v1alpha1.Metric) { m.SuccessCondition = "result < {{args.limit}}" }))
	secret.Args = []v1alpha1.Argument{{Name: "limit", ValueFrom: &v1alpha1.ValueFrom{SecretKeyRef: &v1alpha1.SecretKeyRef{Name: "s", Key: "k"}}}}
	if p := Decide(Snapshot{Now: start, Spec: secret}); p.Status.Phase != running {
		t.Errorf("a condition that a secret is part of is refused: %s", p.Status.Message)
	}
}

// Covers: outage 63.
func TestMeasurementsThatAreKeptHaveRoom(t *testing.T) {
	r := &v1alpha1.MetricResult{}
	for range 2000 {
		r.Measurements = append(r.Measurements, v1alpha1.Measurement{Phase: errored, Message: strings.Repeat("x", maxText)})
	}
	trim(r, 1<<30, maxMeasured)
	raw, err := json.Marshal(r)
	if err != nil || len(raw) > maxMeasured || len(raw) < maxMeasured/2 {
		t.Errorf("%d bytes are kept: %v", len(raw), err)
	}
	if dropped, err := strconv.Atoi(r.Metadata[droppedKey]); err != nil || dropped+len(r.Measurements) != 2000 {
		t.Errorf("%d kept and %s dropped", len(r.Measurements), r.Metadata[droppedKey])
	}
	trim(r, 1<<30, 1)
	if len(r.Measurements) != 1 || r.Metadata[droppedKey] != "1999" {
		t.Errorf("the newest stays: %d kept, %s dropped", len(r.Measurements), r.Metadata[droppedKey])
	}
}

// Covers: outage 63.
func TestRetention(t *testing.T) {
	cases := map[string]struct {
		rules []v1alpha1.MeasurementRetention
		want  int
	}{
		"the default is 10":        {nil, 10},                                                                                        // Covers: analysis edge 38.
		"limit 15 keeps 15":        {[]v1alpha1.MeasurementRetention{{MetricName: "m", Limit: 15}}, 15},                              // Covers: analysis edge 38.
		"limit 0 keeps 10":         {[]v1alpha1.MeasurementRetention{{MetricName: "m", Limit: 0}}, 10},                               // Covers: analysis edge 38.
		"the last rule wins":       {[]v1alpha1.MeasurementRetention{{MetricName: "m", Limit: 15}, {MetricName: ".*", Limit: 3}}, 3}, // Covers: analysis edge 39.
		"limit 30 keeps all of 20": {[]v1alpha1.MeasurementRetention{{MetricName: "m", Limit: 30}}, 20},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			spec := aSpec(aMetric("m", every("1m")))
			spec.MeasurementRetention = c.rules
			w := newWorld(t, spec, map[string][]answer{"m": values(1.0)})
			w.run(39) // 20 measurements with 19 waits between
			w.pass()
			r := resultOf(&w.snap.Status, "m")
			spec.MeasurementRetention = append([]v1alpha1.MeasurementRetention{{MetricName: "other", Limit: 1}}, c.rules...)
			if got := min(Retention(spec, "m"), 20); got != c.want {
				t.Errorf("Retention says %d", got)
			}
			if dropped, want := r.Metadata[droppedKey], strings.TrimPrefix(strconv.Itoa(20-c.want), "0"); dropped != want {
				t.Errorf("%q are said to be dropped, want %q", dropped, want)
			}
			if len(r.Measurements) != c.want || r.Count != 20 {
				t.Errorf("%d measurements with count %d", len(r.Measurements), r.Count)
			}
			if !lastOf(r).FinishedAt.Equal(at(19 * time.Minute)) {
				t.Errorf("the newest is gone; last is %v", lastOf(r).FinishedAt)
			}
		})
	}
}

func TestSchedule(t *testing.T) {
	// Covers: analysis edge 40.
	t.Run("one measurement without interval and count", func(t *testing.T) {
		w := newWorld(t, aSpec(aMetric("m")), map[string][]answer{"m": values(1.0)})
		if got := w.run(10); got.Phase != ok || len(w.asked) != 1 {
			t.Errorf("%s after %v", got.Phase, w.asked)
		}
	})
	// Covers: analysis edge 41.
	t.Run("interval only goes on until it is terminated", func(t *testing.T) {
		w := newWorld(t, aSpec(aMetric("m", every("1m"))), map[string][]answer{"m": values(1.0)})
		if got := w.run(41); got.Phase != running || len(w.asked) < 20 {
			t.Errorf("%s after %d", got.Phase, len(w.asked))
		}
		w.snap.Spec.Terminate = true
		if got := w.run(1); got.Phase != ok || got.Message != "Run Terminated" {
			t.Errorf("%s %q", got.Phase, got.Message)
		}
	})
	// Covers: analysis edge 42.
	t.Run("initialDelay holds one metric, others proceed", func(t *testing.T) {
		w := newWorld(t, aSpec(aMetric("late", delay("5m")), aMetric("now")), map[string][]answer{"late": values(1.0), "now": values(1.0)})
		p := w.pass()
		if p.Wake != start.Add(5*time.Minute) || !slices.Equal(w.asked, []string{"measure metric now"}) {
			t.Errorf("wake %s, asked %v", p.Wake, w.asked)
		}
		w.pass()
		if w.snap.Status.Phase != running {
			t.Errorf("%s before the delay is over", w.snap.Status.Phase)
		}
		if got := w.run(5); got.Phase != ok || len(w.asked) != 2 {
			t.Errorf("%s, asked %v", got.Phase, w.asked)
		}
	})
	// Covers: analysis edge 43.
	t.Run("terminated before anything was measured", func(t *testing.T) {
		w := newWorld(t, aSpec(aMetric("m", delay("5m"))), nil)
		w.pass()
		w.snap.Spec.Terminate = true
		got := w.run(1)
		if got.Phase != ok || got.Message != "Run Terminated" || got.RunSummary != (v1alpha1.RunSummary{Count: 1}) {
			t.Errorf("%s %q %v", got.Phase, got.Message, got.RunSummary)
		}
	})
	// Covers: analysis edge 44.
	t.Run("after an error 10 s, after anything else the interval", func(t *testing.T) {
		w := newWorld(t, aSpec(aMetric("m", every("5m"))), map[string][]answer{"m": values("down", 1.0)})
		w.pass()
		if p := w.pass(); p.Wake != start.Add(10*time.Second) || len(p.Actions) != 0 {
			t.Errorf("wake %s %v", p.Wake, p.Actions)
		}
		w.snap.Now = w.plan.Wake
		w.pass()
		if p := w.pass(); p.Wake != start.Add(5*time.Minute+10*time.Second) {
			t.Errorf("wake %s", p.Wake)
		}
	})
	// Covers: analysis defect 6.
	t.Run("the wait doubles after the fourth error in a row, up to the interval", func(t *testing.T) {
		patient := aMetric("m", every("1m"), func(m *v1alpha1.Metric) { m.ConsecutiveErrorLimit = ptr(intstr.FromInt32(9)) })
		w := newWorld(t, aSpec(patient), map[string][]answer{"m": values("down", "down", "down", "down", "down", "down", "down", "down", 1.0)})
		var waits []time.Duration
		for range 8 {
			w.pass()
			p := w.pass()
			waits = append(waits, p.Wake.Sub(w.snap.Now))
			w.snap.Now = p.Wake
		}
		const s = time.Second
		if d := cmp.Diff([]time.Duration{10 * s, 10 * s, 10 * s, 10 * s, 20 * s, 40 * s, 60 * s, 60 * s}, waits); d != "" {
			t.Error(d)
		}
	})
	// Covers: analysis defect 7.
	t.Run("the interval counts from the beginning of a measurement", func(t *testing.T) {
		for took, want := range map[time.Duration]time.Duration{
			7 * time.Second: time.Minute, time.Minute: 2 * time.Minute, 150 * time.Second: 3 * time.Minute,
		} {
			last := &v1alpha1.Measurement{StartedAt: at(0), FinishedAt: stamp(start.Add(took))}
			if got := nextBeat(last, time.Minute); !got.Equal(start.Add(want)) {
				t.Errorf("one that took %s is followed after %s, want %s", took, got.Sub(start), want)
			}
		}
	})
	// Covers: analysis edge 45.
	t.Run("an error does not use up the count", func(t *testing.T) {
		w := newWorld(t, aSpec(aMetric("m", count(2), every("1m"))), map[string][]answer{"m": values(1.0, "down", 1.0)})
		if got := w.run(20); got.Phase != ok || len(w.asked) != 3 {
			t.Errorf("%s after %v", got.Phase, w.asked)
		}
	})
	// Covers: analysis edge 46.
	t.Run("a measurement in flight is resumed at its time with its token", func(t *testing.T) {
		w := newWorld(t, aSpec(aMetric("m")), map[string][]answer{"m": append([]answer{{pending: true}}, values(1.0)...)})
		w.pass()
		if p := w.pass(); len(p.Actions) != 0 || p.Wake != start.Add(30*time.Second) || w.snap.Status.Phase != running {
			t.Errorf("%v wake %s", p.Actions, p.Wake)
		}
		w.snap.Now = w.plan.Wake
		if p := w.pass(); !cmp.Equal(p.Actions, []Action{Measure{Metric: "m", Token: "tok"}}) {
			t.Errorf("%v", p.Actions)
		}
		got := w.run(3)
		r := got.MetricResults[0]
		if got.Phase != ok || len(r.Measurements) != 1 || r.Measurements[0].Metadata["resume-token"] != "" || r.Measurements[0].ResumeAt != nil {
			t.Errorf("%s %+v", got.Phase, r.Measurements)
		}
	})
	// Covers: analysis edge 46.
	t.Run("a Job that another controller started is resumed by its name", func(t *testing.T) {
		s := Snapshot{Now: start, Spec: aSpec(aMetric("m")), Status: v1alpha1.AnalysisRunStatus{Phase: running, StartedAt: at(0), MetricResults: []v1alpha1.MetricResult{
			{Name: "m", Phase: running, Measurements: []v1alpha1.Measurement{{Phase: running, StartedAt: at(0), Metadata: map[string]string{"job-name": "j.1"}}}},
		}}}
		if p := Decide(s); !cmp.Equal(p.Actions, []Action{Measure{Metric: "m", Token: "j.1"}}) {
			t.Errorf("%v", p.Actions)
		}
	})
	// Covers: analysis edge 47.
	t.Run("the next look is the earliest of all", func(t *testing.T) {
		w := newWorld(t, aSpec(aMetric("a", every("5m")), aMetric("b", every("2m")), aMetric("c", delay("3m"))), map[string][]answer{"a": values(1.0), "b": values(1.0)})
		w.pass()
		if p := w.pass(); p.Wake != start.Add(2*time.Minute) {
			t.Errorf("wake %s", p.Wake)
		}
	})
	// Covers: analysis edge 48.
	t.Run("a metric that is over is left alone", func(t *testing.T) {
		w := newWorld(t, aSpec(aMetric("a"), aMetric("b", count(3), every("1m"))), map[string][]answer{"a": values(1.0), "b": values(1.0)})
		w.run(20)
		if n := strings.Count(strings.Join(w.asked, ","), "metric a"); n != 1 {
			t.Errorf("a was measured %d times", n)
		}
	})
	// Covers: analysis edge 50.
	t.Run("interval 0s means one second", func(t *testing.T) {
		w := newWorld(t, aSpec(aMetric("m", every("0s"))), map[string][]answer{"m": values(1.0)})
		w.pass()
		if p := w.pass(); len(p.Actions) != 0 || p.Wake != start.Add(time.Second) {
			t.Errorf("%v wake %s", p.Actions, p.Wake)
		}
	})
	// Covers: analysis edge 51.
	t.Run("a plan that was lost is planned again", func(t *testing.T) {
		s := Snapshot{Now: start, Spec: aSpec(aMetric("m"))}
		first := Decide(s)
		s.Status = first.Status
		if again := Decide(s); !cmp.Equal(again.Actions, first.Actions) {
			t.Errorf("%v", again.Actions)
		}
	})
	t.Run("what is being measured is not asked for again", func(t *testing.T) {
		p := Decide(Snapshot{Now: start, Spec: aSpec(aMetric("m")), Busy: map[string]bool{"m": true}})
		if len(p.Actions) != 0 || p.Status.Phase != running {
			t.Errorf("%v %s", p.Actions, p.Status.Phase)
		}
	})
}

func TestSecretsAndArgs(t *testing.T) {
	spec := aSpec(aMetric("m", func(m *v1alpha1.Metric) { m.SuccessCondition = "result > {{args.x}}" }))
	cases := map[string]struct {
		args       []v1alpha1.Argument
		secretsErr string
		want       string
	}{
		"an arg that is not there":          {nil, "", "Unable to resolve metric arguments: failed to resolve {{args.x}}; it stands in metrics[0].successCondition, and the run has no args"},                        // Covers: analysis edge 18.
		"an arg without a value":            {[]v1alpha1.Argument{{Name: "x"}}, "", `Unable to resolve metric arguments: argument "x" was not supplied`},                                                             // Covers: analysis edge 24.
		"a Secret that is not there":        {[]v1alpha1.Argument{{Name: "x", Value: ptr("1")}}, `secrets "s" not found`, `Unable to resolve metric arguments: secrets "s" not found`},                               // Covers: analysis edge 20.
		"a key that is not there":           {[]v1alpha1.Argument{{Name: "x", Value: ptr("1")}}, "key 'k' does not exist in secret 's'", "Unable to resolve metric arguments: key 'k' does not exist in secret 's'"}, // Covers: analysis edge 20.
		"an unused arg without a value too": {[]v1alpha1.Argument{{Name: "x", Value: ptr("1")}, {Name: "y"}}, "", `Unable to resolve metric arguments: argument "y" was not supplied`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s := Snapshot{Now: start, Spec: spec, SecretsErr: c.secretsErr}
			s.Spec.Args = c.args
			p := Decide(s)
			if p.Status.Phase != errored || p.Status.Message != c.want || p.Status.CompletedAt == nil || len(p.Actions) != 0 {
				t.Errorf("got %s %q %v", p.Status.Phase, p.Status.Message, p.Actions)
			}
		})
	}
}

func TestTerminatingWithoutSecrets(t *testing.T) {
	spec := aSpec(aMetric("m"))
	spec.Terminate = true
	p := Decide(Snapshot{Now: start, Spec: spec, SecretsErr: "gone"})
	if p.Status.Phase != ok || p.Status.Message != "Run Terminated" {
		t.Errorf("%s %q", p.Status.Phase, p.Status.Message)
	}
}

// Covers: analysis edge 70.
func TestTTL(t *testing.T) {
	all := &v1alpha1.TTLStrategy{SecondsAfterCompletion: ptr[int32](100), SecondsAfterFailure: ptr[int32](10), SecondsAfterSuccess: ptr[int32](20)}
	cases := map[string]struct {
		phase v1alpha1.AnalysisPhase
		ttl   *v1alpha1.TTLStrategy
		after time.Duration
		gone  bool
		wake  time.Duration
		mod   func(*Snapshot)
	}{
		"Successful after its time":                 {ok, all, 20 * time.Second, true, 0, nil},                                        // Covers: analysis edge 71.
		"before that the end is woken for":          {ok, all, 19 * time.Second, false, 20 * time.Second, nil},                        // Covers: analysis edge 72, analysis defect 11.
		"Failed has its own time":                   {failed, all, 10 * time.Second, true, 0, nil},                                    // Covers: analysis edge 71.
		"Error has only that of completion":         {errored, all, 50 * time.Second, false, 100 * time.Second, nil},                  // Covers: analysis edge 71.
		"Inconclusive too":                          {unsure, all, 100 * time.Second, true, 0, nil},                                   // Covers: analysis edge 71.
		"without strategy it stays":                 {ok, nil, time.Hour, false, 0, nil},                                              // Covers: analysis edge 71.
		"not completed stays":                       {running, all, 0, false, 0, nil},                                                 // Covers: analysis edge 71.
		"what is being deleted is left alone":       {ok, all, time.Hour, false, 0, func(s *Snapshot) { s.Deleting = true }},          // Covers: analysis edge 71.
		"without completedAt it stays":              {ok, all, time.Hour, false, 0, func(s *Snapshot) { s.Status.CompletedAt = nil }}, // Covers: analysis edge 71.
		"Successful falls back to completion":       {ok, &v1alpha1.TTLStrategy{SecondsAfterCompletion: ptr[int32](5)}, 5 * time.Second, true, 0, nil},
		"a time of zero deletes at once":            {ok, &v1alpha1.TTLStrategy{SecondsAfterSuccess: ptr[int32](0)}, 0, true, 0, nil},
		"the time of failures is not for successes": {ok, &v1alpha1.TTLStrategy{SecondsAfterFailure: ptr[int32](0)}, time.Hour, false, 0, nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			spec := aSpec(aMetric("m", delay("1000h")))
			spec.TTLStrategy = c.ttl
			s := Snapshot{Now: start.Add(c.after), Spec: spec, Status: v1alpha1.AnalysisRunStatus{Phase: c.phase, StartedAt: at(0), CompletedAt: at(0)}}
			if c.mod != nil {
				c.mod(&s)
			}
			p := Decide(s)
			if gone := slices.Contains(p.Actions, Action(Delete{})); gone != c.gone {
				t.Errorf("deleted: %v", gone)
			}
			if c.wake != 0 && p.Wake != start.Add(c.wake) {
				t.Errorf("wake %s", p.Wake)
			}
			if s.Status.Phase.Completed() && dump(t, p.Status) != dump(t, s.Status) {
				t.Error("a run that is over was changed")
			}
		})
	}
	t.Run("a verdict is written before its run is deleted", func(t *testing.T) {
		spec := aSpec()
		spec.TTLStrategy = &v1alpha1.TTLStrategy{SecondsAfterCompletion: ptr[int32](0)}
		if p := Decide(Snapshot{Now: start, Spec: spec}); len(p.Actions) != 0 || p.Wake != start {
			t.Errorf("%v wake %s", p.Actions, p.Wake)
		}
	})
	// Covers: analysis edge 35, analysis defect 11.
	t.Run("a run with a bad spec is deleted in the end", func(t *testing.T) {
		spec := aSpec()
		spec.TTLStrategy = &v1alpha1.TTLStrategy{SecondsAfterCompletion: ptr[int32](5)}
		p := Decide(Snapshot{Now: start, Spec: spec})
		if p.Wake != start.Add(5*time.Second) {
			t.Fatalf("wake %s", p.Wake)
		}
		if p = Decide(Snapshot{Now: p.Wake, Spec: spec, Status: p.Status}); !slices.Contains(p.Actions, Action(Delete{})) {
			t.Errorf("%v", p.Actions)
		}
	})
}
