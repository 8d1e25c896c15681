package web

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/metric"
	"github.com/penstock-io/penstock/internal/metric/providertest"
)

func requestOf(m v1alpha1.WebMetric) metric.Request {
	return metric.Request{Metric: "m", Provider: v1alpha1.MetricProvider{Web: &m}, Now: time.Date(2026, 8, 17, 10, 0, 0, 0, time.UTC)}
}

func values(v any, display string) metric.Result {
	return metric.Result{Kind: metric.Values, Value: v, Display: display}
}

func fixture() providertest.Fixture {
	return providertest.Fixture{
		New: func() metric.Provider { return New(Options{}) },
		Request: func(url string, limit time.Duration) metric.Request {
			r := requestOf(v1alpha1.WebMetric{
				Method: "POST", URL: url + "/check?app=web", Body: "token=" + providertest.Secret, TimeoutSeconds: int64(limit / time.Second), JSONPath: "{$.result}",
				Headers: []v1alpha1.WebMetricHeader{{Key: "Authorization", Value: "Bearer " + providertest.Secret}, {Key: "Content-Type", Value: "text/x"}},
			})
			r.Secrets = []string{providertest.Secret}
			return r
		},
		Wire: providertest.Wire{
			Method: "POST", Path: "/check", Query: "app=web", Body: "token=" + providertest.Secret,
			Header: map[string]string{"Authorization": "Bearer " + providertest.Secret, "Content-Type": "text/x"},
		},
		Values: map[string]providertest.Answer{
			"a number":                            {Body: `{"result": 1.5}`, Want: values(1.5, "1.5")},
			"zero":                                {Body: `{"result": 0}`, Want: values(0.0, "0")},
			"an object":                           {Body: `{"result":{"status":"pass"}}`, Want: values(map[string]any{"status": "pass"}, `{"status":"pass"}`)},
			"a list":                              {Body: `{"result":[1,2]}`, Want: values([]any{1.0, 2.0}, "[1,2]")},
			"an empty object was answered":        {Body: `{"result":{}}`, Want: values(map[string]any{}, "{}")},
			"text is a text":                      {Body: "all is well", Want: values("all is well", "all is well")}, // Covers: analysis edge 104.
			"an empty body is an empty text":      {Status: 204, Want: values("", "")},
			"any 2xx will do":                     {Status: 202, Body: `{"result": true}`, Want: values(true, "true")},
			"a large number keeps what it can be": {Body: `{"result": 1e300}`, Want: values(1e300, "1e+300")},
		},
		NoData: map[string]providertest.Answer{
			"null for the answer":   {Body: "null", Want: metric.Result{Why: "the answer is null"}},
			"null at the jsonPath":  {Body: `{"result":null}`, Want: metric.Result{Why: "the value at the jsonPath is null"}},
			"an empty list":         {Body: `{"result":[]}`, Want: metric.Result{Value: []any{}, Why: "the value at the jsonPath is an empty list"}},
			"null with white space": {Body: " null\n", Want: metric.Result{Why: "the answer is null"}},
		},
		Broken: map[string]providertest.Answer{
			"a field that is not there":     {Body: `{"other":1}`, WantErr: "Could not find JSONPath in body: result is not found"}, // Covers: analysis edge 104.
			"a number instead of an object": {Body: `12`, WantErr: "Could not find JSONPath in body: "},
			"a body shorter than promised":  {Header: map[string]string{"Content-Length": "100"}, Body: `{"result":1`, WantErr: "unexpected EOF"},
			"a redirect to nowhere":         {Status: 302, WantErr: "302"},
		},
		Echo: func(text string) providertest.Answer {
			raw, _ := json.Marshal(map[string]string{"result": text}) // a string always encodes
			return providertest.Answer{Body: string(raw)}
		},
	}
}

func TestContract(t *testing.T) { providertest.Run(t, fixture()) }

