package plugin

import (
	"context"
	"crypto/sha256"
	"encoding/gob"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/rpc"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	goplugin "github.com/hashicorp/go-plugin"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/metric"
	"github.com/penstock-io/penstock/internal/plugin"
	v2 "github.com/penstock-io/penstock/plugin/v2"
)

const secret = "s3cr3t/t0ken"

// TestMain lets this program be the plugin as well, with types of its own, as other
// people's plugins have.
func TestMain(m *testing.M) {
	if os.Getenv("ARGO_ROLLOUTS_RPC_PLUGIN") != "metricprovider" {
		os.Exit(m.Run())
	}
	if len(os.Args) > 1 {
		var n v2.Metric = newer{}
		if os.Args[1] == "bare" {
			n = struct{ v2.Metric }{n}
		}
		v2.Serve(v2.OfMetric(n))
		return
	}
	gob.RegisterName("RunArgs", new(theirRunArgs))
	gob.RegisterName("TerminateAndResumeArgs", new(theirOtherArgs))
	gob.RegisterName("GarbageCollectArgs", new(theirCollectArgs))
	gob.RegisterName("GetMetadataArgs", new(theirMetadataArgs))
	goplugin.Serve(&goplugin.ServeConfig{
		HandshakeConfig: goplugin.HandshakeConfig{ProtocolVersion: 1, MagicCookieKey: "ARGO_ROLLOUTS_RPC_PLUGIN", MagicCookieValue: "metricprovider"},
		Plugins:         goplugin.PluginSet{"RpcMetricProviderPlugin": served{}},
	})
}

type served struct{}

func (served) Server(*goplugin.MuxBroker) (any, error) { return &theirs{}, nil }

func (served) Client(*goplugin.MuxBroker, *rpc.Client) (any, error) {
	return nil, errors.New("not here")
}

// What they know of the objects; gob matches by the names of fields.
type (
	theirRun struct {
		ObjectMeta struct{ Name string }
		Status     struct{ StartedAt *metav1.Time }
	}
	theirMetric struct {
		Name, SuccessCondition string
		Interval               string
		Count                  *intstr.IntOrString
		Provider               struct{ Plugin map[string]json.RawMessage }
	}
	TheirMeasurement struct {
		Phase, Message, Value string
		StartedAt, FinishedAt *metav1.Time
		ResumeAt              *metav1.Time
		Metadata              map[string]string
	}
	theirRunArgs struct {
		AnalysisRun *theirRun
		Metric      theirMetric
	}
	theirOtherArgs struct {
		AnalysisRun *theirRun
		Metric      theirMetric
		Measurement TheirMeasurement
	}
	theirCollectArgs struct {
		AnalysisRun *theirRun
		Metric      theirMetric
		Limit       int
	}
	theirMetadataArgs struct{ Metric theirMetric }
)

// theirs answers as its configuration says, and puts what it was told into the answer.
type theirs struct{}

func (*theirs) InitPlugin(_ any, _ *struct{ ErrorString string }) error { return nil }

func (*theirs) Run(args any, m *TheirMeasurement) error {
	a := args.(*theirRunArgs)
	raw := a.Metric.Provider.Plugin["a/judge"]
	if err := json.Unmarshal(raw, m); err != nil {
		return err
	}
	if m.Message == "die" {
		os.Exit(3)
	}
	if m.Message == "hang" {
		select {}
	}
	m.Value = strings.ReplaceAll(m.Value, "ALL", fmt.Sprintf("run %s of %s, metric %s every %s, %s times, %q", a.AnalysisRun.ObjectMeta.Name, a.AnalysisRun.Status.StartedAt.UTC().Format(time.RFC3339),
		a.Metric.Name, a.Metric.Interval, a.Metric.Count.String(), a.Metric.SuccessCondition))
	return nil
}

func (*theirs) Resume(args any, m *TheirMeasurement) error {
	a := args.(*theirOtherArgs)
	*m = TheirMeasurement{Phase: "Successful", Value: "after " + a.Measurement.Metadata["id"] + " of " + a.Measurement.StartedAt.UTC().Format(time.RFC3339)}
	return nil
}

func (*theirs) Terminate(args any, m *TheirMeasurement) error {
	*m = TheirMeasurement{Phase: "Error", Message: "cannot end " + args.(*theirOtherArgs).Measurement.Metadata["id"]}
	return nil
}

