package plugin

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/plugin/v2/wire"
)

// all implements the three kinds, and Stopper, Describer and Collector.
type all struct {
	metric  func(MetricRequest) (v1alpha1.Measurement, error)
	keep    int
	traffic TrafficRequest
	split   Split
	step    StepRequest
	left    time.Duration
	err     error
}

func (a *all) Measure(_ context.Context, r MetricRequest) (v1alpha1.Measurement, error) {
	return a.metric(r)
}

func (a *all) Stop(context.Context, MetricRequest) error { return a.err }

func (a *all) Describe(_ context.Context, r MetricRequest) (map[string]string, error) {
	return map[string]string{"asked": r.Metric.Name}, a.err
}

func (a *all) Collect(_ context.Context, _ MetricRequest, keep int) error {
	a.keep = keep
	return a.err
}

func (a *all) Observe(_ context.Context, r TrafficRequest) (Observation, error) {
	a.traffic = r
	return Observation{Written: a.split, Verifies: true, Settle: 3 * time.Second, Again: time.Minute, Problem: "no zone"}, a.err
}

func (a *all) Apply(_ context.Context, r TrafficRequest, s Split) error {
	a.traffic, a.split = r, s
	return a.err
}

func (a *all) Run(ctx context.Context, r StepRequest) (StepReply, error) {
	deadline, _ := ctx.Deadline()
	a.step, a.left = r, time.Until(deadline)
	return StepReply{Phase: v1alpha1.StepPluginPhaseRunning, Message: "on", Again: 1500 * time.Millisecond, State: json.RawMessage(`{"n":2}`)}, a.err
}

func (a *all) Terminate(_ context.Context, r StepRequest) (StepReply, error) {
	return StepReply{Phase: v1alpha1.StepPluginPhaseSuccessful, Message: "ended " + string(r.State)}, a.err
}

func (a *all) Abort(context.Context, StepRequest) (StepReply, error) {
	return StepReply{Phase: v1alpha1.StepPluginPhaseFailed, Again: -1}, a.err
}

// bare is a metric that leaves nothing behind.
type bare struct{ Metric }