func TestSettings(t *testing.T) {
	cases := map[string]struct {
		metric v1alpha1.WebMetric
		want   string
	}{
		"both bodies":             {v1alpha1.WebMetric{Method: "POST", Body: "a", JSONBody: []byte(`{}`)}, "use either Body or JSONBody; both cannot exists for WebMetric payload"}, // Covers: analysis edge 103.
		"GET with a body":         {v1alpha1.WebMetric{Body: "a"}, "Body/JSONBody can only be used with POST or PUT WebMetric Method types"},                                        // Covers: analysis edge 103.
		"GET with jsonBody":       {v1alpha1.WebMetric{Method: "GET", JSONBody: []byte(`{}`)}, "Body/JSONBody can only be used with POST or PUT WebMetric Method types"},            // Covers: analysis edge 103.
		"a method of its own":     {v1alpha1.WebMetric{Method: "BREW"}, `the method of a web metric must be GET, POST or PUT, but is "BREW"`},
		"a URL that is none":      {v1alpha1.WebMetric{URL: "http://[::1"}, "read url: missing ']' in host"},
		"no URL":                  {v1alpha1.WebMetric{}, "get ://: unsupported protocol scheme"},
		"a jsonPath that is none": {v1alpha1.WebMetric{JSONPath: "{.a"}, "read jsonPath: unclosed action"},
		"OAuth2 without secret": {v1alpha1.WebMetric{URL: "http://127.0.0.1:1", Authentication: v1alpha1.Authentication{OAuth2: v1alpha1.OAuth2Config{TokenURL: "http://t"}}},
			"missing mandatory parameter in metric for OAuth2 setup"},
		"sigv4 for a host that is not of AWS": {v1alpha1.WebMetric{URL: "http://127.0.0.1:1", Authentication: v1alpha1.Authentication{Sigv4: v1alpha1.Sigv4Config{Region: "r"}}},
			"authentication.sigv4: sigv4 signs for hosts of API Gateway"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := New(Options{}).Measure(context.Background(), requestOf(c.metric))
			if err == nil || !strings.HasPrefix(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			if New(Options{}).(metric.Checker).Check(requestOf(c.metric).Provider) == nil {
				t.Error("it is refused by the first measurement only")
			}
		})
	}
	fine := requestOf(v1alpha1.WebMetric{URL: "http://127.0.0.1:1/{x}?a=b", JSONPath: "{.a}"}).Provider
	if err := New(Options{}).(metric.Checker).Check(fine); err != nil {
		t.Error(err)
	}
}

// ask runs one measurement against a server and returns what the server saw.
func ask(t *testing.T, m v1alpha1.WebMetric, answer func(w http.ResponseWriter, r *http.Request)) (seen []string, res metric.Result, err error) {
	t.Helper()
	lines := make(chan string, 100)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // shows in the comparison
		lines <- strings.TrimSpace(fmt.Sprintf("%s %s %s %s %s", r.Method, r.URL, r.Header.Get("Content-Type"), body, r.Header.Get("Authorization")))
		answer(w, r)
	}))
	defer s.Close()
	m.URL = s.URL + m.URL
	if m.Authentication.OAuth2.TokenURL != "" {
		m.Authentication.OAuth2.TokenURL = s.URL + m.Authentication.OAuth2.TokenURL
	}
	res, err = New(Options{}).Measure(context.Background(), requestOf(m))
	for len(lines) > 0 {
		seen = append(seen, <-lines)
	}
	return seen, res, err
}

