package kayenta

import (
	"context"
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

var now = time.Date(2026, 8, 17, 10, 0, 0, 0, time.UTC)

func judge(address string) v1alpha1.KayentaMetric {
	return v1alpha1.KayentaMetric{
		Address: address, Application: "shop web", CanaryConfigName: "errors", MetricsAccountName: "prom", ConfigurationAccountName: "git", StorageAccountName: "s3",
		Threshold: v1alpha1.KayentaThreshold{Pass: 90, Marginal: 75},
		Scopes: []v1alpha1.KayentaScope{{Name: "default", ControlScope: v1alpha1.ScopeDetail{Scope: "stable", Region: "eu", Step: 60},
			ExperimentScope: v1alpha1.ScopeDetail{Scope: "canary", Region: "eu", Step: 60}}},
	}
}

func asking(m v1alpha1.KayentaMetric, token string) metric.Request {
	return metric.Request{Metric: "m", Provider: v1alpha1.MetricProvider{Kayenta: &m}, Now: now, Token: token, Interval: 10 * time.Minute, RunStarted: now.Add(-time.Hour)}
}

func scored(score string) string {
	return `{"complete":true,"result":{"judgeResult":{"score":{"score":` + score + `}}}}`
}

func fixture() providertest.Fixture {
	said := func(phase v1alpha1.AnalysisPhase, display, message string) metric.Result {
		return metric.Result{Kind: metric.Verdict, Phase: phase, Display: display, Message: message}
	}
	return providertest.Fixture{
		Anonymous: true,
		New:       func() metric.Provider { return New(Options{Timeout: time.Second}) },
		Request: func(url string, _ time.Duration) metric.Request {
			r := asking(judge(url+"/"), "01/H")
			r.Secrets = []string{providertest.Secret}
			return r
		},
		Wire: providertest.Wire{Method: "GET", Path: "/canary/01/H"},
		// Covers: analysis edge 112.
		Values: map[string]providertest.Answer{
			"a score that passes":     {Body: scored("90.9"), Want: said(v1alpha1.AnalysisPhaseSuccessful, "90", "")},
			"a score in between":      {Body: scored("89.9"), Want: said(v1alpha1.AnalysisPhaseInconclusive, "89", "score 89, with pass 90 and marginal 75")},
			"a score that is too low": {Body: scored("0"), Want: said(v1alpha1.AnalysisPhaseFailed, "0", "score 0, with pass 90 and marginal 75")},
			"one that goes on": {Body: `{"complete":false}`, Want: metric.Result{Kind: metric.Pending, Token: "01/H", After: 15 * time.Second,
				Metadata: map[string]string{"canaryExecutionId": "01/H"}}},
		},
		Broken: map[string]providertest.Answer{
			"no status":        {Body: `{}`, WantErr: "Missing Complete Status"}, // Covers: analysis edge 112.
			"no score":         {Body: scored("null"), WantErr: "Missing Score"}, // Covers: analysis edge 112.
			"a word for it":    {Body: scored(`"high"`), WantErr: "read the answer"},
			"HTML":             {Body: "<html>", WantErr: "read the answer"},
			"another document": {Body: "[]", WantErr: "read the answer"},
		},
		Echo: func(string) providertest.Answer { return providertest.Answer{Body: scored("90")} },
	}
}

// A judgement is never without data: it has a score, or it is an error.
func TestContract(t *testing.T) {
	for _, c := range providertest.Checks() {
		if c.Name == "an answer that holds nothing is no data" {
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			if err := c.Run(fixture()); err != nil {
				t.Error(err)
			}
		})
	}
}

// start runs the first measurement against a server and returns what the server saw.
func start(t *testing.T, m v1alpha1.KayentaMetric, configs, started string) (seen []string, res metric.Result, err error) {
	t.Helper()
	lines := make(chan string, 10)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // shows in the comparison
		lines <- strings.TrimSpace(fmt.Sprintf("%s %s %s", r.Method, r.URL, body))
		if r.Method == http.MethodGet {
			fmt.Fprint(w, configs)
			return
		}
		fmt.Fprint(w, started)
	}))
	defer s.Close()
	m.Address = s.URL
	res, err = New(Options{}).Measure(context.Background(), asking(m, ""))
	for len(lines) > 0 {
		seen = append(seen, <-lines)
	}
	return seen, res, err
}

