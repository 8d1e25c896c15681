package datadog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/metric"
	"github.com/penstock-io/penstock/internal/metric/outbound"
)

const (
	defaultAddress = "https://api.datadoghq.com"
	// defaultInterval is how far a metric looks back, and defaultTimeout its time limit,
	// where it says nothing: the defaults of the published CRD.
	defaultInterval = 5 * time.Minute
	defaultTimeout  = 10 * time.Second
	// maxShown is how much of an answer an error shows, in bytes.
	maxShown = 200
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

// Describe shows nothing: the query may hold a secret.
func (*provider) Describe(metric.Request) map[string]string { return nil }

// Check implements metric.Checker.
func (*provider) Check(m v1alpha1.MetricProvider) error {
	_, err := settingsOf(m.Datadog)
	return err
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
	case m.Query == "" && len(m.Queries) == 0 && v1:
		return s, errors.New("Query is empty. API Version v1 only supports using the query parameter in your Analysis Template.") //nolint:staticcheck // published text
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
	secrets := append(append([]string(nil), r.Secrets...), keys.api, keys.app)
	if err != nil {
		return metric.Result{}, metric.Sentence(err, secrets)
	}
	res, err := p.measure(ctx, s, keys, r.Now)
	res.Display = metric.Redact(res.Display, secrets)
	for k, v := range res.Metadata {
		res.Metadata[k] = metric.Redact(v, secrets)
	}
	for i, name := range res.Names {
		res.Names[i] = metric.Redact(name, secrets)
	}
	return res, metric.Sentence(err, secrets)
}

func (p *provider) measure(ctx context.Context, s settings, keys credentials, now time.Time) (metric.Result, error) {
	ask, read := askV1, readV1
	if s.ApiVersion == "v2" {
		ask, read = askV2, readV2
	}
	req, err := ask(ctx, s, keys.address, now)
	if err != nil {
		return metric.Result{}, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("DD-API-KEY", keys.api)
	req.Header.Set("DD-APPLICATION-KEY", keys.app)
	a, err := p.options.Client.Do(ctx, req, outbound.Call{Limit: s.limit})
	if err != nil {
		return metric.Result{}, err
	}
	switch shown := strings.ToValidUTF8(string(a.Body[:min(len(a.Body), maxShown)]), ""); a.Status {
	case http.StatusOK:
		return read(a.Body)
	case http.StatusUnauthorized, http.StatusForbidden:
		return metric.Result{}, fmt.Errorf("received authentication error response code: %v %s", a.Status, shown)
	default:
		return metric.Result{}, fmt.Errorf("received non 2xx response code: %v %s", a.Status, shown)
	}
}

// credentials are what a request needs.
type credentials struct{ address, api, app string }

// credentials looks, in this order, at the Secret that the metric names, the environment,
// and the Secret "datadog" of the controller (analysis-traffic.md §4.2).
func (p *provider) credentials(ctx context.Context, namespace string, ref v1alpha1.SecretRef) (credentials, error) {
	switch {
	case ref.Name != "" && ref.Namespaced:
		return p.fromSecret(ctx, namespace, ref.Name)
	case ref.Name != "":
		return p.fromSecret(ctx, "", ref.Name)
	case ref.Namespaced:
		return credentials{}, errors.New("secret name is required for namespaced credentials")
	}
	env := credentials{p.options.Env("DD_ADDRESS"), p.options.Env("DD_API_KEY"), p.options.Env("DD_APP_KEY")}
	if env.address != "" && env.api != "" && env.app != "" {
		return env, nil
	}
	c, err := p.fromSecret(ctx, "", "datadog")
	if errors.Is(err, metric.ErrNoSecret) {
		return c, errors.New("failed to find the credentials for datadog metrics provider")
	}
	return c, err
}

func (p *provider) fromSecret(ctx context.Context, namespace, name string) (credentials, error) {
	if p.options.Secrets == nil {
		return credentials{}, errors.New("failed to find the credentials for datadog metrics provider")
	}
	data, err := p.options.Secrets(ctx, namespace, name)
	if err != nil {
		return credentials{}, fmt.Errorf("read the credentials of datadog: %w", err)
	}
	c := credentials{cmp.Or(string(data["address"]), defaultAddress), string(data["api-key"]), string(data["app-key"])}
	if c.api == "" || c.app == "" {
		return c, fmt.Errorf("failed to find the credentials for datadog metrics provider: secret %s needs api-key and app-key", name)
	}
	return c, nil
}