func TestRequests(t *testing.T) {
	pass := func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"status":"pass"}`) }
	cases := map[string]struct {
		metric v1alpha1.WebMetric
		want   []string
	}{
		"GET is the default":             {v1alpha1.WebMetric{URL: "/x"}, []string{"GET /x"}},
		"POST with a body":               {v1alpha1.WebMetric{Method: "POST", Body: "hello"}, []string{"POST /  hello"}}, // Covers: analysis edge 103.
		"PUT without a body":             {v1alpha1.WebMetric{Method: "PUT"}, []string{"PUT /"}},
		"a timeout of -1 is the default": {v1alpha1.WebMetric{TimeoutSeconds: -1}, []string{"GET /"}}, // Covers: analysis edge 105.
		"jsonBody forces its content type": {
			v1alpha1.WebMetric{Method: "POST", JSONBody: []byte(`{ "a": "b" }`), Headers: []v1alpha1.WebMetricHeader{{Key: "Content-Type", Value: "text/plain"}}},
			[]string{`POST / application/json {"a":"b"}`},
		},
		"basic auth": {
			v1alpha1.WebMetric{Authentication: v1alpha1.Authentication{BasicAuth: v1alpha1.BasicAuthConfig{Username: "u", Password: "p"}}},
			[]string{"GET /   Basic dTpw"},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			seen, res, err := ask(t, c.metric, pass)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, seen); d != "" {
				t.Error(d)
			}
			if d := cmp.Diff(values(map[string]any{"status": "pass"}, `{"status":"pass"}`), res); d != "" {
				t.Error(d)
			}
		})
	}
	t.Run("OAuth2 fetches a token first", func(t *testing.T) {
		m := v1alpha1.WebMetric{Authentication: v1alpha1.Authentication{OAuth2: v1alpha1.OAuth2Config{TokenURL: "/token", ClientID: "id", ClientSecret: "sesame"}}}
		seen, _, err := ask(t, m, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"access_token":"tok","token_type":"Bearer"}`)
		})
		if err != nil || len(seen) != 2 || !strings.HasSuffix(seen[1], "Bearer tok") {
			t.Errorf("%v, requests %q", err, seen)
		}
	})
	t.Run("a token that is refused is an error without the client secret", func(t *testing.T) {
		m := v1alpha1.WebMetric{Authentication: v1alpha1.Authentication{OAuth2: v1alpha1.OAuth2Config{TokenURL: "/token", ClientID: "id", ClientSecret: "sesame-street"}}}
		_, _, err := ask(t, m, func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(401)
			_, _ = io.WriteString(w, "no sesame-street here")
		})
		if err == nil || !strings.Contains(err.Error(), "oauth2: cannot fetch token: 401") || strings.Contains(err.Error(), "sesame") {
			t.Error(err)
		}
	})
	t.Run("a redirect is followed", func(t *testing.T) {
		seen, _, err := ask(t, v1alpha1.WebMetric{URL: "/a"}, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/a" {
				http.Redirect(w, r, "/b", http.StatusFound)
				return
			}
			pass(w, r)
		})
		if err != nil || len(seen) != 2 || seen[1] != "GET /b" {
			t.Errorf("%v, requests %q", err, seen)
		}
	})
	t.Run("redirects without end are an error", func(t *testing.T) {
		_, _, err := ask(t, v1alpha1.WebMetric{URL: "/a"}, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/a", http.StatusFound) })
		if err == nil || !strings.Contains(err.Error(), "stopped after 10 redirects") {
			t.Error(err)
		}
	})
	// Covers: analysis edge 104.
	t.Run("a status that is not 2xx has the published text", func(t *testing.T) {
		_, _, err := ask(t, v1alpha1.WebMetric{}, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(404) })
		if err == nil || err.Error() != "received non 2xx response code: 404" {
			t.Error(err)
		}
	})
}

func TestJSONPath(t *testing.T) {
	body := []byte(`{"status":"pass","items":[{"n":1,"ok":true},{"n":2}],"none":[]}`)
	cases := map[string]struct {
		path string
		want any
		kind metric.Kind
	}{
		"a field":                    {"{$.status}", "pass", metric.Values},
		"braces may be left out":     {"$.status", "pass", metric.Values},
		"the first match counts":     {"{.items[*].n}", 1.0, metric.Values},
		"a filter":                   {"{.items[?(@.n==2.0)].n}", 2.0, metric.Values},
		"a filter that fits nothing": {"{.items[?(@.n==3.0)].n}", nil, metric.NoData},
		"the elements of no list":    {"{.none[*]}", nil, metric.NoData},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			find, err := selector(c.path)
			if err != nil {
				t.Fatal(err)
			}
			got, err := read(body, find)
			if err != nil {
				t.Fatal(err)
			}
			if got.Kind != c.kind || !cmp.Equal(got.Value, c.want) {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func FuzzDecode(f *testing.F) {
	f.Add("{$.a[0].b}", `{"a":[{"b":1}]}`)
	f.Add("{..a}", `[[],{"a":null}]`)
	f.Add("{.a[?(@.b>1)]}", `{"a":[{"b":"x"},{}]}`)
	f.Add("{.a[1:0:-1]}", `{"a":[1,2]}`)
	f.Fuzz(func(t *testing.T, path, body string) {
		find, err := selector(path)
		if err != nil {
			return
		}
		res, err := read([]byte(body), find)
		if err == nil && res.Kind != metric.Values && res.Why == "" {
			t.Errorf("no data without a reason: %+v", res)
		}
	})
}
