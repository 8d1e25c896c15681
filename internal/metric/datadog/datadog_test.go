package datadog

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

var now = time.Date(2026, 8, 17, 10, 0, 0, 0, time.UTC)

const query = "sum:http.errors{service:web}.as_count()"

func asking(m v1alpha1.DatadogMetric) metric.Request {
	return metric.Request{Namespace: "shop", Metric: "m", Provider: v1alpha1.MetricProvider{Datadog: &m}, Now: now}
}

func data(v any, display string) metric.Result {
	return metric.Result{Kind: metric.Values, Value: v, Display: display}
}

// atTheURL takes the Secret's name as the address of the pretend server.
func atTheURL(_ context.Context, _, name string) (map[string][]byte, error) {
	return map[string][]byte{"address": []byte(name), "api-key": []byte(providertest.Secret), "app-key": []byte("app" + providertest.Secret)}, nil
}

func fixture(version string) providertest.Fixture {
	return providertest.Fixture{
		New: func() metric.Provider { return New(Options{Secrets: atTheURL}) },
		Request: func(url string, limit time.Duration) metric.Request {
			r := asking(v1alpha1.DatadogMetric{ApiVersion: version, Query: query, Interval: "10m",
				RequestTimeout: v1alpha1.DurationString(limit.String()), SecretRef: v1alpha1.SecretRef{Name: url}})
			r.Secrets = []string{providertest.Secret}
			return r
		},
		Wire: providertest.Wire{Header: map[string]string{"Content-Type": "application/json", "Dd-Api-Key": providertest.Secret, "Dd-Application-Key": "app" + providertest.Secret}},
	}
}

func quote(text string) string {
	raw, err := json.Marshal(text)
	if err != nil {
		panic(err)
	}
	return string(raw)
}

func points(list string) string {
	return `{"status":"ok","series":[{"metric":"http.errors","pointlist":[` + list + `]},{"pointlist":[[1,99]]}]}`
}

func TestContractOfV1(t *testing.T) {
	f := fixture("v1")
	f.Wire.Method, f.Wire.Path = "GET", "/api/v1/query"
	f.Wire.Query = "from=1786960200&query=sum%3Ahttp.errors%7Bservice%3Aweb%7D.as_count%28%29&to=1786960800"
	f.Values = map[string]providertest.Answer{
		"the last point of the first series": {Body: points("[1,10],[2,0.25]"), Want: data(0.25, "0.25")},
		"zero is data":                       {Body: points("[1,0]"), Want: data(0.0, "0")},
		"an earlier null does not matter":    {Body: points("[1,null],[2,3]"), Want: data(3.0, "3")},
	}
	// Covers: analysis edge 95, outage 59.
	f.NoData = map[string]providertest.Answer{
		"no series":         {Body: `{"status":"ok","series":[]}`, Want: metric.Result{Why: "the query returned no series"}},
		"no points":         {Body: points(""), Want: metric.Result{Why: "the first series has no points"}},
		"null is no number": {Body: points("[1,4],[2,null]"), Want: metric.Result{Why: "the newest point is null"}},
	}
	f.Broken = map[string]providertest.Answer{
		"a point alone":      {Body: points("[1]"), WantErr: "Datapoint does not have 2 values"},
		"HTML":               {Body: "<html>", WantErr: "Could not parse JSON body: "},
		"a word":             {Body: points(`[1,"many"]`), WantErr: "Could not parse JSON body: "},
		"an error of theirs": {Body: `{"status":"error","error":"Rule 'scope' not found","series":[]}`, WantErr: "There were errors in your query: Rule 'scope' not found"},
		"a status of theirs": {Body: `{"status":"timeout"}`, WantErr: "There were errors in your query: the status is timeout"},
		"too large":          {Body: points("[1,1e999]"), WantErr: "Could not parse JSON body: "},
		"a wrong key":        {Status: 401, Body: `{"errors":["Unauthorized"]}`, WantErr: `received authentication error response code: 401 {"errors":["Unauthorized"]}`}, // Covers: analysis edge 98.
		"another status":     {Status: 500, Body: "oops", WantErr: "received non 2xx response code: 500 oops"},                                                            // Covers: analysis edge 98.
	}
	f.Echo = func(text string) providertest.Answer {
		return providertest.Answer{Body: `{"status":"ok","error":"","message":` + quote(text) + `,"series":[{"pointlist":[[1,2]]}]}`}
	}
	providertest.Run(t, f)
}