func (*theirs) GarbageCollect(args any, reply *struct{ ErrorString string }) error {
	reply.ErrorString = fmt.Sprintf("kept %d", args.(*theirCollectArgs).Limit)
	return nil
}

func (*theirs) GetMetadata(args any, reply *map[string]string) error {
	*reply = map[string]string{"ResolvedQuery": args.(*theirMetadataArgs).Metric.Name + " with " + secret}
	return nil
}

var now = time.Date(2026, 8, 17, 10, 0, 0, 0, time.UTC)

// judged makes the provider with this program as its plugin, and a request.
func judged(t *testing.T, answer string, args ...string) (metric.Provider, metric.Request) {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(raw)
	list := fmt.Sprintf("- {name: a/judge, location: \"file://%s\", sha256: %s, args: [%s]}\n", path, hex.EncodeToString(sum[:]), strings.Join(args, ","))
	r := &plugin.Registry{Kind: plugin.Metric, Dir: t.TempDir(), Log: logr.Discard(),
		Config: func(context.Context) (map[string]string, error) {
			return map[string]string{"metricProviderPlugins": list}, nil
		}}
	t.Cleanup(r.Close)
	count := intstr.FromInt32(3)
	m := &v1alpha1.Metric{Name: "rate", Interval: "2m", Count: &count, SuccessCondition: "result < 1",
		Provider: v1alpha1.MetricProvider{Plugin: map[string]json.RawMessage{"a/judge": json.RawMessage(answer)}}}
	at := metav1.NewTime(now)
	run := &v1alpha1.AnalysisRun{Spec: v1alpha1.AnalysisRunSpec{Metrics: []v1alpha1.Metric{{Name: "other"}, {Name: "rate"}}}, ObjectMeta: metav1.ObjectMeta{Name: "web-1", CreationTimestamp: at, ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "x", FieldsV1: &metav1.FieldsV1{Raw: []byte("{}")}}}},
		Status: v1alpha1.AnalysisRunStatus{StartedAt: &at}}
	return New(Options{Plugins: r}), metric.Request{Metric: "rate", Provider: m.Provider, Whole: m, Stored: run, Now: now, Secrets: []string{secret}}
}

func TestVerdicts(t *testing.T) {
	for name, c := range map[string]struct {
		answer  string
		want    metric.Result
		wantErr string
	}{
		"a success, and all that it was told": {`{"Phase":"Successful","Value":"ALL"}`,
			metric.Result{Kind: metric.Verdict, Phase: v1alpha1.AnalysisPhaseSuccessful, Display: `run web-1 of 2026-08-17T10:00:00Z, metric rate every 2m, 3 times, "result < 1"`}, ""},
		"a failure with its reason": {`{"Phase":"Failed","Message":"too bad","Metadata":{"a":"b"}}`,
			metric.Result{Kind: metric.Verdict, Phase: v1alpha1.AnalysisPhaseFailed, Message: "too bad", Metadata: map[string]string{"a": "b"}}, ""},
		"no data is what the plugin says": {`{"Phase":"Inconclusive","Message":"nothing there"}`,
			metric.Result{Kind: metric.Verdict, Phase: v1alpha1.AnalysisPhaseInconclusive, Message: "nothing there"}, ""},
		"it goes on": {`{"Phase":"Running","Metadata":{"id":"7"},"ResumeAt":"2026-08-17T10:01:00Z"}`,
			metric.Result{Kind: metric.Pending, After: time.Minute, Metadata: map[string]string{"id": "7"}}, ""},
		"it goes on, nobody knows how long": {`{"Phase":"Running"}`, metric.Result{Kind: metric.Pending, After: again}, ""},
		"secrets do not come out": {`{"Phase":"Failed","Message":"` + secret + `","Value":"` + secret + `","Metadata":{"a":"` + secret + `"}}`,
			metric.Result{Kind: metric.Verdict, Phase: v1alpha1.AnalysisPhaseFailed, Message: "*****", Display: "*****", Metadata: map[string]string{"a": "*****"}}, ""},
		"an error":                 {`{"Phase":"Error","Message":"no\nroute ` + secret + `"}`, metric.Result{}, "failed to run via plugin: no route *****"},
		"a phase that is none":     {`{"Phase":"Great"}`, metric.Result{}, `the plugin gave a measurement of phase "Great"`},
		"no phase is no success":   {`{}`, metric.Result{}, `the plugin gave a measurement of phase ""`},
		"a configuration of words": {`"x"`, metric.Result{}, "failed to run via plugin: Run rpc call error: json: "},
		"it dies":                  {`{"Message":"die"}`, metric.Result{}, "failed to run via plugin: Run rpc call error: plugin a/judge has died"}, // Covers: analysis edge 115.
	} {
		t.Run(name, func(t *testing.T) {
			p, r := judged(t, c.answer)
			got, err := p.Measure(context.Background(), r)
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
			if (err != nil) != (c.wantErr != "") || err != nil && !strings.HasPrefix(err.Error(), c.wantErr) {
				t.Errorf("got %v, want %s", err, c.wantErr)
			}
		})
	}
}

