package graphite

import (
	"context"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/metric"
	"github.com/penstock-io/penstock/internal/metric/providertest"
)

func values(display string, v ...float64) metric.Result {
	return metric.Result{Kind: metric.Values, Value: v, Display: display}
}

func points(list string) string {
	return `[{"target":"errors","tags":{"name":"errors"},"datapoints":[` + list + `]},{"target":"other","datapoints":[[99,1]]}]`
}

func asking(m v1alpha1.GraphiteMetric) metric.Request {
	return metric.Request{Metric: "m", Provider: v1alpha1.MetricProvider{Graphite: &m}}
}

func fixture() providertest.Fixture {
	empty := metric.Result{Value: []float64{}}
	return providertest.Fixture{
		Anonymous: true,
		New:       func() metric.Provider { return New(Options{Timeout: time.Second}) },
		Request: func(url string, _ time.Duration) metric.Request {
			r := asking(v1alpha1.GraphiteMetric{Address: url + "/graphite/", Query: "target=sumSeries(app.http.*.errors)\n  &from=-5min"})
			r.Secrets = []string{providertest.Secret}
			return r
		},
		Wire: providertest.Wire{Method: "GET", Path: "/graphite/render", Query: "target=sumSeries(app.http.*.errors)&from=-5min&format=json"},
		// Covers: analysis edge 113.
		Values: map[string]providertest.Answer{
			"numbers":                            {Body: points("[10,1],[11,2]"), Want: values("[10.000000,11.000000]", 10, 11)},
			"null points are skipped":            {Body: points("[null,1],[0.5,2]"), Want: values("[0.500000]", 0.5)},
			"numbers as texts":                   {Body: points(`["1.5",1]`), Want: values("[1.500000]", 1.5)},
			"zero is data":                       {Body: points("[0,1]"), Want: values("[0.000000]", 0)},
			"only the first target counts":       {Body: points("[1,1]"), Want: values("[1.000000]", 1)},
			"NaN among others is a number of it": {Body: points(`["nan",1],[1,2]`), Want: values("[NaN,1.000000]", math.NaN(), 1)},
		},
		// Covers: analysis edge 113, outage 58.
		NoData: map[string]providertest.Answer{
			"no targets":    {Body: "[]", Want: metric.Result{Value: empty.Value, Why: "no values found: the query matches no series"}},
			"no datapoints": {Body: points(""), Want: metric.Result{Value: empty.Value, Why: "no values found: the series has no datapoints"}},
			"only nulls":    {Body: points("[null,1],[null,2]"), Want: metric.Result{Value: empty.Value, Why: "all datapoints are null"}},
			"null":          {Body: "null", Want: metric.Result{Value: empty.Value, Why: "no values found: the query matches no series"}},
		},
		Broken: map[string]providertest.Answer{
			"an error page":       {Status: 400, Body: "missing\ntarget", WantErr: "error response: missing target (status 400)"}, // Covers: analysis edge 113.
			"HTML":                {Body: "<html>", WantErr: "read the answer"},
			"half an answer":      {Body: `[{"target":"a","datapoints":[[1,`, WantErr: "read the answer"},
			"a word for a number": {Body: points(`["many",1]`), WantErr: `"many" is no number`},
			"a list for a number": {Body: points(`[[1],1]`), WantErr: "is no number"},
			"a value alone":       {Body: points("[1]"), WantErr: "not a value and a time"},
		},
		Echo: func(string) providertest.Answer { return providertest.Answer{Body: points("[1,1]")} },
	}
}

func TestContract(t *testing.T) { providertest.Run(t, fixture()) }

func TestAddressesThatAreNone(t *testing.T) {
	for _, address := range []string{"", "graphite:80", "graphite.example", "http://", "http://a b"} {
		_, err := New(Options{}).Measure(context.Background(), asking(v1alpha1.GraphiteMetric{Address: address}))
		if want := "Graphite address " + address + " is not a valid URL"; err == nil || err.Error() != strings.TrimSpace(strings.Join(strings.Fields(want), " ")) {
			t.Errorf("%q: %v", address, err)
		}
	}
	if _, err := New(Options{}).Measure(context.Background(), metric.Request{Metric: "m"}); err == nil {
		t.Error("no provider section is no error")
	}
}

func FuzzDecode(f *testing.F) {
	for _, body := range []string{points("[1,1]"), "[]", `[{"datapoints":[["x",1]]}]`, `[{"datapoints":[[null]]}]`, "{", `[null]`} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		res, err := decode([]byte(body), nil)
		if err == nil && res.Kind == metric.Values && len(res.Value.([]float64)) == 0 {
			t.Errorf("%q is a value", body)
		}
	})
}
