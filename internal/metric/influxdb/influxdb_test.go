package influxdb

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/metric"
	"github.com/penstock-io/penstock/internal/metric/providertest"
)

const flux = `from(bucket: "app") |> range(start: -5m) |> mean()`

func asking(m v1alpha1.InfluxdbMetric) metric.Request {
	return metric.Request{Metric: "m", Provider: v1alpha1.MetricProvider{Influxdb: &m}}
}

// table is an answer with one table of doubles; "" is a value that is missing.
func table(values ...string) string {
	rows := "#datatype,string,long,double\n#group,false,false,false\n#default,_result,,\n,result,table,_value\n"
	for _, v := range values {
		rows += ",,0," + v + "\n"
	}
	return rows + "\n"
}

const broken = "#datatype,string,string\n#group,true,true\n#default,,\n,error,reference\n,division by zero,897\n"

// atTheURL takes the profile's name as the address of the pretend server.
func atTheURL(_ context.Context, _, name string) (map[string][]byte, error) {
	return map[string][]byte{"address": []byte(name + "/"), "org": []byte("the shop"), "authToken": []byte(providertest.Secret)}, nil
}

func fixture() providertest.Fixture {
	values := func(display string, v ...any) metric.Result {
		return metric.Result{Kind: metric.Values, Value: v, Display: display}
	}
	none := "no results returned from flux query"
	return providertest.Fixture{
		New: func() metric.Provider { return New(Options{Secrets: atTheURL, Timeout: time.Second}) },
		Request: func(url string, _ time.Duration) metric.Request {
			r := asking(v1alpha1.InfluxdbMetric{Profile: url, Query: flux})
			r.Secrets = []string{providertest.Secret}
			return r
		},
		Wire: providertest.Wire{Method: "POST", Path: "/api/v2/query", Query: "org=the+shop",
			Header: map[string]string{"Authorization": "Token " + providertest.Secret, "Content-Type": "application/json", "Accept": "application/csv"},
			Body:   `{"dialect":{"annotations":["datatype","group","default"],"delimiter":",","header":true},"query":"from(bucket: \"app\") |\u003e range(start: -5m) |\u003e mean()","type":"flux"}`},
		Values: map[string]providertest.Answer{
			"two values":           {Body: table("1", "6.6"), Want: values("[1 6.6]", 1.0, 6.6)},
			"zero is data":         {Body: table("0"), Want: values("[0]", 0.0)},
			"tables in a row":      {Body: table("1") + table("2"), Want: values("[1 2]", 1.0, 2.0)},
			"one missing of three": {Body: table("1", "", "3"), Want: values("[1 <nil> 3]", 1.0, nil, 3.0)},
		},
		// Covers: analysis edge 114.
		NoData: map[string]providertest.Answer{
			"an empty body":        {Body: "\r\n", Want: metric.Result{Value: []any(nil), Why: none}},
			"a table without rows": {Body: table(), Want: metric.Result{Value: []any(nil), Why: none}},
			"only missing values":  {Body: table("", ""), Want: metric.Result{Value: []any{nil, nil}, Why: none}},
		},
		Broken: map[string]providertest.Answer{
			"an error after rows": {Body: table("1") + broken, WantErr: "read the answer: division by zero,897"},
			"an error alone":      {Body: broken, WantErr: "read the answer: division by zero,897"},
			"a word for a number": {Body: table("many"), WantErr: "read the answer"},
			"HTML":                {Body: "<html>", WantErr: "it is no annotated CSV"},
			"too many rows":       {Body: table(strings.Split(strings.Repeat("1,", maxValues)+"1", ",")...), WantErr: "more than 10000 values"},
			"a bad query":         {Status: 400, Body: `{"code":"invalid","message":"undefined\nidentifier"}`, WantErr: "received non 2xx response code: 400 invalid: undefined identifier"},
		},
		Echo: func(text string) providertest.Answer {
			return providertest.Answer{Body: strings.Replace(table(`"`+strings.ReplaceAll(text, `"`, `""`)+`"`), "double", "string", 1)}
		},
	}
}

func TestContract(t *testing.T) { providertest.Run(t, fixture()) }

func TestProfiles(t *testing.T) {
	for name, c := range map[string]struct {
		data map[string][]byte
		err  error
		want string
	}{
		"no Secret":  {nil, fmt.Errorf(`secrets "influxdb" not found (%w)`, metric.ErrNoSecret), `read profile influxdb: secrets "influxdb" not found`},
		"no token":   {map[string][]byte{"address": []byte("a"), "org": []byte("o")}, nil, "authToken, org, or address not found"},
		"no org":     {map[string][]byte{"address": []byte("a"), "authToken": []byte("o")}, nil, "authToken, org, or address not found"},
		"no address": {map[string][]byte{"authToken": []byte("a"), "org": []byte("o")}, nil, "authToken, org, or address not found"},
	} {
		t.Run(name, func(t *testing.T) {
			read := func(_ context.Context, namespace, _ string) (map[string][]byte, error) {
				if namespace != "" {
					t.Errorf("namespace %q, want the controller's", namespace)
				}
				return c.data, c.err
			}
			if _, err := New(Options{Secrets: read}).Measure(context.Background(), asking(v1alpha1.InfluxdbMetric{})); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

func FuzzDecode(f *testing.F) {
	for _, body := range []string{table("1"), table(""), broken, "#datatype,string\n", "#", "#datatype\n#group\n#default\n,\n,,,,\n", ""} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		if res, err := decode([]byte(body)); err == nil && res.Kind == metric.Values && len(res.Value.([]any)) == 0 {
			t.Errorf("%q is a value", body)
		}
	})
}