// dial connects to the kinds over gRPC.
func dial(t *testing.T, kinds ...Kind) *grpc.ClientConn {
	t.Helper()
	listener, server := bufconn.Listen(1<<16), grpc.NewServer()
	for _, k := range kinds {
		k.register(server)
	}
	go server.Serve(listener) //nolint:errcheck // it ends with the test
	t.Cleanup(server.Stop)
	conn, err := grpc.NewClient("passthrough:x", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func TestAMetricIsToldAndAnswers(t *testing.T) {
	var got MetricRequest
	a := &all{metric: func(r MetricRequest) (v1alpha1.Measurement, error) {
		got = r
		return v1alpha1.Measurement{Phase: v1alpha1.AnalysisPhaseRunning, Value: "0", Metadata: map[string]string{}}, nil
	}}
	c := wire.NewMetricClient(dial(t, OfMetric(a)))
	request := &wire.MeasureRequest{Plugin: "shop/m", Config: []byte(`{"url":[]}`), AnalysisRun: []byte(`{"metadata":{"name":"run"}}`),
		Metric: []byte(`{"name":"rate","count":0}`), InFlight: []byte(`{"phase":"Running","metadata":{"id":"7"}}`)}
	reply, err := c.Measure(t.Context(), request)
	if err != nil || string(reply.GetMeasurement()) != `{"phase":"Running","value":"0"}` {
		t.Errorf("got %s, %v", reply.GetMeasurement(), err)
	}
	if got.Plugin != "shop/m" || string(got.Config) != `{"url":[]}` || got.AnalysisRun.Name != "run" || got.Metric.Name != "rate" ||
		got.Metric.Count == nil || got.InFlight.Metadata["id"] != "7" {
		t.Errorf("it was told %+v", got)
	}
	request.InFlight = nil
	if _, err := c.Measure(t.Context(), request); err != nil || got.InFlight != nil {
		t.Errorf("a new measurement has %+v in flight, %v", got.InFlight, err)
	}
	if told, err := c.Describe(t.Context(), request); err != nil || told.GetMetadata()["asked"] != "rate" {
		t.Errorf("described %v, %v", told, err)
	}
	if _, err := c.Collect(t.Context(), &wire.CollectRequest{Of: request, Keep: 4}); err != nil || a.keep != 4 {
		t.Errorf("collected with %d, %v", a.keep, err)
	}
	if _, err := c.Stop(t.Context(), request); err != nil {
		t.Error(err)
	}
}

func TestWhatAMetricDoesNotHaveIsUnimplemented(t *testing.T) {
	c := wire.NewMetricClient(dial(t, OfMetric(bare{&all{}})))
	_, stop := c.Stop(t.Context(), &wire.MeasureRequest{})
	_, describe := c.Describe(t.Context(), &wire.MeasureRequest{})
	_, collect := c.Collect(t.Context(), &wire.CollectRequest{})
	for name, err := range map[string]error{"Stop": stop, "Describe": describe, "Collect": collect} {
		if status.Code(err) != codes.Unimplemented {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestASplitArrivesAndIsToldBack(t *testing.T) {
	a := &all{}
	c := wire.NewTrafficClient(dial(t, OfTraffic(a)))
	want := Split{Total: 1000, Destinations: []Destination{{Stable, "s", "h1", 1000}, {Canary, "c", "h2", 0}, {Extra, "x", "h3", 0}},
		Headers: []v1alpha1.SetHeaderRoute{{Name: "h", Match: []v1alpha1.HeaderRoutingMatch{{HeaderName: "a", HeaderValue: &v1alpha1.StringMatch{Exact: "1"}}}}},
		Mirrors: []v1alpha1.SetMirrorRoute{{Name: "m", Percentage: new(int32), Match: []v1alpha1.RouteMatch{{Method: &v1alpha1.StringMatch{Exact: "GET"}}}}}}
	sent, err := encodeSplit(want)
	if err != nil {
		t.Fatal(err)
	}
	of := &wire.TrafficRequest{Plugin: "shop/t", Config: []byte(`{}`), Rollout: []byte(`{"metadata":{"name":"web"},"spec":{"replicas":0}}`), StableService: "s", CanaryService: "c"}
	if _, err := c.Apply(t.Context(), &wire.ApplyRequest{Of: of, Split: sent}); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, a.split); d != "" {
		t.Errorf("it was told another split: %s", d)
	}
	if r := a.traffic; r.Plugin != "shop/t" || r.Rollout.Name != "web" || r.Rollout.Spec.Replicas == nil || r.StableService != "s" || r.CanaryService != "c" || string(r.Config) != "{}" {
		t.Errorf("it was told %+v", r)
	}
	o, err := c.Observe(t.Context(), of)
	if err != nil || !o.GetVerifies() || o.GetConfirmed() || o.GetSettleSeconds() != 3 || o.GetAgainSeconds() != 60 || o.GetProblem() != "no zone" {
		t.Errorf("observed %v, %v", o, err)
	}
	got, err := decodeSplit(o.GetWritten())
	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Errorf("%v, %s", err, d)
	}
	if _, err := c.Apply(t.Context(), &wire.ApplyRequest{Of: of}); err != nil || !a.split.IsZero() || want.IsZero() {
		t.Errorf("the zero split arrives as %+v, %v", a.split, err)
	}
	if want.Weight(Stable) != 1000 || want.Weight("none") != 0 {
		t.Error("weights of roles")
	}
}

func TestAStepIsToldAndAnswers(t *testing.T) {
	a := &all{}
	c := wire.NewStepClient(dial(t, OfStep(a)))
	q := &wire.StepRequest{Plugin: "shop/s", Config: []byte(`{"a":1}`), Rollout: []byte(`{"metadata":{"name":"web"}}`), Index: 3, State: []byte(`{"n":1}`)}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	r, err := c.Run(ctx, q)
	if err != nil || r.GetPhase() != "Running" || r.GetMessage() != "on" || r.GetAgainSeconds() != 1.5 || string(r.GetState()) != `{"n":2}` {
		t.Errorf("run: %v, %v", r, err)
	}
	if a.step.Plugin != "shop/s" || a.step.Index != 3 || a.step.Rollout.Name != "web" || string(a.step.State) != `{"n":1}` || a.left <= 0 || a.left > time.Minute {
		t.Errorf("it was told %+v with %s left", a.step, a.left)
	}
	if r, err = c.Terminate(ctx, q); err != nil || r.GetMessage() != `ended {"n":1}` {
		t.Errorf("terminate: %v, %v", r, err)
	}
	if r, err = c.Abort(ctx, q); err != nil || r.GetPhase() != "Failed" || r.GetAgainSeconds() != 0 {
		t.Errorf("abort: %v, %v", r, err)
	}
}

func TestWhatCannotBeReadIsRefusedByItsName(t *testing.T) {
	a := &all{}
	conn := dial(t, OfMetric(a), OfTraffic(a), OfStep(a))
	m, r, s := wire.NewMetricClient(conn), wire.NewTrafficClient(conn), wire.NewStepClient(conn)
	ok, bad := []byte("{}"), []byte(`{"spec":`)
	for want, ask := range map[string]func(context.Context) error{
		"analysis_run": func(ctx context.Context) error {
			_, err := m.Measure(ctx, &wire.MeasureRequest{AnalysisRun: bad, Metric: ok})
			return err
		},
		"metric": func(ctx context.Context) error {
			_, err := m.Stop(ctx, &wire.MeasureRequest{AnalysisRun: ok})
			return err
		},
		"in_flight": func(ctx context.Context) error {
			_, err := m.Describe(ctx, &wire.MeasureRequest{AnalysisRun: ok, Metric: ok, InFlight: []byte(`[]`)})
			return err
		},
		"split.headers": func(ctx context.Context) error {
			_, err := r.Apply(ctx, &wire.ApplyRequest{Of: &wire.TrafficRequest{Rollout: ok}, Split: &wire.Split{Headers: [][]byte{bad}}})
			return err
		},
		"split.mirrors": func(ctx context.Context) error {
			_, err := r.Apply(ctx, &wire.ApplyRequest{Of: &wire.TrafficRequest{Rollout: ok}, Split: &wire.Split{Mirrors: [][]byte{ok, bad}}})
			return err
		},
		"rollout": func(ctx context.Context) error {
			_, err := s.Abort(ctx, &wire.StepRequest{Rollout: bad})
			return err
		},
	} {
		if err := ask(t.Context()); status.Code(err) != codes.InvalidArgument || !strings.HasPrefix(status.Convert(err).Message(), want+": ") {
			t.Errorf("%s: %v", want, err)
		}
	}
	if _, err := r.Observe(t.Context(), nil); status.Code(err) != codes.InvalidArgument {
		t.Errorf("an empty request: %v", err)
	}
}

func TestErrorsArrive(t *testing.T) {
	a := &all{}
	c := wire.NewStepClient(dial(t, OfStep(a)))
	for name, e := range map[string]struct {
		err     error
		code    codes.Code
		message string
		fields  string
	}{
		"any error":                {errors.New("the lift is stuck"), codes.Unknown, "the lift is stuck", ""},
		"a status of the author's": {status.Error(codes.NotFound, "no such job"), codes.NotFound, "no such job", ""},
		"a refusal":                {Refuse("probe.url", "want https"), codes.InvalidArgument, "the configuration cannot be used", "probe.url: want https"},
	} {
		a.err = e.err
		_, err := c.Run(t.Context(), &wire.StepRequest{Rollout: []byte("{}")})
		s := status.Convert(err)
		var fields []string
		for _, d := range s.Details() {
			for _, v := range d.(*errdetails.BadRequest).GetFieldViolations() {
				fields = append(fields, v.GetField()+": "+v.GetDescription())
			}
		}
		if s.Code() != e.code || s.Message() != e.message || strings.Join(fields, ", ") != e.fields {
			t.Errorf("%s: %v %q", name, err, fields)
		}
	}
}

func TestAConfigurationIsReadStrictly(t *testing.T) {
	for config, want := range map[string]string{
		``:                        "",
		`{"url":"x","n":{"m":0}}`: "",
		`{"ulr":"x"}`:             "ulr: there is no such field",
		`{"n":{"m":"x"}}`:         "n.m: want int, got string",
		`[1]`:                     ": want ",
		`{`:                       ": unexpected EOF",
	} {
		var c struct {
			URL string `json:"url"`
			N   struct {
				M int `json:"m"`
			} `json:"n"`
		}
		err := ReadConfig(json.RawMessage(config), &c)
		got := ""
		for _, d := range status.Convert(err).Details() {
			v := d.(*errdetails.BadRequest).GetFieldViolations()[0]
			got = v.GetField() + ": " + v.GetDescription()
		}
		if (err == nil) != (want == "") || !strings.HasPrefix(got, want) {
			t.Errorf("%s: got %q (%v), want %q", config, got, err, want)
		}
	}
}
