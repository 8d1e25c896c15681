package plugin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/metric"
	"github.com/penstock-io/penstock/internal/plugin"
)

const (
	// defaultTimeout bounds one call.
	defaultTimeout = 30 * time.Second
	// again is when a measurement that goes on is asked after, unless it says when.
	again = 15 * time.Second
)

// Caller calls plugins by name; *plugin.Registry is one.
type Caller interface {
	// Speaks tells whether Call or Conn is to be used.
	Speaks(ctx context.Context, name string) (version int, err error)
	Call(ctx context.Context, name, method string, args, reply any) error
	Conn(name, path string) grpc.ClientConnInterface
}

// Options are what the process gives.
type Options struct {
	Plugins Caller
	// Timeout bounds one call; default 30 s.
	Timeout time.Duration
}

// New returns the provider.
func New(o Options) metric.Provider {
	register()
	o.Timeout = cmp.Or(o.Timeout, defaultTimeout)
	return &provider{o}
}

type provider struct{ options Options }

// Check implements metric.Checker.
func (*provider) Check(m v1alpha1.MetricProvider) error {
	_, err := nameOf(m)
	return err
}

// nameOf is the one plugin that a metric names.
func nameOf(m v1alpha1.MetricProvider) (string, error) {
	if len(m.Plugin) != 1 {
		return "", fmt.Errorf("plugin: want exactly one, by its name in ConfigMap %s, got %d", plugin.ConfigMap, len(m.Plugin))
	}
	for name := range m.Plugin {
		return name, nil
	}
	return "", nil
}

// Describe shows what the plugin tells of itself.
func (p *provider) Describe(r metric.Request) map[string]string {
	told := map[string]string{}
	if err := p.call(context.Background(), r, "GetMetadata", GetMetadataArgs{Metric: *r.Whole}, &told, describe(told)); err != nil {
		return nil // Measure says why
	}
	for k, v := range told {
		told[k] = metric.Redact(v, r.Secrets)
	}
	return told
}

// Measure begins a measurement, or asks what became of one.
func (p *provider) Measure(ctx context.Context, r metric.Request) (metric.Result, error) {
	var m v1alpha1.Measurement
	var err error
	verb := "run"
	if r.InFlight == nil {
		err = p.call(ctx, r, "Run", RunArgs{AnalysisRun: r.Stored, Metric: *r.Whole}, &m, measure(&m))
	} else {
		verb = "resume"
		err = p.call(ctx, r, "Resume", TerminateAndResumeArgs{AnalysisRun: r.Stored, Metric: *r.Whole, Measurement: *r.InFlight}, &m, measure(&m))
	}
	if err == nil && m.Phase == v1alpha1.AnalysisPhaseError {
		err = errors.New(m.Message)
	}
	if err != nil {
		return metric.Result{}, metric.Sentence(fmt.Errorf("failed to %s via plugin: %w", verb, err), r.Secrets)
	}
	return read(m, r)
}

// read takes the plugin's verdict as it is.
func read(m v1alpha1.Measurement, r metric.Request) (metric.Result, error) {
	res := metric.Result{Kind: metric.Verdict, Phase: m.Phase, Message: m.Message, Display: m.Value, Metadata: m.Metadata}.Redact(r.Secrets)
	switch {
	case m.Phase.Completed():
		return res, nil
	case m.Phase != v1alpha1.AnalysisPhaseRunning:
		return metric.Result{}, fmt.Errorf("the plugin gave a measurement of phase %q, which is none of Running, Successful, Failed, Error and Inconclusive", m.Phase)
	}
	res.Kind, res.Phase, res.After = metric.Pending, "", again
	if m.ResumeAt != nil {
		res.After = m.ResumeAt.Sub(r.Now)
	}
	return res, nil
}

// Stop implements metric.Stopper.
func (p *provider) Stop(ctx context.Context, r metric.Request) error {
	if r.InFlight == nil {
		return nil
	}
	var m v1alpha1.Measurement
	err := p.call(ctx, r, "Terminate", TerminateAndResumeArgs{AnalysisRun: r.Stored, Metric: *r.Whole, Measurement: *r.InFlight}, &m, stop)
	if err == nil && m.Phase == v1alpha1.AnalysisPhaseError {
		err = errors.New(m.Message)
	}
	if err != nil {
		return metric.Sentence(fmt.Errorf("failed to terminate via plugin: %w", err), r.Secrets)
	}
	return nil
}

// Collect implements metric.Collector.
func (p *provider) Collect(ctx context.Context, r metric.Request, keep int) error {
	var reply plugin.Error
	err := p.call(ctx, r, "GarbageCollect", GarbageCollectArgs{AnalysisRun: r.Stored, Metric: *r.Whole, Limit: keep}, &reply, collect(keep))
	if err == nil && reply.ErrorString != "" {
		err = errors.New(reply.ErrorString)
	}
	if err != nil {
		return metric.Sentence(fmt.Errorf("failed to garbage collect via plugin: %w", err), r.Secrets)
	}
	return nil
}

// call asks in the protocol that the plugin speaks, within the bound: a method of net/rpc, to
// which args are passed as an interface, which is how it carries them, or second.
func (p *provider) call(ctx context.Context, r metric.Request, method string, args, reply any, second question) error {
	name, err := nameOf(r.Provider)
	if err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, p.options.Timeout)
	defer cancel()
	version, err := p.options.Plugins.Speaks(limited, name)
	switch {
	case err == nil && version == plugin.Second:
		err = p.ask(limited, r, name, second)
	case err == nil:
		err = p.options.Plugins.Call(limited, name, method, &args, reply)
	}
	if err == nil {
		return nil
	}
	if ctx.Err() == nil && limited.Err() != nil {
		err = fmt.Errorf("plugin %s gave no answer within the timeout of %s", name, p.options.Timeout)
	}
	if version == plugin.Second {
		return err
	}
	return fmt.Errorf("%s rpc call error: %w", method, err)
}
