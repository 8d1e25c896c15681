package web

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/metric"
	"github.com/penstock-io/penstock/internal/metric/awsauth"
	"github.com/penstock-io/penstock/internal/metric/outbound"
)

const (
	// defaultTimeout is the time limit of a metric that sets none.
	defaultTimeout = 10 * time.Second
	// maxAnswer is the most that is read of one answer, in bytes.
	maxAnswer = 1 << 20
)

// Options are what the process gives.
type Options struct {
	// Client makes the requests; nil means one that refuses no address.
	Client *outbound.Client
	// AWS finds the credentials to sign with; nil means the SDK's default chain.
	AWS *awsauth.Source
	// Service names the AWS service of a host; nil means awsauth.Service.
	Service func(host string) (string, error)
}

// New returns the provider.
func New(o Options) metric.Provider {
	if o.Client == nil {
		o.Client = outbound.New(nil)
	}
	if o.AWS == nil {
		o.AWS = awsauth.New(nil)
	}
	if o.Service == nil {
		o.Service = awsauth.Service
	}
	return &provider{o}
}

type provider struct{ options Options }

// Describe shows the place that is asked, without the URL's query, where tokens stand.
func (*provider) Describe(r metric.Request) map[string]string {
	m := r.Provider.Web
	if m == nil {
		return nil
	}
	u, err := url.Parse(m.URL)
	if err != nil {
		return nil
	}
	place := cmp.Or(string(m.Method), http.MethodGet) + " " + outbound.Place(u)
	return metric.Asked("Web", place, r.Credentials(m.Authentication, m.Headers, m.URL))
}

// Check implements metric.Checker.
func (p *provider) Check(m v1alpha1.MetricProvider) error {
	if _, err := selector(m.Web.JSONPath); err != nil {
		return err
	}
	req, err := request(context.Background(), m.Web)
	if err != nil {
		return err
	}
	if req.URL.Scheme != "http" && req.URL.Scheme != "https" || req.URL.Host == "" {
		return fmt.Errorf("url must be one of a server, such as http://checks.shop/web, but is %q", m.Web.URL)
	}
	return p.settings(m.Web.Authentication, req.URL)
}

// Measure makes the request.
func (p *provider) Measure(ctx context.Context, r metric.Request) (metric.Result, error) {
	m := r.Provider.Web
	if m == nil {
		return metric.Result{}, fmt.Errorf("metric %s has no web provider", r.Metric)
	}
	res, secrets, err := p.measure(ctx, m)
	secrets = append(secrets, r.Credentials(m.Authentication, m.Headers, m.URL)...)
	if err != nil {
		return metric.Result{}, metric.Sentence(err, secrets)
	}
	return res.Redact(secrets), nil
}

// measure returns with the result the secrets that came up on the way.
func (p *provider) measure(ctx context.Context, m *v1alpha1.WebMetric) (res metric.Result, secrets []string, err error) {
	find, err := selector(m.JSONPath)
	if err != nil {
		return res, nil, err
	}
	limit := defaultTimeout
	if m.TimeoutSeconds > 0 {
		limit = time.Duration(min(m.TimeoutSeconds, math.MaxInt32)) * time.Second
	}
	req, err := request(ctx, m)
	if err != nil {
		return res, nil, err
	}
	if secrets, err = p.authenticate(ctx, req, m, limit); err != nil {
		return res, secrets, err
	}
	a, err := p.options.Client.Do(ctx, req, outbound.Call{Limit: limit, Insecure: m.Insecure})
	switch {
	case err != nil:
		return res, secrets, err
	case a.Status/100 != 2:
		return res, secrets, fmt.Errorf("received non 2xx response code: %v", a.Status)
	}
	res, err = read(a.Body, find)
	return res, secrets, err
}

func request(ctx context.Context, m *v1alpha1.WebMetric) (*http.Request, error) {
	method := string(m.Method)
	if method == "" {
		method = http.MethodGet
	}
	switch {
	case method != http.MethodGet && method != http.MethodPost && method != http.MethodPut:
		return nil, fmt.Errorf("the method of a web metric must be GET, POST or PUT, but is %q", method)
	case m.Body != "" && len(m.JSONBody) > 0:
		return nil, errors.New("use either Body or JSONBody; both cannot exists for WebMetric payload")
	case method == http.MethodGet && (m.Body != "" || len(m.JSONBody) > 0):
		return nil, errors.New("Body/JSONBody can only be used with POST or PUT WebMetric Method types") //nolint:staticcheck // published text
	}
	var body io.Reader
	if m.Body != "" {
		body = strings.NewReader(m.Body)
	}
	if len(m.JSONBody) > 0 {
		var compact bytes.Buffer
		if err := json.Compact(&compact, m.JSONBody); err != nil {
			return nil, fmt.Errorf("read jsonBody: %w", err)
		}
		body = &compact
	}
	req, err := http.NewRequestWithContext(ctx, method, m.URL, body)
	if err != nil {
		return nil, fmt.Errorf("read url: %w", withoutURL(err))
	}
	for _, h := range m.Headers {
		if strings.EqualFold(h.Key, "Host") {
			req.Host = h.Value
		}
		req.Header.Set(h.Key, h.Value)
	}
	if len(m.JSONBody) > 0 {
		req.Header.Set("Content-Type", "application/json")
	}
	return req, nil
}

func withoutURL(err error) error {
	var inURL *url.Error
	if errors.As(err, &inURL) {
		return inURL.Err
	}
	return err
}
