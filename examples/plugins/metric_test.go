package plugins_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/metric"
	metricplugin "github.com/penstock-io/penstock/internal/metric/plugin"
	"github.com/penstock-io/penstock/internal/plugin"
)

// asking is a measurement by shop/number with this configuration.
func asking(config string) metric.Request {
	m := v1alpha1.Metric{Name: "orders", Provider: v1alpha1.MetricProvider{Plugin: map[string]json.RawMessage{"shop/number": json.RawMessage(config)}}}
	run := &v1alpha1.AnalysisRun{ObjectMeta: metav1.ObjectMeta{Name: "run"}, Spec: v1alpha1.AnalysisRunSpec{Metrics: []v1alpha1.Metric{m}}}
	return metric.Request{Metric: m.Name, Provider: m.Provider, Whole: &m, Stored: run, Now: time.Unix(1e9, 0)}
}

func TestTheMetricMeasures(t *testing.T) {
	path, sum := program(t, "metric")
	p := metricplugin.New(metricplugin.Options{Plugins: host(t, plugin.Metric, entry("shop/number", "file://"+path, sum))})
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/stats":
			fmt.Fprint(w, `{"orders":{"failed":5,"open":0,"none":null}}`)
		case "/text":
			fmt.Fprint(w, `all is well`)
		default:
			http.NotFound(w, r)
		}
	})
	verdict := func(phase v1alpha1.AnalysisPhase, value, why string) metric.Result {
		return metric.Result{Kind: metric.Verdict, Phase: phase, Display: value, Message: why}
	}
	const refused = "failed to run via plugin: plugin shop/number: the configuration cannot be used: spec.metrics[0].provider.plugin[shop/number]."
	for config, c := range map[string]struct {
		want    metric.Result
		wantErr string
	}{
		`"field":"orders.failed","max":5`:         {verdict(v1alpha1.AnalysisPhaseSuccessful, "5", ""), ""},
		`"field":"orders.failed","max":4.5`:       {verdict(v1alpha1.AnalysisPhaseFailed, "5", "5 is above 4.5"), ""},
		`"field":"orders.open","min":1,"max":4.5`: {verdict(v1alpha1.AnalysisPhaseFailed, "0", "0 is below 1"), ""},
		`"field":"orders.open","max":0`:           {verdict(v1alpha1.AnalysisPhaseSuccessful, "0", ""), ""},
		`"field":"orders.none","max":0`:           {verdict(v1alpha1.AnalysisPhaseInconclusive, "", url+"/stats has no number at orders.none"), ""},
		`"field":"orders.open.x","max":0`:         {verdict(v1alpha1.AnalysisPhaseInconclusive, "", url+"/stats has no number at orders.open.x"), ""},
		`"field":"x"`:                             {wantErr: refused + "max: want max, min, or both"},
		`"max":1`:                                 {wantErr: refused + "field: want the place of a number, as in orders.failed"},
		`"maximum":1`:                             {wantErr: refused + "maximum: there is no such field"},
		`"field":"x","max":"1"`:                   {wantErr: refused + "max: want float64, got string"},
		`"url":"ftp://x"`:                         {wantErr: refused + `url: want http://… or https://…, got "ftp://x"`},
		`"field":"x","max":1,"url":"URL/gone"`:    {wantErr: "failed to run via plugin: plugin shop/number: URL/gone answers 404 Not Found"},
		`"field":"x","max":1,"url":"URL/text"`:    {wantErr: "failed to run via plugin: plugin shop/number: URL/text answers no JSON: invalid character"},
	} {
		text := strings.ReplaceAll(`{"url":"URL/stats",`+config+`}`, "URL", url)
		got, err := p.Measure(t.Context(), asking(text))
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%s: %s", config, d)
		}
		want := strings.ReplaceAll(c.wantErr, "URL", url)
		if (err != nil) != (want != "") || err != nil && !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", config, err, want)
		}
	}
	r := asking(`{"url":"` + url + `/stats","field":"orders.open","max":1}`)
	if got := p.Describe(r); got["asks"] != url+"/stats" || got["for"] != "orders.open" {
		t.Errorf("described as %v", got)
	}
	// It leaves nothing behind.
	r.InFlight = &v1alpha1.Measurement{Phase: v1alpha1.AnalysisPhaseRunning}
	if err := p.(metric.Stopper).Stop(t.Context(), r); err != nil {
		t.Error(err)
	}
	if err := p.(metric.Collector).Collect(t.Context(), r, 1); err != nil {
		t.Error(err)
	}
	template := manifest[v1alpha1.AnalysisTemplate](t, "metric/analysis.yaml")
	config := string(template.Spec.Metrics[0].Provider.Plugin["shop/number"])
	config = strings.ReplaceAll(config, "http://{{args.service}}", url)
	if got, err := p.Measure(t.Context(), asking(config)); err != nil || got.Phase != v1alpha1.AnalysisPhaseSuccessful {
		t.Errorf("the template: %+v, %v", got, err)
	}
}

