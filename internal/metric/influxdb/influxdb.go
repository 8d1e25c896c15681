package influxdb

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/influxdata/influxdb-client-go/v2/api"

	"github.com/penstock-io/penstock/internal/metric"
	"github.com/penstock-io/penstock/internal/metric/outbound"
)

const (
	// defaultProfile is the Secret of a metric that names none, in the controller's namespace.
	defaultProfile = "influxdb"
	// defaultTimeout is the time limit of a measurement; a metric cannot set another.
	defaultTimeout = 30 * time.Second
	// maxAnswer is the most that is read of one answer, in bytes.
	maxAnswer = 4 << 20
	// maxValues bounds the values of one answer.
	maxValues = 10000
)

// Options are what the process gives.
type Options struct {
	// Client makes the requests; nil means one that refuses no address.
	Client *outbound.Client
	// Secrets reads the profile.
	Secrets metric.SecretReader
	// Timeout bounds a measurement; default 30 s.
	Timeout time.Duration
}

// New returns the provider.
func New(o Options) metric.Provider {
	if o.Client == nil {
		o.Client = outbound.New(nil)
	}
	o.Timeout = cmp.Or(o.Timeout, defaultTimeout)
	return &provider{o}
}

type provider struct{ options Options }

// Describe shows the query as it is sent.
func (*provider) Describe(r metric.Request) map[string]string {
	if r.Provider.Influxdb == nil {
		return nil
	}
	return metric.Asked("Influxdb", r.Provider.Influxdb.Query, r.Secrets)
}

// Measure sends the query; the result is the list of all records' values.
func (p *provider) Measure(ctx context.Context, r metric.Request) (metric.Result, error) {
	m := r.Provider.Influxdb
	if m == nil {
		return metric.Result{}, fmt.Errorf("metric %s has no influxdb provider", r.Metric)
	}
	who, err := p.profile(ctx, cmp.Or(m.Profile, defaultProfile))
	secrets := append(append([]string(nil), r.Secrets...), who.token)
	if err != nil {
		return metric.Result{}, metric.Sentence(err, secrets)
	}
	res, err := p.measure(ctx, m.Query, who, secrets)
	return res.Redact(secrets), metric.Sentence(err, secrets)
}

// profile is whom to ask, as whom.
type profile struct{ address, org, token string }

func (p *provider) profile(ctx context.Context, name string) (profile, error) {
	missing := errors.New("authToken, org, or address not found")
	if p.options.Secrets == nil {
		return profile{}, missing
	}
	data, err := p.options.Secrets(ctx, "", name)
	if err != nil {
		return profile{}, fmt.Errorf("read profile %s: %w", name, err)
	}
	who := profile{string(data["address"]), string(data["org"]), string(data["authToken"])}
	if who.address == "" || who.org == "" || who.token == "" {
		return who, missing
	}
	return who, nil
}

// call is the body of a request: the answer is to be annotated CSV.
type call struct {
	Dialect dialect `json:"dialect"`
	Query   string  `json:"query"`
	Type    string  `json:"type"`
}

type dialect struct {
	Annotations []string `json:"annotations"`
	Delimiter   string   `json:"delimiter"`
	Header      bool     `json:"header"`
}

func (p *provider) measure(ctx context.Context, query string, who profile, secrets []string) (metric.Result, error) {
	body, err := json.Marshal(call{dialect{[]string{"datatype", "group", "default"}, ",", true}, query, "flux"})
	if err != nil {
		return metric.Result{}, fmt.Errorf("write the query: %w", err)
	}
	place := strings.TrimSuffix(who.address, "/") + "/api/v2/query?" + url.Values{"org": {who.org}}.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, place, bytes.NewReader(body))
	if err != nil {
		return metric.Result{}, errors.New("read the address of the profile: it is no URL")
	}
	req.Header.Set("Authorization", "Token "+who.token)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/csv")
	a, err := p.options.Client.Do(ctx, req, outbound.Call{Limit: p.options.Timeout, MaxAnswer: maxAnswer})
	switch {
	case err != nil:
		return metric.Result{}, err
	case a.Status/100 != 2:
		return metric.Result{}, refusal(a, secrets)
	}
	return decode(a.Body)
}

// refusal shows InfluxDB's own words, which are a JSON object.
func refusal(a outbound.Answer, secrets []string) error {
	var said struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	if json.Unmarshal(a.Body, &said) != nil || said.Message == "" {
		return fmt.Errorf("received non 2xx response code: %d", a.Status)
	}
	return fmt.Errorf("received non 2xx response code: %d %s: %s", a.Status, said.Code, metric.Cut(said.Message, 200, secrets))
}

// decode takes the values of all tables. An error in the middle of the answer is an error,
// whatever came before it.
func decode(body []byte) (res metric.Result, err error) {
	defer func() {
		if p := recover(); p != nil { // of the library, on garbage
			res, err = metric.Result{}, fmt.Errorf("read the answer: %v", p)
		}
	}()
	if len(bytes.TrimSpace(body)) > 0 && !bytes.HasPrefix(bytes.TrimSpace(body), []byte("#")) && !bytes.HasPrefix(bytes.TrimSpace(body), []byte("error")) {
		return metric.Result{}, errors.New("read the answer: it is no annotated CSV")
	}
	table := api.NewQueryTableResult(io.NopCloser(bytes.NewReader(body)))
	var values []any
	for table.Next() {
		if len(values) == maxValues {
			return metric.Result{}, fmt.Errorf("the query returned more than %d values: aggregate it", maxValues)
		}
		values = append(values, table.Record().Value())
	}
	if err := table.Err(); err != nil {
		return metric.Result{}, fmt.Errorf("read the answer: %w", err)
	}
	res = metric.Result{Kind: metric.Values, Value: values, Display: fmt.Sprint(values)}
	if !slices.ContainsFunc(values, func(v any) bool { return v != nil }) {
		res.Kind, res.Why = metric.NoData, "no results returned from flux query"
	}
	return res, nil
}
