package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"
)

// small is enough to see that everything is counted.
var small = Load{Finished: 20, Running: 10, Hanging: 40, Window: 5 * time.Second, Repeats: 2}

func TestAnalysisOfOurControllerAgainstItself(t *testing.T) {
	path := program(t, "controller")
	ctx, cancel := context.WithTimeout(context.Background(), 8*time.Minute)
	defer cancel()
	var out, told bytes.Buffer
	err := Run(ctx, Options{Penstock: path, Other: path, Workloads: []string{"analysis"}, Analysis: small, Out: &out, Err: &told, interval: time.Second})
	if err != nil {
		t.Fatalf("%v\n%s", err, told.String())
	}
	var lines []map[string]any
	for text := range strings.Lines(out.String()) {
		var line map[string]any
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		lines = append(lines, line)
	}
	if len(lines) != 8 {
		t.Fatalf("printed is %s", out.String())
	}
	for i, name := range []string{"penstock", "controller"} {
		idle, busy := lines[i], lines[3+i]
		if idle["workload"] != "A1" || busy["workload"] != "A2" || idle["controller"] != name || busy["controller"] != name {
			t.Errorf("lines are about %v %v and %v %v", idle["workload"], idle["controller"], busy["workload"], busy["controller"])
		}
		isWindow(t, idle, 20)
		isWindow(t, busy, 10)
		// Nobody has a reason to write where all is over.
		figure(t, idle, "writes", 0, 0)
		// Five seconds, ten runs: an interval more or less at either end.
		figure(t, busy, "measurements", 20, 70)
		figure(t, busy, "due", 50, 55)
		figure(t, busy, "still_running", 10, 10)
		// Good measurements of an interval of a second are written every four or five.
		figure(t, busy, "writes_per_run_minute", 10, 40)
	}
	for i, held := range []float64{30, 40} {
		h := lines[6+i]
		if got := fields(h); !slices.Equal(got, []string{"abort_ms_max", "abort_ms_median", "controller", "held", "repeats", "runs", "sources", "workload"}) {
			t.Errorf("the fields of A3 are %q", got)
		}
		figure(t, h, "held", held, held)
		figure(t, h, "abort_ms_max", figure(t, h, "abort_ms_median", 1, 1e5), 1e5)
	}
	ratios := []string{"cores", "ratio_of", "requests", "rss", "runs", "start_cpu", "start_rss", "to", "workload", "writes"}
	if got := fields(lines[2]); !slices.Equal(got, ratios) {
		t.Errorf("the fields of a comparison are %q", got)
	}
	figure(t, lines[5], "measurements", .3, 3)
}

func isWindow(t *testing.T, line map[string]any, runs float64) {
	t.Helper()
	figure(t, line, "runs", runs, runs)
	figure(t, line, "seconds", 5, 60)
	figure(t, line, "cores", 0, 2)
	figure(t, line, "rss_mb", 10, 300)
	figure(t, line, "start_cpu_seconds", .01, 60)
	figure(t, line, "start_rss_mb", 10, 300)
}

func TestWhatMeasuresNothingIsRefused(t *testing.T) {
	for name, l := range map[string]Load{
		"no runs":    {Finished: 1, Running: 0, Hanging: 1, Window: time.Second, Repeats: 1},
		"no window":  {Finished: 1, Running: 1, Hanging: 1, Repeats: 1},
		"no repeats": {Finished: 1, Running: 1, Hanging: 1, Window: time.Second},
	} {
		err := Run(context.Background(), Options{Workloads: []string{"A1"}, Analysis: l})
		if err == nil || !strings.HasPrefix(err.Error(), "measure analysis: every number must be positive") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
