package prometheus

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/prometheus/client_golang/api"
	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/metric"
	"github.com/penstock-io/penstock/internal/metric/awsauth"
	"github.com/penstock-io/penstock/internal/metric/outbound"
)

// maxNames bounds the series that a message can name.
const maxNames = 8

// defaultTimeout is the time limit of a metric that sets none, or 0.
const defaultTimeout = 30 * time.Second

// Options are what the process gives.
type Options struct {
	// Address is used by metrics without one: ARGO_ROLLOUTS_PROMETHEUS_ADDRESS.
	Address string
	// Client makes the requests; nil means one that refuses no address.
	Client *outbound.Client
	// AWS finds the credentials to sign with; nil means the SDK's default chain.
	AWS *awsauth.Source
}

// New returns the provider.
func New(o Options) metric.Provider {
	if o.Client == nil {
		o.Client = outbound.New(nil)
	}
	if o.AWS == nil {
		o.AWS = awsauth.New(nil)
	}
	return &provider{o}
}

type provider struct{ options Options }

// Describe shows the query as it is sent.
func (p *provider) Describe(r metric.Request) map[string]string {
	m := r.Provider.Prometheus
	if m == nil {
		return nil
	}
	return metric.Asked("Prometheus", m.Query, r.Credentials(m.Authentication, m.Headers, m.Address))
}

// Check implements metric.Checker.
func (p *provider) Check(m v1alpha1.MetricProvider) error {
	_, noLimit := timeout(m.Prometheus)
	_, noAddress := p.address(m.Prometheus)
	_, noWindow := windowOf(m.Prometheus, time.Now())
	for _, err := range []error{noLimit, noAddress, noWindow} {
		if err != nil {
			return err
		}
	}
	return settings(m.Prometheus.Authentication)
}

// Measure queries Prometheus.
func (p *provider) Measure(ctx context.Context, r metric.Request) (metric.Result, error) {
	m := r.Provider.Prometheus
	if m == nil {
		return metric.Result{}, fmt.Errorf("metric %s has no prometheus provider", r.Metric)
	}
	res, secrets, err := p.measure(ctx, r, m)
	secrets = append(secrets, r.Credentials(m.Authentication, m.Headers, m.Address)...)
	if err != nil {
		return metric.Result{}, metric.Sentence(err, secrets)
	}
	return res.Redact(secrets), nil
}

// measure returns with the result the secrets that came up on the way.
func (p *provider) measure(ctx context.Context, r metric.Request, m *v1alpha1.PrometheusMetric) (res metric.Result, secrets []string, err error) {
	limit, err := timeout(m)
	if err != nil {
		return res, nil, err
	}
	address, err := p.address(m)
	if err != nil {
		return res, nil, err
	}
	window, err := windowOf(m, r.Now)
	if err != nil {
		return res, nil, err
	}
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	way, err := p.authenticate(ctx, m, address, limit)
	if err != nil {
		return res, nil, err
	}
	v, warnings, err := query(limited, address.String(), way, m.Query, window, r.Now)
	if err != nil {
		return res, way.secrets(), explain(ctx, limited, err, address, limit)
	}
	res, err = decode(v, warnings, model.LabelName(m.NameBy))
	return res, way.secrets(), err
}

func query(ctx context.Context, address string, rt http.RoundTripper, text string, window *promv1.Range, now time.Time) (model.Value, promv1.Warnings, error) {
	client, err := api.NewClient(api.Config{Address: address, RoundTripper: rt})
	if err != nil {
		return nil, nil, err
	}
	client = nullable{client}
	var v model.Value
	var warnings promv1.Warnings
	if window != nil {
		v, warnings, _, err = promv1.NewAPI(client).QueryRange(ctx, text, *window)
	} else {
		v, warnings, _, err = promv1.NewAPI(client).Query(ctx, text, now)
	}
	if err == nil && v == nil {
		err = errors.New("the answer is no result of a query")
	}
	return v, warnings, err
}

func timeout(m *v1alpha1.PrometheusMetric) (time.Duration, error) {
	switch {
	case m.Timeout == nil || *m.Timeout == 0:
		return defaultTimeout, nil
	case *m.Timeout < 0:
		return 0, errors.New("prometheus timeout should not be negative")
	}
	return time.Duration(min(*m.Timeout, math.MaxInt32)) * time.Second, nil
}

func (p *provider) address(m *v1alpha1.PrometheusMetric) (*url.URL, error) {
	address := m.Address
	if address == "" {
		address = p.options.Address
	}
	if address == "" {
		return nil, errors.New("prometheus address is not configured")
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme == "" || u.Host == "" {
		return nil, errors.New("prometheus address is not is url format; want one such as http://prometheus.monitoring:9090")
	}
	return u, nil
}

// explain says in one sentence why there is no answer. A Prometheus error is passed on
// in its own words.
func explain(ctx, limited context.Context, err error, address *url.URL, limit time.Duration) error {
	var answered *promv1.Error
	if limited.Err() == nil && errors.As(err, &answered) {
		return err
	}
	return outbound.Explain(ctx, limited, "query Prometheus at "+address.Redacted(), limit, err)
}

// decode turns an answer into a Result. With nameBy the series get names instead of places.
func decode(v model.Value, warnings promv1.Warnings, nameBy model.LabelName) (metric.Result, error) {
	res := metric.Result{Kind: metric.Values}
	if len(warnings) > 0 {
		quoted := make([]string, len(warnings))
		for i, w := range warnings {
			quoted[i] = `"` + w + `"`
		}
		res.Metadata = map[string]string{"warnings": strings.Join(quoted, ", ")}
	}
	var samples []float64
	switch v := v.(type) {
	case *model.Scalar:
		res.Value, res.Display = float64(v.Value), v.Value.String()
		if math.IsNaN(float64(v.Value)) {
			res.Kind, res.Why = metric.NoData, "the query returned NaN"
		}
		return res, nil
	case model.Vector:
		samples = make([]float64, 0, len(v))
		for _, s := range v {
			if s.Histogram != nil {
				return res, errHistogram
			}
			samples = append(samples, float64(s.Value))
			if len(s.Metric) > 0 && len(res.Names) < maxNames {
				res.Names = append(res.Names, s.Metric.String())
			}
		}
	case model.Matrix:
		samples = make([]float64, 0, len(v))
		for _, series := range v {
			if len(series.Histograms) > 0 {
				return res, errHistogram
			}
			for _, s := range series.Values {
				samples = append(samples, float64(s.Value))
			}
		}
	default:
		return res, errors.New("Prometheus metric type not supported") //nolint:staticcheck // published text
	}
	res.Value, res.Display = samples, display(samples)
	if vector, ok := v.(model.Vector); ok && nameBy != "" && len(vector) > 0 {
		return named(res, vector, nameBy)
	}
	switch {
	case len(samples) == 0:
		res.Kind, res.Why = metric.NoData, "the query returned no series"
	case allNaN(samples):
		res.Kind, res.Why = metric.NoData, "the query returned only NaN"
	}
	return res, nil
}

var errHistogram = errors.New("the query returned a native histogram, which is no single number: use a function such as histogram_quantile")

func display(samples []float64) string {
	var b strings.Builder
	b.WriteByte('[')
	for i, f := range samples {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(model.SampleValue(f).String())
		if b.Len() > 4<<10 { // the status keeps less than this
			break
		}
	}
	b.WriteByte(']')
	return b.String()
}

func allNaN(samples []float64) bool {
	for _, f := range samples {
		if !math.IsNaN(f) {
			return false
		}
	}
	return true
}
