package skywalking

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/metric"
	"github.com/penstock-io/penstock/internal/metric/outbound"
)

const (
	// defaultTimeout is the time limit of a measurement; a metric cannot set another.
	defaultTimeout = 30 * time.Second
	// minuteForm is SkyWalking's form of a time in steps of a minute.
	minuteForm = "2006-01-02 1504"
)

// Options are what the process gives.
type Options struct {
	// Client makes the requests; nil means one that refuses no address.
	Client *outbound.Client
	// Timeout bounds a measurement; default 30 s.
	Timeout time.Duration
	// Zone is the time zone of the OAP server, in which it reads the times of a query; nil
	// means the controller's own.
	Zone *time.Location
}

// New returns the provider.
func New(o Options) metric.Provider {
	if o.Client == nil {
		o.Client = outbound.New(nil)
	}
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	if o.Zone == nil {
		o.Zone = time.Local //nolint:gosmopolitan // published: the server and the controller share a zone
	}
	return &provider{o}
}

type provider struct{ options Options }

// Describe shows the query as it is sent.
func (*provider) Describe(r metric.Request) map[string]string {
	if r.Provider.SkyWalking == nil {
		return nil
	}
	return metric.Asked("SkyWalking", r.Provider.SkyWalking.Query, r.Secrets)
}

// Check implements metric.Checker.
func (p *provider) Check(m v1alpha1.MetricProvider) error {
	_, err := p.request(context.Background(), time.Time{}, m.SkyWalking)
	return err
}

// Measure sends the query; the result is the answer's data.
func (p *provider) Measure(ctx context.Context, r metric.Request) (metric.Result, error) {
	m := r.Provider.SkyWalking
	if m == nil {
		return metric.Result{}, fmt.Errorf("metric %s has no skywalking provider", r.Metric)
	}
	secrets := r.Credentials(v1alpha1.Authentication{}, nil, m.Address)
	res, err := p.measure(ctx, r, m, secrets)
	return res.Redact(secrets), metric.Sentence(err, secrets)
}

func (p *provider) measure(ctx context.Context, r metric.Request, m *v1alpha1.SkyWalkingMetric, secrets []string) (metric.Result, error) {
	req, err := p.request(ctx, r.Now, m)
	if err != nil {
		return metric.Result{}, err
	}
	a, err := p.options.Client.Do(ctx, req, outbound.Call{Limit: p.options.Timeout})
	switch {
	case err != nil:
		return metric.Result{}, err
	case a.Status/100 != 2:
		return metric.Result{}, fmt.Errorf("received non 2xx response code: %d", a.Status)
	}
	return decode(a.Body, secrets)
}

// query is the body of a request.
type query struct {
	Query     string    `json:"query"`
	Variables variables `json:"variables"`
}

type variables struct {
	Duration duration `json:"duration"`
}

type duration struct {
	Start string `json:"start"`
	End   string `json:"end"`
	Step  string `json:"step"`
}

func (p *provider) request(ctx context.Context, now time.Time, m *v1alpha1.SkyWalkingMetric) (*http.Request, error) {
	u, err := url.Parse(m.Address)
	if err != nil || u.Scheme == "" || u.Host == "" {
		return nil, fmt.Errorf("the address of a skywalking metric must be a URL such as http://oap.skywalking:12800, but is %q", m.Address)
	}
	back, err := m.Interval.Duration()
	if err != nil || back <= 0 {
		return nil, fmt.Errorf("the interval of a skywalking metric is how far it looks back, such as 5m, but is %q", m.Interval)
	}
	at := func(t time.Time) string { return t.In(p.options.Zone).Format(minuteForm) }
	body, err := json.Marshal(query{m.Query, variables{duration{at(now.Add(-back)), at(now), "MINUTE"}}})
	if err != nil {
		return nil, fmt.Errorf("write the query: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(m.Address, "/")+"/graphql", bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("read address: %w", err)
	}
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	req.Header.Set("Accept", "application/json; charset=utf-8")
	return req, nil
}

// decode takes the data of a GraphQL answer; its errors are errors, whatever data it has.
func decode(body []byte, secrets []string) (metric.Result, error) {
	var answer struct {
		Data   any `json:"data"`
		Errors []struct {
			Message string `json:"message"`
		} `json:"errors"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return metric.Result{}, fmt.Errorf("read the answer: %w", err)
	}
	if len(answer.Errors) > 0 {
		return metric.Result{}, errors.New("graphql: " + metric.Cut(answer.Errors[0].Message, 200, secrets))
	}
	display, err := json.Marshal(answer.Data)
	if err != nil {
		return metric.Result{}, fmt.Errorf("print the value: %w", err)
	}
	res := metric.Result{Kind: metric.Values, Value: answer.Data, Display: string(display)}
	if hollow(answer.Data) {
		res.Kind, res.Why = metric.NoData, "no results returned from SkyWalking query"
	}
	return res, nil
}

// hollow reports that nothing but null is in a value.
func hollow(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case []any:
		for _, x := range v {
			if !hollow(x) {
				return false
			}
		}
		return true
	case map[string]any:
		for _, x := range v {
			if !hollow(x) {
				return false
			}
		}
		return true
	}
	return false
}
