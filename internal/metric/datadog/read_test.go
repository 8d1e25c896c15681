package datadog

import (
	"context"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/metric"
	"github.com/penstock-io/penstock/internal/metric/providertest"
)

// sent is a request as the pretend server has received it.
type sent struct{ Line, Body, APIKey, AppKey string }

// listen is a pretend server that answers everything with body; last is what it was asked.
func listen(t *testing.T, body string) (url string, last func() sent) {
	t.Helper()
	seen := make(chan sent, 8)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		seen <- sent{r.Method + " " + r.URL.Path, string(raw), r.Header.Get("DD-API-KEY"), r.Header.Get("DD-APPLICATION-KEY")}
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(s.Close)
	return s.URL, func() sent {
		select {
		case s := <-seen:
			return s
		default:
			t.Fatal("nobody asked")
			return sent{}
		}
	}
}

func measure(t *testing.T, p metric.Provider, m v1alpha1.DatadogMetric) metric.Result {
	t.Helper()
	res, err := p.Measure(context.Background(), asking(m))
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func TestWhatIsSent(t *testing.T) {
	const window = `"from":1786960500000,`
	url, last := listen(t, scalar(`{"name":"f","type":"number","values":[1]}`))
	two := map[string]string{"errors": "sum:e{*}", "all": "sum:a{*}"}
	for name, c := range map[string]struct {
		metric v1alpha1.DatadogMetric
		want   string
	}{
		"queries by name, with their formula": {v1alpha1.DatadogMetric{Queries: two, Formula: "errors / all", Aggregator: "sum"},
			`{"data":{"type":"scalar_request","attributes":{"formulas":[{"formula":"errors / all"}],` + window +
				`"queries":[{"aggregator":"sum","data_source":"metrics","name":"all","query":"sum:a{*}"},{"aggregator":"sum","data_source":"metrics","name":"errors","query":"sum:e{*}"}],"to":1786960800000}}}`},
		"one query of a name needs no formula": {v1alpha1.DatadogMetric{Queries: map[string]string{"errors": "sum:e{*}"}},
			`{"data":{"type":"scalar_request","attributes":{"formulas":[],` + window +
				`"queries":[{"aggregator":"last","data_source":"metrics","name":"errors","query":"sum:e{*}"}],"to":1786960800000}}}`},
	} {
		t.Run(name, func(t *testing.T) {
			c.metric.ApiVersion, c.metric.SecretRef.Name = "v2", url+"/"
			measure(t, New(Options{Secrets: atTheURL}), c.metric)
			if d := cmp.Diff(sent{"POST /api/v2/query/scalar", c.want, providertest.Secret, "app" + providertest.Secret}, last()); d != "" {
				t.Error(d)
			}
		})
	}
}

// Covers: analysis defect 18.
func TestNoVersionIsV1(t *testing.T) {
	url, last := listen(t, points("[1,2]"))
	m := v1alpha1.DatadogMetric{Query: "q", SecretRef: v1alpha1.SecretRef{Name: url}}
	measure(t, New(Options{Secrets: atTheURL}), m)
	if got := last().Line; got != "GET /api/v1/query" {
		t.Error(got)
	}
}

func TestCredentialsAreReadForEachMeasurement(t *testing.T) {
	url, last := listen(t, points("[1,2]"))
	keys := map[string][]byte{"address": []byte(url + "\n"), "api-key": []byte("old\n"), "app-key": []byte(" old ")}
	p := New(Options{Secrets: func(context.Context, string, string) (map[string][]byte, error) { return keys, nil }})
	m := v1alpha1.DatadogMetric{Query: "q"}
	measure(t, p, m)
	if got := last(); got.APIKey != "old" || got.AppKey != "old" {
		t.Errorf("spaces around a key are no part of it: %+v", got)
	}
	keys["api-key"], keys["app-key"] = []byte("new"), []byte("newer")
	measure(t, p, m)
	if got := last(); got.APIKey != "new" || got.AppKey != "newer" {
		t.Errorf("a key was kept: %+v", got)
	}
}

func TestTheEnvironmentIsReadForEachMeasurement(t *testing.T) {
	url, last := listen(t, points("[1,2]"))
	env := map[string]string{"DD_ADDRESS": url, "DD_API_KEY": "k", "DD_APP_KEY": "a"}
	p := New(Options{Env: func(k string) string { return env[k] }})
	measure(t, p, v1alpha1.DatadogMetric{Query: "q"})
	if got := last(); got.APIKey != "k" || got.AppKey != "a" {
		t.Errorf("%+v", got)
	}
	env["DD_API_KEY"] = ""
	if _, err := p.Measure(context.Background(), asking(v1alpha1.DatadogMetric{Query: "q"})); err == nil || err.Error() != errNoCredentials.Error() {
		t.Error(err)
	}
}

func TestAnAddressThatIsNone(t *testing.T) {
	for _, address := range []string{"api.datadoghq.eu", "ftp://api.datadoghq.eu", "https://", "https://user:hunter22@a b", ":"} {
		m := v1alpha1.DatadogMetric{Query: "q", SecretRef: v1alpha1.SecretRef{Name: address}}
		_, err := New(Options{Secrets: atTheURL}).Measure(context.Background(), asking(m))
		if err == nil || err.Error() != "the address of datadog is no http or https URL" {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// plain cuts where there are no secrets.
func plain(text string, most int) string { return metric.Cut(text, most, nil) }

func TestACutNeverLeavesPartOfASecret(t *testing.T) {
	for _, before := range []int{maxShown - 5, maxShown - 1, maxShown} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, strings.Repeat("x", before)+r.Header.Get("DD-API-KEY"))
		}))
		m := v1alpha1.DatadogMetric{Query: "q", SecretRef: v1alpha1.SecretRef{Name: s.URL}}
		_, err := New(Options{Secrets: atTheURL}).Measure(context.Background(), asking(m))
		s.Close()
		const text = "received authentication error response code: 403 "
		if err == nil || len(err.Error()) != len(text)+maxShown || strings.Trim(strings.TrimPrefix(err.Error(), text), "x*") != "" {
			t.Errorf("after %d bytes: %v", before, err)
		}
	}
}

