package plugin

import (
	"context"
	"encoding/json"
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/plugin/v2/wire"
)

type metricServer struct {
	wire.UnimplementedMetricServer
	of Metric
}

// Measure serves Metric.
func (s metricServer) Measure(ctx context.Context, q *wire.MeasureRequest) (*wire.MeasureReply, error) {
	r, err := metricRequest(q)
	if err != nil {
		return nil, err
	}
	m, err := s.of.Measure(ctx, r)
	if err != nil {
		return nil, err
	}
	raw, err := json.Marshal(m)
	return &wire.MeasureReply{Measurement: raw}, err
}

// Stop serves Stopper.
func (s metricServer) Stop(ctx context.Context, q *wire.MeasureRequest) (*wire.StopReply, error) {
	p, ok := s.of.(Stopper)
	if !ok {
		return nil, status.Error(codes.Unimplemented, "nothing to stop")
	}
	r, err := metricRequest(q)
	if err != nil {
		return nil, err
	}
	return &wire.StopReply{}, p.Stop(ctx, r)
}

// Describe serves Describer.
func (s metricServer) Describe(ctx context.Context, q *wire.MeasureRequest) (*wire.DescribeReply, error) {
	p, ok := s.of.(Describer)
	if !ok {
		return nil, status.Error(codes.Unimplemented, "nothing to show")
	}
	r, err := metricRequest(q)
	if err != nil {
		return nil, err
	}
	m, err := p.Describe(ctx, r)
	return &wire.DescribeReply{Metadata: m}, err
}

// Collect serves Collector.
func (s metricServer) Collect(ctx context.Context, q *wire.CollectRequest) (*wire.CollectReply, error) {
	p, ok := s.of.(Collector)
	if !ok {
		return nil, status.Error(codes.Unimplemented, "nothing is left behind")
	}
	r, err := metricRequest(q.GetOf())
	if err != nil {
		return nil, err
	}
	return &wire.CollectReply{}, p.Collect(ctx, r, int(q.GetKeep()))
}

func metricRequest(q *wire.MeasureRequest) (r MetricRequest, err error) {
	r = MetricRequest{Plugin: q.GetPlugin(), Config: q.GetConfig()}
	if r.AnalysisRun, err = decode[v1alpha1.AnalysisRun]("analysis_run", q.GetAnalysisRun()); err != nil {
		return r, err
	}
	if r.Metric, err = decode[v1alpha1.Metric]("metric", q.GetMetric()); err != nil {
		return r, err
	}
	if len(q.GetInFlight()) > 0 {
		r.InFlight, err = decode[v1alpha1.Measurement]("in_flight", q.GetInFlight())
	}
	return r, err
}

type trafficServer struct {
	wire.UnimplementedTrafficServer
	of Traffic
}

// Observe serves Traffic.
func (s trafficServer) Observe(ctx context.Context, q *wire.TrafficRequest) (*wire.Observation, error) {
	r, err := trafficRequest(q)
	if err != nil {
		return nil, err
	}
	o, err := s.of.Observe(ctx, r)
	if err != nil {
		return nil, err
	}
	written, err := encodeSplit(o.Written)
	return &wire.Observation{Written: written, Confirmed: o.Confirmed, Verifies: o.Verifies, Problem: o.Problem,
		SettleSeconds: o.Settle.Seconds(), AgainSeconds: o.Again.Seconds()}, err
}

// Apply serves Traffic.
func (s trafficServer) Apply(ctx context.Context, q *wire.ApplyRequest) (*wire.ApplyReply, error) {
	r, err := trafficRequest(q.GetOf())
	if err != nil {
		return nil, err
	}
	split, err := decodeSplit(q.GetSplit())
	if err != nil {
		return nil, err
	}
	return &wire.ApplyReply{}, s.of.Apply(ctx, r, split)
}

func trafficRequest(q *wire.TrafficRequest) (r TrafficRequest, err error) {
	r = TrafficRequest{Plugin: q.GetPlugin(), Config: q.GetConfig(), StableService: q.GetStableService(), CanaryService: q.GetCanaryService()}
	r.Rollout, err = decode[v1alpha1.Rollout]("rollout", q.GetRollout())
	return r, err
}

func encodeSplit(s Split) (*wire.Split, error) {
	out := &wire.Split{Total: s.Total}
	for _, d := range s.Destinations {
		out.Destinations = append(out.Destinations, &wire.Destination{Role: string(d.Role), Service: d.Service, Hash: d.Hash, Weight: d.Weight})
	}
	var err error
	if out.Headers, err = encodeAll(s.Headers); err == nil {
		out.Mirrors, err = encodeAll(s.Mirrors)
	}
	return out, err
}

func decodeSplit(w *wire.Split) (s Split, err error) {
	s.Total = w.GetTotal()
	for _, d := range w.GetDestinations() {
		s.Destinations = append(s.Destinations, Destination{Role: Role(d.GetRole()), Service: d.GetService(), Hash: d.GetHash(), Weight: d.GetWeight()})
	}
	if s.Headers, err = decodeAll[v1alpha1.SetHeaderRoute]("split.headers", w.GetHeaders()); err == nil {
		s.Mirrors, err = decodeAll[v1alpha1.SetMirrorRoute]("split.mirrors", w.GetMirrors())
	}
	return s, err
}

type stepServer struct {
	wire.UnimplementedStepServer
	of Step
}

// Run serves Step.
func (s stepServer) Run(ctx context.Context, q *wire.StepRequest) (*wire.StepReply, error) {
	return stepReply(ctx, q, s.of.Run)
}

// Terminate serves Step.
func (s stepServer) Terminate(ctx context.Context, q *wire.StepRequest) (*wire.StepReply, error) {
	return stepReply(ctx, q, s.of.Terminate)
}

// Abort serves Step.
func (s stepServer) Abort(ctx context.Context, q *wire.StepRequest) (*wire.StepReply, error) {
	return stepReply(ctx, q, s.of.Abort)
}

func stepReply(ctx context.Context, q *wire.StepRequest, ask func(context.Context, StepRequest) (StepReply, error)) (*wire.StepReply, error) {
	ro, err := decode[v1alpha1.Rollout]("rollout", q.GetRollout())
	if err != nil {
		return nil, err
	}
	r, err := ask(ctx, StepRequest{Plugin: q.GetPlugin(), Config: q.GetConfig(), Rollout: ro, Index: int(q.GetIndex()), State: q.GetState()})
	if err != nil {
		return nil, err
	}
	return &wire.StepReply{Phase: string(r.Phase), Message: r.Message, AgainSeconds: max(r.Again, 0).Seconds(), State: r.State}, nil
}

// decode reads an object; field is where it stands in the request.
func decode[T any](field string, raw []byte) (*T, error) {
	out := new(T)
	if err := json.Unmarshal(raw, out); err != nil {
		return nil, status.Error(codes.InvalidArgument, fmt.Sprintf("%s: %v", field, err))
	}
	return out, nil
}

func decodeAll[T any](field string, raw [][]byte) (list []T, err error) {
	for _, r := range raw {
		one, err := decode[T](field, r)
		if err != nil {
			return nil, err
		}
		list = append(list, *one)
	}
	return list, nil
}

func encodeAll[T any](list []T) (raw [][]byte, err error) {
	for i := range list {
		r, err := json.Marshal(list[i])
		if err != nil {
			return nil, err
		}
		raw = append(raw, r)
	}
	return raw, nil
}
