package prometheus

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/penstock-io/penstock/sandbox/workload"
)

const deadline = 30 * time.Second

func startPod(t *testing.T, spec workload.Spec) *workload.Server {
	t.Helper()
	s, err := workload.Start(spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

func start(t *testing.T, targets func() []Target) *Server {
	t.Helper()
	s, err := Start(t.Context(), Options{Dir: t.TempDir(), ScrapeInterval: 100 * time.Millisecond, Targets: targets})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Errorf("Stop() = %v", err)
		}
	})
	return s
}

type sample struct {
	Metric map[string]string
	Value  [2]any
}

// query asks the HTTP API for an instant vector.
func query(t *testing.T, s *Server, expr string) []sample {
	t.Helper()
	resp, err := http.Get(s.URL() + "/api/v1/query?query=" + url.QueryEscape(expr))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct {
		Status, Error string
		Data          struct {
			ResultType string
			Result     []sample
		}
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		t.Fatalf("query %s: %v", expr, err)
	}
	if answer.Status != "success" || answer.Data.ResultType != "vector" {
		t.Fatalf("query %s: %+v", expr, answer)
	}
	return answer.Data.Result
}

// eventually polls until check finds nothing wrong.
func eventually(t *testing.T, check func() error) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(deadline); ; <-tick.C {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

// eventuallyBetween waits until expr is one value in a range.
func eventuallyBetween(t *testing.T, s *Server, expr string, least, most float64) map[string]string {
	t.Helper()
	var labels map[string]string
	eventually(t, func() error {
		got := query(t, s, expr)
		if len(got) != 1 {
			return fmt.Errorf("%s = %v, want one value", expr, got)
		}
		v, err := strconv.ParseFloat(got[0].Value[1].(string), 64)
		if err != nil || !(v >= least && v <= most) {
			return fmt.Errorf("%s = %v, want %v to %v", expr, got[0].Value[1], least, most)
		}
		labels = got[0].Metric
		return nil
	})
	return labels
}

func TestScrapesAndAnswersQueries(t *testing.T) {
	pod := startPod(t, workload.Spec{Service: "web", Version: "v3", Pod: "web-1", ErrorRate: 0.2, Latency: 12 * time.Millisecond})
	s := start(t, func() []Target {
		return []Target{
			{Addr: pod.Addr(), Labels: map[string]string{"namespace": "shop", "pod": "web-1", "version": "from-the-pod", "rollouts-pod-template-hash": "abc"}},
			{Addr: "192.0.2.1:80"}, // not loopback, never scraped
		}
	})
	eventuallyBetween(t, s, `http_requests_total{status="200"}`, 0, 0)
	for range 50 {
		resp, err := http.Get("http://" + pod.Addr())
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	labels := eventuallyBetween(t, s, `http_requests_total{status="500"}`, 10, 10)
	want := map[string]string{
		"__name__": "http_requests_total", "namespace": "shop", "pod": "web-1", "version": "v3", "service": "web", "status": "500",
		"rollouts_pod_template_hash": "abc", "job": "sandbox", "instance": pod.Addr(),
	}
	if fmt.Sprint(labels) != fmt.Sprint(want) {
		t.Errorf("labels %v, want %v", labels, want)
	}
	eventuallyBetween(t, s, `sum(rate(http_requests_total{status="500"}[1m])) / sum(rate(http_requests_total[1m]))`, 0.19, 0.21)
	eventuallyBetween(t, s, `histogram_quantile(0.5, sum by (le) (rate(http_request_duration_seconds_bucket{version="v3"}[1m])))`, 0.009, 0.025)
	if got := query(t, s, `absent_metric`); len(got) != 0 {
		t.Errorf("an unknown metric has %v", got)
	}
	if got := query(t, s, `count(up)`); len(got) != 1 || got[0].Value[1] != "1" {
		t.Errorf("count(up) = %v, want 1", got)
	}
}

func TestTargetsComeAndGo(t *testing.T) {
	one, two := startPod(t, workload.Spec{Version: "v1"}), startPod(t, workload.Spec{Version: "v2"})
	var onlyTwo atomic.Bool
	s := start(t, func() []Target {
		if onlyTwo.Load() {
			return []Target{{Addr: two.Addr()}}
		}
		return []Target{{Addr: one.Addr()}}
	})
	eventuallyBetween(t, s, `count(up{instance="`+one.Addr()+`"})`, 1, 1)
	onlyTwo.Store(true)
	eventuallyBetween(t, s, `count(up{instance="`+two.Addr()+`"})`, 1, 1)
	eventually(t, func() error {
		if got := query(t, s, `up{instance="`+one.Addr()+`"}`); len(got) != 0 {
			return fmt.Errorf("a target that left still has %v", got)
		}
		return nil
	})
}

func TestTheWholeAPIIsThere(t *testing.T) {
	pod := startPod(t, workload.Spec{Version: "v1"})
	s := start(t, func() []Target { return []Target{{Addr: pod.Addr()}} })
	eventuallyBetween(t, s, `up`, 1, 1)
	now := time.Now()
	for path, wants := range map[string]string{
		"/api/v1/query?query=sum(":                       `"errorType":"bad_data"`,
		"/api/v1/labels":                                 `"instance"`,
		"/api/v1/series?match[]=up":                      pod.Addr(),
		"/api/v1/targets":                                `"health":"up"`,
		"/api/v1/scrape_pools":                           `"sandbox"`,
		"/api/v1/rules":                                  `"groups":[]`,
		"/api/v1/alerts":                                 `"alerts":[]`,
		"/api/v1/alertmanagers":                          `"activeAlertmanagers"`,
		"/api/v1/metadata":                               `"http_requests_total"`,
		"/api/v1/status/config":                          `job_name: sandbox`,
		"/api/v1/status/flags":                           `"success"`,
		"/api/v1/status/runtimeinfo":                     `"goroutineCount"`,
		"/api/v1/status/buildinfo":                       `"goVersion"`,
		"/api/v1/status/tsdb":                            `"numSeries"`,
		"/api/v1/status/tsdb/blocks":                     `"success"`,
		"/api/v1/status/walreplay":                       `"success"`,
		"/api/v1/query_exemplars?query=up&start=1&end=2": `"success"`,
		"/metrics":                                       "prometheus_tsdb_head_series",
		"/-/ready":                                       "Ready",
		fmt.Sprintf("/api/v1/query_range?query=up&start=%d&end=%d&step=1", now.Add(-time.Minute).Unix(), now.Add(time.Minute).Unix()): `"matrix"`,
	} {
		resp, err := http.Get(s.URL() + path)
		if err != nil {
			t.Fatal(err)
		}
		var body strings.Builder
		if err := resp.Write(&body); err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if !strings.Contains(body.String(), wants) {
			t.Errorf("GET %s = %.600s\nlacks %s", path, body.String(), wants)
		}
	}
}

func TestStartRefuses(t *testing.T) {
	none := func() []Target { return nil }
	for why, o := range map[string]Options{
		"are required":   {Targets: none},
		"Dir and":        {Dir: t.TempDir()},
		"not a loopback": {Dir: t.TempDir(), Targets: none, Listen: "0.0.0.0:0"},
		"under 10ms":     {Dir: t.TempDir(), Targets: none, ScrapeInterval: time.Millisecond},
	} {
		if s, err := Start(t.Context(), o); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("Start(%+v) = %v, %v, want an error that says %q", o, s, err, why)
		}
	}
}

func TestTheEndOfTheContextStopsTheServer(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s, err := Start(ctx, Options{Dir: t.TempDir(), Targets: func() []Target { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	eventually(t, func() error {
		if resp, err := http.Get(s.URL() + "/-/ready"); err == nil {
			resp.Body.Close()
			return fmt.Errorf("the server still answers")
		}
		return nil
	})
	if err := s.Stop(); err != nil {
		t.Errorf("Stop() = %v", err)
	}
}
