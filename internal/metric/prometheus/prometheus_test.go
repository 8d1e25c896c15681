package prometheus

import (
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/metric"
	"github.com/penstock-io/penstock/internal/metric/awsauth"
	"github.com/penstock-io/penstock/internal/metric/providertest"
)

var now = time.Date(2026, 8, 17, 10, 0, 0, 500e6, time.UTC)

func ok(kind, result string) string {
	return fmt.Sprintf(`{"status":"success","data":{"resultType":%q,"result":%s}}`, kind, result)
}

func vector(values ...string) string {
	var series []string
	for i, v := range values {
		series = append(series, fmt.Sprintf(`{"metric":{"i":"%d"},"value":[1,%q]}`, i, v))
	}
	return ok("vector", "["+strings.Join(series, ",")+"]")
}

func values(v any, display string) metric.Result {
	return metric.Result{Kind: metric.Values, Value: v, Display: display}
}

// series is the result of vector().
func series(display string, v ...float64) metric.Result {
	r := values(v, display)
	for i := range v {
		r.Names = append(r.Names, fmt.Sprintf(`{i="%d"}`, i))
	}
	return r
}

func request(m v1alpha1.PrometheusMetric) metric.Request {
	return metric.Request{Metric: "m", Provider: v1alpha1.MetricProvider{Prometheus: &m}, Now: now}
}

func fixture() providertest.Fixture {
	return providertest.Fixture{
		New: func() metric.Provider { return New(Options{}) },
		Request: func(url string, limit time.Duration) metric.Request {
			seconds := int64(limit / time.Second)
			r := request(v1alpha1.PrometheusMetric{
				Address: url + "/prom/", Query: `up{token="` + providertest.Secret + `"}`, Timeout: &seconds,
				Headers:        []v1alpha1.WebMetricHeader{{Key: "X-Scope-OrgID", Value: "team"}},
				Authentication: v1alpha1.Authentication{BasicAuth: v1alpha1.BasicAuthConfig{Username: "bob", Password: providertest.Secret}},
			})
			r.Secrets = []string{providertest.Secret}
			return r
		},
		Wire: providertest.Wire{
			Method: "POST", Path: "/prom/api/v1/query",
			Body: "query=up%7Btoken%3D%22s3cr3t%2Ft0ken%2B%26%22x%22%7D&time=1786960800.5",
			Header: map[string]string{
				"Content-Type": "application/x-www-form-urlencoded", "X-Scope-Orgid": "team",
				"Authorization": "Basic Ym9iOnMzY3IzdC90MGtlbismIng=",
			},
		},
		Values: map[string]providertest.Answer{
			"a scalar is a number":                       {Body: ok("scalar", `[1,"10"]`), Want: values(10.0, "10")},  // Covers: analysis edge 88.
			"a vector is a list":                         {Body: vector("10", "11"), Want: series("[10,11]", 10, 11)}, // Covers: analysis edge 88.
			"infinity is data":                           {Body: vector("+Inf"), Want: series("[+Inf]", math.Inf(1))}, // Covers: analysis edge 88.
			"zero is data":                               {Body: vector("0"), Want: series("[0]", 0)},
			"a vector with one NaN among others is data": {Body: vector("NaN", "1"), Want: series("[NaN,1]", math.NaN(), 1)},
			"a matrix of 2 series by 2 has 4 numbers":    {Body: ok("matrix", `[{"metric":{},"values":[[1,"1"],[2,"2"]]},{"metric":{},"values":[[1,"3"],[2,"4"]]}]`), Want: values([]float64{1, 2, 3, 4}, "[1,2,3,4]")}, // Covers: analysis edge 93.
			// Covers: analysis edge 89.
			"warnings go into the metadata": {
				Body: strings.TrimSuffix(vector("1"), "}") + `,"warnings":["w1","w2"]}`,
				Want: metric.Result{Kind: metric.Values, Value: []float64{1}, Names: []string{`{i="0"}`}, Display: "[1]", Metadata: map[string]string{"warnings": `"w1", "w2"`}},
			},
		},
		NoData: map[string]providertest.Answer{
			"no series":              {Body: vector(), Want: metric.Result{Value: []float64{}, Why: "the query returned no series"}},
			"null for the series":    {Body: ok("vector", "null"), Want: metric.Result{Value: []float64{}, Why: "the query returned no series"}},
			"a scalar NaN":           {Body: ok("scalar", `[1,"NaN"]`), Want: metric.Result{Value: math.NaN(), Why: "the query returned NaN"}}, // Covers: analysis edge 88.
			"a vector of NaN":        {Body: vector("NaN", "NaN"), Want: metric.Result{Value: []float64{math.NaN(), math.NaN()}, Why: "the query returned only NaN"}},
			"a matrix of no samples": {Body: ok("matrix", `[{"metric":{},"values":[]}]`), Want: metric.Result{Value: []float64{}, Why: "the query returned no series"}},
		},
		Broken: map[string]providertest.Answer{
			"HTML":               {Body: "<html>\n<body>hello</body>", WantErr: "bad_response: "},
			"an empty body":      {Body: "", WantErr: "bad_response: "},
			"half an answer":     {Body: `{"status":"success","data":{"resultType":"vector","resu`, WantErr: "bad_response: "},
			"another document":   {Body: `{"hello":"world"}`, WantErr: "query Prometheus at"},
			"an unknown type":    {Body: ok("sausage", "[]"), WantErr: "value type"},
			"a string":           {Body: ok("string", `[1,"x"]`), WantErr: "value type"},
			"words for a number": {Body: vector("many"), WantErr: "many"},
			"a native histogram": {Body: ok("vector", `[{"metric":{},"histogram":[1,{"count":"4","sum":"1","buckets":[]}]}]`), WantErr: "native histogram"},
			"a bad query": {Status: 400, Body: `{"status":"error","errorType":"bad_data","error":"parse error"}`,
				WantErr: "bad_data: parse error"},
		},
		Echo: func(text string) providertest.Answer {
			return providertest.Answer{Body: strings.TrimSuffix(vector("1"), "}") + fmt.Sprintf(`,"warnings":[%q]}`, text)}
		},
	}
}

