package newrelic

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/metric"
	"github.com/penstock-io/penstock/internal/metric/providertest"
)

const nrql = "SELECT percentage(count(*), WHERE error IS true) AS 'rate' FROM Transaction SINCE 5 minutes ago"

func rows(list string) string {
	return `{"data":{"actor":{"account":{"nrql":{"results":` + list + `}}}}}`
}

func asking(m v1alpha1.NewRelicMetric) metric.Request {
	return metric.Request{Metric: "m", Provider: v1alpha1.MetricProvider{NewRelic: &m}}
}

// secrets holds profiles by name.
func secrets(profiles map[string]map[string]string) metric.SecretReader {
	return func(_ context.Context, namespace, name string) (map[string][]byte, error) {
		profile, ok := profiles[name]
		if !ok || namespace != "" {
			return nil, fmt.Errorf(`secrets %q not found (%w)`, name, metric.ErrNoSecret)
		}
		data := map[string][]byte{}
		for k, v := range profile {
			data[k] = []byte(v)
		}
		return data, nil
	}
}

// atTheURL takes the profile's name as the address of the pretend server.
func atTheURL(_ context.Context, _, name string) (map[string][]byte, error) {
	return map[string][]byte{"personal-api-key": []byte(providertest.Secret), "account-id": []byte("123"), "base-url-nerdgraph": []byte(name + "/graphql")}, nil
}

func fixture() providertest.Fixture {
	data := func(v any, display string) metric.Result {
		return metric.Result{Kind: metric.Values, Value: v, Display: display}
	}
	none := metric.Result{Why: "no results returned from NRQL query"}
	return providertest.Fixture{
		New: func() metric.Provider { return New(Options{Secrets: atTheURL, Grace: time.Nanosecond}) },
		Request: func(url string, limit time.Duration) metric.Request {
			s := int64(limit / time.Second)
			r := asking(v1alpha1.NewRelicMetric{Profile: url, Query: nrql, Timeout: &s})
			r.Secrets = []string{providertest.Secret}
			return r
		},
		Wire: providertest.Wire{Method: "POST", Path: "/graphql", Header: map[string]string{
			"Api-Key": providertest.Secret, "Content-Type": "application/json", "User-Agent": "penstock (https://github.com/penstock-io/penstock)"},
			Body: `{"query":"` + document + `","variables":{"accountId":123,"query":"` + nrql + `","timeout":60}}`},
		Values: map[string]providertest.Answer{
			// Covers: analysis edge 100.
			"one row is an object": {Body: rows(`[{"rate":1.5}]`), Want: data(map[string]any{"rate": 1.5}, `{"rate":1.5}`)},
			"several rows are a list": {Body: rows(`[{"facet":"a","count":1},{"facet":"b","count":2}]`), // Covers: analysis edge 100.
				Want: data([]map[string]any{{"facet": "a", "count": 1.0}, {"facet": "b", "count": 2.0}}, `[{"count":1,"facet":"a"},{"count":2,"facet":"b"}]`)},
			"zero is data": {Body: rows(`[{"count":0}]`), Want: data(map[string]any{"count": 0.0}, `{"count":0}`)},
		},
		// Covers: analysis edge 100.
		NoData: map[string]providertest.Answer{
			"no rows":             {Body: rows(`[]`), Want: none},
			"a row of nothing":    {Body: rows(`[{}]`), Want: none},
			"an average of none":  {Body: rows(`[{"average.duration":null}]`), Want: none},
			"null for the rows":   {Body: rows(`null`), Want: none},
			"rows of null, twice": {Body: rows(`[{"a":null},{"a":null}]`), Want: none},
		},
		Broken: map[string]providertest.Answer{
			"an error beside data": {Body: `{"errors":[{"message":"NRQL Syntax Error:\nline 1"}],"data":{"actor":{"account":{"nrql":null}}}}`, WantErr: "nerdgraph: NRQL Syntax Error: line 1"},
			"no account":           {Body: `{"data":{"actor":{"account":null}}}`, WantErr: "no results of the account"},
			"another document":     {Body: `{"hello":"world"}`, WantErr: "no results of the account"},
			"HTML":                 {Body: "<html>", WantErr: "read the answer"},
		},
		Echo: func(text string) providertest.Answer {
			raw, err := json.Marshal(text)
			if err != nil {
				panic(err)
			}
			return providertest.Answer{Body: rows(`[{"name":` + string(raw) + `}]`)}
		},
	}
}

func TestContract(t *testing.T) { providertest.Run(t, fixture()) }

func TestSettings(t *testing.T) {
	negative := int64(-1)
	good := map[string]string{"personal-api-key": "k", "account-id": "1"}
	for name, c := range map[string]struct {
		metric  v1alpha1.NewRelicMetric
		profile map[string]string
		want    string
	}{
		"a negative timeout": {v1alpha1.NewRelicMetric{Timeout: &negative}, good, "timeout value needs to be a positive value"},
		"no profile":         {v1alpha1.NewRelicMetric{}, nil, `secrets "newrelic" not found`},
		"no key":             {v1alpha1.NewRelicMetric{}, map[string]string{"account-id": "1"}, "account ID or personal API key not found"},
		"no account":         {v1alpha1.NewRelicMetric{}, map[string]string{"personal-api-key": "k"}, "account ID or personal API key not found"},
		"a word for the id":  {v1alpha1.NewRelicMetric{}, map[string]string{"personal-api-key": "k", "account-id": "shop"}, "could not parse account ID: "},
		"a region of its own": {v1alpha1.NewRelicMetric{}, map[string]string{"personal-api-key": "k", "account-id": "1", "region": "mars"},
			`region "mars" of profile newrelic is none of us, eu and staging`},
	} {
		t.Run(name, func(t *testing.T) {
			profiles := map[string]map[string]string{}
			if c.profile != nil {
				profiles["newrelic"] = c.profile
			}
			_, err := New(Options{Secrets: secrets(profiles)}).Measure(context.Background(), asking(c.metric))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

func TestRegions(t *testing.T) {
	for region, want := range map[string]string{"": "https://api.newrelic.com/graphql", "EU": "https://api.eu.newrelic.com/graphql"} {
		p := &provider{Options{Secrets: secrets(map[string]map[string]string{"newrelic": {"personal-api-key": "k", "account-id": "1", "region": region}})}}
		if a, err := p.account(context.Background(), "newrelic"); err != nil || a.endpoint != want {
			t.Errorf("region %q: %s, %v", region, a.endpoint, err)
		}
	}
	shown := New(Options{}).Describe(asking(v1alpha1.NewRelicMetric{Query: nrql}))
	if shown["ResolvedNewRelicQuery"] != nrql {
		t.Errorf("shown is %v", shown)
	}
}

func FuzzDecode(f *testing.F) {
	for _, body := range []string{rows(`[{"a":1}]`), rows(`[]`), `{"errors":[{}]}`, "{", "null", rows(`[null]`)} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		res, err := decode([]byte(body), nil)
		if err == nil && res.Kind == metric.Values && (res.Value == nil || res.Display == "null") {
			t.Errorf("%q is a value", body)
		}
	})
}