func scalar(columns string) string {
	return `{"data":{"type":"scalar_response","attributes":{"columns":[` + columns + `]}}}`
}

func TestContractOfV2(t *testing.T) {
	f := fixture("v2")
	f.Wire.Method, f.Wire.Path = "POST", "/api/v2/query/scalar"
	f.Wire.Body = `{"data":{"type":"scalar_request","attributes":{"formulas":[],"from":1786960200000,"queries":[{"aggregator":"last","data_source":"metrics","name":"query","query":"` + query + `"}],"to":1786960800000}}}`
	grouped := metric.Result{Kind: metric.Values, Value: []float64{1.2, 3}, Names: []string{"env:prod,az:a", "env:test,az:b"}, Display: "[1.2,3]",
		Metadata: map[string]string{"groups": `[{"name":"env:prod,az:a","value":1.2},{"name":"env:test,az:b","value":3}]`}}
	f.Values = map[string]providertest.Answer{
		"one number":              {Body: scalar(`{"name":"query","type":"number","values":[0.5]}`), Want: data(0.5, "0.5")},
		"a column without a type": {Body: scalar(`{"name":"query","values":[0]}`), Want: data(0.0, "0")},
		"groups are a list":       {Body: scalar(`{"name":"env","type":"group","values":[["prod"],["test"]]},{"name":"az","type":"group","values":[["a"],["b"]]},{"name":"query","type":"number","values":[1.2,3]}`), Want: grouped}, // Covers: analysis edge 96.
		"a null goes with its group": {Body: scalar(`{"name":"env","type":"group","values":[["x"],["prod"]]},{"name":"query","type":"number","values":[null,1]}`),
			Want: metric.Result{Kind: metric.Values, Value: []float64{1}, Names: []string{"env:prod"}, Display: "[1]", Metadata: map[string]string{"groups": `[{"name":"env:prod","value":1}]`}}},
	}
	f.NoData = map[string]providertest.Answer{
		"no columns": {Body: scalar(""), Want: metric.Result{Why: "the query returned no numbers"}},
		"only null":  {Body: scalar(`{"name":"query","type":"number","values":[null]}`), Want: metric.Result{Why: "the query returned only null"}},
		"no values":  {Body: scalar(`{"name":"query","type":"number","values":[]}`), Want: metric.Result{Why: "the query returned no values"}},
		"no number":  {Body: scalar(`{"name":"query","type":"number","values":["NaN"]}`), Want: metric.Result{Why: "the query returned only null"}},
		"groups of null": {Body: scalar(`{"name":"env","type":"group","values":[["a"],["b"]]},{"name":"query","type":"number","values":[null,null]}`),
			Want: metric.Result{Why: "the query returned only null"}},
		"groups alone": {Body: scalar(`{"name":"env","type":"group","values":[["a"]]}`), Want: metric.Result{Why: "the query returned no numbers"}},
	}
	f.Broken = map[string]providertest.Answer{
		"HTML":               {Body: "<html>", WantErr: "Could not parse JSON body: "},
		"a word":             {Body: scalar(`{"name":"query","type":"number","values":["many"]}`), WantErr: `could not parse numeric value "many" in column "query"`},
		"a label of no list": {Body: scalar(`{"name":"env","type":"group","values":["prod"]},{"name":"query","type":"number","values":[1]}`), WantErr: "could not parse group label at index 0"},
		"an error of theirs": {Body: `{"errors":"no such metric"}`, WantErr: "There were errors in your query: no such metric"},
		"errors of theirs":   {Body: `{"errors":["no such metric","no such tag"]}`, WantErr: "There were errors in your query: no such metric; no such tag"},
		"the word null":      {Body: scalar(`{"name":"query","type":"number","values":["null"]}`), WantErr: `could not parse numeric value "null" in column "query": invalid syntax`},
		"infinity":           {Body: scalar(`{"name":"query","type":"number","values":["Infinity"]}`), WantErr: `could not parse numeric value "Infinity" in column "query": value out of range`},
		"too large":          {Body: scalar(`{"name":"query","type":"number","values":[1e999]}`), WantErr: `could not parse numeric value "1e999" in column "query": value out of range`},
		"a wrong key":        {Status: 403, Body: "{}", WantErr: "received authentication error response code: 403 {}"},
	}
	f.Echo = func(text string) providertest.Answer {
		return providertest.Answer{Body: scalar(`{"name":"env","type":"group","values":[[` + quote(text) + `]]},{"name":"query","type":"number","values":[1]}`)}
	}
	providertest.Run(t, f)
}

