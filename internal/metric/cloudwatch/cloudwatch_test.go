package cloudwatch

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	smithycbor "github.com/aws/smithy-go/encoding/cbor"
	"github.com/fxamacker/cbor/v2"
	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/metric"
	"github.com/penstock-io/penstock/internal/metric/awsauth"
	"github.com/penstock-io/penstock/internal/metric/providertest"
)

var now = time.Unix(1786960800, 0).UTC()

// login is the pretend identity; a session's token goes over the wire, its key never.
func login(_ context.Context, _, _ string) (aws.Config, error) {
	return aws.Config{Region: "eu-west-1", Credentials: credentials.NewStaticCredentialsProvider("AKID", "hidden-key", providertest.Secret)}, nil
}

// steered sends each request to the address that stands in its namespace: AWS has one
// address for all, and the contract one for each check.
type steered struct{ metric.Provider }

type place struct{}

func (s steered) Measure(ctx context.Context, r metric.Request) (metric.Result, error) {
	return s.Provider.Measure(context.WithValue(ctx, place{}, r.Namespace), r)
}

func steer() metric.Provider {
	p := New(Options{AWS: awsauth.New(login), Timeout: time.Second}).(*provider)
	p.transport = turned{p.transport}
	return steered{p}
}

type turned struct{ base http.RoundTripper }

func (t turned) RoundTrip(r *http.Request) (*http.Response, error) {
	to, err := url.Parse(r.Context().Value(place{}).(string))
	if err != nil {
		return nil, err
	}
	r = r.Clone(r.Context())
	r.URL.Scheme, r.URL.Host = to.Scheme, to.Host
	return t.base.RoundTrip(r)
}

func errorRate() v1alpha1.CloudWatchMetric {
	no, minute := false, intstr.FromString("60")
	return v1alpha1.CloudWatchMetric{Interval: "10m", MetricDataQueries: []v1alpha1.CloudWatchMetricDataQuery{
		{Id: "rate", Expression: aws.String("errors / 100"), Label: aws.String("Error rate"), Period: &minute},
		{Id: "errors", ReturnData: &no, MetricStat: &v1alpha1.CloudWatchMetricStat{
			Metric: v1alpha1.CloudWatchMetricStatMetric{MetricName: "HTTPCode_Target_5XX_Count", Namespace: aws.String("AWS/ApplicationELB"),
				Dimensions: []v1alpha1.CloudWatchMetricStatMetricDimension{{Name: "LoadBalancer", Value: "app/web"}}},
			Period: intstr.FromInt32(300), Stat: "Sum", Unit: "Count"}},
	}}
}

func asking(m v1alpha1.CloudWatchMetric) metric.Request {
	return metric.Request{Metric: "m", Now: now, Provider: v1alpha1.MetricProvider{CloudWatch: &m}, Secrets: []string{providertest.Secret}}
}

// packed writes an answer of JSON as AWS does, in CBOR (RFC 8949; smithy's protocol rpcv2Cbor).
func packed(text string) string {
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		panic(fmt.Errorf("%s: %w", text, err))
	}
	return string(smithycbor.Encode(pack(v)))
}

func pack(v any) smithycbor.Value {
	switch v := v.(type) {
	case string:
		return smithycbor.String(v)
	case float64:
		return smithycbor.Float64(v)
	case []any:
		list := smithycbor.List{}
		for _, x := range v {
			list = append(list, pack(x))
		}
		return list
	case map[string]any:
		m := smithycbor.Map{}
		for k, x := range v {
			if m[k] = pack(x); k == "Timestamps" {
				for i, at := range m[k].(smithycbor.List) {
					m[k].(smithycbor.List)[i] = &smithycbor.Tag{ID: 1, Value: at}
				}
			}
		}
		return m
	}
	return &smithycbor.Nil{}
}