func TestContract(t *testing.T) { providertest.Run(t, fixture()) }

func TestSettings(t *testing.T) {
	negative := int64(-1)
	auth := func(a v1alpha1.Authentication) v1alpha1.PrometheusMetric {
		return v1alpha1.PrometheusMetric{Address: "http://127.0.0.1:1", Authentication: a}
	}
	window := func(start, end, step string) v1alpha1.PrometheusMetric {
		return v1alpha1.PrometheusMetric{Address: "http://127.0.0.1:1", RangeQuery: &v1alpha1.PrometheusRangeQueryArgs{Start: start, End: end, Step: step}}
	}
	cases := map[string]struct {
		metric v1alpha1.PrometheusMetric
		want   string
	}{
		"no address":            {v1alpha1.PrometheusMetric{}, "prometheus address is not configured"},                                                                                         // Covers: analysis edge 90.
		"an address of no form": {v1alpha1.PrometheusMetric{Address: "prom:9090/x y"}, "prometheus address is not is url format"},                                                              // Covers: analysis edge 90.
		"no scheme":             {v1alpha1.PrometheusMetric{Address: "prometheus"}, "prometheus address is not is url format"},                                                                 // Covers: analysis edge 90.
		"a negative timeout":    {v1alpha1.PrometheusMetric{Timeout: &negative}, "prometheus timeout should not be negative"},                                                                  // Covers: analysis edge 91.
		"no user":               {auth(v1alpha1.Authentication{BasicAuth: v1alpha1.BasicAuthConfig{Password: "x"}}), "missing mandatory parameter in metric for basic auth setup: username"},   // Covers: analysis edge 92.
		"no password":           {auth(v1alpha1.Authentication{BasicAuth: v1alpha1.BasicAuthConfig{Username: "x"}}), "missing mandatory parameter in metric for basic auth setup: password"},   // Covers: analysis edge 92.
		"OAuth2 without secret": {auth(v1alpha1.Authentication{OAuth2: v1alpha1.OAuth2Config{TokenURL: "http://t", ClientID: "x"}}), "missing mandatory parameter in metric for OAuth2 setup"}, // Covers: analysis edge 92.
		"a bad start":           {window("yesterday", "now()", "1m"), "failed to parse rangeQuery.start as time: unknown name yesterday"},                                                      // Covers: analysis edge 93.
		"a start of no time":    {window("1", "now()", "1m"), "failed to parse rangeQuery.start as time: expected time.Time, but got int"},                                                     // Covers: analysis edge 93.
		"a bad end":             {window("now()", "now() - duration('x')", "1m"), "failed to parse rangeQuery.end as time: "},                                                                  // Covers: analysis edge 93.
		"a bad step":            {window("now()", "now()", "1d"), "failed to parse rangeQuery.step as duration: "},                                                                             // Covers: analysis edge 93.
		"a step of nothing":     {window("now()", "now()", "0s"), "failed to parse rangeQuery.step as duration: 0s is not positive"},                                                           // Covers: analysis edge 93.
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := New(Options{}).Measure(context.Background(), request(c.metric))
			if err == nil || !strings.HasPrefix(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			if before := New(Options{}).(metric.Checker).Check(request(c.metric).Provider); before == nil || before.Error() != err.Error() {
				t.Errorf("before the first measurement: %v", before)
			}
		})
	}
	if err := New(Options{}).(metric.Checker).Check(request(v1alpha1.PrometheusMetric{Address: "http://127.0.0.1:1"}).Provider); err != nil {
		t.Error(err)
	}
}

