package web

import (
	"bytes"
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
)

const (
	// defaultTimeout is the time limit of a metric that sets none.
	defaultTimeout = 10 * time.Second
	// maxAnswer is the most that is read of one answer, in bytes.
	maxAnswer = 1 << 20
)

// Options are what the process gives; there is nothing to set yet.
type Options struct{}

// New returns the provider. It keeps connections open between measurements.
func New(Options) metric.Provider {
	return &provider{secure: transport(false), insecure: transport(true)}
}

type provider struct {
	secure, insecure *http.Transport
}

// Describe shows nothing: the URL may be a secret in itself.
func (p *provider) Describe(metric.Request) map[string]string { return nil }

// Measure makes the request.
func (p *provider) Measure(ctx context.Context, r metric.Request) (metric.Result, error) {
	m := r.Provider.Web
	if m == nil {
		return metric.Result{}, fmt.Errorf("metric %s has no web provider", r.Metric)
	}
	secrets := r.Credentials(m.Authentication, m.Headers, m.URL)
	res, err := p.measure(ctx, m)
	if err != nil {
		return metric.Result{}, errors.New(metric.Redact(strings.Join(strings.Fields(err.Error()), " "), secrets))
	}
	res.Display = metric.Redact(res.Display, secrets)
	return res, nil
}

func (p *provider) measure(ctx context.Context, m *v1alpha1.WebMetric) (metric.Result, error) {
	find, err := selector(m.JSONPath)
	if err != nil {
		return metric.Result{}, err
	}
	limit := defaultTimeout
	if m.TimeoutSeconds > 0 {
		limit = time.Duration(min(m.TimeoutSeconds, math.MaxInt32)) * time.Second
	}
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	req, err := request(limited, m)
	if err != nil {
		return metric.Result{}, err
	}
	where := strings.ToLower(req.Method) + " " + place(req.URL)
	body, err := p.do(limited, req, m)
	switch {
	case err == nil:
		return read(body, find)
	case ctx.Err() != nil:
		return metric.Result{}, fmt.Errorf("%s: %w", where, ctx.Err())
	case errors.Is(limited.Err(), context.DeadlineExceeded):
		return metric.Result{}, fmt.Errorf("%s: no answer within the timeout of %s", where, limit)
	case errors.As(err, new(statusError)) || errors.Is(err, errSetup):
		return metric.Result{}, err
	}
	var inURL *url.Error
	if errors.As(err, &inURL) && !strings.HasPrefix(err.Error(), "oauth2: ") {
		err = inURL.Err
	}
	return metric.Result{}, fmt.Errorf("%s: %w", where, err)
}

// place is a URL without what may be secret in it.
func place(u *url.URL) string { return u.Scheme + "://" + u.Host + u.Path }

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

// statusError is an answer that is not 2xx.
type statusError int

func (e statusError) Error() string { return fmt.Sprintf("received non 2xx response code: %v", int(e)) }

func (p *provider) do(ctx context.Context, req *http.Request, m *v1alpha1.WebMetric) ([]byte, error) {
	base := p.secure
	if m.Insecure {
		base = p.insecure
	}
	if err := authenticate(ctx, req, m.Authentication, base); err != nil {
		return nil, err
	}
	resp, err := (&http.Client{Transport: base}).Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return nil, statusError(resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return nil, err
	}
	if len(body) > maxAnswer {
		return nil, fmt.Errorf("the answer is larger than %d MiB", maxAnswer>>20)
	}
	return body, nil
}