// body is the request for errorRate in CBOR; TestRequest reads it back.
const body = "\xbfgEndTime\xc1\xfbA\xda\xa0\xb6\xe8\x00\x00\x00qMetricDataQueries\x9f" +
	"\xbfjExpressionlerrors / 100bIddrateeLabeljError ratefPeriod\x18<\xff" +
	"\xbfbIdferrorsjMetricStat\xbffMetric\xbfjDimensions\x9f\xbfdNamelLoadBalancereValuegapp/web\xff\xff" +
	"jMetricNamex\x19HTTPCode_Target_5XX_CountiNamespacerAWS/ApplicationELB\xfffPeriod\x19\x01,dStatcSumdUniteCount\xff" +
	"jReturnData\xf4\xff\xffiStartTime\xc1\xfbA\xda\xa0\xb6R\x00\x00\x00\xff"

var cborAnswer = map[string]string{"Content-Type": "application/cbor", "Smithy-Protocol": "rpc-v2-cbor"}

func said(text string) providertest.Answer {
	return providertest.Answer{Header: cborAnswer, Body: packed(text)}
}

func fixture() providertest.Fixture {
	means := func(text string, want metric.Result) providertest.Answer {
		a := said(text)
		a.Want = want
		return a
	}
	fails := func(text, want string) providertest.Answer {
		a := said(text)
		a.WantErr = want
		return a
	}
	refused := fails(`{"__type":"com.amazonaws.cloudwatch#ValidationError","message":"The value sum for parameter Stat\nis not supported."}`,
		"cloudwatch: ValidationError: The value sum for parameter Stat is not supported.")
	refused.Status = 400
	rate := Answer{Id: "rate", Label: "Error rate", StatusCode: "Complete", Values: []float64{0.1, 0.2}, Timestamps: []time.Time{now, now.Add(-time.Minute)}}
	return providertest.Fixture{
		New: steer,
		Request: func(url string, _ time.Duration) metric.Request {
			r := asking(errorRate())
			r.Namespace = url
			return r
		},
		Wire: providertest.Wire{Method: "POST", Path: "/service/GraniteServiceVersion20100801/operation/GetMetricData", Body: body,
			Header: map[string]string{"Content-Type": "application/cbor", "Smithy-Protocol": "rpc-v2-cbor", "X-Amz-Security-Token": providertest.Secret}},
		Values: map[string]providertest.Answer{
			// Covers: analysis edge 101.
			"the values of a query, newest first": means(`{"MetricDataResults":[{"Id":"rate","Label":"Error rate","StatusCode":"Complete","Values":[0.1,0.2],"Timestamps":[1786960800,1786960740]}]}`,
				metric.Result{Kind: metric.Values, Value: []Answer{rate}, Display: "[[0.1 0.2]]"}),
			// Covers: analysis edge 101.
			"messages go into the metadata": means(`{"Messages":[{"Code":"ArithmeticError","Value":"1 / 0"}],"MetricDataResults":[{"Id":"a","StatusCode":"PartialData","Values":[3],"Messages":[{"Code":"C","Value":"v"}]},{"Id":"b","Values":[0]}]}`,
				metric.Result{Kind: metric.Values, Display: "[[3] [0]]", Metadata: map[string]string{"messages": "ArithmeticError: 1 / 0; a: C: v"},
					Value: []Answer{{Id: "a", StatusCode: "PartialData", Values: []float64{3}, Messages: []Message{{"C", "v"}}}, {Id: "b", Values: []float64{0}}}}),
		},
		NoData: map[string]providertest.Answer{
			"no results":                  means(`{"MetricDataResults":[]}`, metric.Result{Value: []Answer(nil), Why: "CloudWatch returned no results"}),
			"nothing at all":              means(`{}`, metric.Result{Value: []Answer(nil), Why: "CloudWatch returned no results"}),
			"a query without values":      means(`{"MetricDataResults":[{"Id":"rate","Values":[]}]}`, metric.Result{Value: []Answer{{Id: "rate"}}, Why: "CloudWatch returned no values for rate; a query that the condition does not use needs returnData: false"}),
			"one of two queries is empty": means(`{"MetricDataResults":[{"Id":"a","Values":[1]},{"Id":"b"}]}`, metric.Result{Value: []Answer{{Id: "a", Values: []float64{1}}, {Id: "b"}}, Why: "CloudWatch returned no values for b; a query that the condition does not use needs returnData: false"}),
		},
		Broken: map[string]providertest.Answer{
			"a refused request":       refused,
			"HTML":                    {Body: "<html>", WantErr: "query CloudWatch: "},
			"no CBOR":                 {Header: cborAnswer, Body: "<html>", WantErr: "query CloudWatch: "},
			"an internal error":       fails(`{"MetricDataResults":[{"Id":"rate","StatusCode":"InternalError","Values":[1]}]}`, "cloudwatch: query rate: InternalError"),
			"somebody else's metric":  fails(`{"MetricDataResults":[{"Id":"rate","StatusCode":"Forbidden","Messages":[{"Code":"No","Value":"not yours"}]}]}`, "cloudwatch: query rate: Forbidden: rate: No: not yours"),
			"there is always more":    fails(`{"NextToken":"x","MetricDataResults":[{"Id":"rate","Values":[1]}]}`, "more than 5 pages"),
			"words instead of values": fails(`{"MetricDataResults":[{"Id":"rate","Values":["many"]}]}`, "query CloudWatch: "),
		},
		Echo: func(text string) providertest.Answer {
			raw, err := json.Marshal(text)
			if err != nil {
				panic(err)
			}
			return said(`{"Messages":[{"Code":"C","Value":` + string(raw) + `}],"MetricDataResults":[{"Id":"rate","Values":[1]}]}`)
		},
	}
}

