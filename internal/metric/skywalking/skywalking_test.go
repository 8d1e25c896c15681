package skywalking

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/metric"
	"github.com/penstock-io/penstock/internal/metric/providertest"
)

var now = time.Date(2026, 8, 17, 22, 4, 30, 0, time.UTC)

const text = "query($duration: Duration!) { m: readMetricsValue(duration: $duration) }"

func asking(m v1alpha1.SkyWalkingMetric) metric.Request {
	return metric.Request{Metric: "m", Provider: v1alpha1.MetricProvider{SkyWalking: &m}, Now: now}
}

func fixture() providertest.Fixture {
	data := func(v any, display string) metric.Result {
		return metric.Result{Kind: metric.Values, Value: v, Display: display}
	}
	return providertest.Fixture{
		Anonymous: true,
		New: func() metric.Provider {
			return New(Options{Timeout: time.Second, Zone: time.FixedZone("CST", 8*3600)})
		},
		Request: func(url string, _ time.Duration) metric.Request {
			r := asking(v1alpha1.SkyWalkingMetric{Address: url + "/", Query: text, Interval: "5m"})
			r.Secrets = []string{providertest.Secret}
			return r
		},
		Wire: providertest.Wire{Method: "POST", Path: "/graphql", Header: map[string]string{"Content-Type": "application/json; charset=utf-8"},
			Body: `{"query":"` + text + `","variables":{"duration":{"start":"2026-08-18 0559","end":"2026-08-18 0604","step":"MINUTE"}}}`},
		Values: map[string]providertest.Answer{
			"a number":       {Body: `{"data":{"m":12.5}}`, Want: data(map[string]any{"m": 12.5}, `{"m":12.5}`)},
			"zero is data":   {Body: `{"data":{"m":0}}`, Want: data(map[string]any{"m": 0.0}, `{"m":0}`)},
			"one null of it": {Body: `{"data":{"m":null,"n":1}}`, Want: data(map[string]any{"m": nil, "n": 1.0}, `{"m":null,"n":1}`)},
		},
		// Covers: analysis edge 114.
		NoData: map[string]providertest.Answer{
			"null":             {Body: `{"data":null}`, Want: metric.Result{Why: "no results returned from SkyWalking query"}},
			"no data at all":   {Body: `{}`, Want: metric.Result{Why: "no results returned from SkyWalking query"}},
			"nothing but null": {Body: `{"data":{"m":{"values":[{"value":null}]}}}`, Want: metric.Result{Value: map[string]any{"m": map[string]any{"values": []any{map[string]any{"value": nil}}}}, Why: "no results returned from SkyWalking query"}},
		},
		Broken: map[string]providertest.Answer{
			"an error beside data": {Body: `{"data":{"m":1},"errors":[{"message":"no such\nservice"}]}`, WantErr: "graphql: no such service"},
			"HTML":                 {Body: "<html>", WantErr: "read the answer"},
			"another document":     {Body: `[]`, WantErr: "read the answer"},
		},
		Echo: func(text string) providertest.Answer {
			return providertest.Answer{Body: `{"data":{"m":` + quote(text) + `}}`}
		},
	}
}

func TestContract(t *testing.T) { providertest.Run(t, fixture()) }

func TestSettings(t *testing.T) {
	for name, c := range map[string]struct {
		metric v1alpha1.SkyWalkingMetric
		want   string
	}{
		"no address":        {v1alpha1.SkyWalkingMetric{Interval: "5m"}, "must be a URL"},
		"no scheme":         {v1alpha1.SkyWalkingMetric{Address: "oap:12800", Interval: "5m"}, "must be a URL"},
		"no interval":       {v1alpha1.SkyWalkingMetric{Address: "http://oap"}, `how far it looks back, such as 5m, but is ""`},
		"no duration":       {v1alpha1.SkyWalkingMetric{Address: "http://oap", Interval: "5 minutes"}, `but is "5 minutes"`},
		"a look to the end": {v1alpha1.SkyWalkingMetric{Address: "http://oap", Interval: "-5m"}, `but is "-5m"`},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := New(Options{}).Measure(context.Background(), asking(c.metric)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

func FuzzDecode(f *testing.F) {
	for _, body := range []string{`{"data":{"m":1}}`, `{"data":[]}`, `{"errors":[{}]}`, "{", "null"} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		if res, err := decode([]byte(body), nil); err == nil && res.Kind == metric.Values && hollow(res.Value) {
			t.Errorf("%q is a value", body)
		}
	})
}

func quote(text string) string {
	raw, err := json.Marshal(text)
	if err != nil {
		panic(err)
	}
	return string(raw)
}
