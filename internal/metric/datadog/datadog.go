package datadog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/metric"
	"github.com/penstock-io/penstock/internal/metric/outbound"
)

const (
	// defaultInterval is how far a metric looks back, and defaultTimeout its time limit,
	// where it says nothing: the defaults of the published CRD.
	defaultInterval = 5 * time.Minute
	defaultTimeout  = 10 * time.Second
	// maxAnswer is the most that is read of one answer, in bytes: v1 answers with all points
	// of all series, of which only the first is used.
	maxAnswer = 8 << 20
	// maxShown is how much of an answer an error shows, and maxLabel how much of it names a
	// group, in bytes.
	maxShown, maxLabel = 200, 512
)

// Options are what the process gives.
type Options struct {
	// Client makes the requests; nil means one that refuses no address.
	Client *outbound.Client
	// Secrets reads credentials.
	Secrets metric.SecretReader
	// Env reads the controller's environment: DD_API_KEY, DD_APP_KEY and DD_ADDRESS; nil
	// means that there is none.
	Env func(string) string
}

// New returns the provider.
func New(o Options) metric.Provider {
	if o.Client == nil {
		o.Client = outbound.New(nil)
	}
	if o.Env == nil {
		o.Env = func(string) string { return "" }
	}
	return &provider{o}
}

type provider struct{ options Options }

// Describe shows the query as it is sent; of several also the formula.
func (*provider) Describe(r metric.Request) map[string]string {
	m := r.Provider.Datadog
	if m == nil {
		return nil
	}
	text := m.Query
	if m.Formula != "" {
		text = m.Formula
	}
	for _, name := range slices.Sorted(maps.Keys(m.Queries)) {
		if text == "" {
			text = m.Queries[name]
		} else {
			text += fmt.Sprintf("; %s = %s", name, m.Queries[name])
		}
	}
	return metric.Asked("Datadog", text, r.Secrets)
}

// Check implements metric.Checker.
func (*provider) Check(m v1alpha1.MetricProvider) error {
	if m.Datadog == nil {
		return errors.New("datadog: is not set")
	}
	if _, err := settingsOf(m.Datadog); err != nil {
		return err
	}
	return checkRef(m.Datadog.SecretRef)
}

// settings are those of a metric, checked.
type settings struct {
	*v1alpha1.DatadogMetric
	back, limit time.Duration
}

func settingsOf(m *v1alpha1.DatadogMetric) (s settings, err error) {
	s = settings{DatadogMetric: m}
	const review = " Please review the Analysis Template."
	switch v1 := m.ApiVersion == "" || m.ApiVersion == "v1"; {
	case m.ApiVersion != "" && m.ApiVersion != "v1" && m.ApiVersion != "v2":
		return s, fmt.Errorf("apiVersion must be v1 or v2, but is %q", m.ApiVersion)
	case m.Query == "" && len(m.Queries) == 0:
		return s, errors.New("Must have either a query or queries." + review)
	case m.Query != "" && len(m.Queries) > 0:
		return s, errors.New("Cannot have both a query and queries." + review)
	case v1 && len(m.Queries) > 0:
		return s, errors.New("Query is empty. API Version v1 only supports using the query parameter in your Analysis Template.") //nolint:staticcheck // published text
	case m.Formula != "" && len(m.Queries) == 0:
		return s, errors.New("Formula are only valid when queries are set." + review)
	case len(m.Queries) > 1 && m.Formula == "":
		return s, errors.New("When multiple queries are provided you must include a formula.")
	case v1 && m.Aggregator != "":
		return s, errors.New("Aggregator is not supported in v1." + review)
	}
	if s.back, err = m.Interval.Duration(); err != nil {
		return s, fmt.Errorf("interval: %w", err)
	}
	if s.back < 0 || m.Interval != "" && s.back == 0 {
		return s, errors.New("interval must be a positive duration (e.g. 5m)." + review)
	}
	if s.limit, err = m.RequestTimeout.Duration(); err != nil {
		return s, fmt.Errorf("Could not parse the request timeout: %w."+review, err) //nolint:staticcheck // published text
	}
	if s.limit < 0 || m.RequestTimeout != "" && s.limit == 0 {
		return s, errors.New("Request timeout must be a positive duration (e.g. 30s)." + review)
	}
	s.back, s.limit = cmp.Or(s.back, defaultInterval), cmp.Or(s.limit, defaultTimeout)
	return s, nil
}

// Measure sends the query.
func (p *provider) Measure(ctx context.Context, r metric.Request) (metric.Result, error) {
	m := r.Provider.Datadog
	if m == nil {
		return metric.Result{}, fmt.Errorf("metric %s has no datadog provider", r.Metric)
	}
	s, err := settingsOf(m)
	if err != nil {
		return metric.Result{}, metric.Sentence(err, r.Secrets)
	}
	keys, err := p.credentials(ctx, r.Namespace, m.SecretRef)
	secrets := append(r.Credentials(v1alpha1.Authentication{}, nil, keys.address), keys.api, keys.app)
	if err != nil {
		return metric.Result{}, metric.Sentence(err, secrets)
	}
	res, err := p.measure(ctx, s, keys, r.Now, func(text string, most int) string { return metric.Cut(text, most, secrets) })
	return res.Redact(secrets), metric.Sentence(err, secrets)
}

func (p *provider) measure(ctx context.Context, s settings, keys credentials, now time.Time, cut shorten) (metric.Result, error) {
	path, ask, read := "/api/v1/query", askV1, readV1
	if s.ApiVersion == "v2" {
		path, ask, read = "/api/v2/query/scalar", askV2, readV2
	}
	at, err := keys.at(path)
	if err != nil {
		return metric.Result{}, err
	}
	req, err := ask(ctx, s, at, now)
	if err != nil {
		return metric.Result{}, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("DD-API-KEY", keys.api)
	req.Header.Set("DD-APPLICATION-KEY", keys.app)
	a, err := p.options.Client.Do(ctx, req, outbound.Call{Limit: s.limit, MaxAnswer: maxAnswer})
	if err != nil {
		return metric.Result{}, err
	}
	switch a.Status {
	case http.StatusOK:
		return read(a.Body, cut)
	case http.StatusUnauthorized, http.StatusForbidden:
		return metric.Result{}, fmt.Errorf("received authentication error response code: %v %s", a.Status, cut(string(a.Body), maxShown))
	default:
		return metric.Result{}, fmt.Errorf("received non 2xx response code: %v %s", a.Status, cut(string(a.Body), maxShown))
	}
}

// shorten is text of the server, without secrets, of which at most so many bytes are left.
type shorten func(text string, most int) string

func number(v float64) metric.Result {
	return metric.Result{Kind: metric.Values, Value: v, Display: strconv.FormatFloat(v, 'f', -1, 64)}
}

func none(display, why string) metric.Result {
	return metric.Result{Kind: metric.NoData, Display: display, Why: why}
}
