package plugin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/metric"
	v2 "github.com/penstock-io/penstock/plugin/v2"
	"github.com/penstock-io/penstock/plugin/v2/wire"
)

// newer is a plugin of the second protocol; it answers as its configuration says.
type newer struct{}

func (newer) Measure(_ context.Context, r v2.MetricRequest) (m v1alpha1.Measurement, err error) {
	if r.InFlight != nil {
		return v1alpha1.Measurement{Phase: v1alpha1.AnalysisPhaseSuccessful, Value: "after " + r.InFlight.Metadata["id"] + " of " + r.InFlight.StartedAt.UTC().Format(time.RFC3339)}, nil
	}
	if err := v2.ReadConfig(r.Config, &m); err != nil {
		return m, err
	}
	switch m.Message {
	case "die":
		os.Exit(3)
	case "hang":
		select {}
	case "no":
		return m, errors.New("no\nroute " + secret)
	}
	m.Value = strings.ReplaceAll(m.Value, "ALL", fmt.Sprintf("%s %s of %s by %s, metric %s every %s, %s times", r.AnalysisRun.Kind, r.AnalysisRun.Name, r.AnalysisRun.Status.StartedAt.UTC().Format(time.RFC3339),
		r.Plugin, r.Metric.Name, r.Metric.Interval, r.Metric.Count.String()))
	return m, nil
}

func (newer) Stop(_ context.Context, r v2.MetricRequest) error {
	return errors.New("cannot end " + r.InFlight.Metadata["id"])
}

func (newer) Describe(_ context.Context, r v2.MetricRequest) (map[string]string, error) {
	return map[string]string{"ResolvedQuery": r.Metric.Name + " with " + secret}, nil
}

func (newer) Collect(_ context.Context, _ v2.MetricRequest, keep int) error {
	return fmt.Errorf("kept %d", keep)
}

func TestVerdictsOfTheSecondProtocol(t *testing.T) {
	for name, c := range map[string]struct {
		answer  string
		want    metric.Result
		wantErr string
	}{
		"a success, and all that it was told": {`{"phase":"Successful","value":"ALL"}`,
			metric.Result{Kind: metric.Verdict, Phase: v1alpha1.AnalysisPhaseSuccessful, Display: `AnalysisRun web-1 of 2026-08-17T10:00:00Z by a/judge, metric rate every 2m, 3 times`}, ""},
		"a failure with its reason": {`{"phase":"Failed","message":"too bad","metadata":{"a":"` + secret + `"}}`,
			metric.Result{Kind: metric.Verdict, Phase: v1alpha1.AnalysisPhaseFailed, Message: "too bad", Metadata: map[string]string{"a": "*****"}}, ""},
		"it goes on": {`{"phase":"Running","metadata":{"id":"7"},"resumeAt":"2026-08-17T10:01:00Z"}`,
			metric.Result{Kind: metric.Pending, After: time.Minute, Metadata: map[string]string{"id": "7"}}, ""},
		"an error that it measured":  {`{"phase":"Error","message":"no ` + secret + `"}`, metric.Result{}, "failed to run via plugin: no *****"},
		"it could not measure":       {`{"message":"no"}`, metric.Result{}, "failed to run via plugin: plugin a/judge: no route *****"},
		"no phase is no success":     {`{}`, metric.Result{}, `the plugin gave a measurement of phase ""`},
		"a configuration of its own": {`{"fase":1}`, metric.Result{}, "failed to run via plugin: plugin a/judge: the configuration cannot be used: spec.metrics[1].provider.plugin[a/judge].fase: there is no such field"},
		"it dies":                    {`{"message":"die"}`, metric.Result{}, "failed to run via plugin: plugin a/judge has died"}, // Covers: analysis edge 115.
	} {
		t.Run(name, func(t *testing.T) {
			p, r := judged(t, c.answer, "second")
			got, err := p.Measure(t.Context(), r)
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
			if (err != nil) != (c.wantErr != "") || err != nil && !strings.HasPrefix(err.Error(), c.wantErr) {
				t.Errorf("got %v, want %s", err, c.wantErr)
			}
		})
	}
}

// Covers: analysis defect 19.
func TestAPluginOfTheSecondProtocolThatHangs(t *testing.T) {
	p, r := judged(t, `{"message":"hang"}`, "second")
	p.Describe(r) // it runs
	p.(*provider).options.Timeout = 10 * time.Millisecond
	if _, err := p.Measure(t.Context(), r); err == nil || err.Error() != "failed to run via plugin: plugin a/judge gave no answer within the timeout of 10ms" {
		t.Errorf("got %v", err)
	}
}

func TestAMeasurementOfTheSecondProtocolThatGoesOn(t *testing.T) {
	for name, c := range map[string]struct {
		args, stop, collect string
		described           map[string]string
	}{
		"it leaves something behind": {"second", "failed to terminate via plugin: plugin a/judge: cannot end 7",
			"failed to garbage collect via plugin: plugin a/judge: kept 4", map[string]string{"ResolvedQuery": "rate with *****"}},
		"it leaves nothing behind": {"bare", "", "", map[string]string{}},
	} {
		t.Run(name, func(t *testing.T) {
			p, r := judged(t, `{}`, c.args)
			at := metav1.NewTime(now)
			r.InFlight = &v1alpha1.Measurement{Phase: v1alpha1.AnalysisPhaseRunning, StartedAt: &at, Metadata: map[string]string{"id": "7"}}
			got, err := p.Measure(t.Context(), r)
			if err != nil || got.Phase != v1alpha1.AnalysisPhaseSuccessful || got.Display != "after 7 of 2026-08-17T10:00:00Z" {
				t.Errorf("got %+v, %v", got, err)
			}
			if err := p.(metric.Stopper).Stop(t.Context(), r); fmt.Sprint(err) != fmt.Sprint(errorOf(c.stop)) {
				t.Errorf("stop: %v", err)
			}
			if err := p.(metric.Collector).Collect(t.Context(), r, 4); fmt.Sprint(err) != fmt.Sprint(errorOf(c.collect)) {
				t.Errorf("collect: %v", err)
			}
			if d := cmp.Diff(c.described, p.Describe(r)); d != "" {
				t.Error(d)
			}
		})
	}
}

func errorOf(text string) error {
	if text == "" {
		return nil
	}
	return errors.New(text)
}

// FuzzReadMeasurement: whatever a plugin answers, there is no panic, and no verdict without
// one of the phases.
func FuzzReadMeasurement(f *testing.F) {
	f.Add([]byte(`{"phase":"Running","resumeAt":"2026-08-17T10:01:00Z"}`))
	f.Add([]byte(`{"phase":"Successful","metadata":null,"startedAt":"x"}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := readMeasurement(&wire.MeasureReply{Measurement: raw})
		if err != nil {
			return
		}
		r, err := read(m, metric.Request{Now: now})
		if err == nil && (r.Kind == metric.Verdict) != r.Phase.Completed() {
			t.Errorf("%+v of %s", r, raw)
		}
		if _, err := json.Marshal(m); err != nil {
			t.Error(err)
		}
	})
}