// TestWhatCannotBeStarted is the trouble of the metrics that use it: others go on.
func TestWhatCannotBeStarted(t *testing.T) {
	path, sum := program(t, "metric")
	step, stepSum := program(t, "step")
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("no program"), 0o600); err != nil {
		t.Fatal(err)
	}
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"n":1}`) })
	config := `{"url":"` + url + `","field":"n","max":1}`
	for name, c := range map[string]struct{ broken, want string }{
		"another sum":        {entry("shop/number", "file://"+path, stepSum), "sha256 is " + stepSum + ", but file://" + path + " has " + sum + ": it is not executed"},
		"no sum":             {entry("shop/number", "file://"+path, ""), "set it to " + sum},
		"no such file":       {entry("shop/number", "file:///no/such/file", sum), "location: open /no/such/file: no such file"},
		"a directory":        {entry("shop/number", "file://"+built, sum), "is a directory"},
		"no program":         {entry("shop/number", "file://"+text, sumOf(t, text)), "start: fork/exec "},
		"of another kind":    {entry("shop/number", "file://"+step, stepSum), "is it a metric plugin for this system? What it printed is in the log of the controller"},
		"nobody answers":     {entry("shop/number", "http://127.0.0.1:1/number", sum), "fetch the binary: "},
		"it is not there":    {"", "not configured in configmap"},
		"its server says no": {entry("shop/number", serve(t, http.NotFound)+"/number", sum), "the status is 404 Not Found"},
		"what it serves ends": {entry("shop/number", serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "9")
			fmt.Fprint(w, "x")
		})+"/x", sum), "unexpected EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			p := metricplugin.New(metricplugin.Options{Plugins: host(t, plugin.Metric, c.broken, entry("shop/other", "file://"+path, sum))})
			if _, err := p.Measure(t.Context(), asking(config)); err == nil || !strings.Contains(err.Error(), "plugin shop/number") || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
			other := asking(config)
			other.Provider.Plugin["shop/other"] = other.Provider.Plugin["shop/number"]
			delete(other.Provider.Plugin, "shop/number")
			if _, err := p.Measure(t.Context(), other); err != nil {
				t.Errorf("the other one: %v", err)
			}
		})
	}
}

// TestAProgramThatIsKilledInACall and one whose calls hang: the next call is answered.
func TestAProgramThatIsKilledInACall(t *testing.T) {
	path, _ := program(t, "metric")
	// A script tells the id of the process that the program becomes.
	dir := t.TempDir()
	script, id := filepath.Join(dir, "script"), filepath.Join(dir, "id")
	if err := os.WriteFile(script, []byte("#!/bin/sh\necho $$ > \"$1\"\nexec \"$2\"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	arrived, release := make(chan struct{}), make(chan struct{})
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			arrived <- struct{}{}
			<-release
		}
		fmt.Fprint(w, `{"n":1}`)
	})
	defer close(release)
	p := metricplugin.New(metricplugin.Options{Plugins: host(t, plugin.Metric, entry("shop/number", "file://"+script, sumOf(t, script), id, path))})
	slow, fast := asking(`{"url":"`+url+`/slow","field":"n","max":1}`), asking(`{"url":"`+url+`/fast","field":"n","max":1}`)
	done := make(chan error, 1)
	go func() {
		_, err := p.Measure(t.Context(), slow)
		done <- err
	}()
	<-arrived
	if _, err := p.Measure(t.Context(), fast); err != nil {
		t.Errorf("one that hangs holds up others: %v", err)
	}
	raw, err := os.ReadFile(id)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(raw)))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err == nil || !strings.Contains(err.Error(), "plugin shop/number has died: ") {
		t.Errorf("got %v", err)
	}
	if got, err := p.Measure(t.Context(), fast); err != nil || got.Phase != v1alpha1.AnalysisPhaseSuccessful {
		t.Errorf("after its death: %+v, %v", got, err)
	}
	if again, err := os.ReadFile(id); err != nil || string(again) == string(raw) {
		t.Errorf("it is the same process, %v", err)
	}
}

func TestACallThatHangsEnds(t *testing.T) {
	path, sum := program(t, "metric")
	programs := host(t, plugin.Metric, entry("shop/number", "file://"+path, sum))
	p, hasty := metricplugin.New(metricplugin.Options{Plugins: programs}), metricplugin.New(metricplugin.Options{Plugins: programs, Timeout: time.Second})
	gone := make(chan struct{})
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			<-r.Context().Done() // the deadline has come as far as here
			close(gone)
			return
		}
		fmt.Fprint(w, `{"n":1}`)
	})
	slow, fast := asking(`{"url":"`+url+`/slow","field":"n","max":1}`), asking(`{"url":"`+url+`/fast","field":"n","max":1}`)
	if _, err := p.Measure(t.Context(), fast); err != nil {
		t.Fatal(err)
	}
	if _, err := hasty.Measure(t.Context(), slow); err == nil || err.Error() != "failed to run via plugin: plugin shop/number gave no answer within the timeout of 1s" {
		t.Errorf("got %v", err)
	}
	<-gone
	if _, err := p.Measure(t.Context(), fast); err != nil {
		t.Error(err)
	}
}
