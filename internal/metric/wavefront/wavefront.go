package wavefront

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/metric"
	"github.com/penstock-io/penstock/internal/metric/outbound"
)

const (
	// tokens is the Secret with a token for each address, in the controller's namespace.
	tokens = "wavefront-api-tokens"
	// defaultTimeout is the time limit of a measurement; a metric cannot set another.
	defaultTimeout = 30 * time.Second
)

// Options are what the process gives.
type Options struct {
	// Client makes the requests; nil means one that refuses no address.
	Client *outbound.Client
	// Secrets reads the tokens.
	Secrets metric.SecretReader
	// Timeout bounds a measurement; default 30 s.
	Timeout time.Duration
}

// New returns the provider.
func New(o Options) metric.Provider {
	if o.Client == nil {
		o.Client = outbound.New(nil)
	}
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	return &provider{o}
}

type provider struct{ options Options }

// Describe shows the query as it is sent.
func (*provider) Describe(r metric.Request) map[string]string {
	if r.Provider.Wavefront == nil {
		return nil
	}
	return metric.Asked("Wavefront", r.Provider.Wavefront.Query, r.Secrets)
}

// Check implements metric.Checker.
func (*provider) Check(m v1alpha1.MetricProvider) error {
	_, err := base(m.Wavefront.Address)
	return err
}

// Measure asks for the points around this moment; of each series the nearest one counts.
func (p *provider) Measure(ctx context.Context, r metric.Request) (metric.Result, error) {
	m := r.Provider.Wavefront
	if m == nil {
		return metric.Result{}, fmt.Errorf("metric %s has no wavefront provider", r.Metric)
	}
	token, err := p.token(ctx, m.Address)
	secrets := append(append([]string(nil), r.Secrets...), token)
	if err != nil {
		return metric.Result{}, metric.Sentence(err, secrets)
	}
	res, err := p.measure(ctx, r.Now, m, token, secrets)
	return res.Redact(secrets), metric.Sentence(err, secrets)
}

func (p *provider) token(ctx context.Context, address string) (string, error) {
	if p.options.Secrets == nil {
		return "", errors.New("API token not found")
	}
	data, err := p.options.Secrets(ctx, "", tokens)
	if err != nil {
		return "", fmt.Errorf("API token not found: %w", err)
	}
	token, ok := data[address]
	if !ok || len(token) == 0 {
		return "", fmt.Errorf("API token not found: secret %s has no key %s", tokens, address)
	}
	return string(token), nil
}

// base is the URL of an address, which is a host alone as published, or a URL.
func base(address string) (*url.URL, error) {
	if !strings.Contains(address, "://") {
		address = "https://" + address
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return nil, errors.New("address must be a host, such as example.wavefront.com")
	}
	return u, nil
}

func (p *provider) measure(ctx context.Context, now time.Time, m *v1alpha1.WavefrontMetric, token string, secrets []string) (metric.Result, error) {
	u, err := base(m.Address)
	if err != nil {
		return metric.Result{}, err
	}
	at := strconv.FormatInt(now.UnixMilli(), 10)
	u = u.JoinPath("api/v2/chart/api")
	u.RawQuery = url.Values{"q": {m.Query}, "s": {at}, "e": {at}, "p": {"1"}, "g": {"s"}, "i": {"true"}}.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return metric.Result{}, errors.New("read address: it is no URL")
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Accept", "application/json")
	a, err := p.options.Client.Do(ctx, req, outbound.Call{Limit: p.options.Timeout})
	switch {
	case err != nil:
		return metric.Result{}, err
	case a.Status/100 != 2:
		return metric.Result{}, fmt.Errorf("received non 2xx response code: %d", a.Status)
	}
	return decode(a.Body, now, secrets)
}

// chart is an answer: of each series the points as pairs of Unix seconds and a value.
type chart struct {
	Warnings   string `json:"warnings"`
	ErrorType  string `json:"errorType"`
	ErrorText  string `json:"errorMessage"`
	Timeseries []struct {
		Data [][]float64 `json:"data"`
	} `json:"timeseries"`
}

func decode(body []byte, now time.Time, secrets []string) (metric.Result, error) {
	var c chart
	if err := json.Unmarshal(body, &c); err != nil {
		return metric.Result{}, fmt.Errorf("read the answer: %w", err)
	}
	if c.ErrorType != "" || c.ErrorText != "" {
		return metric.Result{}, errors.New("wavefront: " + metric.Cut(c.ErrorType+": "+c.ErrorText, 200, secrets))
	}
	res := metric.Result{Kind: metric.Values, Metadata: map[string]string{}}
	if c.Warnings != "" {
		res.Metadata["warnings"] = c.Warnings
	}
	var values []float64
	var shown, times, drifts []string
	for i, s := range c.Timeseries {
		at, v, ok, err := nearest(s.Data, now)
		if err != nil {
			return metric.Result{}, err
		}
		if !ok {
			return none(res, fmt.Sprintf("series %d of %d has no points", i+1, len(c.Timeseries))), nil
		}
		values, shown = append(values, v), append(shown, fmt.Sprintf("%.2f", v))
		times, drifts = append(times, strconv.FormatInt(at, 10)), append(drifts, strconv.FormatInt(now.Unix()-at, 10))
	}
	if len(values) == 0 {
		return none(res, "No TimeSeries found in response from Wavefront"), nil
	}
	res.Metadata["timestamps"], res.Metadata["drift"] = strings.Join(times, ","), strings.Join(drifts, ",")
	res.Value, res.Display = values, "["+strings.Join(shown, ",")+"]"
	if len(values) == 1 {
		res.Value, res.Display = values[0], shown[0]
		if math.IsNaN(values[0]) {
			return none(res, "the point is NaN"), nil
		}
	}
	return res, nil
}

func none(res metric.Result, why string) metric.Result {
	res.Kind, res.Value, res.Why = metric.NoData, nil, why
	return res
}

// nearest is the point whose time is nearest to now.
func nearest(points [][]float64, now time.Time) (at int64, value float64, ok bool, err error) {
	for _, p := range points {
		if len(p) != 2 {
			return 0, 0, false, errors.New("read the answer: a point is not a time and a value")
		}
		t := int64(p[0])
		if !ok || distance(t, now) < distance(at, now) {
			at, value, ok = t, p[1], true
		}
	}
	return at, value, ok, nil
}

func distance(at int64, now time.Time) int64 {
	if d := now.Unix() - at; d > 0 {
		return d
	}
	return at - now.Unix()
}