// Covers: analysis edge 97, analysis edge 99.
func TestSettings(t *testing.T) {
	two := map[string]string{"a": "x", "b": "y"}
	for name, c := range map[string]struct {
		metric v1alpha1.DatadogMetric
		want   string
	}{
		"nothing, v1":                {v1alpha1.DatadogMetric{ApiVersion: "v1"}, "Must have either a query or queries. Please review the Analysis Template."},
		"queries, v1":                {v1alpha1.DatadogMetric{Queries: two}, "Query is empty. API Version v1 only supports using the query parameter in your Analysis Template."},
		"nothing, v2":                {v1alpha1.DatadogMetric{ApiVersion: "v2"}, "Must have either a query or queries. Please review the Analysis Template."},
		"both, v1":                   {v1alpha1.DatadogMetric{Query: "q", Queries: two}, "Cannot have both a query and queries. Please review the Analysis Template."},
		"both":                       {v1alpha1.DatadogMetric{ApiVersion: "v2", Query: "q", Queries: two}, "Cannot have both a query and queries. Please review the Analysis Template."},
		"a formula without queries":  {v1alpha1.DatadogMetric{ApiVersion: "v2", Query: "q", Formula: "a/b"}, "Formula are only valid when queries are set. Please review the Analysis Template."},
		"queries without a formula":  {v1alpha1.DatadogMetric{ApiVersion: "v2", Queries: two}, "When multiple queries are provided you must include a formula."},
		"an aggregator, v1":          {v1alpha1.DatadogMetric{Query: "q", Aggregator: "sum"}, "Aggregator is not supported in v1. Please review the Analysis Template."},
		"another version":            {v1alpha1.DatadogMetric{Query: "q", ApiVersion: "v3"}, `apiVersion must be v1 or v2, but is "v3"`},
		"a timeout of no duration":   {v1alpha1.DatadogMetric{Query: "q", RequestTimeout: "soon"}, "Could not parse the request timeout: "},
		"a timeout of nothing":       {v1alpha1.DatadogMetric{Query: "q", RequestTimeout: "0s"}, "Request timeout must be a positive duration (e.g. 30s). Please review the Analysis Template."},
		"an interval of no duration": {v1alpha1.DatadogMetric{Query: "q", Interval: "5 m"}, "interval: "},
		"an interval of nothing":     {v1alpha1.DatadogMetric{Query: "q", Interval: "0s"}, "interval must be a positive duration (e.g. 5m)."},
		"an interval ahead":          {v1alpha1.DatadogMetric{Query: "q", Interval: "-5m"}, "interval must be a positive duration (e.g. 5m)."},
		"a timeout below nothing":    {v1alpha1.DatadogMetric{Query: "q", RequestTimeout: "-1s"}, "Request timeout must be a positive duration (e.g. 30s). Please review the Analysis Template."},
		"a namespace without a name": {v1alpha1.DatadogMetric{Query: "q", SecretRef: v1alpha1.SecretRef{Namespaced: true}}, "secret name is required for namespaced credentials"},
	} {
		t.Run(name, func(t *testing.T) {
			p := New(Options{})
			_, err := p.Measure(context.Background(), asking(c.metric))
			if err == nil || !strings.HasPrefix(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
			if before := p.(metric.Checker).Check(v1alpha1.MetricProvider{Datadog: &c.metric}); before == nil || before.Error() != err.Error() {
				t.Errorf("before the first measurement: %v", before)
			}
		})
	}
}

// Covers: analysis defect 18.
func TestWhereCredentialsComeFrom(t *testing.T) {
	all := map[string]string{"DD_ADDRESS": "http://env", "DD_API_KEY": "k", "DD_APP_KEY": "a"}
	some := map[string]string{"DD_API_KEY": "k", "DD_APP_KEY": "a"}
	stored := map[string]map[string][]byte{
		"/datadog": {"api-key": []byte("k"), "app-key": []byte("a")}, "/team": {"address": []byte("http://team"), "api-key": []byte("k"), "app-key": []byte("a")},
		"shop/own": {"address": []byte("http://own"), "api-key": []byte("k"), "app-key": []byte("a")}, "/half": {"api-key": []byte("k")},
	}
	for name, c := range map[string]struct {
		ref   v1alpha1.SecretRef
		env   map[string]string
		empty bool
		want  string
	}{
		"the metric's Secret, of the controller": {v1alpha1.SecretRef{Name: "team"}, all, false, "http://team"},
		"the metric's Secret, of its namespace":  {v1alpha1.SecretRef{Name: "own", Namespaced: true}, all, false, "http://own"},
		"a namespace without a name":             {v1alpha1.SecretRef{Namespaced: true}, all, false, "secret name is required for namespaced credentials"}, // Covers: analysis edge 99.
		"a Secret that is missing is final":      {v1alpha1.SecretRef{Name: "gone"}, all, false, "secrets gone not found"},
		"the environment":                        {v1alpha1.SecretRef{}, all, false, "http://env"},
		"the environment counts whole only":      {v1alpha1.SecretRef{}, some, false, defaultAddress},
		"nothing at all":                         {v1alpha1.SecretRef{}, nil, true, "failed to find the credentials for datadog metrics provider"},
		"half a Secret":                          {v1alpha1.SecretRef{Name: "half"}, nil, false, "secret half needs api-key and app-key"},
	} {
		t.Run(name, func(t *testing.T) {
			p := New(Options{Env: func(k string) string { return c.env[k] }, Secrets: func(_ context.Context, namespace, name string) (map[string][]byte, error) {
				if found, ok := stored[namespace+"/"+name]; ok && !c.empty {
					return found, nil
				}
				return nil, fmt.Errorf("secrets %s not found (%w)", name, metric.ErrNoSecret)
			}}).(*provider)
			got, err := p.credentials(context.Background(), "shop", c.ref)
			if text := fmt.Sprint(got.address, err); !strings.Contains(text, c.want) {
				t.Errorf("%s, want %q", text, c.want)
			}
		})
	}
}

// Covers: analysis edge 96.
func TestManyGroupsAreCut(t *testing.T) {
	var labels, values []string
	for i := range 101 {
		labels, values = append(labels, fmt.Sprintf(`["p%d"]`, i)), append(values, fmt.Sprint(100-i))
	}
	res, err := readV2([]byte(scalar(`{"name":"pod","type":"group","values":[`+strings.Join(labels, ",")+`]},{"name":"q","type":"number","values":[`+strings.Join(values, ",")+`]}`)), plain)
	if err != nil || len(res.Value.([]float64)) != 101 || res.Metadata["groups_truncated"] != "true" {
		t.Fatalf("%v %v", err, res.Metadata)
	}
	groups := res.Metadata["groups"]
	if strings.Count(groups, "name") != 100 || strings.Contains(groups, `"pod:p50"`) || !strings.HasPrefix(groups, `[{"name":"pod:p100","value":0}`) || !strings.HasSuffix(groups, `{"name":"pod:p0","value":100}]`) {
		t.Errorf("%s", groups)
	}
}