func TestContract(t *testing.T) { providertest.Run(t, fixture()) }

// TestRequest reads the request with a decoder that is not the SDK's.
func TestRequest(t *testing.T) {
	var host, who string
	p := New(Options{AWS: awsauth.New(login)}).(*provider)
	p.transport = roundTrip(func(r *http.Request) (*http.Response, error) {
		host, who = r.URL.Host, r.Header.Get("Authorization")
		return nil, errors.New("enough")
	})
	if _, err := p.Measure(context.Background(), asking(errorRate())); err == nil || err.Error() != "query CloudWatch: enough" {
		t.Errorf("got %v", err)
	}
	if host != "monitoring.eu-west-1.amazonaws.com" || !strings.Contains(who, "Credential=AKID/") || !strings.Contains(who, "/eu-west-1/monitoring/aws4_request") {
		t.Errorf("host %s, signed %s", host, who)
	}
	mode, err := cbor.DecOptions{DefaultMapType: reflect.TypeFor[map[string]any]()}.DecMode()
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := mode.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"StartTime": now.Add(-10 * time.Minute), "EndTime": now, "MetricDataQueries": []any{
		map[string]any{"Id": "rate", "Expression": "errors / 100", "Label": "Error rate", "Period": uint64(60)},
		map[string]any{"Id": "errors", "ReturnData": false, "MetricStat": map[string]any{"Period": uint64(300), "Stat": "Sum", "Unit": "Count", "Metric": map[string]any{
			"Namespace": "AWS/ApplicationELB", "MetricName": "HTTPCode_Target_5XX_Count",
			"Dimensions": []any{map[string]any{"Name": "LoadBalancer", "Value": "app/web"}}}}},
	}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestALocalEndpoint: AWS_ENDPOINT_URL and profiles may send the SDK elsewhere.
func TestALocalEndpoint(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text := `{"NextToken":"p2","MetricDataResults":[{"Id":"rate","StatusCode":"PartialData","Values":[3]}]}`
		if raw, err := io.ReadAll(r.Body); err == nil && strings.Contains(string(raw), "p2") {
			text = `{"MetricDataResults":[{"Id":"rate","StatusCode":"Complete","Values":[2,1]}]}`
		}
		for k, v := range cborAnswer {
			w.Header().Set(k, v)
		}
		_, _ = io.WriteString(w, packed(text)) // the test fails without it
	}))
	defer s.Close()
	p := New(Options{AWS: awsauth.New(func(ctx context.Context, profile, region string) (aws.Config, error) {
		c, err := login(ctx, profile, region)
		c.BaseEndpoint = &s.URL
		return c, err
	})})
	got, err := p.Measure(context.Background(), asking(errorRate()))
	if err != nil {
		t.Fatal(err)
	}
	// Pages go together.
	want := metric.Result{Kind: metric.Values, Display: "[[3 2 1]]", Value: []Answer{{Id: "rate", StatusCode: "Complete", Values: []float64{3, 2, 1}}}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestSettings(t *testing.T) {
	with := func(change func(m *v1alpha1.CloudWatchMetric)) v1alpha1.CloudWatchMetric {
		m := errorRate()
		change(&m)
		return m
	}
	for name, c := range map[string]struct {
		metric v1alpha1.CloudWatchMetric
		want   string
	}{
		"no queries":              {v1alpha1.CloudWatchMetric{}, "metricDataQueries must have at least one query"},
		"an interval of no form":  {with(func(m *v1alpha1.CloudWatchMetric) { m.Interval = "5 min" }), "interval: "},
		"an interval of nothing":  {with(func(m *v1alpha1.CloudWatchMetric) { m.Interval = "0s" }), "interval must be a positive duration, such as 5m"},
		"no id":                   {with(func(m *v1alpha1.CloudWatchMetric) { m.MetricDataQueries[0].Id = "" }), "metricDataQueries[0].id must be set"},
		"neither kind of query":   {with(func(m *v1alpha1.CloudWatchMetric) { m.MetricDataQueries[0].Expression = nil }), "metricDataQueries[0].expression: "},
		"a period of no number":   {with(func(m *v1alpha1.CloudWatchMetric) { m.MetricDataQueries[1].MetricStat.Period = intstr.FromString("5m") }), `metricDataQueries[1].metricStat.period must be a number of seconds, but is "5m"`},
		"a period of nothing":     {with(func(m *v1alpha1.CloudWatchMetric) { m.MetricDataQueries[1].MetricStat.Period = intstr.FromInt32(0) }), "metricDataQueries[1].metricStat.period must be a number of seconds above 0, but is 0"},
		"a metric without a name": {with(func(m *v1alpha1.CloudWatchMetric) { m.MetricDataQueries[1].MetricStat.Metric.MetricName = "" }), "metricDataQueries[1].metricStat.metric.metricName must be set"},
		"no statistic":            {with(func(m *v1alpha1.CloudWatchMetric) { m.MetricDataQueries[1].MetricStat.Stat = "" }), "metricDataQueries[1].metricStat.stat must be set"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := steer().Measure(context.Background(), asking(c.metric))
			if err == nil || !strings.HasPrefix(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			if before := New(Options{}).(metric.Checker).Check(asking(c.metric).Provider); before == nil || before.Error() != err.Error() {
				t.Errorf("before the first measurement: %v", before)
			}
		})
	}
	if err := New(Options{}).(metric.Checker).Check(asking(errorRate()).Provider); err != nil {
		t.Error(err)
	}
}

func TestNoCredentials(t *testing.T) {
	p := New(Options{AWS: awsauth.New(func(context.Context, string, string) (aws.Config, error) { return aws.Config{Region: "eu-west-1"}, nil })})
	if _, err := p.Measure(context.Background(), asking(errorRate())); err == nil || err.Error() != "query CloudWatch: find the credentials of AWS: there are none" {
		t.Errorf("got %v", err)
	}
}

func TestDescribe(t *testing.T) {
	r := asking(errorRate())
	r.Secrets = []string{"app/web"}
	want := map[string]string{"ResolvedCloudWatchQuery": "rate = errors / 100; errors = Sum of AWS/ApplicationELB HTTPCode_Target_5XX_Count{LoadBalancer=*****}"}
	if d := cmp.Diff(want, New(Options{}).Describe(r)); d != "" {
		t.Error(d)
	}
}

// FuzzDecode: whatever comes, there is no panic and no value out of nothing.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{body, packed(`{"MetricDataResults":[{"Id":"a","Values":[1]}]}`), "\xbf", ""} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, answer []byte) {
		p := New(Options{AWS: awsauth.New(login)}).(*provider)
		p.transport = roundTrip(func(*http.Request) (*http.Response, error) {
			h := http.Header{}
			for k, v := range cborAnswer {
				h.Set(k, v)
			}
			return &http.Response{StatusCode: 200, Header: h, Body: io.NopCloser(bytes.NewReader(answer))}, nil
		})
		got, err := p.Measure(context.Background(), asking(errorRate()))
		answers, ok := got.Value.([]Answer)
		if err == nil && got.Kind == metric.Values && (!ok || len(answers) == 0 || len(answers[0].Values) == 0) {
			t.Errorf("a value out of %q: %+v", answer, got)
		}
	})
}