func TestAnErrorIsShortWhateverTheAnswer(t *testing.T) {
	long := strings.Repeat("9", 4096)
	for name, read := range map[string]func() error{
		"a number":     func() error { _, err := readV1([]byte(points("[1,"+long+"]")), plain); return err },
		"an error":     func() error { _, err := readV1([]byte(`{"error":"`+long+`"}`), plain); return err },
		"a status":     func() error { _, err := readV1([]byte(`{"status":"`+long+`"}`), plain); return err },
		"a number, v2": func() error { _, err := readV2([]byte(scalar(`{"values":["`+long+`x"]}`)), plain); return err },
		"errors, v2":   func() error { _, err := readV2([]byte(`{"errors":{"a":"`+long+`"}}`), plain); return err },
		"a column": func() error {
			_, err := readV2([]byte(scalar(`{"name":"`+long+`","values":["x"]}`)), plain)
			return err
		},
	} {
		if err := read(); err == nil || len(err.Error()) > 500 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Covers: analysis edge 95.
func TestNoDataIsNilToACondition(t *testing.T) {
	for name, c := range map[string]struct {
		read    func([]byte, shorten) (metric.Result, error)
		body    string
		display string
	}{
		"no points":    {readV1, points(""), "[]"},
		"no series":    {readV1, `{"status":"ok","series":[]}`, "[]"},
		"a null":       {readV1, points("[1,null]"), "null"},
		"nothing, v2":  {readV2, scalar(""), "[]"},
		"a null of v2": {readV2, scalar(`{"type":"number","values":[null]}`), "[]"},
	} {
		t.Run(name, func(t *testing.T) {
			res, err := c.read([]byte(c.body), plain)
			if err != nil || res.Kind != metric.NoData || res.Value != nil || res.Display != c.display {
				t.Errorf("%+v, %v", res, err)
			}
		})
	}
}

// FuzzDecode: whatever the answer, a value is a finite number or a list of them, and no
// data is nothing else.
func FuzzDecode(f *testing.F) {
	for _, body := range []string{points("[1,2]"), points("[1,null]"), points("null"), "{", "null", `{"errors":[]}`, `{"series":[null]}`, scalar(`{"values":[1]}`),
		scalar(`{"values":["NaN","Inf",""]}`), scalar(`null`), scalar(`{"type":"group","name":"a","values":[[],["x"],null]},{"type":"group","values":[["y"]]},{"values":[1,2]}`)} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		for _, read := range []func([]byte, shorten) (metric.Result, error){readV1, readV2} {
			res, err := read([]byte(body), func(text string, most int) string { return metric.Cut(text, most, []string{"secret"}) })
			if err != nil {
				if len(err.Error()) > 2000 {
					t.Errorf("an error of %d bytes", len(err.Error()))
				}
				continue
			}
			if good := sound(res); !good {
				t.Errorf("%q is %+v", body, res)
			}
		}
	})
}

func sound(r metric.Result) bool {
	switch v := r.Value.(type) {
	case nil:
		return r.Kind == metric.NoData && r.Why != ""
	case float64:
		return r.Kind == metric.Values && !math.IsNaN(v) && !math.IsInf(v, 0) && r.Display != ""
	case []float64:
		for _, n := range v {
			if math.IsNaN(n) || math.IsInf(n, 0) {
				return false
			}
		}
		return r.Kind == metric.Values && len(v) > 0 && r.Metadata["groups"] != ""
	}
	return false
}
