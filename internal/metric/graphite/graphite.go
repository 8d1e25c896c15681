package graphite

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/metric"
	"github.com/penstock-io/penstock/internal/metric/outbound"
)

const (
	// defaultTimeout is the time limit of a measurement; a metric cannot set another.
	defaultTimeout = 10 * time.Second
	// maxAnswer is the most that is read of one answer, in bytes: some 200,000 datapoints.
	maxAnswer = 4 << 20
	// maxShown is how much of an error page an error shows, in bytes.
	maxShown = 200
)

// Options are what the process gives.
type Options struct {
	// Client makes the requests; nil means one that refuses no address.
	Client *outbound.Client
	// Timeout bounds a measurement; default 10 s.
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
	if r.Provider.Graphite == nil {
		return nil
	}
	return metric.Asked("Graphite", r.Provider.Graphite.Query, r.Secrets)
}

// Check implements metric.Checker.
func (*provider) Check(m v1alpha1.MetricProvider) error {
	_, err := request(context.Background(), m.Graphite)
	return err
}

// Measure asks for the datapoints of the first target.
func (p *provider) Measure(ctx context.Context, r metric.Request) (metric.Result, error) {
	m := r.Provider.Graphite
	if m == nil {
		return metric.Result{}, fmt.Errorf("metric %s has no graphite provider", r.Metric)
	}
	secrets := r.Credentials(v1alpha1.Authentication{}, nil, m.Address)
	res, err := p.measure(ctx, m, secrets)
	return res.Redact(secrets), metric.Sentence(err, secrets)
}

func (p *provider) measure(ctx context.Context, m *v1alpha1.GraphiteMetric, secrets []string) (metric.Result, error) {
	req, err := request(ctx, m)
	if err != nil {
		return metric.Result{}, err
	}
	a, err := p.options.Client.Do(ctx, req, outbound.Call{Limit: p.options.Timeout, MaxAnswer: maxAnswer})
	switch {
	case err != nil:
		return metric.Result{}, err
	case a.Status >= 300:
		return metric.Result{}, fmt.Errorf("error response: %s (status %d)", metric.Cut(string(a.Body), maxShown, secrets), a.Status)
	}
	return decode(a.Body, secrets)
}

// request joins the parts: the query is a raw query string, of which all white space goes.
func request(ctx context.Context, m *v1alpha1.GraphiteMetric) (*http.Request, error) {
	u, err := url.Parse(m.Address)
	if err != nil || u.Scheme == "" || u.Host == "" {
		return nil, fmt.Errorf("Graphite address %s is not a valid URL", m.Address) //nolint:staticcheck // published text
	}
	query := strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return -1
		}
		return r
	}, m.Query)
	u.Path = path.Join("/", u.Path, "render")
	u.RawQuery = query + "&format=json"
	return http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
}

// target is one entry of an answer: datapoints are pairs of a value or null, and a time.
type target struct {
	Datapoints [][]json.RawMessage `json:"datapoints"`
}

// decode takes the values of the first target; null means that nothing was measured then.
func decode(body []byte, secrets []string) (metric.Result, error) {
	var targets []target
	if err := json.Unmarshal(body, &targets); err != nil {
		return metric.Result{}, fmt.Errorf("read the answer: %w", err)
	}
	if len(targets) == 0 {
		return empty("no values found: the query matches no series"), nil
	}
	values := []float64{}
	for _, point := range targets[0].Datapoints {
		if len(point) != 2 {
			return metric.Result{}, errors.New("read the answer: a datapoint is not a value and a time")
		}
		text := strings.Trim(string(point[0]), `"`)
		if text == "null" {
			continue
		}
		v, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return metric.Result{}, fmt.Errorf("read the answer: %q is no number", metric.Cut(text, 20, secrets))
		}
		values = append(values, v)
	}
	switch {
	case len(targets[0].Datapoints) == 0:
		return empty("no values found: the series has no datapoints"), nil
	case len(values) == 0:
		return empty("all datapoints are null"), nil
	}
	return metric.Result{Kind: metric.Values, Value: values, Display: display(values)}, nil
}

func empty(why string) metric.Result {
	return metric.Result{Kind: metric.NoData, Value: []float64{}, Display: "[]", Why: why}
}

// display is the published form, such as [10.000000,11.000000].
func display(values []float64) string {
	var b strings.Builder
	b.WriteByte('[')
	for i, v := range values {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%f", v)
		if b.Len() > 4<<10 { // the status keeps less than this
			break
		}
	}
	b.WriteByte(']')
	return b.String()
}