const (
	configs = `[{"id":"c0","name":"other"},{"id":"c/1","name":"errors"}]`
	list    = "GET /canaryConfig?application=shop+web&configurationAccountName=git"
	begun   = "POST /canary/c%2F1?application=shop+web&configurationAccountName=git&metricsAccountName=prom&storageAccountName=s3 "
)

// Covers: analysis defect 17.
func TestAnExecutionIsStarted(t *testing.T) {
	body := func(start, end string) string {
		side := func(name string) string {
			return fmt.Sprintf(`{"scope":%q,"location":"eu","step":60,"start":%q,"end":%q}`, name, start, end)
		}
		return `{"scopes":{"default":{"controlScope":` + side("stable") + `,"experimentScope":` + side("canary") + `}},"thresholds":{"pass":90,"marginal":75}}`
	}
	for name, c := range map[string]struct {
		change func(*v1alpha1.KayentaMetric)
		want   string
	}{
		"for the last interval":       {func(*v1alpha1.KayentaMetric) {}, body("2026-08-17T09:50:00Z", "2026-08-17T10:00:00Z")},
		"with lookback since the run": {func(m *v1alpha1.KayentaMetric) { m.Lookback = true }, body("2026-08-17T09:00:00Z", "2026-08-17T10:00:00Z")},
		"for a time of its own": {func(m *v1alpha1.KayentaMetric) {
			s := &m.Scopes[0]
			s.ControlScope.Start, s.ExperimentScope.Start, s.ControlScope.End, s.ExperimentScope.End = "a", "a", "b", "b"
		}, body("a", "b")},
	} {
		t.Run(name, func(t *testing.T) {
			m := judge("")
			c.change(&m)
			seen, res, err := start(t, m, configs, `{"canaryExecutionId":"01H"}`)
			if d := cmp.Diff([]string{list, begun + c.want}, seen); d != "" || err != nil {
				t.Errorf("%v %s", err, d)
			}
			if d := cmp.Diff(metric.Result{Kind: metric.Pending, Token: "01H", After: 15 * time.Second, Metadata: map[string]string{"canaryExecutionId": "01H"}}, res); d != "" {
				t.Error(d)
			}
		})
	}
}

// Covers: analysis edge 112, analysis defect 17.
func TestWhatCannotBeStarted(t *testing.T) {
	for name, c := range map[string]struct {
		change           func(*v1alpha1.KayentaMetric)
		configs, started string
		want             string
	}{
		"an unknown configuration":   {nil, `[{"id":"c0","name":"other"}]`, "", "Canary config not found: errors"},
		"an execution without an id": {nil, configs, `{}`, "Invalid canaryExecutionId"},
		"an empty id":                {nil, configs, `{"canaryExecutionId":""}`, "Invalid canaryExecutionId"},
		"garbage":                    {nil, configs, `<html>`, "read the answer"},
		"a start on one side":        {func(m *v1alpha1.KayentaMetric) { m.Scopes[0].ControlScope.Start = "a" }, configs, "", "controlScope.start and experimentScope.start must both be set or be empty"},
		"an end on one side":         {func(m *v1alpha1.KayentaMetric) { m.Scopes[0].ExperimentScope.End = "a" }, configs, "", "controlScope.end and experimentScope.end must both be set or be empty"},
	} {
		t.Run(name, func(t *testing.T) {
			m := judge("")
			if c.change != nil {
				c.change(&m)
			}
			if _, res, err := start(t, m, c.configs, c.started); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%+v %v, want %q", res, err, c.want)
			}
		})
	}
	r := asking(judge("http://127.0.0.1:1"), "")
	r.Interval = 0
	if _, err := order(r, r.Provider.Kayenta); err == nil || !strings.Contains(err.Error(), "Invalid duration") {
		t.Error(err)
	}
	if err := New(Options{}).(metric.Checker).Check(v1alpha1.MetricProvider{Kayenta: &v1alpha1.KayentaMetric{Address: "kayenta"}}); err == nil {
		t.Error("an address that is none is not refused")
	}
}