// record answers everything with one series, and writes the requests down.
func record(t *testing.T, answer func(w http.ResponseWriter, r *http.Request) bool) (address string, seen func() []string) {
	t.Helper()
	lines := make(chan string, 100)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // shows in the comparison
		lines <- fmt.Sprintf("%s %s %s %s", r.Method, r.URL, body, r.Header.Get("Authorization"))
		if answer == nil || !answer(w, r) {
			_, _ = io.WriteString(w, vector("1"))
		}
	}))
	t.Cleanup(s.Close)
	return s.URL, func() []string {
		var all []string
		for len(lines) > 0 {
			all = append(all, strings.TrimSpace(<-lines))
		}
		return all
	}
}

func TestRequests(t *testing.T) {
	// Covers: analysis edge 90.
	t.Run("the address of the process is used when the metric has none", func(t *testing.T) {
		address, seen := record(t, nil)
		if _, err := New(Options{Address: address}).Measure(context.Background(), request(v1alpha1.PrometheusMetric{Query: "up"})); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff([]string{"POST /api/v1/query query=up&time=1786960800.5"}, seen()); d != "" {
			t.Error(d)
		}
	})
	for _, status := range []int{405, 501} {
		// Covers: analysis edge 94.
		t.Run(fmt.Sprintf("a server that answers %d to POST is asked by GET", status), func(t *testing.T) {
			address, seen := record(t, func(w http.ResponseWriter, r *http.Request) bool {
				if r.Method == "POST" {
					w.WriteHeader(status)
				}
				return r.Method == "POST"
			})
			zero := int64(0) // 91: an explicit 0 is the default, not "at once"
			got, err := New(Options{}).Measure(context.Background(), request(v1alpha1.PrometheusMetric{Address: address, Query: "up", Timeout: &zero}))
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(series("[1]", 1), got); d != "" {
				t.Error(d)
			}
			want := []string{"POST /api/v1/query query=up&time=1786960800.5", "GET /api/v1/query?query=up&time=1786960800.5"}
			if d := cmp.Diff(want, seen()); d != "" {
				t.Error(d)
			}
		})
	}
	t.Run("a range query sends start, end and step", func(t *testing.T) {
		address, seen := record(t, nil)
		_, err := New(Options{}).Measure(context.Background(), request(v1alpha1.PrometheusMetric{Address: address, Query: "up",
			RangeQuery: &v1alpha1.PrometheusRangeQueryArgs{Start: `now() - duration("1h")`, End: "now()", Step: "90s"}}))
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff([]string{"POST /api/v1/query_range end=1786960800.5&query=up&start=1786957200.5&step=90"}, seen()); d != "" {
			t.Error(d)
		}
	})
	t.Run("OAuth2 wins over a header", func(t *testing.T) {
		address, seen := record(t, func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path != "/token" {
				return false
			}
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"access_token":"tok","token_type":"Bearer"}`)
			return true
		})
		_, err := New(Options{}).Measure(context.Background(), request(v1alpha1.PrometheusMetric{Address: address, Query: "up",
			Headers:        []v1alpha1.WebMetricHeader{{Key: "Authorization", Value: "Bearer mine"}},
			Authentication: v1alpha1.Authentication{OAuth2: v1alpha1.OAuth2Config{TokenURL: address + "/token", ClientID: "id", ClientSecret: "sesame"}}}))
		if err != nil {
			t.Fatal(err)
		}
		got := seen()
		if len(got) != 2 || !strings.HasPrefix(got[0], "POST /token grant_type=client_credentials Basic ") || !strings.HasSuffix(got[1], "Bearer tok") {
			t.Errorf("requests: %q", got)
		}
	})
	t.Run("sigv4 signs for Amazon's managed Prometheus", func(t *testing.T) {
		var token, signed string
		address, seen := record(t, func(_ http.ResponseWriter, r *http.Request) bool {
			token, signed = r.Header.Get("X-Amz-Security-Token"), r.Header.Get("Authorization")
			return false
		})
		p := New(Options{AWS: awsauth.New(login)})
		auth := v1alpha1.Authentication{Sigv4: v1alpha1.Sigv4Config{Region: "eu-west-1", Profile: "metrics"}}
		if _, err := p.Measure(context.Background(), request(v1alpha1.PrometheusMetric{Address: address + "/aps-workspaces/ws-1", Query: "up", Authentication: auth})); err != nil {
			t.Fatal(err)
		}
		if got := seen(); len(got) != 1 || !strings.HasPrefix(got[0], "POST /aps-workspaces/ws-1/api/v1/query query=up&time=1786960800.5 AWS4-HMAC-SHA256 Credential=metrics/") {
			t.Errorf("requests: %q", got)
		}
		if token != "session" || !strings.Contains(signed, "/eu-west-1/aps/aws4_request, SignedHeaders=content-length;content-type;host;x-amz-content-sha256;x-amz-date;x-amz-security-token, Signature=") {
			t.Errorf("token %q, signed %q", token, signed)
		}
		if _, err := p.Measure(context.Background(), request(v1alpha1.PrometheusMetric{Address: address, Query: "up", Authentication: auth})); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff([]string{"POST /api/v1/query query=up&time=1786960800.5"}, seen()); d != "" {
			t.Errorf("elsewhere it is not signed: %s", d)
		}
	})
	t.Run("credentials stay with the host when it redirects elsewhere", func(t *testing.T) {
		other, elsewhere := record(t, nil)
		address, _ := record(t, func(w http.ResponseWriter, r *http.Request) bool {
			http.Redirect(w, r, strings.Replace(other, "127.0.0.1", "localhost", 1), http.StatusTemporaryRedirect)
			return true
		})
		_, err := New(Options{}).Measure(context.Background(), request(v1alpha1.PrometheusMetric{Address: address, Query: "up",
			Authentication: v1alpha1.Authentication{BasicAuth: v1alpha1.BasicAuthConfig{Username: "u", Password: "password"}}}))
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff([]string{"POST / query=up&time=1786960800.5"}, elsewhere()); d != "" {
			t.Error(d)
		}
	})
	t.Run("a token endpoint that echoes the client secret does not leak it", func(t *testing.T) {
		address, _ := record(t, func(w http.ResponseWriter, r *http.Request) bool {
			w.WriteHeader(401)
			_, _ = io.WriteString(w, "no such client with sesame-street")
			return true
		})
		_, err := New(Options{}).Measure(context.Background(), request(v1alpha1.PrometheusMetric{Address: address, Query: "up",
			Authentication: v1alpha1.Authentication{OAuth2: v1alpha1.OAuth2Config{TokenURL: address, ClientID: "id", ClientSecret: "sesame-street"}}}))
		if err == nil || strings.Contains(err.Error(), "sesame") || !strings.Contains(err.Error(), "oauth2: cannot fetch token") {
			t.Errorf("error: %v", err)
		}
	})
}

// login gives each profile credentials of its name.
func login(_ context.Context, profile, region string) (aws.Config, error) {
	return aws.Config{Region: region, Credentials: credentials.NewStaticCredentialsProvider(profile, "key", "session")}, nil
}

func TestDescribe(t *testing.T) {
	r := request(v1alpha1.PrometheusMetric{Query: `up{t="hunter22"}`})
	r.Secrets = []string{"hunter22"}
	want := map[string]string{"ResolvedPrometheusQuery": `up{t="*****"}`}
	if d := cmp.Diff(want, New(Options{}).Describe(r), cmpopts.EquateEmpty()); d != "" {
		t.Error(d)
	}
}
