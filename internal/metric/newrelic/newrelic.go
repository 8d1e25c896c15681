package newrelic

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/metric"
	"github.com/penstock-io/penstock/internal/metric/outbound"
)

const (
	// defaultProfile is the Secret of a metric that names none.
	defaultProfile = "newrelic"
	// defaultTimeout is how long New Relic may work on a query, in seconds; grace is what
	// the way there and back may take.
	defaultTimeout = 5
	grace          = 10 * time.Second
	// maxTimeout is the most that New Relic works on a query, in seconds.
	maxTimeout = 120
)

// endpoints are where NerdGraph is, by region.
var endpoints = map[string]string{
	"us": "https://api.newrelic.com/graphql", "eu": "https://api.eu.newrelic.com/graphql", "staging": "https://staging-api.newrelic.com/graphql",
}

// Options are what the process gives.
type Options struct {
	// Client makes the requests; nil means one that refuses no address.
	Client *outbound.Client
	// Secrets reads the profile, in the controller's namespace.
	Secrets metric.SecretReader
	// Grace is added to a query's timeout; default 10 s.
	Grace time.Duration
}

// New returns the provider.
func New(o Options) metric.Provider {
	if o.Client == nil {
		o.Client = outbound.New(nil)
	}
	o.Grace = cmp.Or(o.Grace, grace)
	return &provider{o}
}

type provider struct{ options Options }

// Describe shows the query as it is sent, with the published key.
func (*provider) Describe(r metric.Request) map[string]string {
	if r.Provider.NewRelic == nil {
		return nil
	}
	return metric.Asked("NewRelic", r.Provider.NewRelic.Query, r.Secrets)
}

// Check implements metric.Checker.
func (*provider) Check(m v1alpha1.MetricProvider) error {
	_, err := seconds(m.NewRelic)
	return err
}

// Measure sends the query. One row is an object, several are a list of them.
func (p *provider) Measure(ctx context.Context, r metric.Request) (metric.Result, error) {
	m := r.Provider.NewRelic
	if m == nil {
		return metric.Result{}, fmt.Errorf("metric %s has no newRelic provider", r.Metric)
	}
	who, err := p.account(ctx, cmp.Or(m.Profile, defaultProfile))
	secrets := append(append([]string(nil), r.Secrets...), who.key)
	if err != nil {
		return metric.Result{}, metric.Sentence(err, secrets)
	}
	res, err := p.measure(ctx, m, who, secrets)
	return res.Redact(secrets), metric.Sentence(err, secrets)
}

// account is whom to ask, as whom.
type account struct {
	key, endpoint string
	id            int
}

// account reads a profile: a Secret with the keys personal-api-key, account-id and, if
// wanted, region and base-url-nerdgraph.
func (p *provider) account(ctx context.Context, profile string) (account, error) {
	if p.options.Secrets == nil {
		return account{}, errors.New("account ID or personal API key not found")
	}
	data, err := p.options.Secrets(ctx, "", profile)
	if err != nil {
		return account{}, fmt.Errorf("read profile %s: %w", profile, err)
	}
	a := account{key: string(data["personal-api-key"])}
	if a.key == "" || len(data["account-id"]) == 0 {
		return a, errors.New("account ID or personal API key not found")
	}
	if a.id, err = strconv.Atoi(string(data["account-id"])); err != nil {
		return a, fmt.Errorf("could not parse account ID: %w", err)
	}
	region := strings.ToLower(cmp.Or(string(data["region"]), "us"))
	a.endpoint = cmp.Or(string(data["base-url-nerdgraph"]), endpoints[region])
	if a.endpoint == "" {
		return a, fmt.Errorf("region %q of profile %s is none of us, eu and staging", region, profile)
	}
	return a, nil
}

func seconds(m *v1alpha1.NewRelicMetric) (int64, error) {
	switch {
	case m.Timeout == nil || *m.Timeout == 0:
		return defaultTimeout, nil
	case *m.Timeout < 0:
		return 0, errors.New("timeout value needs to be a positive value")
	}
	return min(*m.Timeout, maxTimeout), nil
}

// document is the query of NerdGraph around that of the metric.
const document = `query ($accountId: Int!, $query: Nrql!, $timeout: Seconds!) { actor { account(id: $accountId) { nrql(query: $query, timeout: $timeout) { results } } } }`

type call struct {
	Query     string    `json:"query"`
	Variables variables `json:"variables"`
}

type variables struct {
	AccountID int    `json:"accountId"`
	Query     string `json:"query"`
	Timeout   int64  `json:"timeout"`
}

func (p *provider) measure(ctx context.Context, m *v1alpha1.NewRelicMetric, who account, secrets []string) (metric.Result, error) {
	limit, err := seconds(m)
	if err != nil {
		return metric.Result{}, err
	}
	body, err := json.Marshal(call{document, variables{who.id, m.Query, limit}})
	if err != nil {
		return metric.Result{}, fmt.Errorf("write the query: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, who.endpoint, bytes.NewReader(body))
	if err != nil {
		return metric.Result{}, fmt.Errorf("read base-url-nerdgraph: %w", err)
	}
	req.Header.Set("Api-Key", who.key)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "penstock (https://github.com/penstock-io/penstock)")
	a, err := p.options.Client.Do(ctx, req, outbound.Call{Limit: time.Duration(limit)*time.Second + p.options.Grace})
	switch {
	case err != nil:
		return metric.Result{}, err
	case a.Status/100 != 2:
		return metric.Result{}, fmt.Errorf("received non 2xx response code: %d", a.Status)
	}
	return decode(a.Body, secrets)
}

// answer is what NerdGraph sends; errors may stand beside data.
type answer struct {
	Data struct {
		Actor struct {
			Account *struct {
				NRQL *struct {
					Results []map[string]any `json:"results"`
				} `json:"nrql"`
			} `json:"account"`
		} `json:"actor"`
	} `json:"data"`
	Errors []struct {
		Message string `json:"message"`
	} `json:"errors"`
}

func decode(body []byte, secrets []string) (metric.Result, error) {
	var a answer
	if err := json.Unmarshal(body, &a); err != nil {
		return metric.Result{}, fmt.Errorf("read the answer: %w", err)
	}
	if len(a.Errors) > 0 {
		return metric.Result{}, errors.New("nerdgraph: " + metric.Cut(a.Errors[0].Message, 200, secrets))
	}
	if a.Data.Actor.Account == nil || a.Data.Actor.Account.NRQL == nil {
		return metric.Result{}, errors.New("read the answer: it has no results of the account")
	}
	rows := a.Data.Actor.Account.NRQL.Results
	var value any = rows
	if len(rows) == 1 {
		value = rows[0]
	}
	display, err := json.Marshal(value)
	if err != nil {
		return metric.Result{}, fmt.Errorf("print the value: %w", err)
	}
	if hollow(rows) {
		return metric.Result{Kind: metric.NoData, Display: string(display), Why: "no results returned from NRQL query"}, nil
	}
	return metric.Result{Kind: metric.Values, Value: value, Display: string(display)}, nil
}

// hollow reports that no row has anything but null, as an average of nothing.
func hollow(rows []map[string]any) bool {
	for _, row := range rows {
		for _, v := range row {
			if v != nil {
				return false
			}
		}
	}
	return true
}