// TestAfterACrashTheNextMeasurementStartsItAgain.
// Covers: analysis edge 115.
func TestAfterACrashTheNextMeasurementStartsItAgain(t *testing.T) {
	p, r := judged(t, `{"Message":"die"}`)
	if _, err := p.Measure(context.Background(), r); err == nil || !strings.Contains(err.Error(), "rpc call error: ") {
		t.Fatalf("got %v", err)
	}
	r.Provider.Plugin["a/judge"] = json.RawMessage(`{"Phase":"Successful"}`)
	if got, err := p.Measure(context.Background(), r); err != nil || got.Phase != v1alpha1.AnalysisPhaseSuccessful {
		t.Errorf("got %+v, %v", got, err)
	}
}

// Covers: analysis defect 19.
func TestAPluginThatHangs(t *testing.T) {
	p, r := judged(t, `{"Message":"hang"}`)
	p.Describe(r) // it runs
	p.(*provider).options.Timeout = 10 * time.Millisecond
	if _, err := p.Measure(context.Background(), r); err == nil || err.Error() != "failed to run via plugin: Run rpc call error: plugin a/judge gave no answer within the timeout of 10ms" {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := p.Measure(ctx, r); err == nil || !strings.Contains(err.Error(), "canceled") {
		t.Errorf("got %v", err)
	}
}

func TestAMeasurementThatGoesOn(t *testing.T) {
	p, r := judged(t, `{}`)
	at := metav1.NewTime(now)
	r.InFlight = &v1alpha1.Measurement{Phase: v1alpha1.AnalysisPhaseRunning, StartedAt: &at, Metadata: map[string]string{"id": "7"}}
	got, err := p.Measure(context.Background(), r)
	if err != nil || got.Phase != v1alpha1.AnalysisPhaseSuccessful || got.Display != "after 7 of 2026-08-17T10:00:00Z" {
		t.Errorf("got %+v, %v", got, err)
	}
	if err := p.(metric.Stopper).Stop(context.Background(), r); err == nil || err.Error() != "failed to terminate via plugin: cannot end 7" {
		t.Errorf("got %v", err)
	}
	if err := p.(metric.Collector).Collect(context.Background(), r, 4); err == nil || err.Error() != "failed to garbage collect via plugin: kept 4" {
		t.Errorf("got %v", err)
	}
	if d := cmp.Diff(map[string]string{"ResolvedQuery": "rate with *****"}, p.Describe(r)); d != "" {
		t.Error(d)
	}
	r.InFlight = nil
	if err := p.(metric.Stopper).Stop(context.Background(), r); err != nil {
		t.Errorf("there is nothing to end: %v", err)
	}
}

func TestAPluginThatIsNotThere(t *testing.T) {
	p, r := judged(t, `{}`)
	r.Provider.Plugin = map[string]json.RawMessage{"a/other": json.RawMessage(`{}`)}
	if _, err := p.Measure(context.Background(), r); err == nil || !strings.Contains(err.Error(), "plugin a/other not configured in configmap") {
		t.Errorf("got %v", err)
	}
	two := v1alpha1.MetricProvider{Plugin: map[string]json.RawMessage{"a/b": nil, "a/c": nil}}
	if err := p.(metric.Checker).Check(two); err == nil || !strings.HasPrefix(err.Error(), "plugin: want exactly one") {
		t.Errorf("got %v", err)
	}
	if err := p.(metric.Checker).Check(r.Provider); err != nil {
		t.Error(err)
	}
}
