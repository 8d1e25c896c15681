package plugin

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/metric"
	"github.com/penstock-io/penstock/plugin/v2/wire"
)

// question is one call of the second protocol.
type question func(context.Context, wire.MetricClient, *wire.MeasureRequest) error

// ask puts a question to a plugin of the second protocol.
func (p *provider) ask(ctx context.Context, r metric.Request, name string, q question) error {
	request, err := requestOf(r, name)
	if err != nil {
		return err
	}
	return q(ctx, wire.NewMetricClient(p.options.Plugins.Conn(name, pathOf(r, name))), request)
}

// requestOf is what a plugin is told.
func requestOf(r metric.Request, name string) (*wire.MeasureRequest, error) {
	q := &wire.MeasureRequest{Plugin: name, Config: r.Provider.Plugin[name]}
	run := v1alpha1.AnalysisRun{}
	if r.Stored != nil {
		run = *r.Stored
	}
	run.APIVersion, run.Kind, run.ManagedFields = v1alpha1.GroupVersion.String(), "AnalysisRun", nil
	var err error
	if q.AnalysisRun, err = json.Marshal(run); err == nil {
		q.Metric, err = json.Marshal(r.Whole)
	}
	if err == nil && r.InFlight != nil {
		q.InFlight, err = json.Marshal(r.InFlight)
	}
	if err != nil {
		return nil, fmt.Errorf("write the metric as JSON: %w", err)
	}
	return q, nil
}

// pathOf is where the plugin's configuration stands in the run.
func pathOf(r metric.Request, name string) string {
	path := fmt.Sprintf("provider.plugin[%s]", name)
	if r.Stored == nil {
		return path
	}
	if i := slices.IndexFunc(r.Stored.Spec.Metrics, func(m v1alpha1.Metric) bool { return m.Name == r.Metric }); i >= 0 {
		path = fmt.Sprintf("spec.metrics[%d].%s", i, path)
	}
	return path
}

// measure begins a measurement, or asks what became of one.
func measure(m *v1alpha1.Measurement) question {
	return func(ctx context.Context, c wire.MetricClient, q *wire.MeasureRequest) error {
		reply, err := c.Measure(ctx, q)
		if err != nil {
			return err
		}
		*m, err = readMeasurement(reply)
		return err
	}
}

func readMeasurement(reply *wire.MeasureReply) (m v1alpha1.Measurement, err error) {
	if err := json.Unmarshal(reply.GetMeasurement(), &m); err != nil {
		return v1alpha1.Measurement{}, fmt.Errorf("the plugin's measurement cannot be read: %w", err)
	}
	return m, nil
}

// stop ends what goes on outside, if there is such.
func stop(ctx context.Context, c wire.MetricClient, q *wire.MeasureRequest) error {
	_, err := c.Stop(ctx, q)
	return unless(err)
}

// describe fills in what the plugin tells of itself.
func describe(told map[string]string) question {
	return func(ctx context.Context, c wire.MetricClient, q *wire.MeasureRequest) error {
		reply, err := c.Describe(ctx, q)
		maps.Copy(told, reply.GetMetadata())
		return unless(err)
	}
}

// collect clears away what all but the newest measurements have left, if they leave anything.
func collect(keep int) question {
	return func(ctx context.Context, c wire.MetricClient, q *wire.MeasureRequest) error {
		_, err := c.Collect(ctx, &wire.CollectRequest{Of: q, Keep: int32(min(keep, 1<<30))})
		return unless(err)
	}
}

// unless is the error, unless it says that there is nothing to do.
func unless(err error) error {
	if status.Code(err) == codes.Unimplemented {
		return nil
	}
	return err
}
