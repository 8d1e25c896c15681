package wavefront

import (
	"context"
	"encoding/json"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/metric"
	"github.com/penstock-io/penstock/internal/metric/providertest"
)

var now = time.Date(2026, 8, 17, 10, 0, 0, 0, time.UTC) // 1786960800

func asking(m v1alpha1.WavefrontMetric) metric.Request {
	return metric.Request{Metric: "m", Provider: v1alpha1.MetricProvider{Wavefront: &m}, Now: now}
}

// everyToken has the same token for every address.
func everyToken(address string) metric.SecretReader {
	return func(context.Context, string, string) (map[string][]byte, error) {
		return map[string][]byte{address: []byte(providertest.Secret)}, nil
	}
}

func series(list string) string { return `{"query":"q","timeseries":[` + list + `]}` }

func fixture() providertest.Fixture {
	var mu sync.Mutex
	known := map[string][]byte{} // checks run beside each other, each with a server of its own
	found := func(v any, display, at, drift string) metric.Result {
		return metric.Result{Kind: metric.Values, Value: v, Display: display, Metadata: map[string]string{"timestamps": at, "drift": drift}}
	}
	return providertest.Fixture{
		New: func() metric.Provider {
			return New(Options{Timeout: time.Second, Secrets: func(context.Context, string, string) (map[string][]byte, error) {
				mu.Lock()
				defer mu.Unlock()
				return maps.Clone(known), nil
			}})
		},
		Request: func(url string, _ time.Duration) metric.Request {
			mu.Lock()
			known[url] = []byte(providertest.Secret)
			mu.Unlock()
			r := asking(v1alpha1.WavefrontMetric{Address: url, Query: "ts(errors, service=web)"})
			r.Secrets = []string{providertest.Secret}
			return r
		},
		Wire: providertest.Wire{Method: "GET", Path: "/api/v2/chart/api", Query: "e=1786960800000&g=s&i=true&p=1&q=ts%28errors%2C+service%3Dweb%29&s=1786960800000",
			Header: map[string]string{"Authorization": "Bearer " + providertest.Secret}},
		Values: map[string]providertest.Answer{
			"one series is a number":    {Body: series(`{"data":[[1786960790,0.256]]}`), Want: found(0.256, "0.26", "1786960790", "10")},
			"zero is data":              {Body: series(`{"data":[[1786960800,0]]}`), Want: found(0.0, "0.00", "1786960800", "0")},
			"the nearest point counts":  {Body: series(`{"data":[[1786960700,1],[1786960803,2],[1786960900,3]]}`), Want: found(2.0, "2.00", "1786960803", "-3")}, // Covers: analysis edge 102.
			"several series are a list": {Body: series(`{"data":[[1786960800,10]]},{"data":[[1786960799,11]]}`), Want: found([]float64{10, 11}, "[10.00,11.00]", "1786960800,1786960799", "0,1")},
		},
		// Covers: analysis edge 102.
		NoData: map[string]providertest.Answer{
			"no series":               {Body: series(""), Want: metric.Result{Why: "No TimeSeries found in response from Wavefront"}},
			"a series without points": {Body: series(`{"data":[]}`), Want: metric.Result{Why: "series 1 of 1 has no points"}},
			"one of two is empty":     {Body: series(`{"data":[[1786960800,10]]},{}`), Want: metric.Result{Why: "series 2 of 2 has no points"}},
		},
		Broken: map[string]providertest.Answer{
			"an error of theirs": {Body: `{"errorType":"QuerySyntaxError","errorMessage":"no\nsuch"}`, WantErr: "wavefront: QuerySyntaxError: no such"},
			"a point alone":      {Body: series(`{"data":[[1]]}`), WantErr: "not a time and a value"},
			"HTML":               {Body: "<html>", WantErr: "read the answer"},
		},
		Echo: func(text string) providertest.Answer {
			raw, err := json.Marshal(text)
			if err != nil {
				panic(err)
			}
			return providertest.Answer{Body: `{"warnings":` + string(raw) + `,"timeseries":[{"data":[[1786960800,1]]}]}`}
		},
	}
}

func TestContract(t *testing.T) { providertest.Run(t, fixture()) }

func TestTokensAndAddresses(t *testing.T) {
	for name, c := range map[string]struct {
		address string
		secrets metric.SecretReader
		want    string
	}{
		"no Secret reader":         {"example.wavefront.com", nil, "API token not found"},
		"no token for the address": {"example.wavefront.com", everyToken("other"), "API token not found: secret wavefront-api-tokens has no key example.wavefront.com"},
		"no address":               {"", everyToken(""), "address must be a host"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := New(Options{Secrets: c.secrets}).Measure(context.Background(), asking(v1alpha1.WavefrontMetric{Address: c.address}))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
	if u, err := base("example.wavefront.com"); err != nil || u.String() != "https://example.wavefront.com" {
		t.Errorf("%v %v", u, err)
	}
}

func FuzzDecode(f *testing.F) {
	for _, body := range []string{series(`{"data":[[1,2]]}`), series("{}"), "{", "null", `{"timeseries":[{"data":[[1,2,3]]}]}`} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		if res, err := decode([]byte(body), now, nil); err == nil && res.Kind == metric.Values && res.Value == nil {
			t.Errorf("%q is a value", body)
		}
	})
}
